"""Row types of what stands beside the cells: graded subsets, measures without V, effects, reasons of outlier flags.

As in ``rows``: one frozen dataclass per table, fields in column order.
"""

from dataclasses import dataclass
from typing import Literal

from nlareport.rows import PairId

OutlierReason = Literal["norm", "near_duplicate", "sink"]
"""`sink` is both of the others in one pair: the signature of an attention sink (Known traps in PROTOCOL.md)."""
MeasureName = Literal["centred_cosine", "identified_of_2", "identified_of_10", "identified_of_all", "ceiling_fraction"]
Role = Literal["source", "target"]


@dataclass(frozen=True, slots=True)
class Activation:
    """What is told of one pair's activation at an item beside its norm; the vectors themselves are not in the file."""

    item_id: int
    pair_id: PairId
    atypicality: float
    """1 - cos to the pair's mean direction over the run's items, in [0, 2]."""


@dataclass(frozen=True, slots=True)
class SubsetRange:
    """Which items one graded subset of a target holds: those whose value is from `low` to `high`, both included."""

    target: PairId
    subset: str
    """`context_1` (fewest tokens before the item) to `context_4`; so too `norm_1` and `atypical_1`."""
    low: float
    """Smallest value among its items: tokens of left context, activation norm, or atypicality."""
    high: float
    n_items: int


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


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a cell that can be held beside the same figure of another target."""

    source: PairId
    target: PairId
    measure: MeasureName
    value: float
    ci_low: float | None
    """95% percentile bootstrap over documents. None with fewer than two documents, and for a ceiling fraction when
    the ceiling is not above 0 in every draw."""
    ci_high: float | None
    chance: float | None
    """What the measure comes to by chance: 1/k for identification; for the centred cosine its mean against the golds
    of all other documents. None for a ceiling fraction."""
    n_scored: int
    """Items it is the mean over; for a ceiling fraction those of the cell."""


@dataclass(frozen=True, slots=True)
class Effect:
    """How far one pair lifts its cross-model cells as a source, or as a target, in the additive fit."""

    pair_id: PairId
    role: Role
    effect: float
    """In fve_nrm; the effects of each role sum to 0."""
    ci_low: float | None
    """95% percentile bootstrap over documents. None when some cell has no interval."""
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class Outlier:
    """One reason for which an item is flagged in one pair."""

    item_id: int
    pair_id: PairId
    reason: OutlierReason
    value: float
    """`norm`, `sink`: the activation's norm over the pair's median. `near_duplicate`: how many items the pair's
    verbalizer said nearly the same of, this one among them."""
