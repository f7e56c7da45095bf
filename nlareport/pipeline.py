"""Which stages, in which order, for what is still missing: the only place that knows the order.

``documents → items → activations → explanations → reconstructions → scores → cells → pages``. Each step asks the run
file what it lacks, hands a batch to a stage and stores the answer before it goes on; so a run stopped anywhere goes
on where it was, and a finished one does nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from nlareport.backends import refuse_unknown
from nlareport.checks import CheckReport
from nlareport.comparison import Comparison
from nlareport.errors import CorpusTooShort
from nlareport.experiment import experiment_text, load_experiment
from nlareport.ports import Progress
from nlareport.render.reference import write_reference
from nlareport.render.site import REPORTS, build_site, read_site_config
from nlareport.rows import Explanation, PairId, Score
from nlareport.stages import verify
from nlareport.steps import begin
from nlareport.steps.ablations import ablate_explanations
from nlareport.steps.check import check_prose, check_replication, check_self_tests, check_stored
from nlareport.steps.compare import compare_runs
from nlareport.steps.golden import check_golden, record_golden
from nlareport.steps.items import sample_items
from nlareport.steps.models import extract_activations, reconstruct_activations, verbalize_activations
from nlareport.steps.opening import opened_run
from nlareport.steps.plain import read_plain_words
from nlareport.steps.publish import publish_comparison, publish_comparisons, publish_reports, publish_run
from nlareport.steps.scores import score_run
from nlareport.steps.vectors import check_vectors
from nlareport.steps.work import Work
from nlareport.store.places import parts_of_run, run_file_path
from nlareport.store.queries import DuckDBReader
from nlareport.store.set_aside import set_aside
from nlareport.store.whole_run import read_run
from nlareport.written_folders import Terms, written_folder

STAGES: dict[str, Callable[[Work], None]] = {
    "sample": sample_items,
    "extract": extract_activations,
    "verbalize": verbalize_activations,
    "reconstruct": reconstruct_activations,
    "ablate": ablate_explanations,
    "read_plain": read_plain_words,
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
    experiment, text = begin.limited(load_experiment(path), limit), experiment_text(path)
    db = run_file_path(db)
    # Asked before any checkpoint is looked for: whoever has only a published run file need not build one.
    if db.exists() and (contents := begin.finished(db, experiment, text, path.parent, progress)):
        return f"{contents}; nothing was missing"
    reference = begin.reference_pair(experiment)
    with begin.opened(experiment, reference, path, db, progress, device, engine_name) as work:
        compute(work, only)
        return begin.contents(work.run_file)


def start_over(path: Path, db: Path, engine_name: str) -> str | None:
    """Makes room for a new run of the experiment: what is kept of the old one under which name, in a sentence.

    None when there is nothing to keep.

    Raises:
        NlareportError: the experiment or the engine's name is not as it must be, or the old run cannot be renamed; then
            nothing is.
    """
    load_experiment(path)
    refuse_unknown(engine_name)
    renamed = set_aside(run_file_path(db))
    kept = ", ".join(f"{former.name} as {new.name}" for former, new in renamed)
    return f"{db}: starts over; kept {kept}." if renamed else None


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
    begin.refuse_another(
        begin.narrowed(stored, pair_ids), experiment, against, "or give the run file that was computed with them"
    )
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


def render_run(file: Path, out: Path, *, force: bool = False) -> Path:
    """The page to open, written from a run file alone; with `force` also into a folder that holds files of others.

    Raises:
        RunFileMissing: there is no such file; likewise when it is busy, damaged or of another version.
        RunIncomplete: the file has nothing to show yet.
        FolderOfOthers: the folder holds files that nlareport did not write.
    """
    return publish_run(file, out, is_shared=force)


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
    with opened_run(a) as reader_a, opened_run(b) as reader_b:
        return compare_runs(reader_a, reader_b), None


def check_run(file: Path, against: Path | None, prose: Path | None, tolerance: float) -> CheckReport:
    """Everything that is wrong with a run, or published figures (YAML), and the verdicts on what was asked.

    Raises:
        ProseUnreadable: the page cannot be read.
        NlareportError: a run file or figures file is missing or damaged.
    """
    with opened_run(file) as reader:
        found = check_vectors(check_self_tests(check_stored(reader), reader), reader)
        if against is not None:
            with opened_run(against) as earlier:
                found = check_replication(found, earlier, reader, tolerance)
        return found if prose is None else check_prose(found, prose, reader)


def hold_against_golden(
    file: Path, golden: Path, asked: str | None, progress: Progress, device: str, *, record: bool, with_texts: bool
) -> CheckReport:
    """How the pairs of an experiment, or of a run, score what was recorded of them; or that it is recorded now.

    Raises:
        GoldenInvalid: the golden file has faults, or is of no pair of the experiment.
        NlareportError: the experiment or a checkpoint is not as it must be.
    """
    if not record:
        return check_golden(file, golden, asked, progress, device, with_texts=with_texts)
    n_recorded = record_golden(file, golden, asked, progress, device)
    return CheckReport([], notes=[f"{golden}: {n_recorded} scores recorded."])


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


def compute(work: Work, only: str | None = None) -> None:
    """Everything that is still missing, or what one stage still lacks, stage by stage.

    Raises:
        CorpusTooShort: the corpus gave fewer items than asked for; what it gave is stored.
    """
    for name, step in STAGES.items():
        if only in (None, name):
            step(work)
