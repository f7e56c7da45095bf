"""Which stages, in which order, for what is still missing: the only place that knows the order.

``documents → items → activations → explanations → reconstructions → scores → cells → pages``. Each step asks the run
file what it lacks, hands a batch to a stage and stores the answer before it goes on; so a run stopped anywhere goes
on where it was, and a finished one does nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from nlareport.comparison import Comparison
from nlareport.errors import CorpusTooShort, SiteBroken
from nlareport.experiment import load_experiment
from nlareport.ports import Progress
from nlareport.render.claims import read_claims
from nlareport.render.contexts import RunHead
from nlareport.render.diff import ReportPlace, render_comparison
from nlareport.render.home import read_card
from nlareport.render.items import read_item_pages
from nlareport.render.pages import render_report
from nlareport.render.reference import write_reference
from nlareport.render.report_folder import SitePlace
from nlareport.render.site import HOME, REPORTS, build_site, drop_other_reports, read_site_config
from nlareport.rows import Claim, Explanation, PairId, Score
from nlareport.stages import verify
from nlareport.steps import begin
from nlareport.steps.ablations import ablate_explanations
from nlareport.steps.compare import compare_runs
from nlareport.steps.items import sample_items
from nlareport.steps.models import extract_activations, reconstruct_activations, verbalize_activations
from nlareport.steps.scores import score_run
from nlareport.steps.work import Work
from nlareport.store.bundle import import_run
from nlareport.store.database import RunFile
from nlareport.store.public_copy import write_public_copy
from nlareport.store.queries import DuckDBReader
from nlareport.store.whole_run import read_run

ENGINE = "engine"
"""Folder beside the site's reports that holds the SQL engine all of them load."""
COMPARISONS = "comparisons"
"""Folder beside the site's reports that holds a folder per pair of runs."""

STAGES: dict[str, Callable[[Work], None]] = {
    "sample": sample_items,
    "extract": extract_activations,
    "verbalize": verbalize_activations,
    "reconstruct": reconstruct_activations,
    "ablate": ablate_explanations,
    "score": score_run,
}


def run_experiment(
    path: Path, db: Path, progress: Progress, limit: int | None, only: str | None, device: str, engine_name: str
) -> str:
    """What the run file holds after computing everything of the experiment that it lacked, in a sentence.

    Raises:
        NlareportError: the experiment, a checkpoint, the corpus or the run file is not as it must be; whatever was
            computed before is stored.
    """
    experiment, text = begin.limited(load_experiment(path), limit), path.read_text(encoding="utf-8")
    # Asked before any checkpoint is looked for: whoever has only a published run file need not build one.
    if db.exists() and (contents := begin.finished(db, experiment, text)):
        return f"{contents}; nothing was missing"
    reference = begin.reference_pair(experiment)
    with begin.opened(experiment, reference, path, db, progress, device, engine_name) as work:
        compute(work, only)
        return begin.contents(work.run_file)


def verify_pairs(
    path: Path, against: Path, asked: Sequence[str], progress: Progress, device: str, engine_name: str
) -> list[verify.Agreement]:
    """How the experiment's pairs, or those asked for, built anew, measure the first items of a recorded run.

    The items go through the stages of every run, in a run file that is thrown away; the recorded one is only read.

    Raises:
        PairUnknown: the experiment has no pair of this name.
        PairNotRecorded: the recorded run has no scores of a pair.
        ItemsMoved: the recorded run measured other places than the experiment draws.
        NlareportError: the recorded file is missing or of another experiment, or anything a run refuses.
    """
    whole, recorded = load_experiment(path), read_run(against)
    experiment = begin.narrowed(whole, asked or [pair.pair_id for pair in whole.pairs])
    pair_ids = [PairId(pair.pair_id) for pair in experiment.pairs]
    stored = begin.stored_experiment(recorded.run, against)
    verify.refuse_unrecorded(recorded.pairs, pair_ids, against)
    begin.refuse_another(begin.narrowed(stored, pair_ids), experiment, against)
    items = recorded.items[: verify.N_ITEMS]
    # What an unclean answer costs may change without another run; here both sides must count it alike.
    experiment = begin.limited(experiment.model_copy(update={"scoring": stored.scoring}), len(items))
    reference = begin.reference_pair(whole)
    with (
        TemporaryDirectory() as scratch,
        begin.opened(
            experiment, reference, path, Path(scratch) / "again.duckdb", progress, device, engine_name, anew=True
        ) as work,
    ):
        # A corpus that became shorter is told by the places it no longer gives.
        with suppress(CorpusTooShort):
            compute(work, "sample")
        verify.refuse_moved(items, work.items(), against)
        compute(work)
        again = verify.Answers(work.run_file.rows(Explanation), work.run_file.rows(Score))
    before = verify.Answers(recorded.explanations, recorded.scores)
    rows = {pair.pair_id: pair for pair in recorded.pairs}
    return [verify.compare(rows[pair_id], items, before, again) for pair_id in pair_ids]


def import_figures(path: Path, db: Path) -> bool:
    """Published figures or a bundle into a run file, with the claims they bear out; False when they were there already.

    Raises:
        NlareportError: the source has faults, or the run file holds something else.
    """
    was_made = import_run(path, db)
    if was_made:
        with RunFile.open(db) as run_file:
            run_file.replace({Claim: read_claims(run_file.reader())})
    return was_made


def render_run(file: Path, out: Path) -> Path:
    """The page to open, written from a run file alone.

    Raises:
        RunFileMissing: there is no such file; likewise when it is busy, damaged or of another version.
        RunIncomplete: the file has nothing to show yet.
    """
    with DuckDBReader.open(file) as reader:
        return _render(reader, out)


def diff_runs(a: Path, b: Path, out: Path | None) -> tuple[Comparison, Path | None]:
    """What run B changes against run A, and the page that shows it when there is a folder to write it to.

    Either may be a run file or published figures (YAML).

    Raises:
        NothingToCompare: the runs have no cell in common.
        NlareportError: a run file or figures file is missing or damaged.
    """
    with opened_run(a) as reader_a, opened_run(b) as reader_b:
        comparison = compare_runs(reader_a, reader_b)
        if out is None:
            return comparison, None
        return comparison, render_comparison(comparison, (_head(reader_a), _head(reader_b)), out)


def publish_site(config_file: Path, commands: click.Group) -> Path:
    """The home page of the site, with the report of every run file or published figures that the config names.

    Pairs of them under `comparisons` get a page that holds one against the other. `commands` are what the reference
    pages describe, where the config asks for such pages.

    Raises:
        SiteBroken: the site has a fault, such as a broken link.
        NothingToCompare: two runs that are to be compared have no cell in common.
        NlareportError: a run file cannot be shown.
    """
    config = read_site_config(config_file)
    docs, cards, places = Path(config.docs_dir), [], {}
    folder = docs / REPORTS
    site = SitePlace(home=f"../../{HOME}", shared=folder / ENGINE)
    for name in config.extra.get("runs", []):
        source = config_file.parent / name
        with opened_run(source) as reader:
            run_id = _head(reader).run_id
            _render(reader, folder / run_id, site)
            cards.append(read_card(reader, folder / run_id, docs))
            places[source.resolve()] = ReportPlace(f"../../{run_id}/", read_item_pages(reader).href)
    if reference := config.extra.get("reference"):
        with DuckDBReader.empty() as reader:
            write_reference(config_file.parent / reference, reader, DuckDBReader.query_names(), commands)
    # Of reports and comparisons that the config no longer names nothing may stay: mkdocs publishes whatever it finds.
    drop_other_reports(docs, [ENGINE, *(card.run.run_id for card in cards)])
    config.extra["comparisons_built"] = [
        _publish_comparison([config_file.parent / name for name in names], folder, places)
        for names in config.extra.get("comparisons", [])
    ]
    return build_site(config, cards)


def _publish_comparison(sources: Sequence[Path], folder: Path, places: Mapping[Path, ReportPlace]) -> dict[str, str]:
    """The `title` and `href` of a comparison written below the reports; it links to those of the site's own runs."""
    if len(sources) != 2:
        raise SiteBroken(f"A comparison takes two runs, not {len(sources)}; write [A, B] under extra.comparisons.")
    a, b = sources
    with opened_run(a) as reader_a, opened_run(b) as reader_b:
        heads = (_head(reader_a), _head(reader_b))
        name = f"{COMPARISONS}/{heads[0].run_id}-vs-{heads[1].run_id}"
        if (folder / name).exists():
            raise SiteBroken(f"Two comparisons would stand at {name}; give one of the runs another run_id.")
        known = (places.get(a.resolve()), places.get(b.resolve()))
        render_comparison(compare_runs(reader_a, reader_b), heads, folder / name, known)
    return {"title": f"{heads[0].run_id} and {heads[1].run_id}", "href": f"reports/{name}/index.html"}


@contextmanager
def opened_run(source: Path) -> Iterator[DuckDBReader]:
    """A run file to read, or published figures (YAML) as the run file they make.

    Raises:
        NlareportError: the file is missing, damaged, or holds something else.
    """
    with TemporaryDirectory() as scratch:
        db = source
        if source.suffix in (".yaml", ".yml"):
            db = Path(scratch) / "published.duckdb"
            import_figures(source, db)
        with DuckDBReader.open(db) as reader:
            yield reader


def _render(reader: DuckDBReader, out: Path, site: SitePlace | None = None) -> Path:
    return render_report(reader, out, write_public_copy(reader, out / "downloads"), site)


def _head(reader: DuckDBReader) -> RunHead:
    return reader.rows(RunHead, "report_run")[0]


def compute(work: Work, only: str | None = None) -> None:
    """Everything that is still missing, or what one stage still lacks, stage by stage.

    Raises:
        CorpusTooShort: the corpus gave fewer items than asked for; what it gave is stored.
    """
    for name, step in STAGES.items():
        if only in (None, name):
            step(work)
