"""Opens a run: refuses a file of another experiment, says what a new one has not said, tells a finished one.

Enters an experiment and a run file; leaves the `Work` every step is handed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nlareport.backends import EngineSettings, load_engine
from nlareport.errors import PairUnknown, RunOfAnotherExperiment
from nlareport.experiment import Experiment, PairSpec, experiment_text, parse_experiment
from nlareport.files.atomic_files import clear_left_over
from nlareport.pairs.locating import locate_base_model, locate_if_built, locate_pocket_pair, public_name
from nlareport.ports import Progress
from nlareport.rows.item_rows import Explanation, Item, Score
from nlareport.rows.run_rows import Choice, Making, Pair, PairId, Run
from nlareport.run import identity
from nlareport.run.answer_rule import judge_by_rule
from nlareport.run.checkpoint_changes import START_OVER
from nlareport.run.context import Work
from nlareport.run.corpus_texts import refuse_changed_corpus
from nlareport.run.recorded_checkpoints import found_files, found_making, record_making, refuse_changed, stored_making
from nlareport.run.scoring import is_finished
from nlareport.run.vector_origins import VectorMaking, adopt_vectors, refuse_other_vectors
from nlareport.store.connections import SCHEMA_VERSION
from nlareport.store.run_file import RunFile
from nlareport.store.run_places import take_former_folder
from nlareport.store.vectors.activations import ActivationStore

ANOTHER_OR_OVER = f"give another --db, or {START_OVER}"
N_KEYS = 8
"""How many keys that differ are named."""


@contextmanager
def opened(
    experiment: Experiment,
    reference: PairSpec,
    path: Path,
    db: Path,
    progress: Progress,
    device: str,
    engine_name: str,
    *,
    anew: bool = False,
) -> Iterator[Work]:
    """The run file, begun when there is none, with all its steps need; with `anew` pocket pairs are built again.

    Raises:
        RunOfAnotherExperiment: the file was computed with other values.
        NlareportError: a checkpoint or the run file is not as it must be.
    """
    located = [locate_pocket_pair(pair, progress, anew=anew) for pair in experiment.pairs]
    compute, decoding, text = experiment.compute, experiment.decoding, experiment_text(path)
    moment = _moment_of(db)
    engine = load_engine(
        engine_name,
        EngineSettings(device, compute.dtype, compute.batch_size, decoding.max_new_tokens, decoding.stream, moment),
    )
    # Before the run file is begun: what was refused today must not be part of what it says tomorrow.
    for pair in located:
        engine.check(pair)
    was_there = db.exists()
    read_by = locate_base_model(reference)
    special_ids = engine.tokenizer(read_by).special_ids
    begun = identity.describe_run(experiment, text, SCHEMA_VERSION, engine, engine_name, moment, special_ids)
    found = found_making(engine, located, progress)
    if not was_there:
        _hold_vectors(db, experiment, engine_name, found, is_older=False)
    with RunFile.create_or_open(db, begun, found) as run_file:
        if was_there:
            refuse_another(stored_experiment(run_file.run(), db), experiment, db)
            _refuse_other_engine(run_file.run(), engine_name, db)
            refuse_changed(stored_making(run_file), found, db)
            refuse_changed_corpus(run_file, experiment.corpus, path.parent)
            _hold_vectors(db, experiment, engine_name, found, is_older=not run_file.count(Making))
            record_making(run_file, found)
            judge_by_rule(run_file, experiment)
        ready = experiment.model_copy(update={"pairs": located})
        work = Work(ready, read_by, path.parent, run_file, ActivationStore(db), engine, progress)
        clear_left_over(db)
        work.activations.clear_left_over()
        _describe_pairs(work, experiment)
        _record_choices(work)
        _reword(run_file, experiment, text)
        yield work


def _moment_of(db: Path) -> datetime:
    """When a run was begun, which is now for one that is not there yet: a prompt that holds a date keeps that one."""
    if not db.exists():
        return datetime.now(UTC)
    with RunFile.open_to_read(db) as run_file:
        return run_file.run().created_at


def finished(db: Path, experiment: Experiment, text: str, folder: Path, progress: Progress) -> str | None:
    """What the run file holds when nothing of the experiment is missing from it, in a sentence; else None.

    Neither checkpoint nor corpus is needed for that; what is on this machine must be what the run was computed from.
    Relative paths start at `folder`.

    Raises:
        RunOfAnotherExperiment: the file was computed with other values.
        CheckpointChanged: a checkpoint is no longer what it was.
        CorpusChanged: neither is the corpus.
    """
    clear_left_over(db)
    with RunFile.open_to_read(db) as run_file:
        refuse_another(stored_experiment(run_file.run(), db), experiment, db)
        if not run_file.count(Making):
            take_former_folder(db)
        if not is_finished(run_file, experiment):
            return None
        built = [locate_if_built(pair) for pair in experiment.pairs]
        refuse_changed(stored_making(run_file), found_files(built, progress), db)
        refuse_changed_corpus(run_file, experiment.corpus, folder)
        found, is_worded = contents(run_file), run_file.run().experiment_yaml == text
    # Only then is it written: a run file that says it all stays as it is, byte by byte.
    if not is_worded:
        with RunFile.open(db) as run_file:
            _reword(run_file, experiment, text)
    return found


def contents(run_file: RunFile) -> str:
    """What a run file holds, in a few words."""
    counts = (run_file.count(row_type) for row_type in (Item, Explanation, Score))
    return "{:,} items, {:,} explanations, {:,} scores".format(*counts)


def stored_experiment(run: Run, db: Path) -> Experiment:
    """The experiment a run was computed from.

    Raises:
        RunOfAnotherExperiment: it was not computed, but published or imported.
    """
    if run.kind != "computed" or run.experiment_yaml is None:
        raise RunOfAnotherExperiment(f"{db}: holds {run.kind} figures, not a computed run; give another run file.")
    return parse_experiment(run.experiment_yaml, db)


def refuse_another(stored: Experiment, asked: Experiment, db: Path, advice: str = ANOTHER_OR_OVER) -> None:
    """Pass when what is stored in `db` may be gone on with; `advice` is what else to do than to put keys back.

    Raises:
        RunOfAnotherExperiment: it was computed with other values; they are named.
    """
    if differing := identity.differences(stored, asked):
        more = f" and {len(differing) - N_KEYS} more" if len(differing) > N_KEYS else ""
        raise RunOfAnotherExperiment(
            f"{db}: was computed with other values of {', '.join(differing[:N_KEYS])}{more}: "
            f"put those keys back, {advice}."
        )


def _refuse_other_engine(run: Run, engine_name: str, db: Path) -> None:
    began = run.environment.get("engine")
    if began is not None and began != engine_name:
        raise RunOfAnotherExperiment(
            f"{db}: was begun with --engine {began}, not {engine_name}; go on with that one, or {START_OVER}."
        )


def _hold_vectors(db: Path, experiment: Experiment, engine_name: str, found: list[Making], *, is_older: bool) -> None:
    """Passes when the vectors beside a run file are of its making; those of one older than that notion become so."""
    store, making = ActivationStore(db), VectorMaking(experiment, engine_name, found)
    pair_ids = [PairId(pair.pair_id) for pair in experiment.pairs]
    if is_older:
        adopt_vectors(store, making, pair_ids)
    refuse_other_vectors(store, making, pair_ids)


def _describe_pairs(work: Work, experiment: Experiment) -> None:
    """Fills in what the run file has not said yet of its pairs; in `experiment` they have their public names."""
    names = {PairId(pair.pair_id): public_name(pair.base_model) for pair in experiment.pairs}
    sidecars = {pair_id: work.engine.sidecar(spec) for pair_id, spec in work.pairs}
    known = {pair.pair_id: pair for pair in work.run_file.rows(Pair)}
    described = identity.describe_pairs(experiment, sidecars, names)
    pairs = [identity.with_geometry_of(known.get(pair.pair_id), pair) for pair in described]
    if changed := [pair for pair in pairs if pair != known.get(pair.pair_id)]:
        work.run_file.put(changed)


def _record_choices(work: Work) -> None:
    """Has the run file say what is done where the checkpoints leave it open, before the first batch is."""
    stored = set(work.run_file.rows(Choice))
    if fresh := [row for _, spec in work.pairs for row in work.engine.choices(spec) if row not in stored]:
        work.run_file.put(fresh)


def _reword(run_file: RunFile, experiment: Experiment, text: str) -> None:
    """Lets the run file say what the experiment file now says of it, where that needs no checkpoint."""
    run = run_file.run()
    if run.experiment_yaml != text:
        pairs = identity.restated(run_file.rows(Pair), experiment)
        run_file.put([identity.reworded(run, experiment, text)], pairs)


def reference_pair(experiment: Experiment) -> PairSpec:
    """The pair in whose tokenization positions are drawn."""
    return next(pair for pair in experiment.pairs if pair.pair_id == experiment.sampling.reference_pair)


def narrowed(experiment: Experiment, pair_ids: Sequence[str]) -> Experiment:
    """The experiment on these of its pairs, nothing read but explanations: what measures the pairs themselves.

    Raises:
        PairUnknown: it has no pair of such a name.
    """
    known = [pair.pair_id for pair in experiment.pairs]
    if unknown := [pair_id for pair_id in pair_ids if pair_id not in known]:
        raise PairUnknown(f"The experiment has no pair {', '.join(unknown)}; it has {', '.join(known)}.")
    pairs = [pair for pair in experiment.pairs if pair.pair_id in pair_ids]
    return experiment.model_copy(update={"pairs": pairs, "ablations": [], "plain_words": []})


def limited(experiment: Experiment, limit: int | None) -> Experiment:
    """The experiment, asking for at most `limit` items."""
    n_items = experiment.sampling.n_items if limit is None else min(limit, experiment.sampling.n_items)
    return experiment.model_copy(update={"sampling": experiment.sampling.model_copy(update={"n_items": n_items})})
