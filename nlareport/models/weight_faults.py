"""Checks for missing, superfluous and misshapen weights after a model is loaded, and decides which may be.

Takes what Transformers reports after loading; raises one error that names the first few weights. Where only some blocks
are read the rest of a checkpoint does not matter: later blocks, heads, other parts of a multimodal model.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlareport.errors import CheckpointDrift
from nlareport.models.block_reader import run_model
from nlareport.models.blocks import BlockList, family_refused
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME, json_object, refuse_cut, weight_paths

OTHER_SENSES = re.compile(
    r"(?:^|\.)(?:vision_tower|vision_model|visual|audio_tower|multi_modal_projector|embed_vision|embed_audio)\."
)
"""In the name of a weight or a module: it reads images or hears, and texts do not pass through it."""
_VALUE_HEAD = VALUE_HEAD_NAME.partition(".")[0]


@dataclass(frozen=True, slots=True)
class WeightFaults:
    """Names of weights, as the model would call them."""

    missing: list[str]
    """The model has a place for them, the files do not have them."""
    unused: list[str]
    """The files have them, the model has no place for them."""
    reshaped: list[str]

    @classmethod
    def of(cls, reported: Mapping[str, Any]) -> "WeightFaults":
        """What Transformers reports, sorted."""
        return cls(
            missing=sorted(reported["missing_keys"]),
            unused=sorted(reported["unexpected_keys"]),
            reshaped=sorted(str(entry[0]) for entry in reported["mismatched_keys"]),
        )


def refuse_faults(directory: Path, faults: WeightFaults) -> None:
    """Pass when the files and the model have the same weights, but for what reads images or hears.

    Raises:
        CheckpointDrift: a weight is missing, superfluous or of another shape.
    """
    unused = [name for name in faults.unused if not OTHER_SENSES.search(name)]
    for what, names in (
        ("its files lack the weights", faults.missing),
        ("the model its config.json describes has no place for the weights", unused),
        ("the model its config.json describes has other shapes for the weights", faults.reshaped),
    ):
        if names:
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise CheckpointDrift(
                f"{directory}: {what} {shown}. Use the config.json and the weights that were released together."
            )


def refuse_faults_of_blocks(
    directory: Path,
    config: Any,
    model: Any,
    blocks: BlockList,
    faults: WeightFaults,
    used_elsewhere: frozenset[str] | None,
) -> None:
    """Pass when nothing is wrong with what a vector after the last of these blocks depends on.

    Where `used_elsewhere` is given the files may hold nothing else but those weights, a language-model head and what
    reads images.

    Raises:
        CheckpointDrift: a weight is missing, superfluous or of another shape.
        FamilyUnsupported: the files keep the language model where it is not found.
    """
    of_blocks = {name for name in model.state_dict() if name.startswith(f"{blocks.name}.")}
    if of_blocks <= set(faults.missing) and has_other_parts(directory, config):
        raise family_refused(directory, config, "whose weights have names that are not known here")
    missing = _needed(model, blocks, faults.missing) if faults.missing else []
    unused = [name for name in faults.unused if not _is_later_block(name, model, blocks, config)]
    if used_elsewhere is None:
        # With a reconstructor's head it is no base model: its vectors are those of another training.
        unused = [
            name
            for name in unused
            if name.startswith(_VALUE_HEAD)
            or _is_within(model, name)
            or (not has_other_parts(directory, config) and _is_next_to(model, name, directory))
        ]
    elif unused:
        left = set(unused) - used_elsewhere
        unused = sorted(left - _are_heads(left, directory, config, model))
    refuse_faults(directory, WeightFaults(missing, unused, faults.reshaped))


class _Done(Exception):
    """The last block has run."""


@torch.inference_mode()
def _needed(model: Any, blocks: BlockList, missing: list[str]) -> list[str]:
    """Those of the missing weights that belong to a block, or to a module that runs before the last block is done.

    Modules of the others become identities: what comes after the blocks is not used.
    """
    if inside := [name for name in missing if name.startswith(f"{blocks.name}.")]:
        return inside
    before: set[str] = set()

    def note(name: str) -> Any:
        return lambda _module, _inputs: before.add(name)

    def stop(_module: Any, _inputs: Any, _output: Any) -> None:
        raise _Done

    owners = {name.rpartition(".")[0] for name in missing}
    handles = [model.get_submodule(owner).register_forward_pre_hook(note(owner)) for owner in owners]
    handles.append(blocks.modules[-1].register_forward_hook(stop))
    try:
        with suppress(_Done):
            run_model(model, [[model.config.vocab_size // 3]])
    finally:
        for handle in handles:
            handle.remove()
    for owner in owners - before - {""}:
        model.set_submodule(owner, nn.Identity())
    return [name for name in missing if name.rpartition(".")[0] in {*before, ""}]


def _is_later_block(name: str, model: Any, blocks: BlockList, config: Any) -> bool:
    """Whether a weight is of a block that the model has, and that is not read."""
    within, list_name = _without_prefix(name, model), _without_prefix(blocks.name, model)
    block = within.removeprefix(f"{list_name}.").partition(".")[0]
    is_of_a_block = within.startswith(f"{list_name}.") and block.isdecimal()
    return is_of_a_block and len(blocks.modules) <= int(block) < config.num_hidden_layers


def has_other_parts(directory: Path, config: Any) -> bool:
    """Whether the checkpoint is of a model that has more than this language model, such as one that reads images."""
    return bool((json_object(directory / "config.json") or {}).get("model_type") != config.model_type)


def _is_within(model: Any, name: str) -> bool:
    """Whether a weight without a place would lie within what is read and change its vectors."""
    return any(part == _without_prefix(name, model).partition(".")[0] for part, _ in model.base_model.named_children())


def _is_next_to(model: Any, name: str, directory: Path) -> bool:
    """Whether a weight without a place would lie next to what is read, in a model that should have no other parts."""
    # Transformers reports some weights of whole models under other names; those are in no file.
    return name != _without_prefix(name, model) and any(name in refuse_cut(path) for path in weight_paths(directory))


def _without_prefix(name: str, model: Any) -> str:
    return name.removeprefix(f"{model.base_model_prefix}.")


def _are_heads(names: set[str], directory: Path, config: Any, model: Any) -> set[str]:
    """Those of the names that are a language-model head, under any name a family gives it."""
    tensors = {name: entry for path in weight_paths(directory) for name, entry in refuse_cut(path).items()}
    shapes = ([config.vocab_size, config.hidden_size], [config.vocab_size])
    return {
        name
        for name in names
        if name == _without_prefix(name, model)
        # A multimodal model's file has it under the prefix of its language model.
        and any(entry["shape"] in shapes for known, entry in tensors.items() if f".{known}".endswith(f".{name}"))
    }
