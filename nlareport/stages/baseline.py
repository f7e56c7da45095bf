"""Baselines: what something that is not an explanation scores on a cell.

Enter the target's golds; leaves a `Baseline` row. Under `fve_nrm` the best constant guess scores below 0, and
differently per model; the row says how far.
"""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float, Int

from nlareport.batches import ActivationBatch
from nlareport.geometry import best_constant_mse, fve_nrm
from nlareport.resampling import bootstrap_means, percentile_interval
from nlareport.rows import Baseline, PairId


def best_constant(
    source: PairId,
    target: PairId,
    gold: ActivationBatch,
    variance: float,
    document_index: Int[np.ndarray, " item"],
    scored_items: Collection[int],
    draws: int,
    seed: int,
    variance_draws: Float[np.ndarray, " draw"] | None = None,
) -> Baseline:
    """The constant guess mu/|mu| of all golds, scored on the cell's scored items; `variance` is the target's V.

    `document_index` numbers the documents of the rows of `gold` from 0. `variance_draws` holds V on each bootstrap
    draw; without it V is held fixed. mu is always held fixed. No interval with fewer than two documents, and no value
    without a scored item.

    Raises:
        TooFewItems: V is 0, or there is no gold.
        ZeroVector: a gold, or their mean, has norm 0.
    """
    order = np.argsort(gold.item_ids, kind="stable")
    is_scored = np.isin(gold.item_ids[order], list(scored_items))
    errors = best_constant_mse(gold.vectors)[order][is_scored]
    documents = document_index[order][is_scored]
    fve = low = high = None
    if len(errors):
        fve = float(fve_nrm(errors, variance).mean())
    if len(np.unique(documents)) >= 2:
        drawn = bootstrap_means(errors, documents, draws, seed, n_documents=int(document_index.max()) + 1)
        low, high = percentile_interval(1.0 - drawn / (variance if variance_draws is None else variance_draws))
    return Baseline(source, target, method="best_constant", fve_nrm=fve, ci_low=low, ci_high=high)
