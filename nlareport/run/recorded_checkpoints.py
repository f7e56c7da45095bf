"""Records what every checkpoint of a run is, as digests, before its first answer, and refuses one that changed since.

Takes engines or a `Work`, returns rows of `Making`; an error names what changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nlareport.backends.fingerprints import checkpoint_here, file_digests, weight_files_of
from nlareport.backends.shipped import find_shipped
from nlareport.engine_options import ROLES
from nlareport.engines import Engines
from nlareport.errors import CheckpointChanged
from nlareport.experiment.pair_section import PairSpec
from nlareport.files.user_cache import unread_bytes
from nlareport.ports import Progress
from nlareport.rows.run_rows import CheckpointRole, Making, PairId
from nlareport.run import checkpoint_changes, identity
from nlareport.run.context import Work
from nlareport.store.run_file import RunFile

SHOWN_FROM_BYTES = 1 << 30
"""Reading less than this for a digest takes a second or two and needs no progress line."""
MIB = 1 << 20


def find_making(
    engines: Engines, pairs: Sequence[PairSpec], progress: Progress, roles: Sequence[CheckpointRole] = ROLES
) -> list[Making]:
    """What decides the answers of every checkpoint of these pairs, in these roles, that is on this machine.

    Raises:
        CheckpointChanged: somebody writes to the weights meanwhile.
    """
    counter = _Bytes(progress)
    counter.announce(pairs)
    return [
        row
        for pair in pairs
        for role in roles
        if pair.has(role)
        for row in making_of(engines, pair, role, counter.advance)
    ]


def find_making_by_files(
    pairs: Sequence[PairSpec],
    progress: Progress,
    roles: Sequence[CheckpointRole] = ROLES,
    *,
    with_chats: bool = False,
) -> list[Making]:
    """As `find_making`, by files alone: no engine is needed, and no prompt is rendered.

    A base model's chat template counts only `with_chats`.

    Raises:
        CheckpointChanged: somebody writes to the weights meanwhile.
    """
    counter = _Bytes(progress)
    counter.announce(pairs)
    return [
        Making(PairId(pair.pair_id), role, kind, digest)
        for pair in pairs
        for role in roles
        if pair.has(role) and (shipped := find_shipped(pair, role, checkpoint_here)) is not None
        for kind, digest in file_digests(shipped, role, counter.advance, with_chats=with_chats).items()
    ]


def read_making(run_file: RunFile) -> list[Making]:
    """What the run was begun with, as far as its file says."""
    rows = run_file.rows(Making)
    return rows + checkpoint_changes.unstored(rows, checkpoint_changes.stored_weights(run_file.run()))


def refuse_changed(stored: Sequence[Making], found: Sequence[Making], db: Path) -> None:
    """Pass when everything known of both is the same.

    Raises:
        CheckpointChanged: it is not; what changed is named.
    """
    if changed := checkpoint_changes.changes(stored, found):
        raise CheckpointChanged(
            f"{db}: was begun with other checkpoints. Changed since: {checkpoint_changes.name_changes(changed)}. "
            f"{checkpoint_changes.advice(changed)}"
        )


def record_making(run_file: RunFile, found: Sequence[Making]) -> None:
    """Stores what the run file does not say yet of its checkpoints.

    Raises:
        CheckpointChanged: they are no longer what it says.
    """
    stored = read_making(run_file)
    refuse_changed(stored, found, run_file.path)
    if fresh := checkpoint_changes.unstored(run_file.rows(Making), found):
        run_file.put(fresh)


def confirm(work: Work, spec: PairSpec, role: CheckpointRole) -> None:
    """Pass when a checkpoint is what the run was begun with; what was not on this machine before is recorded.

    Raises:
        CheckpointChanged: it is not.
    """
    record_making(work.run_file, making_of(work.engines, spec, role))


def record_use(work: Work, found: Sequence[Making]) -> None:
    """Records that a checkpoint is used from now on, and under what conditions where the run began under others.

    Raises:
        CheckpointChanged: it is not what the run was begun with.
    """
    record_making(work.run_file, found)
    run = work.run_file.run()
    environment = identity.with_later_conditions(run.environment, identity.conditions(work.experiment, work.engines))
    if environment != run.environment:
        work.run_file.put([replace(run, environment=environment)])


def record_smaller_batches(work: Work, spec: PairSpec, role: CheckpointRole, n_rows: int) -> None:
    """Records that memory allowed no more than `n_rows` at once, which is fewer than the experiment asks for."""
    run = work.run_file.run()
    environment = identity.with_smaller_batches(run.environment, spec.pair_id, role, n_rows)
    if environment != run.environment:
        work.run_file.put([replace(run, environment=environment)])


def making_of(
    engines: Engines, pair: PairSpec, role: CheckpointRole, advance: Callable[[int], None] | None = None
) -> list[Making]:
    """What decides the answers of one checkpoint, as far as it is on this machine; `advance` is told of bytes read."""
    found = engines.of(role).fingerprints(pair, role, advance)
    return [Making(PairId(pair.pair_id), role, kind, digest) for kind, digest in found.items()]


class _Bytes:
    """Shows bytes of weights as a stage of their own, in MiB, where there are many."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._n_read = 0
        self._is_shown = False

    def announce(self, pairs: Sequence[PairSpec]) -> None:
        """Begins the stage if reading the pairs' checkpoints will take a while."""
        found = (find_shipped(pair, role, checkpoint_here) for pair in pairs for role in ROLES if pair.has(role))
        n_bytes = unread_bytes({file for shipped in found if shipped is not None for file in weight_files_of(shipped)})
        self._is_shown = n_bytes >= SHOWN_FROM_BYTES
        if self._is_shown:
            self._progress.stage("digests of checkpoints, MiB", n_bytes // MIB, 0)

    def advance(self, n_bytes: int) -> None:
        """So many more were read."""
        before = self._n_read // MIB
        self._n_read += n_bytes
        if self._is_shown:
            self._progress.advance(self._n_read // MIB - before)
