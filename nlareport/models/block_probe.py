"""Test input for the check of a block's output: short token sequences, and the distance between two vectors.

Takes a model and its configuration, returns vectors and distances. Knows no checkpoint and judges nothing.
"""

import random
from contextlib import suppress
from typing import Any

import torch

from nlareport.errors import FamilyUnsupported
from nlareport.models.block_reader import Batch, BlockReader, last_places, run_model
from nlareport.models.configuration import context_tokens

_LENGTHS = (23, 12, 17)


@torch.inference_mode()
def vectors_handed_on(reader: BlockReader, batch: Batch) -> tuple[list[torch.Tensor], torch.Tensor]:
    """What Transformers lists as hidden states of the model, if it does, and what the next block receives."""
    places = last_places(batch)
    inputs_of_next: list[torch.Tensor] = []

    def take(_module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        inputs_of_next.append(reader.vectors(inputs[0] if inputs else named["hidden_states"], len(batch), places))

    after = reader.blocks.modules[reader.block_index + 1]
    handle = after.register_forward_pre_hook(take, with_kwargs=True)
    try:
        listed = getattr(run_model(reader.model, batch, output_hidden_states=True), "hidden_states", None) or ()
    finally:
        handle.remove()
    found = []
    for states in listed:
        # The last one listed may be the output of a final projection.
        with suppress(FamilyUnsupported):
            found.append(reader.vectors(states, len(batch), places))
    return found, inputs_of_next[0]


def distance(found: torch.Tensor, expected: torch.Tensor) -> float | None:
    """The largest distance of two rows relative to the norm of the second; None where no row is finite."""
    finite = expected.isfinite().all(dim=1)
    if bool((found.isfinite().all(dim=1) != finite).any()):
        return float("inf")
    if not bool(finite.any()):
        return None
    norms = expected[finite].norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    return float(((found[finite] - expected[finite]).norm(dim=1) / norms).max())


def largest(*distances: float | None) -> float | None:
    """The largest of those that are known."""
    known = [value for value in distances if value is not None]
    return max(known) if known else None


def least(*distances: float | None) -> float | None:
    """The least of those that are known."""
    known = [value for value in distances if value is not None]
    return min(known) if known else None


def probe_of(config: Any, seed: int = 0) -> list[list[int]]:
    """Three sequences of different lengths, of token ids that are ordinary text in any vocabulary."""
    # Special tokens, those of images among them, are at the beginning or the end of a vocabulary.
    first, last = config.vocab_size // 4, max(config.vocab_size // 2, config.vocab_size // 4 + 1)
    chosen, longest = random.Random(seed), context_tokens(config) or max(_LENGTHS)
    return [[chosen.randrange(first, last) for _ in range(min(length, longest))] for length in _LENGTHS]
