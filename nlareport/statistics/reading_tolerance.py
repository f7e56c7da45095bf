"""Tolerances of the self-tests: how far two readings of one text may differ in each dtype.

Takes numbers and vectors, returns findings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from jaxtyping import Float

from nlareport.checks import Finding
from nlareport.statistics.geometry import mse_nrm, variance_nrm


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far something may be off."""

    tolerance: float
    """Up to here it passes."""
    wrong_from: float
    """Beyond this it cannot be rounding."""


READING: Mapping[str, Bounds] = {
    "float32": Bounds(1e-6, 1e-3),
    "float16": Bounds(1e-3, 0.05),
    "bfloat16": Bounds(0.01, 0.1),
}
"""Of two vectors read from one text: their `mse_nrm` as a share of V, by dtype.

That share is what rounding takes off a cell's mean `fve_nrm`.
"""

SCORES: Mapping[str, Bounds] = {
    "float32": Bounds(0.01, 0.5),
    "float16": Bounds(0.25, 4.0),
    "bfloat16": Bounds(1.0, 8.0),
}
"""By how much a token that was written may score below the best one, when one plain pass reads the answer again."""

ROUNDING: Mapping[str, float] = {"float32": 1e-6, "float16": 2**-11, "bfloat16": 2**-8}
"""Of a vector kept in a dtype: the largest relative error, in float32 with room for the sums before it."""

LEAST_SPREAD = 0.03
"""V of a few vectors may be next to nothing by chance; that of a released pair is not below this."""


def number_finding(test: str, value: float, bounds: Bounds, text: str) -> Finding:
    """A test with a number: it passes up to the tolerance."""
    is_number = isfinite(value)
    passed = is_number and value <= bounds.tolerance
    is_wrong = not is_number or value > bounds.wrong_from
    return Finding(test, passed, text, value if is_number else None, bounds.tolerance, is_wrong)


def measurement_text(value: float | None, tolerance: float | None) -> str:
    """What was measured and what passes, as a sentence after a space; empty for a test without a number."""
    if tolerance is None:
        return ""
    return f" Measured: {'no number' if value is None else f'{value:.3g}'}; at most {tolerance:g} passes."


def plain_finding(test: str, passed: bool, text: str) -> Finding:
    """A test without a number: what fails it makes the model's numbers wrong."""
    return Finding(test, passed, text, is_wrong=not passed)


def rows_with_direction(vectors: Float[np.ndarray, "item d_model"]) -> list[int]:
    """The rows that are finite and not 0."""
    return [place for place, vector in enumerate(vectors) if np.isfinite(vector).all() and vector.any()]


def distance_over_variance(
    one: Float[np.ndarray, "1 d_model"],
    other: Float[np.ndarray, "1 d_model"],
    among: Float[np.ndarray, "item d_model"],
) -> float:
    """`mse_nrm` of two vectors as a share of V of some others; NaN where one of the two has no direction."""
    if not (rows_with_direction(one) and rows_with_direction(other)):
        return nan
    return float(mse_nrm(one, other)[0]) / max(variance_nrm(among), LEAST_SPREAD)
