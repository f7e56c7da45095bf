"""Ceiling fraction: a cell's score over that of its target reading its own explanations, with a bootstrap interval.

The diagonal is the target's ceiling, so that a fraction says how much of what the target can read another model wrote.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import Cell, CellKey, Measure
from nlareport.statistics.document_draws import interval
from nlareport.statistics.drawn_cells import DrawnCells


def ceiling_fraction(fve_nrm: float | None, ceiling: float | None) -> float | None:
    """A cell's `fve_nrm` over its target's diagonal on the same subset; None where the latter is not above 0."""
    return fve_nrm / ceiling if fve_nrm is not None and ceiling is not None and ceiling > 0 else None


def with_ceiling_fractions(cells: Sequence[Cell]) -> list[Cell]:
    """The cells in their order, each with the fraction that its diagonal gives it unless it states one."""
    ceilings = {(cell.target, cell.subset): cell.fve_nrm for cell in cells if cell.source == cell.target}
    return [
        replace(cell, ceiling_fraction=ceiling_fraction(cell.fve_nrm, ceilings.get((cell.target, cell.subset))))
        if cell.ceiling_fraction is None
        else cell
        for cell in cells
    ]


def ceiling_measures(cells: DrawnCells) -> list[Measure]:
    """Every cross-model cell's ceiling fraction, each of the two over its own scored items, as in the table `cell`.

    Cell and ceiling are drawn together. Where the ceiling is not above 0 in some draw, a fraction would be of nothing
    there, and there is no interval.
    """
    found = []
    for (source, target), value in cells.values.items():
        diagonal = CellKey(target, target)
        fraction = ceiling_fraction(value, cells.values.get(diagonal))
        if source == target or fraction is None:
            continue
        key = CellKey(source, target)
        low, high = interval(_drawn_fraction(cells.drawn.get(key), cells.drawn.get(diagonal)))
        found.append(Measure(source, target, "ceiling_fraction", fraction, low, high, None, cells.n_scored[key]))
    return found


def _drawn_fraction(
    cell: Float64[np.ndarray, " draw"] | None, ceiling: Float64[np.ndarray, " draw"] | None
) -> Float64[np.ndarray, " known"] | None:
    """The fraction on every draw that holds both; None where it has no interval."""
    if cell is None or ceiling is None:
        return None
    both = np.isfinite(cell) & np.isfinite(ceiling)
    if not both.any() or (ceiling[both] <= 0).any():
        return None
    fractions: Float64[np.ndarray, " known"] = cell[both] / ceiling[both]
    return fractions
