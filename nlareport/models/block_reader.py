"""Reads the vector that a decoder block gives at a token: the last of each text, or any.

Takes an open model and token ids; returns the block's own output, taken where the block hands it on: no later block,
final norm or projection has touched it, under any name a family gives them. Where a block gives several streams
(Gemma-3n's AltUp), the stream that its attention and MLP computed is meant, ``altup_active_idx``. A model whose block
gives anything but one vector a token is refused by its family's name.

Measuring and training both read here, with the same padding and the same mask.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlareport.models.blocks import BlockList, family_refused
from nlareport.models.quiet import quiet

Batch = Sequence[list[int]]
"""Texts as token ids."""

Place = tuple[int, int]
"""A text's row in its batch, and a token's index in that text."""


def last_places(batch: Batch) -> list[Place]:
    """The place of each text's last token."""
    return [(row, len(token_ids) - 1) for row, token_ids in enumerate(batch)]


class BlockReader:
    """Runs a model and takes what its blocks give; `block_index` is the one that is read unless others are named."""

    def __init__(self, model: Any, blocks: BlockList, block_index: int, config: Any, directory: Path) -> None:
        self.model, self.blocks, self.block_index = model, blocks, block_index
        self.config, self.directory = config, directory

    def read(self, batch: Batch) -> Float[Tensor, "item d_model"]:
        """The block's output at each text's last token, float32 on the CPU.

        Raises:
            FamilyUnsupported: the block gives something else than one vector a token, or is not run exactly once.
        """
        return self.read_at(batch, last_places(batch))

    @torch.inference_mode()
    def read_at(self, batch: Batch, places: Sequence[Place]) -> Float[Tensor, "place d_model"]:
        """The block's output at these places; as `read`."""
        return self._outputs_at(batch, places, [self.block_index])[0]

    @torch.inference_mode()
    def read_blocks_at(
        self, batch: Batch, places: Sequence[Place], block_indexes: Sequence[int]
    ) -> list[Float[Tensor, "place d_model"]]:
        """The outputs of several blocks at these places, from one pass; as `read`."""
        return self._outputs_at(batch, places, block_indexes)

    def read_for_training(self, batch: Batch) -> Float[Tensor, "item d_model"]:
        """As `read`, but the result can be differentiated by the weights that are being trained."""
        return self._outputs_at(batch, last_places(batch), [self.block_index])[0]

    def _outputs_at(self, batch: Batch, places: Sequence[Place], block_indexes: Sequence[int]) -> list[Tensor]:
        taken: dict[int, list[Tensor]] = {index: [] for index in block_indexes}

        def take_from(index: int) -> Any:
            # Copied at once: what comes later may write into the same tensor.
            return lambda _module, _inputs, output: taken[index].append(self.vectors(output, len(batch), places))

        handles = [self.blocks.modules[index].register_forward_hook(take_from(index)) for index in block_indexes]
        try:
            run_model(self.model, batch)
        finally:
            for handle in handles:
                handle.remove()
        for outputs in taken.values():
            if len(outputs) != 1:
                why = f"which runs its block {len(outputs)} times for one text"
                raise family_refused(self.directory, self.config, why)
        return [taken[index][0] for index in block_indexes]

    def vectors(self, output: Any, n_texts: int, places: Sequence[Place]) -> Float[Tensor, "place d_model"]:
        """What a block hands on at these places of a batch of `n_texts`, float32 on the CPU.

        Raises:
            FamilyUnsupported: it is something else than one vector a token.
        """
        hidden = output[0] if isinstance(output, tuple | list) else output
        stream = getattr(self.config, "altup_active_idx", None)
        if isinstance(hidden, Tensor) and hidden.ndim == 4 and stream is not None:
            hidden = hidden[stream]
        d_model = self.config.hidden_size
        if not isinstance(hidden, Tensor) or hidden.ndim != 3 or hidden.shape[::2] != (n_texts, d_model):
            shape = list(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
            raise family_refused(
                self.directory, self.config, f"whose blocks give {shape} where {d_model} numbers a token were expected"
            )
        rows, tokens = torch.tensor(list(places), dtype=torch.long, device=hidden.device).reshape(-1, 2).T
        chosen: Tensor = hidden[rows, tokens]
        return chosen.float().cpu()


def run_model(model: Any, batch: Batch, **asked: Any) -> Any:
    """What the model returns for texts of different lengths."""
    device = input_device(model)
    # The mask hides the padding.
    token_ids, mask = pad_right(batch, 0), mask_of(batch)
    given = {"input_ids": token_ids.to(device), "attention_mask": mask.to(device), "use_cache": False, **asked}
    known = inspect.signature(type(model).forward).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    with quiet():
        return model(**{name: value for name, value in given.items() if takes_any or name in known})


def pad_right(sequences: Sequence[list[int]], filler: int) -> Int[Tensor, "item token"]:
    """The sequences as one tensor, filled up on the right."""
    # On the right: places are counted from the start, and padding on the left would shift them.
    width = max(map(len, sequences))
    return torch.tensor([numbers + [filler] * (width - len(numbers)) for numbers in sequences])


def mask_of(sequences: Sequence[list[int]]) -> Int[Tensor, "item token"]:
    """1 where `pad_right` puts a sequence's own numbers, 0 where it fills up."""
    return pad_right([[1] * len(numbers) for numbers in sequences], 0)


def input_device(model: Any) -> torch.device:
    """Where a model wants its inputs: the device it computes on, also when its embedding waits elsewhere."""
    places = (getattr(model, "hf_device_map", None) or {}).values()
    for place in places:
        if place not in ("cpu", "disk"):
            return torch.device(place)
    device: torch.device = model.get_input_embeddings().weight.device
    return torch.device("cpu") if device.type == "meta" else device
