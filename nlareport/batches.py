"""Arrays and texts in flight between rooms: what a tokenizer, a verbalizer or a batch of vectors hands on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from nlareport.rows import PairId


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document as the corpus hands it over."""

    doc_id: str
    """``corpus:split:index``; it seeds the document's own sampling."""
    corpus: str
    source_index: int
    text: str


@dataclass(frozen=True, slots=True)
class Tokenization:
    """A document cut into tokens, each with the characters it covers."""

    token_ids: list[int]
    char_starts: list[int]
    char_ends: list[int]
    """Exclusive. A special token covers nothing: its start equals its end."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A verbalizer's whole answer, tags and all."""

    text: str
    n_tokens: int
    """Tokens generated, the stop token included."""
    finish: Literal["stop", "length"]
    """`stop`: a stop token ended it; `length`: the token budget did."""


@dataclass(frozen=True, slots=True)
class ActivationBatch:
    """Vectors of one pair at some items, row by row; raw activations or reconstructions."""

    pair_id: PairId
    item_ids: Int[np.ndarray, " item"]
    vectors: Float[np.ndarray, "item d_model"]
