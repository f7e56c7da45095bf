"""Loads the reconstructor's linear value head, from its own file or from among the model's weights; all of it is used.

Takes a checkpoint directory, returns a head, or an error that names the tensor that is unknown or unusable.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from nlareport.errors import CheckpointDamaged, CheckpointDrift, CheckpointMissing, NonFiniteWeights
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME, refuse_cut, weight_paths
from nlareport.models.wall import foreign_errors
from nlareport.shown import shown

_PREFIX = "value_head."
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
    """Its names in the model's own files, where the model has no place for it; empty when it has a file of its own."""

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """The vectors of hidden states, both ``[item, d_model]``."""
        vectors = hidden @ self.weight.T
        return vectors if self.bias is None else vectors + self.bias


def load_value_head(directory: Path, d_model: int) -> ValueHead:
    """The reconstructor's head: ``value_head.safetensors``, or ``value_head.weight`` among the model's weights.

    Raises:
        CheckpointMissing: there is none.
        CheckpointDamaged: its file is damaged, or its rows are of sizes that no training gives.
        CheckpointDrift: it has another shape, is more than a weight and a bias, or is in two places that differ.
        NonFiniteWeights: it holds a NaN or an infinity.
    """
    path, files = directory / VALUE_HEAD_NAME, weight_paths(directory)
    apart = _head_of(path) if path.exists() else {}
    among = {name: tensor for file in files if file != path for name, tensor in _head_among(file).items()}
    if apart and among and not _are_same(_by_part(apart), _by_part(among)):
        raise CheckpointDrift(
            f"{path}: is a different head from the {shown(sorted(among))} among the model's weights. "
            "Remove the one that was not released with the checkpoint."
        )
    parts = _by_part(apart or among)
    if "weight" not in parts:
        raise CheckpointMissing(
            f"{path}: holds no weight, but only {shown(sorted(apart or among))}. Fetch the whole checkpoint."
            if parts
            else f"{path}: is not there, and {_PREFIX}weight is none of the model's weights. "
            "A reconstructor needs its head; fetch the whole checkpoint."
        )
    for name, tensor in parts.items():
        _refuse_unusable(path if apart else directory, name, tensor, d_model)
    _refuse_torn(path if apart else directory, parts["weight"])
    return ValueHead(
        weight=parts["weight"].float(),
        bias=parts["bias"].float() if "bias" in parts else None,
        # An index may name the head's file as one of its shards.
        names_among_weights=frozenset(among) | (frozenset(apart) if path in files else frozenset()),
    )


def _head_of(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a head's own file by name; of a whole module each has the module's name before it."""
    tensors = _tensors(path, "")
    if not any(set(tensors) <= {prefix + part for part in _PARTS} for prefix in ("", _PREFIX)):
        raise CheckpointDrift(
            f"{path}: holds {shown(sorted(tensors))}; a head is a `weight`, or a `weight` and a `bias`, and what is "
            f"not used would change its vectors. {_WHOLE}"
        )
    return tensors


def _head_among(path: Path) -> dict[str, torch.Tensor]:
    """The head's tensors in a file of the model's weights, by name."""
    tensors = _tensors(path, _PREFIX)
    if strange := sorted(set(_by_part(tensors)) - _PARTS):
        raise CheckpointDrift(
            f"{path}: holds {_PREFIX}{strange[0]}; a head is a `weight`, or a `weight` and a `bias`. {_WHOLE}"
        )
    return tensors


def _tensors(path: Path, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file whose names begin so."""
    refuse_cut(path)
    damaged = foreign_errors(CheckpointDamaged, f"{path}: is damaged", "Fetch or copy this file again.")
    with damaged, safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118


def _by_part(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


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
