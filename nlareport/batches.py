"""Arrays and texts passed between stages and models: documents, tokenizations, completions, batches of vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from nlareport.rows.run_rows import PairId


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a chat."""

    role: str
    content: str


Listing = int | tuple[int, int]
"""A position that a corpus lists: characters or a token's index; in a chat, a message and characters in it."""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document of the corpus."""

    doc_id: str
    """``corpus:split:index``; it seeds the document's own sampling."""
    corpus: str
    source_index: int
    text: str
    """Of a chat, how it is shown and what its characters are counted in: see `checkpoints/conversations.py`."""
    messages: tuple[ChatMessage, ...] = ()
    """Of a chat. Empty for a text."""
    listed: tuple[Listing, ...] = ()
    """The positions to measure, where the corpus lists them."""


@dataclass(frozen=True, slots=True)
class Tokenization:
    """A document cut into tokens, each with the characters it covers."""

    token_ids: list[int]
    char_starts: list[int]
    char_ends: list[int]
    """Exclusive. A special token covers nothing, nor does one of a chat template: its start equals its end."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A verbalizer's whole answer, tags and all."""

    text: str
    n_tokens: int
    """Tokens generated, the stop token included."""
    finish: Literal["stop", "length"]
    """`stop`: a stop token ended it; `length`: the token budget did."""


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """What a model can read at all."""

    n_tokens: int | None
    """The longest sequence it was made for. None when it does not say."""
    n_known_ids: int | None
    """Token ids it has an embedding of, from 0. None when there is no bound."""

    def why_unreadable(self, token_ids: Sequence[int]) -> str | None:
        """What is wrong with a sequence, in words that follow its name; None when it can be read."""
        if self.n_tokens is not None and len(token_ids) > self.n_tokens:
            return f"is longer than the {self.n_tokens} tokens that are read"
        if self.n_known_ids is not None and max(token_ids, default=0) >= self.n_known_ids:
            return "holds a token without an embedding"
        return None


@dataclass(frozen=True, slots=True)
class TokenDraws:
    """How tokens are drawn where an answer is not greedy."""

    temperature: float
    """Above 0: what the scores of tokens are divided by."""
    top_p: float
    """Tokens come from the smallest set of the likeliest ones that holds this much probability."""
    names: Sequence[str]
    """One name for each answer. Its tokens follow from its vector and its name, whatever else is in the batch."""


UNREAD = float("-inf")
"""Fills the reconstruction of a text that the reconstructor cannot read; no model returns this value."""


@dataclass(frozen=True, slots=True)
class ActivationBatch:
    """Vectors of one pair at some items, row by row; raw activations or reconstructions."""

    pair_id: PairId
    item_ids: Int[np.ndarray, " item"]
    vectors: Float[np.ndarray, "item d_model"]
