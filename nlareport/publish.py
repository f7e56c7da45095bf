"""Publishes runs as pages: a report, a comparison of two runs, or a whole site.

Takes run files and folders, writes files into the folders. This module combines the public copies of a run (store) with
its pages (renderer), so that the renderer need not know the store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import click

from nlareport.comparison import Comparison
from nlareport.errors import RunIncomplete, SiteBroken
from nlareport.files.file_names import distinct_names, file_name
from nlareport.files.written_folders import Terms, WrittenFolder, written_folder
from nlareport.render.pages.diff_page import NOWHERE, ReportPlace, render_comparison
from nlareport.render.pages.item_pages import read_item_pages
from nlareport.render.report.page import render_report
from nlareport.render.report.query_rows import RunHead
from nlareport.render.report_folder import SitePlace
from nlareport.render.site.home import Link, RunCard, read_card
from nlareport.render.site.reference import write_reference
from nlareport.render.site.site_build import HOME, REPORTS, build_site, read_site_config
from nlareport.review.run_differences import compare_runs
from nlareport.review.sources import open_run
from nlareport.shown import shown
from nlareport.store.public_copy import write_public_copy
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_places import parts_of_run

ENGINE = "engine"
"""Folder next to the site's reports with the SQL engine that all of them load."""
COMPARISONS = "comparisons"
"""Folder next to the site's reports with one folder per pair of runs."""

Places = Mapping[Path, ReportPlace]
"""The place of each run's report in the site, relative to a comparison, by the file the run came from."""


@dataclass(frozen=True, slots=True)
class PublishedReports:
    """The reports of a site: how its home page shows them, and where comparisons find them."""

    cards: list[RunCard]
    places: Places


def publish_run(file: Path, out: Path, *, is_shared: bool = False) -> Path:
    """The page to open of a run file's report, written into a folder of its own.

    Raises:
        RunFileMissing: there is no such file; likewise when it is busy, damaged or of another version.
        RunIncomplete: the file has nothing to show yet.
        FolderOfOthers: the folder holds files that nlareport did not write.
        FileUnwritable: the folder cannot be written.
    """
    terms = Terms("report", is_shared=is_shared, reads=parts_of_run(file))
    with DuckDBReader.open(file) as reader, written_folder(out, terms) as place:
        return publish_report(reader, place)


def publish_report(reader: DuckDBReader, place: WrittenFolder, site: SitePlace | None = None) -> Path:
    """The page to open of a run's report, with the copies of the run that readers can take away.

    Raises:
        RunIncomplete: the file has nothing to show yet.
    """
    copy = write_public_copy(reader, place.below("downloads").staged)
    try:
        return render_report(reader, place, copy, site)
    except RunIncomplete as error:
        raise RunIncomplete(f"{reader.path}: {error}") from error


def publish_site(config_file: Path, commands: click.Group) -> Path:
    """The home page of the site, with the report of every run file or published figures that the config names.

    Pairs of them under `comparisons` get a page that holds one against the other. `commands` are what the reference
    pages describe, where the config asks for such pages.

    Raises:
        SiteBroken: the site has a fault, such as a broken link.
        FolderOfOthers: a file of others stands where a page belongs.
        NothingToCompare: two runs that are to be compared have no cell in common.
        NlareportError: a run file cannot be shown.
    """
    config, root = read_site_config(config_file), config_file.parent
    sources = [root / name for name in config.extra.get("runs", [])]
    asked = [[root / name for name in names] for names in config.extra.get("comparisons", [])]
    reads = tuple(part for source in [*sources, *chain(*asked)] for part in parts_of_run(source))
    terms = Terms("site", "another docs_dir", is_shared=True, reads=reads)
    with written_folder(Path(config.docs_dir) / REPORTS, terms) as place:
        reports = publish_reports(sources, place)
        comparisons = publish_comparisons(asked, place, reports.places)
    if reference := config.extra.get("reference"):
        with DuckDBReader.empty() as reader:
            write_reference(root / reference, reader, DuckDBReader.query_names(), commands)
    return build_site(config, reports.cards, comparisons)


def publish_reports(sources: Sequence[Path], reports: WrittenFolder) -> PublishedReports:
    """Every run's report, each in a folder of the site's reports.

    Raises:
        SiteBroken: two runs have one run_id.
        NlareportError: a run file cannot be shown.
    """
    site, cards, places = SitePlace(home=f"../../{HOME}", shared=reports.below(ENGINE)), [], {}
    names: dict[str, str] = {}
    for source in sources:
        with open_run(source) as reader:
            run_id = _head(reader).run_id
            if run_id in names:
                raise SiteBroken(f"{source}: another run of the site has the run_id {shown(run_id)}; leave one out.")
            names = distinct_names([*names, run_id], (ENGINE, COMPARISONS))
            place = reports.below(names[run_id])
            publish_report(reader, place, site)
            cards.append(read_card(reader, place, f"{REPORTS}/{names[run_id]}"))
            places[source.resolve()] = ReportPlace(f"../../{names[run_id]}/", read_item_pages(reader).href)
    return PublishedReports(cards, places)


def diff_runs(a: Path, b: Path, out: Path | None, *, force: bool = False) -> tuple[Comparison, Path | None]:
    """What run B changes against run A, and the page that shows it when there is a folder to write it to.

    Either may be a run file or published figures (YAML). With `force` the folder may hold files of others.

    Raises:
        NothingToCompare: the runs have no cell in common.
        FolderOfOthers: the folder holds files that nlareport did not write.
        NlareportError: a run file or figures file is missing or damaged.
    """
    if out is not None:
        return publish_comparison(a, b, out, is_shared=force)
    with open_run(a) as reader_a, open_run(b) as reader_b:
        return compare_runs(reader_a, reader_b), None


def publish_comparison(a: Path, b: Path, out: Path, *, is_shared: bool = False) -> tuple[Comparison, Path]:
    """What run B changes against run A, and the page that shows it, written into a folder of its own.

    Raises:
        NothingToCompare: the runs have no cell in common.
        FolderOfOthers: the folder holds files that nlareport did not write.
        NlareportError: a run file or figures file is missing or damaged, or the folder cannot be written.
    """
    terms = Terms("comparison", is_shared=is_shared, reads=(*parts_of_run(a), *parts_of_run(b)))
    with written_folder(out, terms) as place:
        return _compared(a, b, place)


def publish_comparisons(asked: Sequence[Sequence[Path]], reports: WrittenFolder, places: Places) -> list[Link]:
    """The pages of the pairs of runs a site compares, each linked to those of the site's own reports.

    Raises:
        SiteBroken: not two runs are asked to be compared, or two comparisons would stand at one place.
        NothingToCompare: two runs have no cell in common.
        NlareportError: a run file or figures file is missing or damaged.
    """
    site, links = SitePlace(home=f"../../../{HOME}", shared=reports.below(ENGINE)), []
    for sources in asked:
        if len(sources) != 2:
            raise SiteBroken(f"A comparison takes two runs, not {len(sources)}; write [A, B] under extra.comparisons.")
        a, b = sources
        run_ids = [_run_id(source) for source in sources]
        name = f"{COMPARISONS}/{file_name(*run_ids, joint='-vs-')}"
        link = Link(f"{run_ids[0]} and {run_ids[1]}", f"{REPORTS}/{name}/index.html")
        if link in links:
            raise SiteBroken(f"Two comparisons would stand at {REPORTS}/{name}; give one of the runs another run_id.")
        _compared(a, b, reports.below(name), (places.get(a.resolve()), places.get(b.resolve())), site)
        links.append(link)
    return links


def _compared(
    a: Path,
    b: Path,
    place: WrittenFolder,
    known: tuple[ReportPlace | None, ReportPlace | None] = NOWHERE,
    site: SitePlace | None = None,
) -> tuple[Comparison, Path]:
    """The comparison and its page; `known` is where the runs' reports stand."""
    with open_run(a) as reader_a, open_run(b) as reader_b:
        comparison = compare_runs(reader_a, reader_b)
        return comparison, render_comparison(comparison, (_head(reader_a), _head(reader_b)), place, known, site)


def _run_id(source: Path) -> str:
    with open_run(source) as reader:
        return _head(reader).run_id


def _head(reader: DuckDBReader) -> RunHead:
    return reader.rows(RunHead, "report_run")[0]
