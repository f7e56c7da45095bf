"""Identification: how near each reconstruction came to its own gold, and how often it tells that gold from others.

From the target's golds and its reconstructions come `Resemblance` rows, and from these the figures of a cell that need
no V: the centred cosine, and identification among 2, among 10 and among all.

A cosine with a reconstruction differs between golds only by what is left once their mean is taken away: with
u = mu + c and p = mu + q, `p·u = p·mu + mu·c + q·c`, and `p·mu` is the same for all of them. So the large product,
q·c for every reconstruction and gold, is made of centred vectors. They hold the differences alone, and float32 keeps
seven digits of these even where all golds share nearly one direction; `mu·c` is added in float64.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import CellKey, Measure
from nlareport.rows.item_rows import Resemblance
from nlareport.rows.measures import MeasureName
from nlareport.rows.run_rows import PairId
from nlareport.statistics.document_draws import Column, DocumentDraws
from nlareport.statistics.draw_folding import fold_values
from nlareport.statistics.geometry import Centred, unit_rows

CHOICES: dict[MeasureName, int | None] = {"identified_of_2": 2, "identified_of_10": 10, "identified_of_all": None}
"""Among how many golds the own one is to be the nearest; None: among it and all of other documents."""


TIE = 1e-6
"""Cosines this close, in parts of the product of the centred norms, are equal: float32 tells no finer."""

SMALLEST_NORM = 1e-12
"""A centred vector shorter than this is rounding noise: the unit vector is the mean itself."""

_ROWS_AT_ONCE = 256
_ENTRIES_AT_ONCE = 4_000_000
"""Of rows times golds: 32 MB in float64."""


@dataclass(frozen=True, slots=True)
class CentredGolds:
    """One target's golds once their mean direction is taken away, made once for all of its sources."""

    pair_id: PairId
    item_ids: Int64[np.ndarray, " item"]
    documents: Int64[np.ndarray, " item"]
    """The number of each gold's document."""
    about: Centred


@dataclass(frozen=True, slots=True)
class CellResemblance:
    """One cell's rows, and the floor they stand on."""

    rows: list[Resemblance]
    others_cosine: float | None
    """Mean centred cosine of the reconstructions with the golds of all other documents. None when there is none."""


class _Figure(NamedTuple):
    """One figure of a cell, item by item."""

    measure: MeasureName
    column: Column
    chance: float | None


def resemble(source: PairId, gold: CentredGolds, reconstruction: ActivationBatch) -> CellResemblance:
    """One row per reconstruction that has a direction and a gold, in the golds' order."""
    row_of = {item_id: row for row, item_id in enumerate(reconstruction.item_ids.tolist())}
    matched = [(place, row_of[item]) for place, item in enumerate(gold.item_ids.tolist()) if item in row_of]
    both = np.array(matched, dtype=np.int64).reshape(len(matched), 2)
    rows: list[Resemblance] = []
    floors: list[Float64[np.ndarray, " answer"]] = []
    at_once = max(1, min(_ROWS_AT_ONCE, _ENTRIES_AT_ONCE // max(1, len(gold.item_ids))))
    for chosen in _blocks(len(both), at_once):
        vectors, places = reconstruction.vectors[both[chosen, 1]], both[chosen, 0]
        has_direction = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
        found, floor = _block(source, gold, places[has_direction], unit_rows(vectors[has_direction]) - gold.about.mean)
        rows += found
        floors.append(floor)
    known = np.concatenate(floors) if floors else np.zeros(0)
    known = known[np.isfinite(known)]
    return CellResemblance(rows, float(known.mean()) if len(known) else None)


def _block(
    source: PairId,
    gold: CentredGolds,
    places: Int64[np.ndarray, " answer"],
    centred: Float64[np.ndarray, "answer d_model"],
) -> tuple[list[Resemblance], Float64[np.ndarray, " answer"]]:
    """The rows of some reconstructions, and of each its mean centred cosine with other documents' golds."""
    products = (centred.astype(np.float32) @ gold.about.vectors.T).astype(np.float64)
    is_other = gold.documents[np.newaxis] != gold.documents[places][:, np.newaxis]
    norms, own = np.linalg.norm(centred, axis=1), np.arange(len(places))
    nearness = products + gold.about.along_mean
    enough = nearness[own, places] - TIE * norms * gold.about.norms[places]
    n_nearer = ((nearness >= enough[:, np.newaxis]) & is_other).sum(axis=1)
    n_others = is_other.sum(axis=1)
    exact = np.einsum("ad,ad->a", centred, gold.about.vectors[places].astype(np.float64))
    cosines = _over(exact, norms * gold.about.norms[places])
    rows = [
        Resemblance(item_id, source, gold.pair_id, None if np.isnan(cosine) else cosine, nearer, others)
        for item_id, cosine, nearer, others in zip(
            gold.item_ids[places].tolist(), cosines.tolist(), n_nearer.tolist(), n_others.tolist(), strict=True
        )
    ]
    directed = gold.about.norms > SMALLEST_NORM
    inverse = np.divide(1.0, gold.about.norms, out=np.zeros_like(gold.about.norms), where=directed)
    return rows, _over((products * is_other) @ inverse, norms * (is_other @ directed.astype(np.float64)))


def _over(
    products: Float64[np.ndarray, " answer"], norms: Float64[np.ndarray, " answer"]
) -> Float64[np.ndarray, " answer"]:
    """The cosines, in [-1, 1]; NaN where a vector has no direction."""
    cosines = np.divide(products, norms, out=np.full_like(products, np.nan), where=norms > SMALLEST_NORM**2)
    bounded: Float64[np.ndarray, " answer"] = np.clip(cosines, -1.0, 1.0)
    return bounded


def _blocks(n_rows: int, at_once: int) -> Iterator[slice]:
    """Row numbers, some at a time, so that copies and products stay small."""
    for start in range(0, n_rows, at_once):
        yield slice(start, min(start + at_once, n_rows))


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
    rows: Mapping[CellKey, Sequence[Resemblance]], floors: Mapping[CellKey, float | None], draws: DocumentDraws
) -> list[Measure]:
    """Up to four rows a cell, in the cells' order; a measure without an item has none.

    `floors` holds each cell's `others_cosine`. An item of a run with fewer than k - 1 golds of other documents is left
    out of identification among k.
    """
    figures = [(key, figure) for key, found in rows.items() for figure in _figures(found, floors.get(key), draws)]
    ends = draws.intervals([figure.column for _, figure in figures])
    return [
        Measure(*key, measure, float(column.values.mean()), low, high, chance, len(column.values))
        for (key, (measure, column, chance)), (low, high) in zip(figures, ends, strict=True)
    ]


def _figures(rows: Sequence[Resemblance], floor: float | None, draws: DocumentDraws) -> list[_Figure]:
    """The figures of one cell that have an item."""
    item_ids = np.array([row.item_id for row in rows], dtype=np.int64)
    n_nearer = np.array([row.n_nearer for row in rows], dtype=np.int64)
    n_others = np.array([row.n_others for row in rows], dtype=np.int64)
    # None becomes NaN in an array of floats.
    cosines = np.array([row.centred_cosine for row in rows], dtype=np.float64)
    known = np.isfinite(cosines)
    figures = [_Figure("centred_cosine", _column(cosines[known], item_ids[known], draws), floor)]
    for measure, k in CHOICES.items():
        enough: Bool[np.ndarray, " item"] = n_others >= (1 if k is None else k - 1)
        nearer, others = n_nearer[enough], n_others[enough]
        values = (nearer == 0).astype(np.float64) if k is None else identification(nearer, others, k)
        figures.append(_Figure(measure, _column(values, item_ids[enough], draws), _chance(others, k)))
    return [figure for figure in figures if len(figure.column.values)]


def _column(
    values: Float64[np.ndarray, " answer"], item_ids: Int64[np.ndarray, " answer"], draws: DocumentDraws
) -> Column:
    """One value an item, over its draws."""
    folded, of_items = fold_values(values, item_ids)
    return draws.column(folded, of_items.tolist())


def _chance(n_others: Int[np.ndarray, " item"], k: int | None) -> float | None:
    if k is not None:
        return 1.0 / k
    return float((1.0 / (n_others + 1)).mean()) if len(n_others) else None
