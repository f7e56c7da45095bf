"""The matrix: one cell per source, target and subset of items, with its mean, interval, null and tails.

Takes the rows of a run and its draws, returns `Cell` rows; it reads no vector. V, and |mu|, of a target are those of
*all* the run's items, also in a subset: so the cells of one target stand on one scale, and a subset's cell is the mean
of its items' `fve_nrm`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nlareport.ports import in_batches
from nlareport.rows.cell_rows import Cell, CellKey
from nlareport.rows.item_rows import Item, NullScore, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.ceiling_fractions import with_ceiling_fractions
from nlareport.statistics.document_draws import NO_INTERVAL, Column, DocumentDraws, Interval, interval
from nlareport.statistics.geometry import SMALLEST_VARIANCE, fve_meannorm
from nlareport.statistics.tag_subsets import STRATA, TagSubset, stratum_subsets

SUBSETS = ("all", "without_outliers", *STRATA)
"""Those that every run has and that are the same for every target, in the order the cells are returned; graded ones
follow, then those of tags."""

TRIMMED_SHARE = 0.1
"""Cut from each end before the trimmed mean is taken."""

DRAWN_AT_ONCE = 400
"""Columns of tags: 10,000 draws of them are 32 MB."""


def summarize(
    pairs: Sequence[Pair],
    items: Sequence[Item],
    scores: Sequence[Score],
    null_scores: Sequence[NullScore],
    draws: DocumentDraws,
    graded: Mapping[PairId, Mapping[str, Collection[int]]] | None = None,
    tagged: Sequence[TagSubset] = (),
) -> list[Cell]:
    """One row per cell that has scores and per subset, in the pairs' order; a subset without a score has no values.

    `without_outliers` holds the items judged not to be outliers; `graded` names further subsets of each target, with
    their items; of `tagged` a cell has those that hold items it speaks of. `draws` are those of `items`. Equal rows in
    any order, with equal draws, give equal cells.
    """
    table = _ItemTable.of(items, draws, graded or {}, tagged)
    pair_of = {pair.pair_id: pair for pair in pairs}
    columns = _score_columns(scores, table, pair_of)
    nulls = _null_columns(null_scores, table)
    intervals = _intervals(columns, table, draws)
    cells = [
        _cell(
            key, subset, members, column, nulls.get(key), pair_of[key.target], intervals.get((key, subset), NO_INTERVAL)
        )
        for key, column in columns.items()
        for subset, members in (table.subsets(key.target) | table.tags_of(column)).items()
    ]
    return with_ceiling_fractions(cells)


@dataclass(frozen=True, slots=True)
class _ItemTable:
    """The run's items in item order: their place in every array here, and the subsets they are in."""

    place: Mapping[int, int]
    shared: dict[str, Bool[np.ndarray, " item"]]
    graded: dict[PairId, dict[str, Bool[np.ndarray, " item"]]]
    tagged: dict[str, Bool[np.ndarray, " item"]]

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        draws: DocumentDraws,
        graded: Mapping[PairId, Mapping[str, Collection[int]]],
        tagged: Sequence[TagSubset],
    ) -> "_ItemTable":
        """The table of these items, in any order."""
        ordered = sorted(items, key=lambda item: item.item_id)
        item_ids = np.array([item.item_id for item in ordered], dtype=np.int64)

        def places_of(subsets: Sequence[TagSubset]) -> dict[str, Bool[np.ndarray, " item"]]:
            return {subset.subset: np.isin(item_ids, sorted(subset.item_ids)) for subset in subsets}

        return cls(
            place=draws.place_of,
            shared={
                "all": np.ones(len(ordered), dtype=np.bool_),
                "without_outliers": np.array([item.is_outlier is False for item in ordered], dtype=np.bool_),
                **places_of(stratum_subsets(ordered)),
            },
            graded={
                target: {name: np.isin(item_ids, sorted(members)) for name, members in subsets.items()}
                for target, subsets in graded.items()
            },
            tagged=places_of(tagged),
        )

    def subsets(self, target: PairId) -> dict[str, Bool[np.ndarray, " item"]]:
        """Every subset of a target's cells by name, those of tags apart."""
        return self.shared | self.graded.get(target, {})

    def tags_of(self, column: "_Column") -> dict[str, Bool[np.ndarray, " item"]]:
        """The subsets of tags, as far as they hold items that a cell has a row for."""
        return {subset: members for subset, members in self.tagged.items() if (members & column.has_row).any()}


@dataclass(frozen=True, slots=True)
class _Column:
    """The scores of one cell, in the places of the item table."""

    has_row: Bool[np.ndarray, " item"]
    is_scored: Bool[np.ndarray, " item"]
    mse: Float64[np.ndarray, " item"]
    """NaN where it is not known."""
    fve: Float64[np.ndarray, " item"]
    """NaN where it is not known."""


def _score_columns(
    scores: Iterable[Score], table: _ItemTable, pair_of: Mapping[PairId, Pair]
) -> dict[CellKey, _Column]:
    """The cells that have a row, in the pairs' order."""
    rows: dict[CellKey, list[Score]] = defaultdict(list)
    for score in scores:
        rows[CellKey(score.source, score.target)].append(score)
    ordered = sorted(rows, key=lambda key: (pair_of[key.source].ordinal, pair_of[key.target].ordinal))
    return {key: _column(rows[key], table, pair_of[key.target].variance_nrm) for key in ordered}


def _column(scores: Sequence[Score], table: _ItemTable, variance: float | None) -> _Column:
    n_items = len(table.place)
    places = [table.place[score.item_id] for score in scores]
    has_row = np.zeros(n_items, dtype=np.bool_)
    has_row[places] = True
    mse, fve = np.full(n_items, np.nan), np.full(n_items, np.nan)
    # None becomes NaN in an array of floats.
    mse[places] = [score.mse_nrm for score in scores]
    fve[places] = [score.fve_nrm for score in scores]
    is_scored = np.isfinite(mse) | np.isfinite(fve)
    # A bundle may state only one of the two; the other follows where V is known.
    if variance:
        fve = np.where(np.isfinite(fve), fve, 1.0 - mse / variance)
        mse = np.where(np.isfinite(mse), mse, (1.0 - fve) * variance)
    return _Column(has_row, is_scored, mse, fve)


def _null_columns(
    null_scores: Iterable[NullScore], table: _ItemTable
) -> dict[CellKey, tuple[Int64[np.ndarray, " null"], Float64[np.ndarray, " null"]]]:
    """Per cell, places and `mse_nrm` of all its permutations, in an order of their own."""
    rows: dict[CellKey, list[tuple[int, int, float]]] = defaultdict(list)
    for null in null_scores:
        rows[CellKey(null.source, null.target)].append((table.place[null.item_id], null.permutation, null.mse_nrm))
    columns = {}
    for key, entries in rows.items():
        # Floating-point sums depend on their order; rows may come in any.
        entries.sort()
        columns[key] = (np.array([place for place, _, _ in entries]), np.array([mse for _, _, mse in entries]))
    return columns


def _cell(
    key: CellKey,
    subset: str,
    members: Bool[np.ndarray, " item"],
    column: _Column,
    null: tuple[Int64[np.ndarray, " null"], Float64[np.ndarray, " null"]] | None,
    target: Pair,
    ends: Interval,
) -> Cell:
    """The cell without its ceiling fraction, which needs the diagonal."""
    chosen = members & column.is_scored
    fve, mse = _known(column.fve[chosen]), _known(column.mse[chosen])
    null_mse = None if null is None else _known(null[1][members[null[0]]])
    return Cell(
        source=key.source,
        target=key.target,
        subset=subset,
        n_scored=int(chosen.sum()),
        n_unscored=int((members & column.has_row & ~column.is_scored).sum()),
        fve_nrm=None if fve is None else float(fve.mean()),
        ci_low=ends[0],
        ci_high=ends[1],
        fve_meannorm=_meannorm(mse, target.mean_norm),
        median=None if fve is None else float(np.median(fve)),
        trimmed_mean=None if fve is None else _trimmed_mean(fve),
        share_below_zero=None if fve is None else float((fve < 0).mean()),
        null_fve=None if null_mse is None or not target.variance_nrm else _fve(null_mse, target.variance_nrm),
        ceiling_fraction=None,
    )


def _known(values: Float64[np.ndarray, " item"]) -> Float64[np.ndarray, " item"] | None:
    """The values when there are any and all are known; a mean of some would pass for a mean of all."""
    return values if len(values) and bool(np.isfinite(values).all()) else None


def _fve(mse: Float64[np.ndarray, " item"], variance: float) -> float:
    return 1.0 - float(mse.mean()) / variance


def _meannorm(mse: Float64[np.ndarray, " item"] | None, mean_norm: float | None) -> float | None:
    """None where |mu| is not known, or is 1: then no fraction exists."""
    if mse is None or mean_norm is None or 1.0 - mean_norm <= SMALLEST_VARIANCE:
        return None
    return fve_meannorm(float(mse.mean()), mean_norm)


def _trimmed_mean(values: Float64[np.ndarray, " item"]) -> float:
    """Mean of the middle 80%; each end loses a tenth, rounded down to whole items."""
    cut = int(TRIMMED_SHARE * len(values))
    return float(np.sort(values)[cut : len(values) - cut].mean())


def _intervals(
    columns: Mapping[CellKey, _Column], table: _ItemTable, draws: DocumentDraws
) -> dict[tuple[CellKey, str], Interval]:
    """95% intervals of the cells whose every score is known."""
    found = _drawn([(key, *subset) for key in columns for subset in table.subsets(key.target).items()], columns, draws)
    # Apart from the others: those stay what they are to the last bit, with and without tags. And not all at once: of
    # many tags not every column fits into memory.
    tagged = [(key, *subset) for key in columns for subset in table.tagged.items()]
    for some in in_batches(tagged, DRAWN_AT_ONCE):
        found |= _drawn(some, columns, draws)
    return found


def _drawn(
    subsets: Sequence[tuple[CellKey, str, Bool[np.ndarray, " item"]]],
    columns: Mapping[CellKey, _Column],
    draws: DocumentDraws,
) -> dict[tuple[CellKey, str], Interval]:
    """The intervals of these subsets of cells."""
    known = {}
    for key, subset, members in subsets:
        chosen = members & columns[key].is_scored
        fve = _known(columns[key].fve[chosen])
        if fve is not None:
            known[key, subset] = Column(fve, draws.documents[chosen])
    return {
        (key, subset): interval(None if means is None else draws.on_scale(key.target).rescale(means))
        for (key, subset), means in zip(known, draws.means(list(known.values())), strict=True)
    }
