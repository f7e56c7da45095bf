"""Drops: what a change to the texts leaves of a cell's score, and what it takes.

Enter the cell's scores and the errors of the changed texts; leaves an `AblationCell` row. Both are taken over the
same items, so the difference is paired, and its interval is that of the items' own differences.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float64

from nlareport.geometry import fve_nrm
from nlareport.resampling import bootstrap_means, percentile_interval
from nlareport.rows import Ablation, AblationCell, PairId, Score


def ablation_cell(
    source: PairId,
    target: PairId,
    method: str,
    ordinal: int,
    scores: Sequence[Score],
    ablations: Sequence[Ablation],
    readable: Collection[int],
    variance: float,
    document_of: Mapping[int, int],
    draws: int,
    seed: int,
    variance_draws: Float[np.ndarray, " draw"] | None = None,
) -> AblationCell:
    """The cell under one change of its texts; `scores` and `ablations` are the cell's, `variance` is the target's V.

    An item that is scored without a text to read (not among `readable`: `unclean: penalty`) has nothing to change
    and keeps its error. `document_of` numbers the documents of all the run's items from 0. `variance_draws` holds V
    on each bootstrap draw; without it V is held fixed. No interval with fewer than two documents, and no value
    without an item scored both ways.

    Raises:
        TooFewItems: V is 0.
    """
    errors = _paired_errors(scores, ablations, set(readable))
    written, changed = (np.array([pair[side] for pair in errors.values()], dtype=np.float64) for side in (0, 1))
    documents = np.array([document_of[item_id] for item_id in errors], dtype=np.int64)
    fve = drop = low = high = drop_low = drop_high = None
    if errors:
        fve = float(fve_nrm(changed, variance).mean())
        drop = float((changed - written).mean()) / variance
    if len(np.unique(documents)) >= 2:
        n_documents = max(document_of.values()) + 1
        denominator = variance if variance_draws is None else variance_draws

        def drawn(values: Float64[np.ndarray, " item"]) -> Float64[np.ndarray, " draw"]:
            return bootstrap_means(values, documents, draws, seed, n_documents) / denominator

        low, high = percentile_interval(1.0 - drawn(changed))
        drop_low, drop_high = percentile_interval(drawn(changed - written))
    return AblationCell(
        source=source,
        target=target,
        method=method,
        ordinal=ordinal,
        n_scored=len(errors),
        fve_nrm=fve,
        ci_low=low,
        ci_high=high,
        fve_drop=drop,
        drop_low=drop_low,
        drop_high=drop_high,
    )


def _paired_errors(
    scores: Sequence[Score], ablations: Sequence[Ablation], readable: set[int]
) -> dict[int, tuple[float, float]]:
    """`mse_nrm` as written and changed, of the items that have both, in item order."""
    changed = {row.item_id: row.mse_nrm for row in ablations}
    pairs = {}
    for score in sorted(scores, key=lambda score: score.item_id):
        error = changed.get(score.item_id) if score.item_id in readable else score.mse_nrm
        if score.mse_nrm is not None and error is not None:
            pairs[score.item_id] = (score.mse_nrm, error)
    return pairs
