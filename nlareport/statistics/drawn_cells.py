"""The matrix over all items on every bootstrap draw, for statistics that hold cells against each other."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import CellKey
from nlareport.rows.item_rows import Score
from nlareport.statistics.document_draws import DocumentDraws


@dataclass(frozen=True, slots=True)
class DrawnCells:
    """The cells over all items: their values, and those of every draw of documents."""

    values: dict[CellKey, float]
    n_scored: dict[CellKey, int]
    drawn: dict[CellKey, Float64[np.ndarray, " draw"]]
    """Only cells that have an interval; NaN where a draw holds none of their items."""


def draw_cells(scores: Sequence[Score], draws: DocumentDraws) -> DrawnCells:
    """Every cell that has scores."""
    scored: dict[CellKey, list[tuple[int, float]]] = defaultdict(list)
    for score in scores:
        if score.fve_nrm is not None:
            scored[CellKey(score.source, score.target)].append((score.item_id, score.fve_nrm))
    columns = {}
    for key, found in scored.items():
        # In item order: floating-point sums depend on it, and a cell must equal the one in the cell table.
        ordered = sorted(found)
        columns[key] = draws.column(np.array([fve for _, fve in ordered]), [item_id for item_id, _ in ordered])
    return DrawnCells(
        values={key: float(column.values.mean()) for key, column in columns.items()},
        n_scored={key: len(column.values) for key, column in columns.items()},
        drawn={
            key: draws.on_scale(key.target).rescale(means)
            for key, means in zip(columns, draws.means(list(columns.values())), strict=True)
            if means is not None
        },
    )
