"""The decoder blocks of a model, found by structure, and what one of them gives.

Enter a Transformers model and token ids; leaves the block's own output, taken where the block hands it on: no later
block, final norm or projection has touched it, whatever its family calls them. Where a block gives several streams
(Gemma-3n's AltUp), the stream that its attention and MLP computed is meant, ``altup_active_idx``. A model whose blocks
are not to be found, or give anything but one vector a token, is refused by its family's name.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from nlareport.errors import FamilyUnsupported
from nlareport.models.quiet import quiet

Batch = Sequence[list[int]]


@dataclass(frozen=True, slots=True)
class BlockList:
    """Where a model keeps its decoder blocks."""

    name: str
    """Its path in the model, such as ``decoder.layers``."""
    modules: nn.ModuleList


def family_refused(directory: Path, config: Any, why: str) -> FamilyUnsupported:
    """The refusal of a checkpoint by its family's name."""
    return FamilyUnsupported(
        f"{directory}: is a {config.model_type} model, {why}. Give a base model of another family; "
        "those that are read are listed in the guide to your own pairs."
    )


def find_blocks(model: Any, config: Any, directory: Path) -> BlockList:
    """The outermost list of as many modules as the language model has blocks.

    Raises:
        FamilyUnsupported: there is none, or more than one that could be it.
    """
    place, text_model = next(
        (
            (name, module)
            for name, module in model.named_modules()
            if isinstance(module, PreTrainedModel) and module.config.model_type == config.model_type
        ),
        ("", model),
    )
    found = {name: module for name, module in text_model.named_modules() if _may_be_blocks(module, config)}
    outermost = {name: module for name, module in found.items() if not any(_is_inside(name, other) for other in found)}
    # What may not be cut across devices is a block in the eyes of who wrote the model.
    blocks = set(getattr(text_model, "_no_split_modules", None) or ())
    named = {name: module for name, module in outermost.items() if {type(part).__name__ for part in module} & blocks}
    chosen = named if len(outermost) > 1 and named else outermost
    if len(chosen) != 1:
        many = f"several lists of {config.num_hidden_layers} modules" if chosen else "no list of its blocks"
        raise family_refused(directory, config, f"which has {many}, so no block's output can be taken")
    ((name, modules),) = chosen.items()
    return BlockList(".".join(part for part in (place, name) if part), modules)


def _may_be_blocks(module: nn.Module, config: Any) -> bool:
    return (
        isinstance(module, nn.ModuleList)
        and len(module) == config.num_hidden_layers
        and all(next(part.children(), None) is not None for part in module)
    )


def _is_inside(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def cut_class(model_class: type[Any], config: Any, n_blocks: int, directory: Path) -> type[Any]:
    """The class of the same models without the blocks from `n_blocks` on.

    They are dropped once the whole model is laid out and before any weight is read: nothing that depends on how many
    blocks there are changes, and no later weight takes memory.
    """

    def laid_out_and_cut(self: Any, given: Any, *arguments: Any, **named: Any) -> None:
        model_class.__init__(self, given, *arguments, **named)
        blocks = find_blocks(self, config, directory)
        # Found now: a shorter list may no longer be told from others.
        self.block_list_name = blocks.name
        del blocks.modules[n_blocks:]
        left = {name for name, _ in self.named_parameters(remove_duplicate=False)}
        tied = getattr(self, "all_tied_weights_keys", {})
        self.all_tied_weights_keys = {name: source for name, source in tied.items() if {name, source} <= left}

    # The same name and module: Transformers keeps what it knows of a class under them.
    same = {name: getattr(model_class, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(model_class.__name__, (model_class,), {"__init__": laid_out_and_cut, **same})


def blocks_of(model: Any) -> BlockList:
    """Where a model of a class that was cut keeps the blocks it has left."""
    return BlockList(model.block_list_name, model.get_submodule(model.block_list_name))


class BlockReader:
    """Runs a model and takes what one of its blocks gives."""

    def __init__(self, model: Any, blocks: BlockList, block_index: int, config: Any, directory: Path) -> None:
        self.model, self.blocks, self.block_index = model, blocks, block_index
        self.config, self.directory = config, directory

    def read(self, batch: Batch) -> torch.Tensor:
        """The block's output at each sequence's last token, float32 on the CPU, ``[item, d_model]``.

        Raises:
            FamilyUnsupported: the block gives something else than one vector a token, or is not run exactly once.
        """
        return self.read_at(batch, [len(sequence) - 1 for sequence in batch])

    def read_at(self, batch: Batch, places: Sequence[int]) -> torch.Tensor:
        """The block's output at these places, one of each sequence; as `read`."""
        taken: list[torch.Tensor] = []
        block = self.blocks.modules[self.block_index]

        def take(_module: Any, _inputs: Any, output: Any) -> None:
            # Copied at once: what comes later may write into the same tensor.
            taken.append(self.vectors(output, places))

        handle = block.register_forward_hook(take)
        try:
            run(self.model, batch)
        finally:
            handle.remove()
        if len(taken) != 1:
            raise family_refused(self.directory, self.config, f"which runs its block {len(taken)} times for one text")
        return taken[0]

    def vectors(self, output: Any, places: Sequence[int]) -> torch.Tensor:
        """What a block hands on at these places, one of each sequence, float32 on the CPU.

        Raises:
            FamilyUnsupported: it is something else than one vector a token.
        """
        hidden = output[0] if isinstance(output, tuple | list) else output
        stream = getattr(self.config, "altup_active_idx", None)
        if isinstance(hidden, torch.Tensor) and hidden.ndim == 4 and stream is not None:
            hidden = hidden[stream]
        d_model = self.config.hidden_size
        if not isinstance(hidden, torch.Tensor) or hidden.ndim != 3 or hidden.shape[::2] != (len(places), d_model):
            shape = list(hidden.shape) if isinstance(hidden, torch.Tensor) else type(hidden).__name__
            raise family_refused(
                self.directory, self.config, f"whose blocks give {shape} where {d_model} numbers a token were expected"
            )
        rows = torch.arange(len(places), device=hidden.device)
        last: torch.Tensor = hidden[rows, torch.tensor(places, device=hidden.device)]
        return last.float().cpu()


@torch.inference_mode()
def run(model: Any, batch: Batch, **asked: Any) -> Any:
    """What the model returns for sequences of different lengths."""
    lengths = torch.tensor([len(sequence) for sequence in batch])
    # Right padding: we index from the start, left padding would shift it. The mask hides whatever id pads.
    padded = torch.zeros(len(batch), int(lengths.max()), dtype=torch.long)
    for row, sequence in enumerate(batch):
        padded[row, : len(sequence)] = torch.tensor(sequence)
    mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
    device = input_device(model)
    given = {"input_ids": padded.to(device), "attention_mask": mask.to(device), "use_cache": False, **asked}
    known = inspect.signature(type(model).forward).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    with quiet():
        return model(**{name: value for name, value in given.items() if takes_any or name in known})


def input_device(model: Any) -> torch.device:
    """Where a model wants its inputs: the device it computes on, also when its embedding waits elsewhere."""
    places = (getattr(model, "hf_device_map", None) or {}).values()
    for place in places:
        if place not in ("cpu", "disk"):
            return torch.device(place)
    device: torch.device = model.get_input_embeddings().weight.device
    return torch.device("cpu") if device.type == "meta" else device
