"""Cells beside one another, draw by draw: each over its target's ceiling, and what sources and targets add.

Enter scores; leave `Measure` rows of ceiling fractions and `Effect` rows. All cells share the drawn documents, so a
fraction's cell and ceiling move together, and the additive fit is made anew in each draw.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import Effect, Measure
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval

CellName = tuple[PairId, PairId]
Interval = tuple[float, float] | tuple[None, None]


@dataclass(frozen=True, slots=True)
class DrawnCells:
    """The cells over all items: their values, and those of every draw of documents."""

    values: dict[CellName, float]
    n_scored: dict[CellName, int]
    drawn: dict[CellName, Float64[np.ndarray, " draw"]]
    """Only cells scored in at least two documents; NaN where a draw holds none of their items."""


def draw_cells(
    scores: Sequence[Score],
    document_of: Mapping[int, int],
    draws: int,
    seed: int,
    variance_ratios: Mapping[PairId, Float64[np.ndarray, " draw"]],
) -> DrawnCells:
    """Every cell that has scores; `document_of` numbers the document of every item of the run from 0.

    `variance_ratios` holds V over V of each draw for the targets whose V is drawn too.
    """
    scored: dict[CellName, list[tuple[int, float]]] = defaultdict(list)
    for score in scores:
        if score.fve_nrm is not None:
            scored[score.source, score.target].append((score.item_id, score.fve_nrm))
    columns, values = {}, {}
    for key, found in scored.items():
        # In item order: floating-point sums depend on it, and a cell must equal the one in the cell table.
        fve = np.array([fve for _, fve in sorted(found)])
        columns[key] = (fve, np.array([document_of[item_id] for item_id, _ in sorted(found)], dtype=np.int64))
        values[key] = float(fve.mean())
    n_documents = max(document_of.values(), default=-1) + 1
    means = bootstrap_columns(list(columns.values()), n_documents, draws, seed) if columns else np.zeros((draws, 0))
    return DrawnCells(
        values=values,
        n_scored={key: len(fve) for key, (fve, _) in columns.items()},
        # 1 - mse/V* is 1 - (1 - fve) V/V*.
        drawn={
            key: 1.0 - (1.0 - mean) * variance_ratios.get(key[1], 1.0)
            for (key, (_, documents)), mean in zip(columns.items(), means.T, strict=True)
            if (documents != documents[0]).any()
        },
    )


def ceiling_fractions(cells: DrawnCells) -> list[Measure]:
    """Every cross-model cell over its target's diagonal, each over its own scored items, as in `cell.ceiling_fraction`.

    None where the diagonal is not above 0. Where it is not above 0 in some draw, a fraction would be of nothing there,
    and there is no interval.
    """
    found = []
    for (source, target), value in cells.values.items():
        ceiling = cells.values.get((target, target), 0.0)
        if source == target or ceiling <= 0:
            continue
        low, high = _fraction_interval(cells.drawn.get((source, target)), cells.drawn.get((target, target)))
        n_scored = cells.n_scored[source, target]
        found.append(Measure(source, target, "ceiling_fraction", value / ceiling, low, high, None, n_scored))
    return found


def _fraction_interval(
    cell: Float64[np.ndarray, " draw"] | None, ceiling: Float64[np.ndarray, " draw"] | None
) -> Interval:
    if cell is None or ceiling is None:
        return None, None
    both = np.isfinite(cell) & np.isfinite(ceiling)
    if not both.any() or (ceiling[both] <= 0).any():
        return None, None
    return percentile_interval(cell[both] / ceiling[both])


def effects(pair_ids: Sequence[PairId], cells: DrawnCells) -> list[Effect]:
    """`fve = level + source effect + target effect`, fitted by least squares to all cross-model cells.

    Two rows a pair, in the pairs' order. None with fewer than three pairs or an incomplete matrix; no interval where
    a cell has none.
    """
    crossing = [(source, target) for source in pair_ids for target in pair_ids if source != target]
    if len(pair_ids) < 3 or not all(key in cells.values for key in crossing):
        return []
    place = {pair_id: number for number, pair_id in enumerate(pair_ids)}
    matrix = np.zeros((1, len(pair_ids), len(pair_ids)))
    for source, target in crossing:
        matrix[0, place[source], place[target]] = cells.values[source, target]
    fitted, drawn = _fit(matrix), None
    if all(key in cells.drawn for key in crossing):
        draws = np.zeros((len(cells.drawn[crossing[0]]), len(pair_ids), len(pair_ids)))
        for source, target in crossing:
            draws[:, place[source], place[target]] = cells.drawn[source, target]
        drawn = _fit(draws)
    rows = []
    for role in (0, 1):
        for pair_id, number in place.items():
            low, high = (None, None) if drawn is None else percentile_interval(drawn[:, role, number])
            rows.append(Effect(pair_id, ("source", "target")[role], float(fitted[0, role, number]), low, high))
    return rows


def _fit(cells: Float64[np.ndarray, "draw source target"]) -> Float64[np.ndarray, "draw role pair"]:
    """The least-squares effects of matrices whose diagonals are 0, as in the query `source_effects`."""
    n = cells.shape[1]
    level = cells.sum(axis=(1, 2)) / (n * (n - 1))
    rows = cells.sum(axis=2) - (n - 1) * level[:, np.newaxis]
    columns = cells.sum(axis=1) - (n - 1) * level[:, np.newaxis]
    both: Float64[np.ndarray, "draw role pair"] = np.stack(
        [(n - 1) * rows + columns, (n - 1) * columns + rows], axis=1
    ) / (n * (n - 2))
    return both
