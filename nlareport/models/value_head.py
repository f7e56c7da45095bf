"""Loads the reconstructor's linear value head, wherever and under whatever name it is kept; all of it is used.

Takes a checkpoint directory, returns a head, or an error that names the tensor that is unknown or unusable. A head has
a file of its own (safetensors, or a pickle of plain tensors, which is opened without running code), or is among the
weights of the model or the adapter. Where there is one per layer the reconstructor's own is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from nlareport.errors import CheckpointDamaged, CheckpointDrift, CheckpointMissing, NonFiniteWeights
from nlareport.models.adapter_files import adapter_weights, read_adapter
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME, refuse_cut, weight_paths
from nlareport.models.head_names import HeadTensor, head_tensor, is_of_head, own_files
from nlareport.models.wall import foreign_errors
from nlareport.shown import shown

_PARTS = frozenset({"weight", "bias"})
_WHOLE = "Give the files that were released together."

MOST_RATIO = 1e8
"""Between the largest weights of two rows: float32 has 7 digits, and the smaller row would not count."""


@dataclass(frozen=True, slots=True)
class ValueHead:
    """The linear map from the last hidden state to a vector."""

    weight: torch.Tensor
    """float32, ``[d_model, d_model]``."""
    bias: torch.Tensor | None
    """float32, ``[d_model]``. None: the head has none, as in the public release."""
    names_among_weights: frozenset[str]
    """Names of heads in the model's own files, where the model has no place for them; empty when there are none."""

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """The vectors of hidden states, both ``[item, d_model]``."""
        vectors = hidden @ self.weight.T
        return vectors if self.bias is None else vectors + self.bias


def load_value_head(directory: Path, d_model: int, block_index: int | None = None) -> ValueHead:
    """The reconstructor's head; of several, one per layer, that of `block_index`.

    Raises:
        CheckpointMissing: there is none, or none for this block.
        CheckpointDamaged: its file is damaged, or its rows are of sizes that no training gives.
        CheckpointDrift: it has another shape, is more than a weight and a bias, or is in two places that differ.
        NonFiniteWeights: it holds a NaN or an infinity.
    """
    adapter = read_adapter(directory)
    files = weight_paths(directory) if adapter is None else [adapter_weights(adapter)]
    places = head_files(directory, block_index)
    among = {name: tensor for file in files if file not in places for name, tensor in _head_among(file).items()}
    heads = [(path, _only(_head_of(path), path, block_index)) for path in places]
    if among and not (heads and set(among) <= _PARTS):
        heads.append((directory, _only(among, directory, block_index)))
    path, parts = heads[0] if heads else (directory / VALUE_HEAD_NAME, {})
    for other, others in heads[1:]:
        if not _are_same(parts, others):
            names = sorted(among) if other == directory else other.name
            among_weights = " among the model's weights" if other == directory else " next to it"
            raise CheckpointDrift(
                f"{path}: is a different head from the {shown(names)}{among_weights}. "
                "Remove the one that was not released with the checkpoint."
            )
    if "weight" not in parts:
        raise CheckpointMissing(
            f"{path}: holds no weight, but only {shown(sorted(among or parts))}. Fetch the whole checkpoint."
            if parts
            else f"{path}: is not there, and value_head.weight is none of the model's weights. "
            "A reconstructor needs its head; fetch the whole checkpoint."
        )
    for name, tensor in parts.items():
        _refuse_unusable(path, name, tensor, d_model)
    _refuse_torn(path, parts["weight"])
    named = (
        frozenset()
        if adapter is not None
        else frozenset(among).union(*(_names(file) for file in files if file in places))
    )
    return ValueHead(
        weight=parts["weight"].float(),
        bias=parts["bias"].float() if "bias" in parts else None,
        names_among_weights=named,
    )


def head_files(directory: Path, block_index: int | None = None) -> list[Path]:
    """The files that a head has for itself, safetensors first; of one per layer those of this block.

    Raises:
        CheckpointMissing: there are heads of other layers alone.
    """
    adapter = read_adapter(directory)
    names = {path.name for path in directory.iterdir() if path.is_file()} - {adapter.path.name if adapter else ""}
    layers = own_files(names)
    chosen = [name for name, layer in layers.items() if layer is not None and layer == block_index]
    chosen = chosen or [name for name, layer in layers.items() if layer is None]
    if layers and not chosen:
        others = sorted({layer for layer in layers.values() if layer is not None})
        raise _no_such_layer(directory, others, block_index)
    return [directory / name for name in sorted(chosen, key=lambda name: (not name.endswith(".safetensors"), name))]


def _head_of(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a head's own file by name, each of which is a part of a head."""
    tensors = _tensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    known = {name: head_tensor(name, is_among_weights=False) for name in tensors}
    if any(found is None or found.part not in _PARTS for found in known.values()) or _is_mixed(known):
        raise CheckpointDrift(
            f"{path}: holds {shown(sorted(tensors))}; a head is a `weight`, or a `weight` and a `bias`, and what is "
            f"not used would change its vectors. {_WHOLE}"
        )
    return tensors


def _is_mixed(known: Mapping[str, HeadTensor | None]) -> bool:
    """Whether tensors of one layer are of several modules."""
    owners: dict[int | None, set[str]] = {}
    for found in known.values():
        if found is not None:
            owners.setdefault(found.layer, set()).add(found.owner)
    return any(len(names) > 1 for names in owners.values())


def _head_among(path: Path) -> dict[str, torch.Tensor]:
    """The head's tensors in a file of the model's weights, by name."""
    tensors = _tensors(path, only_heads=True)
    for name in sorted(tensors):
        found = head_tensor(name, is_among_weights=True)
        if found is None or found.part not in _PARTS:
            raise CheckpointDrift(f"{path}: holds {name}; a head is a `weight`, or a `weight` and a `bias`. {_WHOLE}")
    return tensors


def _only(tensors: Mapping[str, torch.Tensor], path: Path, block_index: int | None) -> dict[str, torch.Tensor]:
    """One head's tensors by part: the only head there is, or that of the block."""
    layers: dict[int | None, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        found = head_tensor(name, is_among_weights=False)
        if found is not None:
            layers.setdefault(found.layer, {})[found.part] = tensor
    if block_index in layers:
        return layers[block_index]
    if None in layers or not layers:
        return layers.get(None, {})
    raise _no_such_layer(path, sorted(layer for layer in layers if layer is not None), block_index)


def _no_such_layer(path: Path, layers: list[int], block_index: int | None) -> CheckpointMissing:
    which = "and nothing says which block is read" if block_index is None else f"and none for block {block_index}"
    return CheckpointMissing(
        f"{path}: has heads for the layers {', '.join(map(str, layers))}, {which}. "
        "Set block_index to one of them, or give another reconstructor."
    )


def _tensors(path: Path, *, only_heads: bool = False) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name, all or only those of a head."""
    refuse_cut(path)
    damaged = foreign_errors(CheckpointDamaged, f"{path}: is damaged", "Fetch or copy this file again.")
    with damaged, safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if not only_heads or is_of_head(name)}  # noqa: SIM118


def _names(path: Path) -> frozenset[str]:
    return frozenset(refuse_cut(path))


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a pickled head by name; nothing in it is run.

    Raises:
        CheckpointDamaged: it is no pickle, or of more than plain tensors.
    """
    unsafe = foreign_errors(
        CheckpointDamaged, f"{path}: is no pickle of plain tensors", "Save the head as value_head.safetensors."
    )
    with unsafe:
        content = torch.load(path, map_location="cpu", weights_only=True)
    found = dict(_flat(content, ""))
    if not found or any(not isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointDamaged(f"{path}: holds more than tensors by name. Save the head as value_head.safetensors.")
    return found


def _flat(content: Any, name: str) -> list[tuple[str, Any]]:
    """Mappings within mappings as dotted names; a tensor alone is the weight."""
    if isinstance(content, Mapping):
        # What trainers put around a head's own names.
        inner = {
            key: "" if key in ("state_dict", "model_state_dict", "head_state_dict") else f"{key}." for key in content
        }
        return [entry for key, value in content.items() for entry in _flat(value, name + inner[key])]
    return [(name.removesuffix(".") or "weight", content)]


def _are_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _refuse_unusable(path: Path, name: str, tensor: torch.Tensor, d_model: int) -> None:
    """Pass when a part of the head has its shape and only finite numbers."""
    shape = (d_model, d_model) if name == "weight" else (d_model,)
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        raise CheckpointDrift(
            f"{path}: the head's {name} is {list(tensor.shape)} of {tensor.dtype}, the sidecar's d_model asks for "
            f"{list(shape)} of floating point. {_WHOLE}"
        )
    n_bad = int((~tensor.float().isfinite()).sum())
    if n_bad:
        raise NonFiniteWeights(
            f"{path}: {n_bad} of {tensor.numel()} numbers of the head's {name} are not finite. Fetch it again."
        )


def _refuse_torn(path: Path, weight: torch.Tensor) -> None:
    """Pass when no row is negligible next to another; a row of zeros is a dimension that is left out, and no fault."""
    weight = weight.float()
    sizes = torch.maximum(weight.amax(dim=1), -weight.amin(dim=1))
    places = sizes.nonzero().flatten()
    if len(places) == 0:
        raise CheckpointDamaged(f"{path}: the head's weight is all zeros. Fetch it again.")
    largest, smallest = places[sizes[places].argmax()], places[sizes[places].argmin()]
    if sizes[largest].double() > MOST_RATIO * sizes[smallest].double():
        raise CheckpointDamaged(
            f"{path}: row {int(largest)} of the head's weight reaches {sizes[largest]:.3g}, row {int(smallest)} only "
            f"{sizes[smallest]:.3g}: next to the one the other would not count, and no training gives such rows. "
            "Fetch it again."
        )
