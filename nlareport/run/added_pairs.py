"""Pairs added to a run file that travels without its vectors: what of the old pairs is on this machine, what is kept.

Takes the run file with its stored experiment and the one asked for; returns the `KeptCells`. Nothing is downloaded.
"""

from collections.abc import Callable
from dataclasses import replace

from nlareport.backends.fingerprints import checkpoint_here, weight_files_of
from nlareport.backends.shipped import find_shipped
from nlareport.errors import NlareportError
from nlareport.experiment.experiment_file import Experiment
from nlareport.experiment.pair_section import PairSpec
from nlareport.pairs.locating import locate_if_built
from nlareport.rows.item_rows import Item
from nlareport.rows.run_rows import CheckpointRole, PairId
from nlareport.run.completion import is_scored
from nlareport.run.kept_cells import KeptCells, recorded_cells
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore

READING_ROLES: tuple[CheckpointRole, ...] = ("base_model", "reconstructor")


def is_on_this_machine(pair: PairSpec) -> bool:
    """Whether the weights that a pair reads with are here: those of its base model and its reconstructor."""
    try:
        located = locate_if_built(pair)
        found = [find_shipped(located, role, checkpoint_here) for role in READING_ROLES if located.has(role)]
    except NlareportError:
        return False
    return all(shipped is not None and weight_files_of(shipped) for shipped in found)


def find_kept_cells(
    run_file: RunFile,
    stored: Experiment,
    asked: Experiment,
    is_here: Callable[[PairSpec], bool] = is_on_this_machine,
) -> KeptCells:
    """The cells that are kept as they are.

    Those of a scored run whose folder of vectors is not here, once pairs are added and no items; then for good.
    """
    known = recorded_cells(run_file.run().environment)
    if not known.sources:
        if not _is_only_widened(run_file, stored, asked):
            return known
        halves = {entry.pair_id: (entry.writes, entry.reads) for entry in stored.entries}
        same = [pair for pair in asked.pairs if halves.get(pair.pair_id) == (pair.writes, pair.reads)]
        elsewhere = frozenset(PairId(pair.pair_id) for pair in same)
        known = KeptCells(frozenset(stored.sources), frozenset(stored.targets), elsewhere)
    missing = {PairId(pair.pair_id) for pair in asked.pairs if pair.pair_id in known.elsewhere and not is_here(pair)}
    return replace(known, elsewhere=frozenset(missing))


def are_here_now(run_file: RunFile, asked: Experiment) -> bool:
    """Whether checkpoints that were elsewhere when cells were left out for want of them are here now."""
    known = recorded_cells(run_file.run().environment)
    return any(is_on_this_machine(pair) for pair in asked.pairs if pair.pair_id in known.elsewhere)


def _is_only_widened(run_file: RunFile, stored: Experiment, asked: Experiment) -> bool:
    """Whether a scored run without vectors is asked for more cells of the items that it has."""
    adds = set(asked.sources) > set(stored.sources) or set(asked.targets) > set(stored.targets)
    return (
        adds
        and asked.sampling.n_items <= run_file.count(Item)
        and asked.decoding.draws == stored.decoding.draws
        and not ActivationStore(run_file.path).folder.exists()
        and is_scored(run_file, stored, by_this_version=False)
    )
