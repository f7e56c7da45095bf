"""Opens or resumes a run: checks that the file is of this experiment, fills in what it lacks, detects a finished one.

Takes a `RunPlan`, yields the `Work` that every stage is given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nlareport.backends import load_engines
from nlareport.engine_options import EngineChoice, roles_of
from nlareport.engines import Engines
from nlareport.errors import RunOfAnotherExperiment
from nlareport.executors import load_executor
from nlareport.experiment.experiment_file import Experiment, parse_experiment
from nlareport.experiment.pair_section import PairSpec
from nlareport.files.scratch_folders import clear_left_over
from nlareport.pairs.locating import locate_base_model, locate_if_built, locate_pocket_pair, public_name
from nlareport.ports import Executor, Progress
from nlareport.rows.item_rows import Explanation, Item, Score
from nlareport.rows.run_rows import Choice, Making, Pair, PairId, Run
from nlareport.run import identity
from nlareport.run.added_pairs import are_here_now, find_kept_cells
from nlareport.run.answer_rule import judge_by_rule
from nlareport.run.checkpoint_changes import START_OVER
from nlareport.run.completion import is_finished
from nlareport.run.context import Work
from nlareport.run.corpus_texts import refuse_changed_corpus
from nlareport.run.given_texts import texts_making
from nlareport.run.kept_cells import KeptCells
from nlareport.run.recorded_checkpoints import (
    find_making,
    find_making_by_files,
    read_making,
    record_making,
    refuse_changed,
)
from nlareport.run.request import RunPlan
from nlareport.run.stage_list import OPTIONAL_KEYS
from nlareport.run.vector_origins import VectorMaking, adopt_vectors, refuse_other_vectors
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.run_file import RunFile
from nlareport.store.run_places import take_former_folder
from nlareport.store.vectors.activations import ActivationStore

ANOTHER_OR_OVER = f"give another --db, or {START_OVER}"
N_KEYS = 8
"""At most this many of the keys that differ are named."""


def summarize_finished(plan: RunPlan, progress: Progress) -> str | None:
    """What the run file holds when nothing of the experiment is missing from it, in a sentence; else None.

    Neither checkpoint nor corpus is needed for that; what is on this machine must be what the run was computed from.
    The run file is only read.

    Raises:
        RunOfAnotherExperiment: the file was computed with other values.
        CheckpointChanged: a checkpoint is no longer what it was.
        CorpusChanged: neither is the corpus.
    """
    clear_left_over(plan.db)
    with RunFile.open_to_read(plan.db) as run_file:
        refuse_another(read_stored_experiment(run_file.run(), plan.db), plan.experiment, plan.db)
        if not run_file.count(Making):
            take_former_folder(plan.db)
        if not is_finished(run_file, plan.experiment) or are_here_now(run_file, plan.experiment):
            return None
        built = [locate_if_built(pair) for pair in plan.experiment.pairs]
        roles, with_chats = roles_of(plan.experiment), plan.experiment.reads_chats
        found = find_making_by_files(built, progress, roles, with_chats=with_chats)
        _refuse_changed_inputs(run_file, plan, found + texts_making(plan.experiment, plan.folder))
        return describe_contents(run_file)


def update_wording(plan: RunPlan) -> None:
    """Has a finished run file say what the experiment file now says; one that says it all stays as it is."""
    with RunFile.open_to_read(plan.db) as run_file:
        is_worded = run_file.run().experiment_yaml == plan.text
    if not is_worded:
        with RunFile.open(plan.db) as run_file:
            _reword(run_file, plan)


@contextmanager
def open_run(plan: RunPlan, progress: Progress) -> Iterator[Work]:
    """The run file, created when there is none, with all that its stages need.

    Raises:
        RunOfAnotherExperiment: the file was computed with other values.
        EngineUnfit: an engine cannot do what it was chosen for.
        NlareportError: a checkpoint or the run file is not as it must be.
    """
    db, moment = plan.db, _moment_of(plan.db)
    # First of all: what an engine cannot do is refused before a pair is built for it.
    engines = load_engines(plan.models.engines, plan.models.settings(plan.experiment, moment))
    executor = load_executor(plan.models.executor)
    kept = _find_kept(plan)
    parts = _find_parts(plan, engines, progress, kept)
    reads_texts = "base_model" in roles_of(plan.experiment)
    special_ids = engines.base_model.tokenizer(parts.reference).special_ids if reads_texts else ()
    begun = identity.describe_run(plan.experiment, plan.text, SCHEMA_VERSION, engines, moment, special_ids)
    was_there = db.exists()
    if not was_there:
        _hold_vectors(plan, parts.making, is_older=False)
    with RunFile.create_or_open(db, begun, parts.making) as run_file:
        if was_there:
            _resume(run_file, plan, parts.making)
            _record_kept(run_file, kept)
        yield _make_work(plan, parts, run_file, engines, executor, progress)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a run is computed from, as it is found on this machine."""

    pairs: list[PairSpec]
    reference: PairSpec
    making: list[Making]
    kept: KeptCells


def _find_kept(plan: RunPlan) -> KeptCells:
    """The cells that a run file which is there keeps as they are."""
    if not plan.db.exists():
        return KeptCells()
    with RunFile.open_to_read(plan.db) as run_file:
        stored = read_stored_experiment(run_file.run(), plan.db)
        refuse_another(stored, plan.experiment, plan.db)
        return find_kept_cells(run_file, stored, plan.experiment)


def _record_kept(run_file: RunFile, kept: KeptCells) -> None:
    run = run_file.run()
    if (environment := {**run.environment, **kept.record()}) != run.environment:
        run_file.put([replace(run, environment=environment)])


def _find_parts(plan: RunPlan, engines: Engines, progress: Progress, kept: KeptCells) -> _Parts:
    opened = [pair for pair in plan.experiment.pairs if pair.pair_id not in kept.elsewhere]
    located = [locate_pocket_pair(pair, progress, rebuilds=plan.rebuilds_pairs) for pair in opened]
    # Before the run file is created: what was refused today must not be part of what it says tomorrow.
    for pair in located:
        engines.check(pair)
    roles = roles_of(plan.experiment)
    reference = locate_base_model(plan.reference) if "base_model" in roles else plan.reference
    making = find_making(engines, located, progress, roles) + texts_making(plan.experiment, plan.folder)
    return _Parts(located, reference, making, kept)


def _resume(run_file: RunFile, plan: RunPlan, found: list[Making]) -> None:
    """Passes when a run that was there before may be continued, and brings it up to date."""
    run = run_file.run()
    refuse_another(read_stored_experiment(run, plan.db), plan.experiment, plan.db)
    refuse_other_engine(run, plan.models.engines, plan.db)
    _refuse_changed_inputs(run_file, plan, found)
    _hold_vectors(plan, found, is_older=not run_file.count(Making))
    record_making(run_file, found)
    judge_by_rule(run_file, plan.experiment)


def _make_work(
    plan: RunPlan, parts: _Parts, run_file: RunFile, engines: Engines, executor: Executor, progress: Progress
) -> Work:
    """What stages are given, once the run file describes its pairs and carries the experiment's wording."""
    ready = plan.experiment.with_pairs(parts.pairs)
    store = ActivationStore(plan.db)
    work = Work(ready, parts.reference, plan.folder, run_file, store, engines, executor, progress, parts.kept)
    clear_left_over(plan.db)
    store.clear_left_over()
    _describe_pairs(work, plan.experiment)
    _record_choices(work)
    _reword(run_file, plan)
    return work


def _moment_of(db: Path) -> datetime:
    """When a run was begun, which is now for one that is not there yet: a prompt that holds a date keeps that one."""
    if not db.exists():
        return datetime.now(UTC)
    with RunFile.open_to_read(db) as run_file:
        return run_file.run().created_at


def describe_contents(run_file: RunFile) -> str:
    """What a run file holds, in a few words."""
    counts = (run_file.count(row_type) for row_type in (Item, Explanation, Score))
    return "{:,} items, {:,} explanations, {:,} scores".format(*counts)


def read_stored_experiment(run: Run, db: Path) -> Experiment:
    """The experiment a run was computed from.

    Raises:
        RunOfAnotherExperiment: it was not computed, but published or imported.
    """
    if run.kind != "computed" or run.experiment_yaml is None:
        raise RunOfAnotherExperiment(f"{db}: holds {run.kind} figures, not a computed run; give another run file.")
    return parse_experiment(run.experiment_yaml, db)


def refuse_another(stored: Experiment, asked: Experiment, db: Path, advice: str = ANOTHER_OR_OVER) -> None:
    """Pass when what is stored in `db` may be continued; `advice` is what to do other than restore the keys.

    Raises:
        RunOfAnotherExperiment: it was computed with other values; they are named.
    """
    if differing := identity.differences(stored, asked, OPTIONAL_KEYS):
        more = f" and {len(differing) - N_KEYS} more" if len(differing) > N_KEYS else ""
        raise RunOfAnotherExperiment(
            f"{db}: was computed with other values of {', '.join(differing[:N_KEYS])}{more}: "
            f"put those keys back, {advice}."
        )


def refuse_other_engine(run: Run, asked: EngineChoice, db: Path) -> None:
    """Pass when a run was begun with the engines that are asked for.

    Raises:
        RunOfAnotherExperiment: it was begun with others; they are named.
    """
    began = run.environment.get("engine")
    if began is not None and began != str(asked):
        options = EngineChoice.parse_recorded(str(began)).options
        raise RunOfAnotherExperiment(
            f"{db}: was begun with {options}, not {asked}; go on with that one, or {START_OVER}."
        )


def _refuse_changed_inputs(run_file: RunFile, plan: RunPlan, found: list[Making]) -> None:
    """Pass when checkpoints and corpus are what the run was computed from, as far as they are on this machine."""
    refuse_changed(read_making(run_file), found, plan.db)
    refuse_changed_corpus(run_file, plan.experiment.corpus, plan.folder)


def _hold_vectors(plan: RunPlan, found: list[Making], *, is_older: bool) -> None:
    """Pass when the vectors of a run file are of its making; those of a file older than that notion become so."""
    store, making = ActivationStore(plan.db), VectorMaking(plan.experiment, plan.models.engines, found)
    if is_older:
        adopt_vectors(store, making)
    refuse_other_vectors(store, making)


def _describe_pairs(work: Work, experiment: Experiment) -> None:
    """Fills in what the run file has not said yet of its pairs; in `experiment` they have their public names."""
    names = {PairId(pair.pair_id): public_name(pair.base_model) for pair in experiment.pairs}
    sidecars = {pair_id: work.engines.verbalizer.sidecar(spec) if spec.writes else None for pair_id, spec in work.pairs}
    known = {pair.pair_id: pair for pair in work.run_file.rows(Pair)}
    described = identity.describe_pairs(experiment, sidecars, names)
    elsewhere = work.kept.elsewhere
    pairs = [
        identity.with_geometry_of(known.get(pair.pair_id), pair, are_scales_known=pair.pair_id not in elsewhere)
        for pair in described
    ]
    if changed := [pair for pair in pairs if pair != known.get(pair.pair_id)]:
        work.run_file.put(changed)


def _record_choices(work: Work) -> None:
    """Records what is done where the checkpoints leave it open, before the first batch is."""
    stored = set(work.run_file.rows(Choice))
    if fresh := [row for _, spec in work.pairs for row in work.engines.choices(spec) if row not in stored]:
        work.run_file.put(fresh)


def _reword(run_file: RunFile, plan: RunPlan) -> None:
    """Has the run file say what the experiment file now says of it, where that needs no checkpoint."""
    run = run_file.run()
    if run.experiment_yaml != plan.text:
        pairs = identity.restate_pairs(run_file.rows(Pair), plan.experiment)
        run_file.put([identity.reword_run(run, plan.experiment, plan.text)], pairs)
