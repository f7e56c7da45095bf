"""Spread of scores over the draws of an item and between items: variance components of each cell, with intervals.

A one-way analysis of variance with random effects, items as groups and draws within them; the components are those of
the method of moments for groups of unequal size (Searle, Casella and McCulloch 1992, Variance Components, chapter 3).

Intervals draw documents with putting back and take all draws of a drawn item along. Of the two ways to resample nested
data that is the one whose variance is right (Davison and Hinkley 1997, Bootstrap Methods and their Application, section
3.8; Field and Welsh 2007, J. R. Statist. Soc. B 69, 369-390): an item's mean over its draws already carries the noise
of the draws, and to draw among these once more would count it twice.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import CellKey
from nlareport.rows.draw_rows import DrawSpread
from nlareport.statistics.document_draws import NO_INTERVAL, DocumentDraws, Interval, interval
from nlareport.statistics.drawn_scores import DrawnScores, ItemDraws
from nlareport.statistics.resampling import document_weights

SUMS = 6
"""Sums over items that the components of a cell follow from."""


def spread_of_draws(scores: DrawnScores, draws: DocumentDraws) -> list[DrawSpread]:
    """One row per cell in which some item has two scored draws, in the cells' order; V is held fixed."""
    spread = {key: items for key, items in scores.items() if any(len(row.fve) > 1 for row in items.values())}
    if not spread:
        return []
    centres = {key: float(np.mean([np.mean(row.fve) for row in items.values()])) for key, items in spread.items()}
    sums = {key: _sums(items, centres[key], draws) for key, items in spread.items()}
    drawn = _drawn(np.hstack(list(sums.values())), draws)
    return [
        _row(key, sums[key].sum(axis=0), drawn[:, first:last] if _has_interval(spread[key], draws) else None)
        for key, (first, last) in zip(spread, pairwise(range(0, SUMS * len(spread) + 1, SUMS)), strict=True)
    ]


def _sums(items: Mapping[int, ItemDraws], centre: float, draws: DocumentDraws) -> Float64[np.ndarray, "document sum"]:
    """Per document: items, scores, squared numbers of scores, squares within items, and the items' sums and squares.

    Scores are taken from the cell's mean: sums of squares then lose no digits to it.
    """
    rows = []
    for row in items.values():
        values = np.array(row.fve) - centre
        n, mean = len(values), values.mean()
        rows.append([1.0, n, n**2, ((values - mean) ** 2).sum(), n * mean, n * mean**2])
    n_documents = int(draws.documents.max()) + 1
    sums = np.zeros((n_documents, SUMS))
    np.add.at(sums, draws.documents_of(items), np.array(rows))
    return sums


def _drawn(sums: Float64[np.ndarray, "document sum"], draws: DocumentDraws) -> Float64[np.ndarray, "draw sum"]:
    return np.concatenate([weights @ sums for weights in document_weights(len(sums), draws.n_draws, draws.seed)])


def _components(sums: Float64[np.ndarray, "*draws sum"]) -> tuple[Float64[np.ndarray, "*draws"], ...]:
    """The variances within and between items; NaN where no item has two scores, or there is only one item."""
    n_items, n_scores, squared_sizes, within, total, squares = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_within = np.where(n_scores > n_items, within / (n_scores - n_items), np.nan)
        mean_between = (squares - total**2 / n_scores) / (n_items - 1)
        size = (n_scores - squared_sizes / n_scores) / (n_items - 1)
        between = np.where(n_items > 1, np.maximum(0.0, (mean_between - mean_within) / size), np.nan)
    return mean_within, between


def _row(key: CellKey, sums: Float64[np.ndarray, " sum"], drawn: Float64[np.ndarray, "draw sum"] | None) -> DrawSpread:
    within, between = (float(variance) for variance in _components(sums))
    within_ends, between_ends = [NO_INTERVAL] * 2 if drawn is None else [_ends(row) for row in _components(drawn)]
    has_between = bool(np.isfinite(between))
    return DrawSpread(
        source=key.source,
        target=key.target,
        n_items=int(sums[0]),
        n_scores=int(sums[1]),
        sd_within=float(np.sqrt(within)),
        within_low=within_ends[0],
        within_high=within_ends[1],
        sd_between=float(np.sqrt(between)) if has_between else None,
        between_low=between_ends[0],
        between_high=between_ends[1],
        share_within=within / (within + between) if has_between and within + between > 0 else None,
    )


def _ends(variances: Float64[np.ndarray, " draw"]) -> Interval:
    return interval(np.sqrt(variances)) if np.isfinite(variances).any() else NO_INTERVAL


def _has_interval(items: Mapping[int, ItemDraws], draws: DocumentDraws) -> bool:
    return len(set(draws.documents_of(items).tolist())) > 1
