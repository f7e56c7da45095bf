"""Holds a run to its making: checkpoints are recorded before their first batch, and compared on every start.

Enters an engine or a `Work`; leave rows of `Making`, or an error that names what changed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from nlareport.backends import Engine
from nlareport.backends.fingerprints import checkpoint_here, file_digests, weight_files
from nlareport.errors import CheckpointChanged
from nlareport.experiment import PairSpec
from nlareport.files.user_cache import unread_bytes
from nlareport.ports import Extractor, InBatches, Progress, Reconstructor, Verbalizer
from nlareport.rows.run_rows import CheckpointRole, Making, PairId
from nlareport.run import checkpoint_changes, identity
from nlareport.run.context import Work
from nlareport.store.run_file import RunFile

TOLD_FROM_BYTES = 1 << 30
"""Reading less than this for a digest takes a second or two and needs no progress line."""
MIB = 1 << 20


def found_making(engine: Engine, pairs: Sequence[PairSpec], progress: Progress) -> list[Making]:
    """What decides the answers of every checkpoint of these pairs that is on this machine.

    Raises:
        CheckpointChanged: somebody writes to the weights meanwhile.
    """
    heard = _Bytes(progress)
    heard.announce(pairs)
    return [
        row
        for pair in pairs
        for role in checkpoint_changes.ROLE_NAMES
        for row in _fingerprints(engine, pair, role, heard)
    ]


def found_files(pairs: Sequence[PairSpec], progress: Progress) -> list[Making]:
    """As `found_making`, by files alone: no engine is needed, and no prompt is rendered.

    Raises:
        CheckpointChanged: somebody writes to the weights meanwhile.
    """
    heard = _Bytes(progress)
    heard.announce(pairs)
    return [
        Making(PairId(pair.pair_id), role, kind, digest)
        for pair in pairs
        for role in checkpoint_changes.ROLE_NAMES
        if (directory := checkpoint_here(getattr(pair, role))) is not None
        for kind, digest in file_digests(directory, role, heard.advance).items()
    ]


def stored_making(run_file: RunFile) -> list[Making]:
    """What the run was begun with, as far as its file tells."""
    rows = run_file.rows(Making)
    return rows + checkpoint_changes.unstored(rows, checkpoint_changes.stored_weights(run_file.run()))


def refuse_changed(stored: Sequence[Making], found: Sequence[Making], db: Path) -> None:
    """Pass when everything known of both is as it was.

    Raises:
        CheckpointChanged: it is not; what changed is named.
    """
    if changed := checkpoint_changes.changes(stored, found):
        raise CheckpointChanged(
            f"{db}: was begun with other checkpoints. Changed since: {checkpoint_changes.named(changed)}. "
            f"{checkpoint_changes.advice(changed)}"
        )


def record_making(run_file: RunFile, found: Sequence[Making]) -> None:
    """Keeps what the run file has not said yet of what its checkpoints are.

    Raises:
        CheckpointChanged: they are no longer what it says.
    """
    stored = stored_making(run_file)
    refuse_changed(stored, found, run_file.path)
    if fresh := checkpoint_changes.unstored(run_file.rows(Making), found):
        run_file.put(fresh)


@contextmanager
def opened_extractor(work: Work, spec: PairSpec) -> Iterator[Extractor]:
    """The pair's base model, known to be the one the run was begun with.

    Raises:
        CheckpointChanged: it is another, or became another while it was used.
    """
    with work.engine.extractor(spec) as model, _unchanged(work, spec, "base_model", model):
        yield model


@contextmanager
def opened_verbalizer(work: Work, spec: PairSpec) -> Iterator[Verbalizer]:
    """The pair's AV, likewise."""
    with work.engine.verbalizer(spec) as model, _unchanged(work, spec, "verbalizer", model):
        yield model


@contextmanager
def opened_reconstructor(work: Work, spec: PairSpec) -> Iterator[Reconstructor]:
    """The pair's AR, likewise."""
    with work.engine.reconstructor(spec) as model, _unchanged(work, spec, "reconstructor", model):
        yield model


def confirm(work: Work, spec: PairSpec, role: CheckpointRole) -> None:
    """Pass when a checkpoint is what the run was begun with; what was not on this machine before is recorded.

    Raises:
        CheckpointChanged: it is not.
    """
    record_making(work.run_file, _fingerprints(work.engine, spec, role, _Bytes(work.progress)))


@contextmanager
def _unchanged(work: Work, spec: PairSpec, role: CheckpointRole, model: object) -> Iterator[None]:
    """A block in which a checkpoint is used: it was in place before, and still is at the end."""
    # After it was loaded: one exchanged in between is told before its first answer is stored.
    confirm(work, spec, role)
    _record_conditions(work)
    try:
        yield
    finally:
        # Also of a run that is stopped: its answers so far were written in such batches.
        _record_smaller_batches(work, spec, role, model)
    confirm(work, spec, role)


def _record_conditions(work: Work) -> None:
    """Lets the run say under what it is computed now, where that is not how it began."""
    run = work.run_file.run()
    environment = identity.with_later_conditions(run.environment, identity.conditions(work.experiment, work.engine))
    if environment != run.environment:
        work.run_file.put([replace(run, environment=environment)])


def _record_smaller_batches(work: Work, spec: PairSpec, role: CheckpointRole, model: object) -> None:
    """Lets the run say where memory allowed fewer rows at once than its experiment asks for."""
    if not isinstance(model, InBatches) or (n_rows := model.rows_that_fit) is None:
        return
    run = work.run_file.run()
    environment = identity.with_smaller_batches(run.environment, spec.pair_id, role, n_rows)
    if environment != run.environment:
        work.run_file.put([replace(run, environment=environment)])


def _fingerprints(engine: Engine, pair: PairSpec, role: CheckpointRole, heard: "_Bytes") -> list[Making]:
    found = engine.fingerprints(pair, role, heard.advance)
    return [Making(PairId(pair.pair_id), role, kind, digest) for kind, digest in found.items()]


class _Bytes:
    """Bytes of weights as a stage of its own, in MiB, where there are many."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._n_read = 0
        self._is_told = False

    def announce(self, pairs: Sequence[PairSpec]) -> None:
        """Begins the stage when reading the pairs' checkpoints will take a while."""
        names = {cast(str, getattr(pair, role)) for pair in pairs for role in checkpoint_changes.ROLE_NAMES}
        folders = {folder for name in names if (folder := checkpoint_here(name)) is not None}
        n_bytes = unread_bytes({file for folder in folders for file in weight_files(folder)})
        self._is_told = n_bytes >= TOLD_FROM_BYTES
        if self._is_told:
            self._progress.stage("digests of checkpoints, MiB", n_bytes // MIB, 0)

    def advance(self, n_bytes: int) -> None:
        """So many more were read."""
        before = self._n_read // MIB
        self._n_read += n_bytes
        if self._is_told:
            self._progress.advance(self._n_read // MIB - before)
