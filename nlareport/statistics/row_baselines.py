"""Baselines of a run whose vectors are not here: the best constant guess and plain words, from V and rows of items.

Takes the rows of a run, returns `Baseline` rows. A linear map and a nearest neighbour need the activations themselves.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float64

from nlareport.rows.cell_rows import Baseline, CellKey
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.baselines import Answers, estimate
from nlareport.statistics.run_summary import ItemRows

Errors = Float64[np.ndarray, " item"]


def mean_norm_of(variance_nrm: float | None) -> float | None:
    """|mu| of the items that V was taken over: V = 1 - |mu|². None where V is unknown, or no such V."""
    return None if variance_nrm is None or variance_nrm > 1.0 else math.sqrt(1.0 - variance_nrm)


def row_baselines(rows: ItemRows) -> list[Baseline]:
    """The baselines of every cell whose target's V is known, on the items the cell scored.

    The best constant guess comes from the atypicality of every item. Where that is not known, its mean over the items
    of V follows from V alone; such a row has no interval, and there is none for a cell that leaves items unscored.
    """
    scored = _scored(rows)
    known = {pair.pair_id: pair for pair in rows.pairs if pair.variance_nrm}
    answers = [
        Answers(source, target, method, errors, chosen)
        for (source, target), chosen in scored.items()
        if target in known
        for method, errors in _errors(rows, target)
    ]
    found = [
        Baseline(answer.source, answer.target, answer.method, *figures)
        for answer, figures in zip(answers, estimate(answers, rows.draws), strict=True)
        if figures.fve_nrm is not None
    ]
    has_constant = {CellKey(row.source, row.target) for row in found if row.method == "best_constant"}
    whole = [key for key, chosen in scored.items() if chosen.all() and key.target in known]
    return found + [
        Baseline(*key, "best_constant", fve, None, None)
        for key in whole
        if key not in has_constant and (fve := _constant_fve(known[key.target])) is not None
    ]


def _scored(rows: ItemRows) -> Mapping[CellKey, Bool[np.ndarray, " item"]]:
    """Which items each cell scored."""
    found: dict[CellKey, Bool[np.ndarray, " item"]] = defaultdict(lambda: np.zeros(len(rows.items), dtype=np.bool_))
    for row in rows.item_scores:
        if row.mse_nrm is not None or row.fve_nrm is not None:
            found[CellKey(row.source, row.target)][rows.draws.place_of[row.item_id]] = True
    return found


def _errors(rows: ItemRows, target: PairId) -> Iterator[tuple[str, Errors]]:
    """What each method gets wrong at every item of a target; NaN where that is not known."""
    columns: dict[str, Errors] = defaultdict(lambda: np.full(len(rows.items), np.nan))
    for activation in rows.activations:
        if activation.pair_id == target:
            # The squared distance of a direction from the mean direction is twice 1 - cos.
            columns["best_constant"][rows.draws.place_of[activation.item_id]] = 2.0 * activation.atypicality
    for reading in rows.plain_readings:
        if reading.target == target and reading.mse_nrm is not None:
            columns[f"last_{reading.n_words}_words"][rows.draws.place_of[reading.item_id]] = reading.mse_nrm
    yield from columns.items()


def _constant_fve(target: Pair) -> float | None:
    variance, length = target.variance_nrm, target.mean_norm
    return None if not variance or length is None else 1.0 - 2.0 * (1.0 - length) / variance
