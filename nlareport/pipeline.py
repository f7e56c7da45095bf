"""Which stages, in which order, for what is still missing: the only place that knows the order.

``documents → items → activations → explanations → reconstructions → scores → cells → pages``. Each step asks the run
file what it lacks, hands a batch to a stage and stores the answer before it goes on; so a run stopped anywhere goes
on where it was, and a finished one does nothing.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from nlareport.backends import EngineSettings, load_engine
from nlareport.checkpoint import Sidecar
from nlareport.errors import RunOfAnotherExperiment
from nlareport.experiment import Experiment, load_experiment, parse_experiment
from nlareport.pairs.locating import locate_pocket_pair, public_name
from nlareport.ports import Progress
from nlareport.render.claims import read_claims
from nlareport.render.contexts import RunHead
from nlareport.render.pages import render_report
from nlareport.render.site import SiteReport, build_site, read_site_config
from nlareport.rows import Claim, Explanation, Item, Pair, PairId, Score
from nlareport.stages import describe
from nlareport.steps.items import sample_items
from nlareport.steps.models import extract_activations, reconstruct_activations, verbalize_activations
from nlareport.steps.scores import score_run
from nlareport.steps.work import Work
from nlareport.store.activations import ActivationStore
from nlareport.store.bundle import import_run
from nlareport.store.connections import SCHEMA_VERSION
from nlareport.store.database import RunFile
from nlareport.store.queries import DuckDBReader

STAGES: dict[str, Callable[[Work], None]] = {
    "sample": sample_items,
    "extract": extract_activations,
    "verbalize": verbalize_activations,
    "reconstruct": reconstruct_activations,
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
    experiment = load_experiment(path)
    text = path.read_text(encoding="utf-8")
    located = experiment.model_copy(update={"pairs": [locate_pocket_pair(pair, progress) for pair in experiment.pairs]})
    compute_settings, decoding = experiment.compute, experiment.decoding
    settings = EngineSettings(device, compute_settings.dtype, compute_settings.batch_size, decoding.max_new_tokens)
    engine = load_engine(engine_name, settings)
    begun = describe.describe_run(experiment, text, SCHEMA_VERSION, engine.device, engine_name)
    with RunFile.create_or_open(db, begun) as run_file:
        _begin(run_file, experiment, text, {PairId(pair.pair_id): engine.sidecar(pair) for pair in located.pairs})
        compute(Work(_limited(located, limit), path.parent, run_file, ActivationStore(db), engine, progress), only)
        return (
            f"{run_file.count(Item):,} items, {run_file.count(Explanation):,} explanations, "
            f"{run_file.count(Score):,} scores"
        )


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
        return render_report(reader, out)


def publish_site(config_file: Path) -> Path:
    """The home page of the site, with the report of every run file or published figures that the config names.

    Raises:
        SiteBroken: the site has a fault, such as a broken link.
        NlareportError: a run file cannot be shown.
    """
    config = read_site_config(config_file)
    reports = []
    for name in config.extra.get("runs", []):
        source = config_file.parent / name
        with TemporaryDirectory() as scratch:
            db = source
            if source.suffix in (".yaml", ".yml"):
                db = Path(scratch) / "published.duckdb"
                import_figures(source, db)
            with DuckDBReader.open(db) as reader:
                run = reader.rows(RunHead, "report_run")[0]
                render_report(reader, Path(config.docs_dir) / "reports" / run.run_id)
            reports.append(SiteReport(run.run_id, run.title))
    return build_site(config, reports)


def _begin(run_file: RunFile, experiment: Experiment, text: str, sidecars: dict[PairId, Sidecar | None]) -> None:
    """Refuses a file of another experiment; fills in what a new or reworded one has not said yet."""
    run = run_file.run()
    if run.kind != "computed" or run.experiment_yaml is None:
        raise RunOfAnotherExperiment(
            f"{run_file.path}: holds {run.kind} figures, not a computed run; give another --db."
        )
    stored = parse_experiment(run.experiment_yaml, run_file.path)
    if differing := describe.differences(stored, experiment):
        raise RunOfAnotherExperiment(
            f"{run_file.path}: was computed with other values of {', '.join(differing)}; "
            "give another --db, or put those keys back."
        )
    names = {PairId(pair.pair_id): public_name(pair.base_model) for pair in experiment.pairs}
    known = {pair.pair_id: pair for pair in run_file.rows(Pair)}
    described = describe.describe_pairs(experiment, sidecars, names)
    pairs = [describe.with_geometry_of(known.get(pair.pair_id), pair) for pair in described]
    if changed := [pair for pair in pairs if pair != known.get(pair.pair_id)]:
        run_file.put(changed)
    if run.experiment_yaml != text:
        run_file.put([describe.reworded(run, experiment, text)])


def _limited(experiment: Experiment, limit: int | None) -> Experiment:
    """The experiment, asking for at most `limit` items."""
    n_items = experiment.sampling.n_items if limit is None else min(limit, experiment.sampling.n_items)
    return experiment.model_copy(update={"sampling": experiment.sampling.model_copy(update={"n_items": n_items})})


def compute(work: Work, only: str | None = None) -> None:
    """Everything that is still missing, or what one stage still lacks, stage by stage.

    Raises:
        CorpusTooShort: the corpus gave fewer items than asked for; what it gave is stored.
    """
    for name, step in STAGES.items():
        if only in (None, name):
            step(work)
