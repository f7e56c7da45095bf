"""Merges a LoRA adapter into the open model it was trained on, with PEFT: W + scale · B A, each product in float32.

Takes a model and an `Adapter`, changes the model's own weights. The adapter's names are fitted to the model's: a file
may name the same block `base_model.model.model.language_model.layers.0` that is `layers.0` here. What belongs to blocks
that were cut away, to a language-model head that is not there or to what reads images is left out; anything else that
has no place in the model is refused by name, and so is an adapter of which a part is missing.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from nlareport.errors import AdapterUnsupported, CheckpointDamaged, CheckpointDrift, ExtraMissing, MemoryTooSmall
from nlareport.models.adapter_files import Adapter, adapter_weights
from nlareport.models.checkpoint_files import refuse_cut
from nlareport.models.head_names import is_of_head
from nlareport.models.wall import foreign_errors
from nlareport.models.weight_faults import OTHER_SENSES

_LORA = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_(?:embedding_)?[AB]|lora_magnitude_vector)(?:\.(?!weight$|bias$)[^.]+)?"
    r"(?P<kind>\.weight|\.bias)?"
)
_WRAPPERS = frozenset({"base_model", "model", "module", "backbone", "transformer", "language_model", "text_model"})
"""What the models around a language model, and PEFT itself, put before its names, in addition to a family's own."""
_TOGETHER = "Give the adapter and the base model that belong together."


@dataclass(slots=True)
class _Fitted:
    """An adapter's tensors under the names of the model that it is merged into."""

    low_rank: dict[str, torch.Tensor] = field(default_factory=dict)
    """As PEFT names them, without the adapter's own name."""
    ranks: dict[str, int] = field(default_factory=dict)
    """By module."""
    scales: dict[str, float] = field(default_factory=dict)
    """LoRA's alpha by module."""
    whole: dict[str, torch.Tensor] = field(default_factory=dict)
    """Weights that were trained whole, by name."""


def merge_adapter(model: Any, adapter: Adapter, n_blocks_left: int | None = None) -> None:
    """Merges an adapter into a model; `n_blocks_left` is how many blocks it has where later ones were cut away.

    Raises:
        ExtraMissing: PEFT is not installed.
        CheckpointMissing: the adapter's weights are not there.
        CheckpointDamaged: they are damaged.
        CheckpointDrift: they are of another model, or not all of them are there.
        AdapterUnsupported: PEFT cannot merge them.
        MemoryTooSmall: a part of the model waits off the device, where nothing can be merged.
    """
    peft = _peft()
    path = adapter_weights(adapter)
    if any(weight.is_meta for weight in model.parameters()):
        raise MemoryTooSmall(
            f"{path}: is merged only into a base model that fits into memory whole. Use a device with more memory, or "
            "merge it there and give the merged directory."
        )
    fitted = _fitted(model, adapter, path, n_blocks_left)
    _untie(model, {*fitted.ranks, *(name.rpartition(".")[0] for name in fitted.whole)})
    _put(model, path, fitted.whole)
    if not fitted.low_rank:
        return
    unmergeable = foreign_errors(AdapterUnsupported, f"{path}: cannot be merged", "Merge it with the code it is from.")
    with unmergeable, _without_warnings():
        wrapped = peft.PeftModel(model, _config(peft, adapter, fitted))
        state = {f"base_model.model.{name}": tensor for name, tensor in fitted.low_rank.items()}
        found = peft.set_peft_model_state_dict(wrapped, state)
        missing = sorted(name for name in found.missing_keys if "lora_" in name)
        if missing or found.unexpected_keys:
            _refuse_names(path, missing or sorted(found.unexpected_keys))
        wrapped.merge_and_unload()
    model.requires_grad_(False).eval()


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise ExtraMissing('A LoRA adapter needs PEFT. Run: pip install "peft>=0.21"') from error
    return peft


def _config(peft: Any, adapter: Adapter, fitted: _Fitted) -> Any:
    """PEFT's configuration of the same adapter, with every module named as it is in this model."""
    names = sorted(fitted.ranks)
    return peft.LoraConfig(
        r=fitted.ranks[names[0]],
        lora_alpha=fitted.scales[names[0]],
        target_modules="|".join(map(re.escape, names)),
        rank_pattern={re.escape(name): fitted.ranks[name] for name in names},
        alpha_pattern={re.escape(name): fitted.scales[name] for name in names},
        inference_mode=True,
        **{key: bool(adapter.config.get(key)) for key in ("use_rslora", "use_dora", "fan_in_fan_out", "lora_bias")},
    )


def _fitted(model: Any, adapter: Adapter, path: Path, n_blocks_left: int | None) -> _Fitted:
    refuse_cut(path)
    with foreign_errors(CheckpointDamaged, f"{path}: is damaged", "Fetch or copy this file again."):
        tensors = load_file(path)
    wrappers = _WRAPPERS | {model.base_model_prefix}
    places = {_plain(name, wrappers): name for name, module in model.named_modules() if hasattr(module, "weight")}
    fitted, strange = _Fitted(), []
    for name, tensor in tensors.items():
        if is_of_head(name):
            continue
        low_rank = _LORA.fullmatch(name)
        module, _, part = (low_rank["module"], "", "") if low_rank else name.rpartition(".")
        plain = _plain(module, wrappers)
        place = places.get(plain)
        if place is None:
            if not _is_left_out(model, plain, n_blocks_left):
                strange.append(name)
        elif low_rank is None:
            fitted.whole[f"{place}.{part}"] = tensor
        else:
            _add(fitted, adapter, path, low_rank, place, tensor)
    if strange:
        _refuse_names(path, sorted(strange))
    return fitted


def _add(fitted: _Fitted, adapter: Adapter, path: Path, found: re.Match[str], place: str, tensor: torch.Tensor) -> None:
    fitted.low_rank[f"{place}.{found['part']}{found['kind'] or ''}"] = tensor
    if not found["part"].endswith("_A"):
        return
    # PEFT's patterns name modules as they were in training.
    trained = "." + found["module"]
    rank = _by_pattern(adapter.config.get("rank_pattern"), trained, adapter.config.get("r"))
    fitted.ranks[place], fitted.scales[place] = (
        tensor.shape[0],
        _by_pattern(adapter.config.get("alpha_pattern"), trained, adapter.config.get("lora_alpha")),
    )
    if rank != tensor.shape[0]:
        raise CheckpointDrift(
            f"{path}: {found['module']} has rank {tensor.shape[0]}, the adapter's configuration says {rank}. "
            "Use the two that were released together."
        )


def _by_pattern(pattern: Any, name: str, default: Any) -> Any:
    for key, value in (pattern if isinstance(pattern, Mapping) else {}).items():
        if re.match(rf"(.*\.)?({key})$", name):
            return value
    return default


def _plain(name: str, wrappers: frozenset[str]) -> str:
    """A module's name without what stands around its language model, or is put between by PEFT."""
    parts = [part for part in name.split(".") if part != "base_layer"]
    while parts and parts[0] in wrappers:
        parts = parts[1:]
    return ".".join(parts)


def _is_left_out(model: Any, name: str, n_blocks_left: int | None) -> bool:
    """Whether a module that the model does not have is one whose vectors or texts are not needed."""
    if OTHER_SENSES.search(name):
        return True
    if n_blocks_left is None:
        # Of a model that was not cut only the head may be missing.
        return name == "lm_head" and model.get_output_embeddings() is None
    block = re.match(r"(?:decoder\.)?\w+\.(\d+)\.", name)
    return name in ("lm_head", "norm", "embed_out") or (block is not None and int(block[1]) >= n_blocks_left)


def _untie(model: Any, changed: set[str]) -> None:
    """Gives the output embedding a weight of its own where it shares one that the adapter changes on one side."""
    entering, leaving = model.get_input_embeddings(), model.get_output_embeddings()
    if leaving is None or leaving is entering or leaving.weight is not entering.weight:
        return
    if any(model.get_submodule(name) in (entering, leaving) for name in changed):
        leaving.weight = nn.Parameter(leaving.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def _put(model: Any, path: Path, whole: Mapping[str, torch.Tensor]) -> None:
    """Replaces weights that were trained whole."""
    for name, tensor in whole.items():
        owner, _, part = name.rpartition(".")
        weight = getattr(model.get_submodule(owner), part, None)
        if weight is None or weight.shape != tensor.shape:
            _refuse_names(path, [name])
        else:
            weight.data.copy_(tensor)


def _refuse_names(path: Path, names: list[str]) -> None:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    raise CheckpointDrift(f"{path}: does not fit the base model that it is merged into: {shown}. {_TOGETHER}")


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # PEFT asks Transformers for attributes under old names, and advises on training.
        warnings.simplefilter("ignore")
        yield
