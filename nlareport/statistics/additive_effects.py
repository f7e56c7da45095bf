"""Additive source and target effects: how far each pair lifts the cells it writes for, and those it reads.

`fve = level + source effect + target effect`, fitted by least squares to all cross-model cells. It is the fair ordering
of pairs: a plain mean over a source's cells leaves out a different target, its own, for each source.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import Cell, CellKey, Effect
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.document_draws import interval


def effects(
    pair_ids: Sequence[PairId],
    values: Mapping[CellKey, float],
    drawn: Mapping[CellKey, Float64[np.ndarray, " draw"]] = MappingProxyType({}),
) -> list[Effect]:
    """Two rows a pair, in the pairs' order, from the `fve_nrm` of cells and, for intervals, from that of every draw.

    None with fewer than three pairs or an incomplete matrix; no interval where a cell was not drawn.
    """
    crossing = [CellKey(source, target) for source in pair_ids for target in pair_ids if source != target]
    if len(pair_ids) < 3 or not all(key in values for key in crossing):
        return []
    fitted = _fit(_matrices(pair_ids, {key: np.array([values[key]]) for key in crossing}))
    on_draws = None
    if all(key in drawn for key in crossing):
        on_draws = _fit(_matrices(pair_ids, {key: drawn[key] for key in crossing}))
    rows = []
    for role in (0, 1):
        for number, pair_id in enumerate(pair_ids):
            low, high = interval(None if on_draws is None else on_draws[:, role, number])
            rows.append(Effect(pair_id, ("source", "target")[role], float(fitted[0, role, number]), low, high))
    return rows


def effects_of_cells(pairs: Sequence[Pair], cells: Sequence[Cell]) -> list[Effect]:
    """The effects of a run of which only the cells are known; without intervals, for nothing can be drawn."""
    values = {
        CellKey(cell.source, cell.target): cell.fve_nrm
        for cell in cells
        if cell.subset == "all" and cell.fve_nrm is not None
    }
    ordered = sorted(pairs, key=lambda pair: pair.ordinal)
    return effects([pair.pair_id for pair in ordered], values)


def _matrices(
    pair_ids: Sequence[PairId], cells: Mapping[CellKey, Float64[np.ndarray, " draw"]]
) -> Float64[np.ndarray, "draw source target"]:
    """The cells as a matrix a draw, 0 on its diagonal."""
    place = {pair_id: number for number, pair_id in enumerate(pair_ids)}
    n_draws = len(next(iter(cells.values())))
    matrices = np.zeros((n_draws, len(pair_ids), len(pair_ids)))
    for (source, target), column in cells.items():
        matrices[:, place[source], place[target]] = column
    return matrices


def _fit(cells: Float64[np.ndarray, "draw source target"]) -> Float64[np.ndarray, "draw role pair"]:
    """The least-squares effects of matrices whose diagonals are 0.

    With n pairs, row sum r and column sum c of a pair, each less (n-1) times the level, its source effect is
    ((n-1) r + c) / (n (n-2)), its target effect ((n-1) c + r) / (n (n-2)).
    """
    n = cells.shape[1]
    level = cells.sum(axis=(1, 2)) / (n * (n - 1))
    rows = cells.sum(axis=2) - (n - 1) * level[:, np.newaxis]
    columns = cells.sum(axis=1) - (n - 1) * level[:, np.newaxis]
    both: Float64[np.ndarray, "draw role pair"] = np.stack(
        [(n - 1) * rows + columns, (n - 1) * columns + rows], axis=1
    ) / (n * (n - 2))
    return both
