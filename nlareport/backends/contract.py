"""Holds an open checkpoint against its sidecar: role, tokenizer, width, value head.

Enters a checkpoint directory; leaves its parts, which agree, or an error that says which do not. Reads no block of a
model and knows no batch.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from nlareport.backends.loading import VALUE_HEAD_NAME, first_line, load_tokenizer
from nlareport.checkpoint import Role, Sidecar, read_sidecar
from nlareport.errors import CheckpointDrift, CheckpointMissing, NonFiniteWeights
from nlareport.prompts import check_against_tokenizer


def open_contract(directory: Path, role: Role, name: str) -> tuple[Sidecar, Any]:
    """A checkpoint's sidecar and its tokenizer; `name` is the pair that errors speak of.

    Raises:
        CheckpointMissing: the sidecar, the tokenizer or an AV's chat template is not there.
        CheckpointInvalid: the sidecar has faults.
        CheckpointDrift: the sidecar is of the other role, or disagrees with the tokenizer.
    """
    sidecar = read_sidecar(directory)
    if sidecar.role != role:
        raise CheckpointDrift(
            f"Pair {name}: {directory} calls itself an {sidecar.role.upper()}, it is used as the {role.upper()}. "
            "Exchange the two in the experiment file."
        )
    tokenizer = load_tokenizer(directory)
    if role == "av" and not tokenizer.chat_template:
        raise CheckpointMissing(f"{directory}: has no chat template, and a verbalizer is asked through one.")
    check_against_tokenizer(sidecar, tokenizer, name)
    return sidecar, tokenizer


def check_width(sidecar: Sidecar, config: Any, directory: Path) -> None:
    """Pass when the model is as wide as the sidecar says.

    Raises:
        CheckpointDrift: it is not.
    """
    if config.hidden_size != sidecar.d_model:
        raise CheckpointDrift(
            f"{directory}: its config.json has hidden_size {config.hidden_size}, its sidecar d_model "
            f"{sidecar.d_model}. Use the files released together."
        )


def load_value_head(directory: Path, d_model: int) -> torch.Tensor:
    """The reconstructor's linear head, float32 of shape ``[d_model, d_model]``.

    Raises:
        CheckpointMissing: there is no ``value_head.safetensors``, or no ``weight`` in it.
        CheckpointDrift: it has another shape.
        NonFiniteWeights: it holds a NaN or an infinity.
    """
    path = directory / VALUE_HEAD_NAME
    if not path.exists():
        raise CheckpointMissing(f"{path}: is not there. A reconstructor needs its head; fetch the whole checkpoint.")
    try:
        with safe_open(path, framework="pt") as file:
            if "weight" not in file.keys():  # noqa: SIM118 - the file is no mapping
                raise CheckpointMissing(f"{path}: holds no `weight` but {', '.join(file.keys()) or 'nothing'}.")
            weight: torch.Tensor = file.get_tensor("weight").float()
    except SafetensorError as error:
        raise CheckpointDrift(f"{path}: is damaged ({first_line(error)}). Fetch it again.") from error
    if tuple(weight.shape) != (d_model, d_model):
        raise CheckpointDrift(
            f"{path}: has shape {list(weight.shape)}, the sidecar's d_model asks for {d_model} squared."
        )
    n_bad = int((~weight.isfinite()).sum())
    if n_bad:
        raise NonFiniteWeights(f"{path}: {n_bad} of {weight.numel()} weights are not finite. Fetch it again.")
    return weight


def refuse_non_finite(model: Any, directory: Path) -> None:
    """Pass when every weight of a model is finite.

    Raises:
        NonFiniteWeights: one is not.
    """
    for name, weight in model.named_parameters():
        if not bool(weight.isfinite().all()):
            raise NonFiniteWeights(
                f"{directory}: the weights of {name} are not all finite. Fetch the checkpoint again."
            )
