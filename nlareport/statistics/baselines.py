"""Baselines: what something that is not an explanation scores on a cell, and the look-up of the nearest neighbour.

Takes the errors of a method's answers at all of the run's items, returns values and intervals over the items a cell
scored. The nearest neighbour answers with the activation at the item whose source activation is most alike, without
any fit; it is found in Gram matrices of the same items in two pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from nlareport.rows.run_rows import PairId
from nlareport.statistics.document_draws import Column, DocumentDraws, interval
from nlareport.statistics.geometry import Gram, fve_nrm


@dataclass(frozen=True, slots=True)
class Answers:
    """How far one method's answers are from a cell's golds."""

    source: PairId
    target: PairId
    method: str
    errors: Float64[np.ndarray, " item"]
    """`mse_nrm` at every item of the run, in item order; NaN where the method has no answer."""
    is_scored: Bool[np.ndarray, " item"]
    """Which items the cell scored."""


class Estimate(NamedTuple):
    """A mean `fve_nrm` with its 95% interval."""

    fve_nrm: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


def estimate(answers: Sequence[Answers], draws: DocumentDraws) -> list[Estimate]:
    """Each method's `fve_nrm` on the items its cell scored.

    No value without a scored item, or where one of them has no answer: a mean of some would pass for a mean of all.

    Raises:
        TooFewItems: V of a target is 0.
    """
    values = [_value(answer, draws) for answer in answers]
    known = [answer for answer, value in zip(answers, values, strict=True) if value is not None]
    columns = [Column(answer.errors[answer.is_scored], draws.documents[answer.is_scored]) for answer in known]
    ends = iter(
        interval(None if means is None else draws.on_scale(answer.target).fve(means))
        for answer, means in zip(known, draws.means(columns), strict=True)
    )
    return [Estimate() if value is None else Estimate(value, *next(ends)) for value in values]


def _value(answer: Answers, draws: DocumentDraws) -> float | None:
    errors = answer.errors[answer.is_scored]
    if not len(errors) or not np.isfinite(errors).all():
        return None
    return float(fve_nrm(errors, draws.on_scale(answer.target).variance or 0.0).mean())


def nearest_of_others(source: Gram, document_index: Int[np.ndarray, " item"]) -> Int64[np.ndarray, " item"]:
    """For each item the item of another document whose activation, less the mean direction, points most alike.

    There must be two documents.
    """
    lengths = np.sqrt(np.maximum(np.diagonal(source.products), np.finfo(np.float32).tiny))
    # An item's own length changes nothing in who is nearest to it.
    likeness = source.products / lengths
    likeness[document_index[:, np.newaxis] == document_index] = -np.inf
    nearest: Int64[np.ndarray, " item"] = likeness.argmax(axis=1)
    return nearest


def neighbour_errors(target: Gram, nearest: Int64[np.ndarray, " item"]) -> Float64[np.ndarray, " item"]:
    """`mse_nrm` of answering each item with its neighbour's gold."""
    squares = np.diagonal(target.products).astype(np.float64)
    across = target.products[np.arange(len(nearest)), nearest]
    errors: Float64[np.ndarray, " item"] = np.clip(squares + squares[nearest] - 2.0 * across, 0.0, 4.0)
    return errors
