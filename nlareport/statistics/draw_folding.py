"""Folds the scores of an item's draws into one, by the reducer that the experiment names.

Where a run has one draw its rows are those scores. The view `item_score` folds the same way in SQL.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, Int64

from nlareport.rows.item_rows import NullScore, Resemblance, Score
from nlareport.rows.run_rows import PairId, Reducer

OfDraw = TypeVar("OfDraw", Score, NullScore, Resemblance)

REDUCERS: dict[Reducer, Callable[[Sequence[float]], float]] = {"mean": fmean}


def of_draw(rows: Sequence[OfDraw], draw: int) -> Sequence[OfDraw]:
    """The rows, which were made as those of the first draw, as those of another."""
    return rows if draw == 0 else [replace(row, draw=draw) for row in rows]


def fold_scores(scores: Sequence[Score], reducer: Reducer) -> list[Score]:
    """One row per item and cell: over the draws that have a score, unscored where none has."""
    if all(row.draw == 0 for row in scores):
        return list(scores)
    groups: dict[tuple[PairId, PairId, int], list[Score]] = defaultdict(list)
    for row in scores:
        groups[row.source, row.target, row.item_id].append(row)
    return [_folded(rows, reducer) for rows in groups.values()]


def fold_null_scores(scores: Sequence[NullScore], reducer: Reducer) -> list[NullScore]:
    """One row per item, cell and permutation."""
    if all(row.draw == 0 for row in scores):
        return list(scores)
    groups: dict[tuple[PairId, PairId, int, int], list[NullScore]] = defaultdict(list)
    for row in scores:
        groups[row.source, row.target, row.permutation, row.item_id].append(row)
    return [
        replace(rows[0], mse_nrm=REDUCERS[reducer]([row.mse_nrm for row in rows]), draw=0) for rows in groups.values()
    ]


def fold_values(
    values: Float64[np.ndarray, " answer"], item_ids: Int64[np.ndarray, " answer"]
) -> tuple[Float64[np.ndarray, " item"], Int64[np.ndarray, " item"]]:
    """The mean value of each item and the items; where none has a second value, both as they are."""
    found, places, counts = np.unique(item_ids, return_inverse=True, return_counts=True)
    if len(found) == len(item_ids):
        return values, item_ids
    return np.bincount(places, weights=values) / counts, found


def _folded(rows: Sequence[Score], reducer: Reducer) -> Score:
    mse_nrm = _reduced([row.mse_nrm for row in rows], reducer)
    fve_nrm = _reduced([row.fve_nrm for row in rows], reducer)
    reasons = [row.unscored_reason for row in rows if row.unscored_reason is not None]
    is_scored = mse_nrm is not None or fve_nrm is not None
    reason = None if is_scored else min(reasons, default=None)
    return replace(rows[0], mse_nrm=mse_nrm, fve_nrm=fve_nrm, unscored_reason=reason, draw=0)


def _reduced(values: Sequence[float | None], reducer: Reducer) -> float | None:
    known = [value for value in values if value is not None]
    return REDUCERS[reducer](known) if known else None
