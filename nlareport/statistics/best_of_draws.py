"""Best of k: what a cell would score if of k draws of every item the best one were kept, against k, with intervals.

An item with n draws gives the mean over all ways to choose k of them, which has the same expectation as the best of k
fresh draws: the U-statistic of the maximum (Hoeffding 1948), as the unbiased estimator of pass@k is one (Chen et al.
2021, arXiv:2107.03374, section 2.1). Bootstrap over documents as for every cell.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from math import comb

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import CellKey
from nlareport.rows.draw_rows import BestOfDraws
from nlareport.statistics.document_draws import Column, DocumentDraws, interval
from nlareport.statistics.drawn_scores import DrawnScores, ItemDraws

EVERY_K = 8
"""Up to here every k has a point; further on every doubling, and the last."""


def best_of_draws(scores: DrawnScores, draws: DocumentDraws) -> list[BestOfDraws]:
    """One row per cell and k, where some item has a second draw; k up to the most draws that an item has.

    The best of 1 is the cell's own value. Where items have different numbers of draws, later points are of fewer items.
    """
    columns = {(key, k): column for key, items in scores.items() for k, column in _columns(items, draws)}
    means = draws.means(list(columns.values()))
    rows = []
    for ((key, k), column), drawn in zip(columns.items(), means, strict=True):
        ends = interval(None if drawn is None else draws.on_scale(CellKey(*key).target).rescale(drawn))
        rows.append(BestOfDraws(*key, k, len(column.values), float(column.values.mean()), *ends))
    return rows


def _columns(items: Mapping[int, ItemDraws], draws: DocumentDraws) -> Iterator[tuple[int, Column]]:
    most = max((row.n_draws for row in items.values()), default=0)
    if most < 2:
        return
    for k in ks_up_to(most):
        chosen = {item_id: row for item_id, row in items.items() if row.n_draws >= k}
        values = np.array([expected_best(row, k) for row in chosen.values()])
        yield k, draws.column(values, chosen)


def ks_up_to(most: int) -> list[int]:
    """The k that have a point: every one up to 8, then every doubling, and the last."""
    doubled = [EVERY_K * 2**power for power in range(1, most.bit_length())]
    return [*range(1, min(most, EVERY_K) + 1), *(k for k in doubled if k < most), *([most] if most > EVERY_K else [])]


def expected_best(item: ItemDraws, k: int) -> float:
    """The mean of the best score over all ways to choose k of an item's draws, those with no scored one left out."""
    weights = _weights(len(item.fve), item.n_unscored, k)
    return float(weights @ np.array(item.fve))


@cache
def _weights(n_scored: int, n_unscored: int, k: int) -> Float64[np.ndarray, " scored"]:
    """How often each score, the lowest first, is the best one chosen: it is, and the other k - 1 lie below it."""
    ways = [comb(n_unscored + place, k - 1) for place in range(n_scored)]
    # Whole numbers: of a thousand draws they outgrow any float, and their ratios do not.
    total = sum(ways)
    return np.array([n / total for n in ways])
