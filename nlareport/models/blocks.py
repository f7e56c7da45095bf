"""The decoder blocks of a Hugging Face model: found by structure, and cut away behind the last one that is needed.

Takes a Transformers model or model class; returns its list of blocks, or a class of models with fewer of them. A model
whose blocks cannot be found is refused by its family's name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from nlareport.errors import FamilyUnsupported


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
        # Found now: a shorter list may look like others.
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


def shorten_to_blocks(model: Any) -> None:
    """Makes of a language model that was cut one of its own: its configuration counts the blocks that are left.

    Its final norm is taken out: the last hidden state is then the block's own output. For models that call that norm
    ``norm``, as Llama and Gemma do.
    """
    n_blocks = len(blocks_of(model).modules)
    model.base_model.norm = nn.Identity()
    model.config.num_hidden_layers = n_blocks
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:n_blocks]
