"""The tables with one row per cell of the matrix, or per source or target: means, intervals, baselines, effects.

One frozen dataclass per table, fields in column order. What the columns mean to SQL users is said in the schema with
``COMMENT ON``; what absence means, here.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from nlareport.rows.declaration import table
from nlareport.rows.measures import MeasureName
from nlareport.rows.run_rows import PairId

Role = Literal["source", "target"]


class CellKey(NamedTuple):
    """Which entry of the matrix."""

    source: PairId
    target: PairId


@table(key=("source", "target", "subset"), bundle="cells")
@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the matrix over one subset of items."""

    source: PairId
    target: PairId
    subset: str
    """`all`, `without_outliers`, a stratum, a graded subset such as `context_1` (`SubsetRange`), or a tag with its
    value, such as `language=en` (`item_rows.Tag`)."""
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


@table(key=("target", "subset"), bundle="subset_ranges")
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


@table(key=("source", "target", "method"), bundle="baselines")
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


@table(key=("source", "target", "method", "n_items"), bundle="learning_curves")
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


@table(key=("source", "target", "method"), bundle="ablation_cells")
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


@table(key=("source", "target", "measure"), bundle="measures")
@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a cell that can be compared with the same figure of another target."""

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


@table(key=("pair_id", "role"), bundle="effects")
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
