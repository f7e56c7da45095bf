"""Additive source and target effects: how far each pair lifts the cells it writes for, and those it reads.

`fve = level + source effect + target effect`, fitted by least squares to all cross-model cells. It is the fair ordering
of pairs: a plain mean over a source's cells leaves out a different target, its own, for each source.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import Cell, CellKey, Effect, Role
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.document_draws import interval

Value = TypeVar("Value")
Fitted = dict[tuple[Role, PairId], Float64[np.ndarray, " draw"]]
"""The effect of each pair as source or target, on every draw."""
ROLES: tuple[Role, ...] = ("source", "target")


def effects(
    pair_ids: Sequence[PairId],
    values: Mapping[CellKey, float],
    drawn: Mapping[CellKey, Float64[np.ndarray, " draw"]] = MappingProxyType({}),
) -> list[Effect]:
    """The effects of every pair that writes or reads one of these cells, in the pairs' order, first those of sources.

    `values` holds the `fve_nrm` of the cross-model cells, `drawn` that of every draw. None where the cells are too few
    to tell the effects apart; no interval where a cell was not drawn.
    """
    crossing = [
        key
        for source in pair_ids
        for target in pair_ids
        if source != target and (key := CellKey(source, target)) in values
    ]
    fit = (
        _square_fit if len(pair_ids) >= 3 and len(crossing) == len(pair_ids) * (len(pair_ids) - 1) else _incomplete_fit
    )
    fitted = fit(pair_ids, crossing, np.array([[values[key] for key in crossing]]))
    on_draws = None
    if fitted and all(key in drawn for key in crossing):
        on_draws = fit(pair_ids, crossing, np.stack([drawn[key] for key in crossing], axis=1))
    rows = []
    for (role, pair_id), found in fitted.items():
        low, high = interval(None if on_draws is None else on_draws[role, pair_id])
        rows.append(Effect(pair_id, role, float(found[0]), low, high))
    return rows


def cross_model_cells(pairs: Sequence[Pair], cells: Mapping[CellKey, Value]) -> dict[CellKey, Value]:
    """Those cells whose source and target have different vector spaces: the ones that effects are fitted to."""
    known = {pair.pair_id: pair for pair in pairs}
    return {key: cell for key, cell in cells.items() if known[key.source].is_other_model(known[key.target])}


def effects_of_cells(pairs: Sequence[Pair], cells: Sequence[Cell]) -> list[Effect]:
    """The effects of a run of which only the cells are known; without intervals, for nothing can be drawn."""
    values = {
        CellKey(cell.source, cell.target): cell.fve_nrm
        for cell in cells
        if cell.subset == "all" and cell.fve_nrm is not None
    }
    ordered = sorted(pairs, key=lambda pair: pair.ordinal)
    return effects([pair.pair_id for pair in ordered], cross_model_cells(ordered, values))


def _square_fit(
    pair_ids: Sequence[PairId], keys: Sequence[CellKey], columns: Float64[np.ndarray, "draw cell"]
) -> Fitted:
    """The effects where every pair reads every other one."""
    found = _fit(_matrices(pair_ids, dict(zip(keys, columns.T, strict=True))))
    return {(role, pair_id): found[:, r, n] for r, role in enumerate(ROLES) for n, pair_id in enumerate(pair_ids)}


def _incomplete_fit(
    pair_ids: Sequence[PairId], keys: Sequence[CellKey], columns: Float64[np.ndarray, "draw cell"]
) -> Fitted:
    """The effects of a matrix that is not square or has holes; none where its cells do not tell them apart."""
    sides: dict[Role, list[PairId]] = {
        role: [pair_id for pair_id in pair_ids if pair_id in {getattr(key, role) for key in keys}] for role in ROLES
    }
    sources, targets = sides["source"], sides["target"]
    # One column for the level, one a source, one a target; the last row of each role says that its effects sum to 0.
    design = np.zeros((len(keys) + 2, 1 + len(sources) + len(targets)))
    for row, key in enumerate(keys):
        design[row, [0, 1 + sources.index(key.source), 1 + len(sources) + targets.index(key.target)]] = 1.0
    design[-2, 1 : 1 + len(sources)], design[-1, 1 + len(sources) :] = 1.0, 1.0
    # As many cells as effects would be met exactly, by whatever they hold.
    is_told = len(keys) > len(sources) + len(targets) - 1 and np.linalg.matrix_rank(design) == design.shape[1]
    if min(len(sources), len(targets)) < 2 or not is_told:
        return {}
    known = np.concatenate([columns, np.zeros((len(columns), 2))], axis=1)
    found = known @ np.linalg.pinv(design).T
    names = [(role, pair_id) for role in ROLES for pair_id in sides[role]]
    return {name: found[:, 1 + place] for place, name in enumerate(names)}


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
