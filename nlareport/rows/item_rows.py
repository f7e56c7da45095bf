"""The tables with one row per item: activations, explanations, scores and what was measured of each.

One frozen dataclass per table, fields in column order. What the columns mean to SQL users is said in the schema with
``COMMENT ON``; what absence means, here.
"""

from dataclasses import dataclass
from typing import Literal

from nlareport.rows.declaration import table
from nlareport.rows.run_rows import PairId

Finish = Literal["closed", "length", "stop"]
Stratum = Literal["digits", "punctuation", "prose"]


@table(key=("item_id",), bundle="items")
@dataclass(frozen=True, slots=True)
class Item:
    """One position in one document; the same place in the text for every pair."""

    item_id: int
    doc_id: str
    char_end: int | None
    """The character just after the item's token, from the document's start. None when only the context is known."""
    token: str
    context: str | None
    """The text's tail up to and including the item's token. None when it was not published."""
    stratum: Stratum
    is_outlier: bool | None = None
    """None until the score stage has judged it."""


@table(key=("pair_id", "item_id"), bundle="alignments")
@dataclass(frozen=True, slots=True)
class Alignment:
    """Where one pair's tokenization meets an item, and how long the vector there is."""

    item_id: int
    pair_id: PairId
    token_index: int
    """Zero-based, special tokens counted: also the number of tokens of left context."""
    char_error: int
    """End of this pair's token minus the item's end, in characters; 0 when they agree."""
    activation_norm: float
    """Euclidean norm of the raw activation."""


@table(key=("pair_id", "item_id"), bundle="activations")
@dataclass(frozen=True, slots=True)
class Activation:
    """What is known of one pair's activation at an item besides its norm; the vectors themselves are not stored."""

    item_id: int
    pair_id: PairId
    atypicality: float
    """1 - cos to the pair's mean direction over the run's items, in [0, 2]."""


@table(key=("source", "draw", "item_id"), bundle="explanations")
@dataclass(frozen=True, slots=True)
class Explanation:
    """What a source's verbalizer said of an item."""

    item_id: int
    source: PairId
    text: str | None
    """The explanation between the tags, stripped. None when the answer did not hold one, or an empty one."""
    completion: str | None
    """The whole answer. None when only the explanation was published."""
    n_tokens: int | None
    """Tokens generated, the stop token included. None when not published."""
    finish: Finish | None
    """`closed`: the first opening tag and its closing tag were found; `length`: the budget ran out without them;
    `stop`: ended by itself without them."""
    is_clean: bool | None
    """Whether there is such a pair of tags with text between. Why not: `assurance_rows.AnswerMark`."""
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


Mark = Literal["no_tag", "misspelt_tag", "unopened_tag", "unclosed_tag", "budget", "empty", "overrun"]
"""What is odd about an answer. All but the last make it unclean: no tag at all; a tag spelt otherwise; a closing
tag never opened; an opening tag never closed though the answer ended by itself; the token budget ran out before the
closing tag; nothing between the tags. `overrun`: clean, but the budget ran out behind the closing tag."""


@table(key=("source", "draw", "mark", "item_id"), bundle="answer_marks")
@dataclass(frozen=True, slots=True)
class AnswerMark:
    """Something odd about the form of one answer; an answer without a row is clean and ended by itself."""

    source: PairId
    item_id: int
    mark: Mark
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


@table(key=("source", "target", "draw", "item_id"), bundle="scores")
@dataclass(frozen=True, slots=True)
class Score:
    """How well the target's reconstructor recovered its own activation from the source's explanation."""

    item_id: int
    source: PairId
    target: PairId
    mse_nrm: float | None
    """0 to 4. None when unscored, with the reason next to it, or when only `fve_nrm` was published."""
    fve_nrm: float | None
    """1 - mse_nrm / V of the target. None when unscored, or when V is not known."""
    unscored_reason: str | None = None
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


@table(key=("source", "target", "draw", "permutation", "item_id"), bundle="null_scores")
@dataclass(frozen=True, slots=True)
class NullScore:
    """The same reconstruction held against the activation of another document."""

    item_id: int
    """The item whose explanation was read; the gold is another item's."""
    source: PairId
    target: PairId
    permutation: int
    mse_nrm: float
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


@table(key=("source", "target", "draw", "method", "item_id"), bundle="ablations")
@dataclass(frozen=True, slots=True)
class Ablation:
    """How well the target's reconstructor recovered its own activation from the source's explanation, once changed."""

    item_id: int
    source: PairId
    target: PairId
    method: str
    """What was done to the text, such as `words_shuffled`."""
    mse_nrm: float | None
    """0 to 4. None when the reconstruction has no direction: it is zero or not finite."""
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


@table(key=("target", "n_words", "item_id"), bundle="plain_readings")
@dataclass(frozen=True, slots=True)
class PlainReading:
    """How well the target's reconstructor recovered its own activation from the plain text before the item."""

    item_id: int
    target: PairId
    n_words: int
    """How many of the context's last words it read; where the context is shorter, all of it."""
    mse_nrm: float | None
    """0 to 4. None when the reconstruction has no direction: it is zero or not finite."""


@table(key=("source", "target", "draw", "item_id"), bundle="resemblances")
@dataclass(frozen=True, slots=True)
class Resemblance:
    """How a reconstruction stands to its own gold and to the golds of other documents."""

    item_id: int
    source: PairId
    target: PairId
    centred_cosine: float | None
    """Cosine once the target's mean of unit golds is taken from both unit vectors, in [-1, 1]. None when either is
    that mean itself."""
    n_nearer: int
    """Golds of other documents at least as near to the reconstruction, by cosine, as its own: ties count against it."""
    n_others: int
    """Golds of other documents."""
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


@table(key=("name", "item_id"), bundle="tags")
@dataclass(frozen=True, slots=True)
class Tag:
    """What is said of an item by name, such as the language it is in."""

    item_id: int
    name: str
    value: str


OutlierReason = Literal["norm", "near_duplicate", "sink"]
"""`sink` is both of the others in one pair: the signature of an attention sink (Known traps in PROTOCOL.md)."""


@table(key=("pair_id", "reason", "item_id"), bundle="outliers")
@dataclass(frozen=True, slots=True)
class Outlier:
    """One reason for which an item is flagged in one pair."""

    item_id: int
    pair_id: PairId
    reason: OutlierReason
    value: float
    """`norm`, `sink`: the activation's norm over the pair's median. `near_duplicate`: how many items the pair's
    verbalizer said nearly the same of, this one among them."""


def stratum_of(token: str) -> Stratum:
    """`digits` when the token holds a digit, `punctuation` when it holds neither letter nor digit, else `prose`."""
    if any(character.isdigit() for character in token):
        return "digits"
    if any(character.isalpha() for character in token):
        return "prose"
    return "punctuation"
