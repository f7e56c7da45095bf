"""Paired differences of two runs: each cell, and each item, over the items both runs measured.

Takes the scores and cells of two runs and their shared items, returns `CellDifference` and `ItemDifference` rows.
The difference of a cell is that of its items' own differences, so what items share does not widen its interval;
all items of a document move together. How the runs were made plays no part.

A score is a fraction of V, and V is measured on a run's own items. Where the golds are the same but the runs' items
are not, the same errors would score differently by V alone; so both are then held against one V (`target_scales`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from nlareport.comparison import CellDifference, ItemDifference, SharedItems, TargetScale
from nlareport.rows.cell_rows import Cell, CellKey
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.document_draws import Column, DocumentDraws, Interval
from nlareport.statistics.geometry import rescaled_fve
from nlareport.statistics.power import minimum_detectable_difference, standard_error

NORM_TOLERANCE = 0.01
"""How far apart, as a share of the larger, two runs' norms of one activation may be: batches, devices and numbers of
threads round bfloat16 differently."""
ALIKE = 0.95
"""The share of the shared items at which it must: rounding takes single ones further (of Gemma-3-270M three in 120, by
1.4% at most, with one thread against two), another block or another model nearly all."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run measured of the pairs that both have."""

    pairs: Sequence[Pair]
    cells: Sequence[Cell]
    """Over all the run's items."""
    scores: pl.DataFrame
    """`item_id`, `source`, `target`, `fve_nrm`."""
    norms: pl.DataFrame
    """`item_id`, `pair_id`, `activation_norm`."""
    n_items: int


class _Stated(NamedTuple):
    """What a run itself says of a cell; nothing where it has none."""

    fve: float | None = None
    low: float | None = None
    high: float | None = None


def target_scales(a: Measured, b: Measured, shared: SharedItems) -> list[TargetScale]:
    """One per pair of A, which B must have too: the V under which cells of this target are compared.

    With the same golds that is V of the run with fewer items, and the mean of both where they have as many: when one
    run's items are all in the other, exactly V of the shared items.
    """
    same = _same_norms(a.norms, b.norms, shared.frame)
    of_b = {pair.pair_id: pair for pair in b.pairs}
    scales = []
    for pair in a.pairs:
        in_a, in_b = pair.variance_nrm, of_b[pair.pair_id].variance_nrm
        same_golds, common = same.get(pair.pair_id), None
        if same_golds and in_a and in_b:
            common = (in_a + in_b) / 2 if a.n_items == b.n_items else in_a if a.n_items < b.n_items else in_b
        scales.append(TargetScale(pair.pair_id, pair.label, in_a, in_b, same_golds, common))
    return scales


def compare_cells(
    a: Measured, b: Measured, shared: SharedItems, scales: Sequence[TargetScale], draws: int, seed: int
) -> tuple[list[CellDifference], list[ItemDifference]]:
    """Every cell of A's pairs row by row, and every shared item scored in both runs, ordered from fall to rise.

    Without shared items the cells are compared by the runs' own values and have no interval.
    """
    keys = _keys(a)
    fve_a = _on_scale(_fve_columns(a.scores, shared.frame["item_a"], keys), keys, _ratios(scales, "a"))
    fve_b = _on_scale(_fve_columns(b.scores, shared.frame["item_b"], keys), keys, _ratios(scales, "b"))
    differences = fve_b - fve_a
    documents = shared.frame["document"].to_numpy()
    intervals = _intervals(differences, DocumentDraws(documents, draws, seed))
    labels = {pair.pair_id: pair.label for pair in a.pairs}
    stated_a, stated_b = _stated(a), _stated(b)
    cells = [
        _cell(
            key,
            (labels[key.source], labels[key.target]),
            (stated_a.get(key, _Stated()), stated_b.get(key, _Stated())),
            (fve_a[:, column], fve_b[:, column]),
            documents,
            intervals[column],
        )
        for column, key in enumerate(keys)
    ]
    return cells, _items(differences, shared.frame)


def compare_items(a: Measured, b: Measured, shared: SharedItems) -> list[ItemDifference]:
    """Every shared item scored in both runs, each against its own run's V, ordered from fall to rise."""
    keys = _keys(a)
    fve_a = _fve_columns(a.scores, shared.frame["item_a"], keys)
    fve_b = _fve_columns(b.scores, shared.frame["item_b"], keys)
    return _items(fve_b - fve_a, shared.frame)


def _keys(run: Measured) -> list[CellKey]:
    """Every cell of its pairs, row by row."""
    return [CellKey(source.pair_id, target.pair_id) for source in run.pairs for target in run.pairs]


def _stated(run: Measured) -> dict[CellKey, _Stated]:
    return {CellKey(cell.source, cell.target): _Stated(cell.fve_nrm, cell.ci_low, cell.ci_high) for cell in run.cells}


def _same_norms(norms_a: pl.DataFrame, norms_b: pl.DataFrame, items: pl.DataFrame) -> dict[PairId, bool]:
    """For each pair with norms of shared items in both runs, whether they agree at nearly all of them."""
    a, b = pl.col("activation_norm"), pl.col("activation_norm_b")
    agree = (
        items.select("item_a", "item_b")
        .join(norms_a, left_on="item_a", right_on="item_id")
        .join(norms_b, left_on=["item_b", "pair_id"], right_on=["item_id", "pair_id"], suffix="_b")
        .group_by("pair_id")
        .agg((((a - b).abs() <= NORM_TOLERANCE * pl.max_horizontal(a, b)).mean() >= ALIKE).alias("agrees"))
    )
    return {PairId(pair_id): agrees for pair_id, agrees in agree.iter_rows()}


def _ratios(scales: Sequence[TargetScale], side: str) -> dict[PairId, float]:
    """The run's own V over the V its scores are to be held against, by target; 1 where that is its own."""
    own = {scale.target: scale.variance_a if side == "a" else scale.variance_b for scale in scales}
    return {
        scale.target: variance / scale.common_variance
        for scale in scales
        if scale.common_variance and (variance := own[scale.target])
    }


def _on_scale(
    fve: Float64[np.ndarray, "item cell"], keys: Sequence[CellKey], ratios: dict[PairId, float]
) -> Float64[np.ndarray, "item cell"]:
    """The same errors as shares of the V that both runs are held against."""
    scaled = fve.copy()
    for column, key in enumerate(keys):
        # A ratio of 1 would still round.
        if (ratio := ratios.get(key.target, 1.0)) != 1.0:
            scaled[:, column] = rescaled_fve(fve[:, column], ratio)
    return scaled


def _fve_columns(
    scores: pl.DataFrame, item_ids: pl.Series, keys: Sequence[CellKey]
) -> Float64[np.ndarray, "item cell"]:
    """One row per shared item in the order given, one column per cell; NaN where the run has no score."""
    places = pl.DataFrame({"item_id": item_ids, "place": range(len(item_ids))}, schema_overrides={"place": pl.Int64})
    columns = pl.DataFrame(
        {"source": [key.source for key in keys], "target": [key.target for key in keys], "column": range(len(keys))}
    )
    placed = scores.drop_nulls("fve_nrm").join(places, on="item_id").join(columns, on=["source", "target"])
    values = np.full((len(item_ids), len(keys)), np.nan)
    values[placed["place"].to_numpy(), placed["column"].to_numpy()] = placed["fve_nrm"].to_numpy()
    return values


def _intervals(differences: Float64[np.ndarray, "item cell"], draws: DocumentDraws) -> list[Interval]:
    """The 95% interval of each cell's mean difference; all from the same drawn documents."""
    known = np.isfinite(differences)
    return draws.intervals(
        [
            Column(column[is_known], draws.documents[is_known])
            for column, is_known in zip(differences.T, known.T, strict=True)
        ]
    )


def _cell(
    key: CellKey,
    labels: tuple[str, str],
    stated: tuple[_Stated, _Stated],
    fve: tuple[Float64[np.ndarray, " item"], Float64[np.ndarray, " item"]],
    documents: Int64[np.ndarray, " item"],
    interval: Interval,
) -> CellDifference:
    (a, b), (fve_a, fve_b) = stated, fve
    scored_a, scored_b = np.isfinite(fve_a), np.isfinite(fve_b)
    both: Bool[np.ndarray, " item"] = scored_a & scored_b
    difference = None if a.fve is None or b.fve is None else b.fve - a.fve
    if both.any():
        # The mean of the items' own differences, not the difference of means: exactly 0 where nothing moved.
        difference = float((fve_b - fve_a)[both].mean())
    return CellDifference(
        source=key.source,
        target=key.target,
        source_label=labels[0],
        target_label=labels[1],
        fve_a=a.fve,
        low_a=a.low,
        high_a=a.high,
        fve_b=b.fve,
        low_b=b.low,
        high_b=b.high,
        shared_a=float(fve_a[both].mean()) if both.any() else None,
        shared_b=float(fve_b[both].mean()) if both.any() else None,
        difference=difference,
        low=interval[0],
        high=interval[1],
        n_items=int(both.sum()),
        n_scored_once=int((scored_a ^ scored_b).sum()),
        n_documents=len(np.unique(documents[both])),
        minimum_detectable_difference=(
            None if interval[0] is None else minimum_detectable_difference(standard_error(*interval))
        ),
    )


def _items(differences: Float64[np.ndarray, "item cell"], items: pl.DataFrame) -> list[ItemDifference]:
    known = np.isfinite(differences)
    n_cells = known.sum(axis=1)
    totals = np.where(known, differences, 0.0).sum(axis=1)
    moved = items.with_columns(
        difference=pl.Series(np.divide(totals, n_cells, out=np.zeros_like(totals), where=n_cells > 0)),
        n_cells=pl.Series(n_cells, dtype=pl.Int64),
    )
    ordered = moved.filter(pl.col("n_cells") > 0).sort("difference", maintain_order=True).drop("document")
    return [ItemDifference(**row) for row in ordered.iter_rows(named=True)]
