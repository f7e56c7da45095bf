"""Finds pocket pairs by the names experiment files use: ``pocket:PAIR_ID/base``, ``/av`` and ``/ar``.

Takes a `PairSpec`, returns one whose checkpoints are directories. Imports torch only when there is something to build.
"""

from pathlib import Path

from nlareport.errors import CheckpointMissing
from nlareport.experiment.pair_section import PairSpec
from nlareport.pairs.catalog import PAIRS, pocket_pair
from nlareport.pairs.checkpoint_places import BuiltPair, pair_place
from nlareport.ports import Progress

POCKET = "pocket:"
PARTS = {"base": "base", "av": "verbalizer", "ar": "reconstructor"}
"""Last part of a name, and the checkpoint of a `BuiltPair` it names."""


def committed(name: str) -> Path:
    """Where ``data/<name>`` is committed: here, or in the checkout this package was imported from."""
    here = Path("data") / name
    return here if here.exists() else Path(__file__).resolve().parents[2] / here


def adapters_folder() -> Path:
    """Where the adapters are committed."""
    return committed("pairs")


def locate_pocket_pair(spec: PairSpec, progress: Progress, *, rebuilds: bool = False) -> PairSpec:
    """The spec with every ``pocket:`` name replaced by a checkpoint directory, built when it is not there yet.

    With `rebuilds` its AV and AR are built from the adapters even where a former build exists.

    Raises:
        PairUnknown: no pocket pair is called so.
        CheckpointMissing: the name has another ending, or the adapters are not here.
        DownloadFailed: its base model could not be had.
    """
    pocket = _pocket_names(spec)
    pair_ids = sorted({pair_id for pair_id, _ in pocket.values()})
    built = {pair_id: _build(pair_id, progress, rebuilds) for pair_id in pair_ids}
    return spec.model_copy(
        update={key: str(getattr(built[pair_id], PARTS[part])) for key, (pair_id, part) in pocket.items()}
    )


def locate_if_built(spec: PairSpec) -> PairSpec:
    """The spec with every ``pocket:`` name replaced by its directory in the cache, there or not; nothing is built.

    A name whose adapters are not here stays as it is.

    Raises:
        PairUnknown: no pocket pair is called so.
        CheckpointMissing: the name has another ending.
    """
    places = {
        key: str(getattr(pair_place(pocket_pair(pair_id), adapters_folder()), PARTS[part]))
        for key, (pair_id, part) in _pocket_names(spec).items()
        if (adapters_folder() / pair_id).is_dir()
    }
    return spec.model_copy(update=places)


def locate_base_model(spec: PairSpec) -> PairSpec:
    """The spec with its base model alone replaced by a checkpoint directory: enough to cut text as the pair does.

    Raises:
        PairUnknown: no pocket pair is called so.
        DownloadFailed: its base model could not be had.
    """
    if not spec.base_model.startswith(POCKET):
        return spec
    from nlareport.pairs.bases import build_base

    pair_id = spec.base_model.removeprefix(POCKET).partition("/")[0]
    return spec.model_copy(update={"base_model": str(build_base(pocket_pair(pair_id).base))})


def _pocket_names(spec: PairSpec) -> dict[str, tuple[str, str]]:
    """The keys of the spec that hold ``pocket:`` names, each with the pair and the part it names.

    Raises:
        CheckpointMissing: a name has another ending.
    """
    names = {key: getattr(spec, key) or "" for key in ("base_model", "verbalizer", "reconstructor")}
    pocket = {key: name.removeprefix(POCKET).partition("/") for key, name in names.items() if name.startswith(POCKET)}
    for pair_id, _, part in pocket.values():
        if part not in PARTS:
            raise CheckpointMissing(
                f"{POCKET}{pair_id}/{part}: names no checkpoint; write {POCKET}{pair_id}/ and {' or '.join(PARTS)}."
            )
    return {key: (pair_id, part) for key, (pair_id, _, part) in pocket.items()}


def _build(pair_id: str, progress: Progress, rebuilds: bool) -> BuiltPair:
    from nlareport.pairs.building import build_pair

    progress.stage(f"build {pair_id}", 1, 0)
    built = build_pair(pocket_pair(pair_id), adapters_folder(), rebuilds=rebuilds)
    progress.advance(1)
    return built


def public_name(base_model: str) -> str:
    """The base model's name on the hub, also for a pocket pair's."""
    pair_id = base_model.removeprefix(POCKET).partition("/")[0]
    return PAIRS[pair_id].base.base_model if base_model.startswith(POCKET) else base_model
