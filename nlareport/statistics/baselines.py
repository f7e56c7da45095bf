"""Baselines to figures: what something that is not an explanation scores on a cell.

Enter the errors of its answers at all of the run's items; leave values and intervals over the items a cell scored.
All intervals come from one set of drawn documents, so that columns can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int

from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import fve_nrm
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval


@dataclass(frozen=True, slots=True)
class Answers:
    """How far one method's answers are from a cell's golds."""

    source: PairId
    target: PairId
    method: str
    errors: Float64[np.ndarray, " item"]
    """`mse_nrm` at every item of the run; NaN where the method has no answer."""
    is_scored: Bool[np.ndarray, " item"]
    """Which items the cell scored."""
    variance: float
    """The target's V."""
    variance_draws: Float64[np.ndarray, " draw"] | None = None
    """V on each bootstrap draw; without it V is held fixed."""


class Estimate(NamedTuple):
    """A mean `fve_nrm` with its 95% interval."""

    fve_nrm: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


def estimate(
    answers: Sequence[Answers], document_index: Int[np.ndarray, " item"], draws: int, seed: int
) -> list[Estimate]:
    """Each method's `fve_nrm` on the items its cell scored; `document_index` numbers the documents from 0.

    No value without a scored item, or where one of them has no answer: a mean of some would pass for a mean of all.
    No interval with fewer than two documents.

    Raises:
        TooFewItems: V is 0.
    """
    found = [Estimate(_value(column)) for column in answers]
    drawable = [
        place
        for place, column in enumerate(answers)
        if found[place].fve_nrm is not None and len(np.unique(document_index[column.is_scored])) > 1
    ]
    if not drawable:
        return found
    n_documents = int(document_index.max()) + 1
    columns = [answers[place] for place in drawable]
    values = [(column.errors[column.is_scored], document_index[column.is_scored]) for column in columns]
    drawn = bootstrap_columns(values, n_documents, draws, seed)
    for place, column, means in zip(drawable, columns, drawn.T, strict=True):
        variance = column.variance if column.variance_draws is None else column.variance_draws
        found[place] = Estimate(found[place].fve_nrm, *percentile_interval(1.0 - means / variance))
    return found


def _value(column: Answers) -> float | None:
    errors = column.errors[column.is_scored]
    if not len(errors) or not np.isfinite(errors).all():
        return None
    return float(fve_nrm(errors, column.variance).mean())
