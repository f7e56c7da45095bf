"""Run files to pages: one report, a comparison, and all that a site is made of.

Enters readers and folders; leaves files under them. The public copies of a run and its pages meet here, so that the
renderer need not know the store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlareport.comparison import Comparison
from nlareport.errors import SiteBroken
from nlareport.render.contexts import RunHead
from nlareport.render.diff import NOWHERE, ReportPlace, render_comparison
from nlareport.render.home import Link, RunCard, read_card
from nlareport.render.items import read_item_pages
from nlareport.render.pages import render_report
from nlareport.render.report_folder import SitePlace
from nlareport.render.site import HOME, REPORTS, drop_other_reports
from nlareport.steps.compare import compare_runs
from nlareport.steps.opening import opened_run
from nlareport.store.public_copy import write_public_copy
from nlareport.store.queries import DuckDBReader

ENGINE = "engine"
"""Folder beside the site's reports that holds the SQL engine all of them load."""
COMPARISONS = "comparisons"
"""Folder beside the site's reports that holds a folder per pair of runs."""

Places = Mapping[Path, ReportPlace]
"""Where the report of each run of the site stands, by the file it came from, as seen from a comparison."""


@dataclass(frozen=True, slots=True)
class PublishedReports:
    """The reports of a site: how its home page shows them, and where comparisons find them."""

    cards: list[RunCard]
    places: Places


def publish_report(reader: DuckDBReader, out: Path, site: SitePlace | None = None) -> Path:
    """The page to open of a run's report, with the copies of the run that readers can take away.

    Raises:
        RunIncomplete: the file has nothing to show yet.
    """
    return render_report(reader, out, write_public_copy(reader, out / "downloads"), site)


def publish_reports(sources: Sequence[Path], docs: Path) -> PublishedReports:
    """Every run's report below the docs folder; reports of other runs are removed, or mkdocs would publish them.

    Raises:
        NlareportError: a run file cannot be shown.
    """
    folder, cards, places = docs / REPORTS, [], {}
    site = SitePlace(home=f"../../{HOME}", shared=folder / ENGINE)
    for source in sources:
        with opened_run(source) as reader:
            run_id = _head(reader).run_id
            publish_report(reader, folder / run_id, site)
            cards.append(read_card(reader, folder / run_id, docs))
            places[source.resolve()] = ReportPlace(f"../../{run_id}/", read_item_pages(reader).href)
    drop_other_reports(docs, [ENGINE, *(card.run.run_id for card in cards)])
    return PublishedReports(cards, places)


def publish_comparison(
    a: Path,
    b: Path,
    out: Path,
    known: tuple[ReportPlace | None, ReportPlace | None] = NOWHERE,
    site: SitePlace | None = None,
) -> tuple[Comparison, Path]:
    """What run B changes against run A, and the page that shows it; `known` is where the runs' reports stand.

    Raises:
        NothingToCompare: the runs have no cell in common.
        NlareportError: a run file or figures file is missing or damaged.
    """
    with opened_run(a) as reader_a, opened_run(b) as reader_b:
        comparison = compare_runs(reader_a, reader_b)
        return comparison, render_comparison(comparison, (_head(reader_a), _head(reader_b)), out, known, site)


def publish_comparisons(asked: Sequence[Sequence[Path]], docs: Path, places: Places) -> list[Link]:
    """The pages of the pairs of runs a site compares, each linked to those of the site's own reports.

    Raises:
        SiteBroken: not two runs are asked to be compared, or two comparisons would stand at one place.
        NothingToCompare: two runs have no cell in common.
        NlareportError: a run file or figures file is missing or damaged.
    """
    site, links = SitePlace(home=f"../../../{HOME}", shared=docs / REPORTS / ENGINE), []
    for sources in asked:
        if len(sources) != 2:
            raise SiteBroken(f"A comparison takes two runs, not {len(sources)}; write [A, B] under extra.comparisons.")
        a, b = sources
        names = [_run_id(source) for source in sources]
        place = f"{REPORTS}/{COMPARISONS}/{names[0]}-vs-{names[1]}"
        if (docs / place).exists():
            raise SiteBroken(f"Two comparisons would stand at {place}; give one of the runs another run_id.")
        publish_comparison(a, b, docs / place, (places.get(a.resolve()), places.get(b.resolve())), site)
        links.append(Link(f"{names[0]} and {names[1]}", f"{place}/index.html"))
    return links


def _run_id(source: Path) -> str:
    with opened_run(source) as reader:
        return _head(reader).run_id


def _head(reader: DuckDBReader) -> RunHead:
    return reader.rows(RunHead, "report_run")[0]
