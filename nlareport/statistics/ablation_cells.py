"""Drops: what changes to the texts leave of a target's scores, and what they take.

Enter scores and the errors of changed texts; leave `AblationCell` rows. Both are taken over the same items, so the
difference is paired, and its interval is that of the items' own differences.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from nlareport.rows.cell_rows import AblationCell
from nlareport.rows.item_rows import Ablation, Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import fve_nrm
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval


@dataclass(frozen=True, slots=True)
class ChangedCell:
    """One cell under one change of its texts: `mse_nrm` of the items that have it both as written and changed."""

    source: PairId
    method: str
    ordinal: int
    errors: dict[int, tuple[float, float]]
    """By item: as written, and changed."""


def changed_cell(
    source: PairId,
    method: str,
    ordinal: int,
    scores: Sequence[Score],
    ablations: Sequence[Ablation],
    readable: Collection[int],
) -> ChangedCell:
    """The cell's errors in pairs, in item order; `scores` and `ablations` are the cell's.

    An item that is scored without a text to read (not among `readable`: `unclean: penalty`) has nothing to change
    and keeps its error.
    """
    changed = {row.item_id: row.mse_nrm for row in ablations}
    errors = {}
    for score in sorted(scores, key=lambda score: score.item_id):
        error = changed.get(score.item_id) if score.item_id in readable else score.mse_nrm
        if score.mse_nrm is not None and error is not None:
            errors[score.item_id] = (score.mse_nrm, error)
    return ChangedCell(source, method, ordinal, errors)


def ablation_cells(
    target: PairId,
    changed: Sequence[ChangedCell],
    variance: float,
    document_of: Mapping[int, int],
    draws: int,
    seed: int,
    variance_draws: Float[np.ndarray, " draw"] | None = None,
) -> list[AblationCell]:
    """One row per changed cell of a target, in their order; `variance` is the target's V.

    `document_of` numbers the documents of all the run's items from 0; every cell shares the run's draws of them.
    `variance_draws` holds V on each bootstrap draw; without it V is held fixed. No interval with fewer than two
    documents, and no value without an item scored both ways.

    Raises:
        TooFewItems: V is 0.
    """
    drawn = _drawn_errors(changed, document_of, draws, seed) if changed else np.zeros((draws, 0))
    denominator = np.array(variance) if variance_draws is None else np.asarray(variance_draws)
    return [
        _row(target, cell, variance, denominator, document_of, drawn[:, 2 * place : 2 * place + 2])
        for place, cell in enumerate(changed)
    ]


def _drawn_errors(
    changed: Sequence[ChangedCell], document_of: Mapping[int, int], draws: int, seed: int
) -> Float64[np.ndarray, "draw column"]:
    """Per draw of documents two columns a cell: its mean changed error, and the mean difference from as written."""
    columns = []
    for cell in changed:
        documents = np.array([document_of[item_id] for item_id in cell.errors], dtype=np.int64)
        written, after = np.array(list(cell.errors.values()), dtype=np.float64).reshape(-1, 2).T
        columns += [(after, documents), (after - written, documents)]
    return bootstrap_columns(columns, max(document_of.values()) + 1, draws, seed)


def _row(
    target: PairId,
    cell: ChangedCell,
    variance: float,
    denominator: Float[np.ndarray, " draw"] | Float[np.ndarray, ""],
    document_of: Mapping[int, int],
    drawn: Float64[np.ndarray, "draw 2"],
) -> AblationCell:
    """One cell; `drawn` holds its mean changed error and its mean difference on each draw, V is the denominator."""
    fve = drop = low = high = drop_low = drop_high = None
    if cell.errors:
        written, changed = np.array(list(cell.errors.values())).T
        fve = float(fve_nrm(changed, variance).mean())
        drop = float((changed - written).mean()) / variance
    if len({document_of[item_id] for item_id in cell.errors}) >= 2:
        low, high = percentile_interval(1.0 - drawn[:, 0] / denominator)
        drop_low, drop_high = percentile_interval(drawn[:, 1] / denominator)
    return AblationCell(
        source=cell.source,
        target=target,
        method=cell.method,
        ordinal=cell.ordinal,
        n_scored=len(cell.errors),
        fve_nrm=fve,
        ci_low=low,
        ci_high=high,
        fve_drop=drop,
        drop_low=drop_low,
        drop_high=drop_high,
    )
