"""The tables of a run file as Python sees them: one frozen dataclass per table, fields in column order.

What the columns mean to SQL users is said in ``store/sql/schema.sql`` with ``COMMENT ON``; what absence means, here.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, NewType, cast

PairId = NewType("PairId", str)
"""Such as ``qwen7-L20``: also what ``source`` and ``target`` hold."""

RunKind = Literal["computed", "published", "imported"]
Finish = Literal["closed", "length", "stop"]
Stratum = Literal["digits", "punctuation", "prose"]
AblationMethod = NewType("AblationMethod", str)
"""What an experiment may ask to be done to its explanations: one of `WHOLE_TEXT_METHODS`, or a cut such as
``first_16_tokens``. What each does: stages/ablate.py."""

WHOLE_TEXT_METHODS = ("words_shuffled", "quotes_kept", "quotes_blanked", "digits_masked")
_CUT = re.compile(r"(first|last)_([1-9][0-9]*)_tokens")


@dataclass(frozen=True, slots=True)
class Run:
    """The one row that says what this file is and how it came to be."""

    run_id: str
    title: str
    series_name: str | None
    series_number: int | None
    kind: RunKind
    experiment_yaml: str | None
    """The experiment file as it was read, comments included. None for an imported bundle."""
    nlareport_version: str
    schema_version: int
    seed: int | None
    created_at: datetime
    environment: dict[str, Any]
    """Stored as JSON. Computed: device, dtype, batch size, library versions, checkpoint sha256. Published: the
    file's own protocol, range-only nulls, notes and the choice of sample cards."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One NLA pair and the geometry of its activations on this run's items."""

    pair_id: PairId
    label: str
    family: str
    base_model: str
    block_index: int
    d_model: int
    injection_scale: float | None
    """None when the verbalizer takes vectors at their own norm."""
    mse_scale: float | None
    """None when the sidecar names none; scoring then uses sqrt(d_model)."""
    variance_nrm: float | None
    """V of the protocol. None until the score stage ran, and for published figures that do not state it."""
    mean_norm: float | None
    """|mu| in units of sqrt(d_model), in [0, 1]. None with `variance_nrm`."""
    sidecar_variance_nrm: float | None
    """V as the release states it from its training data. None when it does not."""
    ordinal: int
    """Place in the experiment file; the order of rows and columns everywhere."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document that was looked at, whether or not it gave an item."""

    doc_id: str
    corpus: str
    source_index: int | None
    n_chars: int | None
    """Length of the document in characters. None when only its id is known."""
    skipped_reason: str | None = None
    """Why the document gave no item. None when it gave one."""


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


@dataclass(frozen=True, slots=True)
class Score:
    """How well the target's reconstructor recovered its own activation from the source's explanation."""

    item_id: int
    source: PairId
    target: PairId
    mse_nrm: float | None
    """0 to 4. None when unscored, with the reason beside it, or when only `fve_nrm` was published."""
    fve_nrm: float | None
    """1 - mse_nrm / V of the target. None when unscored, or when V is not known."""
    unscored_reason: str | None = None


@dataclass(frozen=True, slots=True)
class NullScore:
    """The same reconstruction held against the activation of another document."""

    item_id: int
    """The item whose explanation was read; the gold is another item's."""
    source: PairId
    target: PairId
    permutation: int
    mse_nrm: float


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


@dataclass(frozen=True, slots=True)
class PlainReading:
    """How well the target's reconstructor recovered its own activation from the plain text before the item."""

    item_id: int
    target: PairId
    n_words: int
    """How many of the context's last words it read; where the context is shorter, all of it."""
    mse_nrm: float | None
    """0 to 4. None when the reconstruction has no direction: it is zero or not finite."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the matrix over one subset of items."""

    source: PairId
    target: PairId
    subset: str
    """`all`, `without_outliers`, a stratum, or a graded subset such as `context_1` (`measure_rows.SubsetRange`)."""
    n_scored: int | None
    n_unscored: int | None
    fve_nrm: float | None
    """None when no item of the subset was scored."""
    ci_low: float | None
    """95% percentile bootstrap over documents. None with fewer than two documents."""
    ci_high: float | None
    fve_meannorm: float | None
    median: float | None
    trimmed_mean: float | None
    """Mean of the middle 80%: a tenth of the items cut from each end."""
    share_below_zero: float | None
    null_fve: float | None
    ceiling_fraction: float | None
    """fve_nrm over the target's diagonal of the same subset. None when the diagonal is not above 0."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What something that is not an explanation scores on the same cell."""

    source: PairId
    target: PairId
    method: str
    """`best_constant`, `nearest_neighbour`, `ridge`, or `last_8_words` and the like."""
    fve_nrm: float | None
    """None when the cell has no scored item, or the method no answer to one of them."""
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """One point of a learning curve: what a fitted baseline scores on a cell after so many training items."""

    source: PairId
    target: PairId
    method: str
    n_items: int
    """Items it was fitted on, in the mean over folds."""
    fve_nrm: float | None
    """None when the cell has no scored item."""
    ci_low: float | None
    """95% percentile bootstrap over documents. None with fewer than two documents."""
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class AblationCell:
    """What a change to the texts leaves of a cell's score, and what it takes, over the cell's scored items."""

    source: PairId
    target: PairId
    method: str
    ordinal: int
    """Place in the experiment's list of ablations; the order of rows."""
    n_scored: int
    """Items scored both as written and changed."""
    fve_nrm: float | None
    """None when there is no such item."""
    ci_low: float | None
    """95% percentile bootstrap over documents. None with fewer than two documents."""
    ci_high: float | None
    fve_drop: float | None
    """fve_nrm as written minus fve_nrm changed, over the same items: above 0 when the change costs score."""
    drop_low: float | None
    """95% percentile bootstrap of the paired difference. None with fewer than two documents."""
    drop_high: float | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of the report, with the figures it was filled with and whether it holds."""

    claim_id: str
    text: str
    query: str
    holds: bool
    figures: dict[str, Any]


class Cut(NamedTuple):
    """What a cut leaves of a text."""

    end: Literal["first", "last"]
    n_tokens: int


def cut_of(method: str) -> Cut | None:
    """What a method such as ``last_8_tokens`` leaves; None when the method is no cut."""
    found = _CUT.fullmatch(method)
    return None if found is None else Cut(cast(Literal["first", "last"], found[1]), int(found[2]))


def stratum_of(token: str) -> Stratum:
    """`digits` when the token holds a digit, `punctuation` when it holds neither letter nor digit, else `prose`."""
    if any(character.isdigit() for character in token):
        return "digits"
    if any(character.isalpha() for character in token):
        return "prose"
    return "punctuation"
