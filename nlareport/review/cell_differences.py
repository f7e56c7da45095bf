"""Two runs cell by cell and item by item, over the items they share.

Enter the scores and cells of two runs and their shared items; leave `CellDifference` and `ItemDifference` rows.
The difference of a cell is that of its items' own differences, so what items share does not widen its interval;
all items of a document move together. It never looks at how the runs were made.

A score is a fraction of V, and V is measured on a run's own items. Where the golds are the same but the runs' items
are not, the same errors would score differently by V alone; so both are then held against one V (`target_scales`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from nlareport.comparison import CellDifference, ItemDifference, SharedItems, TargetScale
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.power import smallest_seen, standard_error
from nlareport.statistics.resampling import bootstrap_ratios, percentile_interval

NORM_TOLERANCE = 0.01
"""How far, in parts of itself, an activation's norm may be from the other run's to be the same activation: batches,
devices and numbers of threads round bfloat16 otherwise."""
ALIKE = 0.95
"""Of so many of the shared items it must be, in parts of all: rounding takes single ones further (of Gemma-3-270M
three in 120, by 1.4% at most, with one thread against two), another block or another model nearly all."""

Interval = tuple[float, float]


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
    keys = [(source.pair_id, target.pair_id) for source in a.pairs for target in a.pairs]
    fve_a = _on_scale(_fve_columns(a.scores, shared.frame["item_a"], keys), keys, _ratios(scales, "a"))
    fve_b = _on_scale(_fve_columns(b.scores, shared.frame["item_b"], keys), keys, _ratios(scales, "b"))
    differences = fve_b - fve_a
    documents = shared.frame["document"].to_numpy()
    intervals = _intervals(differences, documents, draws, seed)
    labels = {pair.pair_id: pair.label for pair in a.pairs}
    stated_a, stated_b = ({(cell.source, cell.target): cell for cell in run.cells} for run in (a, b))
    cells = [
        _cell(
            (labels[source], labels[target]),
            (_stated(stated_a, source, target), _stated(stated_b, source, target)),
            (fve_a[:, column], fve_b[:, column]),
            documents,
            intervals.get(column),
        )
        for column, (source, target) in enumerate(keys)
    ]
    return cells, _items(differences, shared.frame)


def compare_items(a: Measured, b: Measured, shared: SharedItems) -> list[ItemDifference]:
    """Every shared item scored in both runs, each against its own run's V, ordered from fall to rise."""
    keys = [(source.pair_id, target.pair_id) for source in a.pairs for target in a.pairs]
    fve_a = _fve_columns(a.scores, shared.frame["item_a"], keys)
    fve_b = _fve_columns(b.scores, shared.frame["item_b"], keys)
    return _items(fve_b - fve_a, shared.frame)


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
    fve: Float64[np.ndarray, "item cell"], keys: Sequence[tuple[PairId, PairId]], ratios: Mapping[PairId, float]
) -> Float64[np.ndarray, "item cell"]:
    """The same errors under another V: `1 - mse/V'` is `1 - (1 - fve) V/V'`, which needs no `mse_nrm`."""
    ratio = np.array([ratios.get(target, 1.0) for _, target in keys])
    return np.where(ratio == 1.0, fve, 1.0 - (1.0 - fve) * ratio)


def _fve_columns(
    scores: pl.DataFrame, item_ids: pl.Series, keys: Sequence[tuple[PairId, PairId]]
) -> Float64[np.ndarray, "item cell"]:
    """One row per shared item in the order given, one column per cell; NaN where the run has no score."""
    places = pl.DataFrame({"item_id": item_ids, "place": range(len(item_ids))}, schema_overrides={"place": pl.Int64})
    columns = pl.DataFrame(
        {"source": [source for source, _ in keys], "target": [target for _, target in keys], "column": range(len(keys))}
    )
    placed = scores.drop_nulls("fve_nrm").join(places, on="item_id").join(columns, on=["source", "target"])
    values = np.full((len(item_ids), len(keys)), np.nan)
    values[placed["place"].to_numpy(), placed["column"].to_numpy()] = placed["fve_nrm"].to_numpy()
    return values


def _intervals(
    differences: Float64[np.ndarray, "item cell"], documents: Int64[np.ndarray, " item"], draws: int, seed: int
) -> dict[int, Interval]:
    """95% intervals of the columns with values in at least two documents; all from the same drawn documents."""
    known = np.isfinite(differences)
    chosen = [column for column in range(differences.shape[1]) if len(np.unique(documents[known[:, column]])) >= 2]
    if not chosen:
        return {}
    n_documents = int(documents.max()) + 1
    values = np.where(known, differences, 0.0)
    sums = [np.bincount(documents, weights=values[:, column], minlength=n_documents) for column in chosen]
    counts = [np.bincount(documents[known[:, column]], minlength=n_documents) for column in chosen]
    drawn = bootstrap_ratios(np.stack(sums, axis=1), np.stack(counts, axis=1).astype(np.float64), draws, seed)
    return {column: percentile_interval(means) for column, means in zip(chosen, drawn.T, strict=True)}


def _stated(cells: Mapping[tuple[PairId, PairId], Cell], source: PairId, target: PairId) -> Cell:
    """The run's own cell; one without a value where the run has none."""
    return cells.get((source, target), Cell(source, target, "all", None, None, *[None] * 9))


def _cell(
    labels: tuple[str, str],
    stated: tuple[Cell, Cell],
    fve: tuple[Float64[np.ndarray, " item"], Float64[np.ndarray, " item"]],
    documents: Int64[np.ndarray, " item"],
    interval: Interval | None,
) -> CellDifference:
    (a, b), (fve_a, fve_b) = stated, fve
    scored_a, scored_b = np.isfinite(fve_a), np.isfinite(fve_b)
    both: Bool[np.ndarray, " item"] = scored_a & scored_b
    difference = None if a.fve_nrm is None or b.fve_nrm is None else b.fve_nrm - a.fve_nrm
    if both.any():
        # The mean of the items' own differences, not the difference of means: exactly 0 where nothing moved.
        difference = float((fve_b - fve_a)[both].mean())
    return CellDifference(
        source=a.source,
        target=a.target,
        source_label=labels[0],
        target_label=labels[1],
        fve_a=a.fve_nrm,
        low_a=a.ci_low,
        high_a=a.ci_high,
        fve_b=b.fve_nrm,
        low_b=b.ci_low,
        high_b=b.ci_high,
        shared_a=float(fve_a[both].mean()) if both.any() else None,
        shared_b=float(fve_b[both].mean()) if both.any() else None,
        difference=difference,
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        n_items=int(both.sum()),
        n_scored_once=int((scored_a ^ scored_b).sum()),
        n_documents=len(np.unique(documents[both])),
        smallest_seen=None if interval is None else smallest_seen(standard_error(*interval)),
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
