"""Draws tokens at a temperature, each answer from random numbers of its own: a step of generation with Transformers.

Takes the scores of tokens, leaves of each row the one token that is drawn. An answer's numbers follow from its name
alone, so it is the same in any batch, up to the rounding of the scores.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import LogitsProcessor, TemperatureLogitsWarper, TopPLogitsWarper

from nlareport.batches import TokenDraws
from nlareport.statistics.resampling import uniforms

_PARTS = 2.0**40
"""What the probability of all tokens is counted in; a token of less than half a part is never drawn."""


def token_drawers(draws: TokenDraws, names: Sequence[str], n_tokens: int) -> list[LogitsProcessor]:
    """What the scores of one batch pass through, in order; `names` are those of its answers, of at most `n_tokens`."""
    nucleus = [TopPLogitsWarper(draws.top_p)] if draws.top_p < 1.0 else []
    return [TemperatureLogitsWarper(draws.temperature), *nucleus, _Drawer(names, n_tokens)]


class _Drawer(LogitsProcessor):  # type: ignore[misc]
    """Leaves of each row the token in whose share of the probability, in order of token ids, its number falls."""

    def __init__(self, names: Sequence[str], n_tokens: int) -> None:
        # At once and on the device: nothing is waited for at a token.
        self._numbers = torch.from_numpy(np.stack([uniforms(name, n_tokens) for name in names]))
        self._n_drawn = 0

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of 0 for the tokens drawn, minus infinity for all others."""
        self._numbers = self._numbers.to(scores.device)
        numbers = self._numbers[:, self._n_drawn : self._n_drawn + 1]
        self._n_drawn += 1
        # Whole numbers add up exactly, in any order that a device may add them in: so the batch has no part in it.
        shares = (scores.float().softmax(dim=-1).double() * _PARTS).round().long()
        sums = shares.cumsum(dim=-1)
        wanted = (numbers * sums[:, -1:]).long()
        # The first token whose sum is above: one without a share is never that.
        chosen = torch.searchsorted(sums, wanted, right=True).clamp(max=scores.shape[-1] - 1)
        left = torch.full_like(scores, -torch.inf)
        return left.scatter(-1, chosen, 0.0)
