"""Resemblances to figures of a cell that need no V: centred cosine, and how often the own gold is told from others.

Enter `Resemblance` rows, cell by cell, with the floor of each; leave `Measure` rows. It reads no vector.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from nlareport.rows.cell_rows import Measure, MeasureName
from nlareport.rows.item_rows import Resemblance
from nlareport.rows.run_rows import PairId
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval

CHOICES: dict[MeasureName, int | None] = {"identified_of_2": 2, "identified_of_10": 10, "identified_of_all": None}
"""Among how many golds the own one is to be the nearest; None: among it and all of other documents."""


class Column(NamedTuple):
    """One figure of a cell, item by item."""

    measure: MeasureName
    values: Float64[np.ndarray, " value"]
    documents: Int[np.ndarray, " value"]
    chance: float | None


def identification(
    n_nearer: Int[np.ndarray, " item"], n_others: Int[np.ndarray, " item"], k: int
) -> Float64[np.ndarray, " item"]:
    """The chance that the own gold is the nearest among it and k - 1 of the others, drawn without putting back.

    `C(n_others - n_nearer, k - 1) / C(n_others, k - 1)`; every item has at least k - 1 others.
    """
    found = np.ones(len(n_others))
    for place in range(k - 1):
        found *= np.maximum(n_others - n_nearer - place, 0) / (n_others - place)
    return found


def measure_cells(
    rows: Mapping[tuple[PairId, PairId], Sequence[Resemblance]],
    floors: Mapping[tuple[PairId, PairId], float | None],
    document_of: Mapping[int, int],
    draws: int,
    seed: int,
) -> list[Measure]:
    """Up to four rows a cell, in the cells' order; a measure without an item has none.

    `document_of` numbers the document of every item of the run from 0. An item of a run with fewer than k - 1 golds
    of other documents is left out of identification among k. Intervals share the drawn documents between all cells.
    """
    columns = [(key, column) for key, found in rows.items() for column in _columns(found, floors[key], document_of)]
    if not columns:
        return []
    n_documents = max(document_of.values()) + 1
    drawn = bootstrap_columns([(column.values, column.documents) for _, column in columns], n_documents, draws, seed)
    return [_measure(key, column, means) for (key, column), means in zip(columns, drawn.T, strict=True)]


def _columns(rows: Sequence[Resemblance], floor: float | None, document_of: Mapping[int, int]) -> list[Column]:
    """The figures of one cell that have an item."""
    documents = np.array([document_of[row.item_id] for row in rows], dtype=np.int64)
    n_nearer = np.array([row.n_nearer for row in rows], dtype=np.int64)
    n_others = np.array([row.n_others for row in rows], dtype=np.int64)
    # None becomes NaN in an array of floats.
    cosines = np.array([row.centred_cosine for row in rows], dtype=np.float64)
    known = np.isfinite(cosines)
    columns = [Column("centred_cosine", cosines[known], documents[known], floor)]
    for measure, k in CHOICES.items():
        enough: Bool[np.ndarray, " item"] = n_others >= (1 if k is None else k - 1)
        nearer, others = n_nearer[enough], n_others[enough]
        values = (nearer == 0).astype(np.float64) if k is None else identification(nearer, others, k)
        columns.append(Column(measure, values, documents[enough], _chance(others, k)))
    return [column for column in columns if len(column.values)]


def _chance(n_others: Int[np.ndarray, " item"], k: int | None) -> float | None:
    if k is not None:
        return 1.0 / k
    return float((1.0 / (n_others + 1)).mean()) if len(n_others) else None


def _measure(key: tuple[PairId, PairId], column: Column, drawn: Float[np.ndarray, " draw"]) -> Measure:
    has_interval = bool((column.documents != column.documents[0]).any())
    low, high = percentile_interval(drawn) if has_interval else (None, None)
    value = float(column.values.mean())
    return Measure(*key, column.measure, value, low, high, column.chance, len(column.values))
