"""The comparison of two runs, as values: what is the same in both, how far it moved, and how each was made.

Frozen dataclasses that `review` fills and a page or a terminal shows. A and B are the runs in the order they
were named; a difference is always B minus A, so above 0 means that B scored higher.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from nlareport.rows.run_rows import PairId, RunKind

MatchedBy = Literal["place", "token", "item_id"]
"""`place`: the same doc_id, char_end and token in both runs; `token`: the same doc_id and token, and context as far as
both have one, where a char_end is not known; `item_id`: the same number, where a run names no documents."""


@dataclass(frozen=True, slots=True)
class RunSide:
    """One of the two runs."""

    run_id: str
    title: str
    kind: RunKind
    n_items: int
    """Items the run file holds; of published figures only those of the sample cards."""


@dataclass(frozen=True, slots=True)
class SharedItems:
    """The items both runs measured."""

    matched_by: MatchedBy
    frame: pl.DataFrame
    """`item_a`, `item_b`, `document` (0, 1, 2, …), `doc_id`, `char_end`, `token`, `context`; one row per item, in an
    order that does not depend on which run is A."""
    contradiction: str | None = None
    """What shows that equal item numbers are not equal places; then no item counts as shared."""
    ambiguous: tuple[int, int] = (0, 0)
    """Items of A and of B that may be several of the other's, or share the one they may be; none of them is in."""


@dataclass(frozen=True, slots=True)
class TargetScale:
    """V of one target in either run, and the V under which its cells are compared."""

    target: PairId
    label: str
    variance_a: float | None
    variance_b: float | None
    same_golds: bool | None
    """Whether the target's activations have the same norms at every shared item. None when they are not stored."""
    common_variance: float | None
    """The one V both runs are held against. None: each run against its own."""


@dataclass(frozen=True, slots=True)
class CellDifference:
    """One cell in both runs."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    fve_a: float | None
    """Over all items of A, as the run states it, under its own V. None when the cell has no value there."""
    low_a: float | None
    high_a: float | None
    fve_b: float | None
    low_b: float | None
    high_b: float | None
    shared_a: float | None
    """Over the shared items only, those scored in both runs. None when there is no such item."""
    shared_b: float | None
    difference: float | None
    """B minus A: over the shared items where there are any, else of the two runs' values."""
    low: float | None
    """95% paired percentile bootstrap over shared documents. None with fewer than two of them."""
    high: float | None
    n_items: int
    """Shared items scored in both runs."""
    n_scored_once: int
    """Shared items scored in one of the runs only; they count in no shared mean."""
    n_documents: int
    """Documents the `n_items` come from."""
    minimum_detectable_difference: float | None = None
    """At 80% power: for so large a true difference the paired interval excludes 0 in 4 runs of 5. None without one."""

    @property
    def is_diagonal(self) -> bool:
        """Whether source and target are one pair."""
        return self.source == self.target

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval lies on one side of 0. None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """One shared item: how far it moved on average over the cells that score it in both runs."""

    item_a: int
    item_b: int
    doc_id: str
    char_end: int | None
    token: str | None
    context: str | None
    difference: float
    """Mean of B minus A in fve_nrm over `n_cells`."""
    n_cells: int


@dataclass(frozen=True, slots=True)
class ProtocolDifference:
    """One thing the runs say differently of how they were made."""

    key: str
    """Such as `decoding.max_new_tokens`."""
    a: str | None
    """None when the run does not say."""
    b: str | None


@dataclass(frozen=True, slots=True)
class AskedBoth:
    """A named query that both runs were asked, and how much each answered."""

    query: str
    sql: str
    n_rows_a: int
    n_rows_b: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a comparison of two runs found."""

    a: RunSide
    b: RunSide
    matched_by: MatchedBy | None
    """None when items were not looked at: one of the runs holds published figures."""
    unpaired_because: str | None
    """Why no cell has a paired interval, as a sentence. None when cells are compared item by item."""
    n_shared_items: int
    n_shared_documents: int
    ambiguous: tuple[int, int]
    """Items of A and of B that were left out, because which is which is not known."""
    draws: int
    pairs: list[PairId]
    """Pairs that both runs measured, in A's order."""
    pairs_only_a: list[PairId]
    pairs_only_b: list[PairId]
    scales: list[TargetScale]
    """One per shared pair; empty when nothing is paired."""
    cells: list[CellDifference]
    """Row by row over `pairs`: sources first."""
    items: list[ItemDifference]
    """From the one that fell most to the one that rose most."""
    cards: list[ItemDifference] | None
    """Items of published sample cards that the other run measured too. None when neither run is published."""
    n_cards: int
    """Items that the published figures have cards of; 0 when neither run is published."""
    protocol: list[ProtocolDifference]
    """What both runs say comes first."""
    asked: list[AskedBoth]

    def fallen(self, most: int) -> list[ItemDifference]:
        """Items with a lower score in B, the largest fall first."""
        return [item for item in self.items[:most] if item.difference < 0]

    def risen(self, most: int) -> list[ItemDifference]:
        """Items with a higher score in B, the largest rise first."""
        return [item for item in self.items[: -most - 1 : -1] if item.difference > 0]
