"""Finds pocket pairs by the names experiment files use: ``pocket:PAIR_ID/base``, ``/av`` and ``/ar``.

Enters a `PairSpec`; leaves one whose checkpoints are directories. Loads torch only when there is something to build.
"""

from pathlib import Path

from nlareport.errors import CheckpointMissing
from nlareport.experiment import PairSpec
from nlareport.pairs.catalog import PAIRS, pocket_pair
from nlareport.ports import Progress

POCKET = "pocket:"
PARTS = {"base": "base", "av": "verbalizer", "ar": "reconstructor"}
"""Last part of a name, and the checkpoint of a `BuiltPair` it stands for."""


def adapters_folder() -> Path:
    """Where the adapters are committed: ``data/pairs`` here, or in the checkout this package was imported from."""
    here = Path("data/pairs")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "data" / "pairs"


def locate_pocket_pair(spec: PairSpec, progress: Progress) -> PairSpec:
    """The spec with every ``pocket:`` name replaced by a checkpoint directory, built when it is not there yet.

    Raises:
        PairUnknown: no pocket pair is called so.
        CheckpointMissing: the name has another ending, or the adapters are not here.
        DownloadFailed: its base model could not be had.
    """
    names = {key: getattr(spec, key) for key in ("base_model", "verbalizer", "reconstructor")}
    pocket = {key: name.removeprefix(POCKET) for key, name in names.items() if name.startswith(POCKET)}
    if not pocket:
        return spec
    for name in pocket.values():
        if name.partition("/")[2] not in PARTS:
            raise CheckpointMissing(
                f"{POCKET}{name}: names no checkpoint; write {POCKET}{name.partition('/')[0]}/ and {' or '.join(PARTS)}."
            )
    from nlareport.pairs.building import build_pair

    located = {}
    for key, name in pocket.items():
        pair_id, _, part = name.partition("/")
        progress.stage(f"build {pair_id}", 1, 0)
        built = build_pair(pocket_pair(pair_id), adapters_folder())
        located[key] = str(getattr(built, PARTS[part]))
        progress.advance(1)
    return spec.model_copy(update=located)


def public_name(base_model: str) -> str:
    """The base model's name on the hub, also for a pocket pair's."""
    pair_id = base_model.removeprefix(POCKET).partition("/")[0]
    return PAIRS[pair_id].base.base_model if base_model.startswith(POCKET) else base_model
