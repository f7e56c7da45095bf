"""The tables about several explanations of an item: how their scores spread, the best of k, how alike they are.

One frozen dataclass per table, fields in column order; each is empty where no item has a second draw.
"""

from dataclasses import dataclass

from nlareport.rows.declaration import table
from nlareport.rows.run_rows import PairId


@table(key=("source", "target"), bundle="draw_spreads")
@dataclass(frozen=True, slots=True)
class DrawSpread:
    """How far a cell's scores differ between the draws of an item, and how far between items: variance components."""

    source: PairId
    target: PairId
    n_items: int
    """Items with at least one scored draw."""
    n_scores: int
    """Scored draws of all of them."""
    sd_within: float
    """Standard deviation over draws of one item, in fve_nrm."""
    within_low: float | None
    """95% percentile bootstrap over documents. None with fewer than two documents."""
    within_high: float | None
    sd_between: float | None
    """Standard deviation between items, once what the draws add is taken away; 0 where they alone explain how items
    differ. None with one item."""
    between_low: float | None
    between_high: float | None
    share_within: float | None
    """The draws' part of the variance of a single score. None where scores do not vary at all, or with one item."""


@table(key=("source", "target", "k"), bundle="best_of_draws")
@dataclass(frozen=True, slots=True)
class BestOfDraws:
    """What a cell scores when of k draws of every item the one that scores best is kept."""

    source: PairId
    target: PairId
    k: int
    n_items: int
    """Items with at least k draws, one of which is scored."""
    fve_nrm: float
    ci_low: float | None
    """95% percentile bootstrap over documents. None with fewer than two documents."""
    ci_high: float | None


@table(key=("source",), bundle="text_agreements")
@dataclass(frozen=True, slots=True)
class TextAgreement:
    """How alike the draws of an item are as texts."""

    source: PairId
    n_items: int
    """Items with at least two draws that hold a content word."""
    jaccard: float
    """Mean over items of the mean Jaccard index of all pairs of their draws, as sets of content words."""
    ci_low: float | None
    """95% percentile bootstrap over documents. None with fewer than two documents."""
    ci_high: float | None
    chance: float | None
    """The same of draws of items of different documents. None when one document holds more than half of the items."""
