"""Power of an interval: the minimum detectable difference, and how many items a question takes.

Takes standard errors or the ends of 95% intervals, returns numbers. All of it treats the value as normal with the
bootstrap's own standard error, whose units are documents: z-tests at a two-sided 5%, and equivalence as two one-sided
tests at 2.5% each, which is the 95% interval lying within the tolerance (Schuirmann 1987). The minimum detectable
difference is the minimum detectable effect of Bloom (1995). A standard error shrinks with the root of the items as long
as they come from as many documents in proportion.
"""

import math
from statistics import NormalDist

POWER = 0.8
"""The share of runs in which a true difference, or its absence, should be detected."""

_NORMAL = NormalDist()
Z_INTERVAL = _NORMAL.inv_cdf(0.975)
"""Standard errors from a value to the end of its 95% interval: 1.96."""
_Z_POWER = _NORMAL.inv_cdf(POWER)
_Z_BOTH_ENDS = _NORMAL.inv_cdf((1 + POWER) / 2)
"""Further standard errors so that both ends of an interval fit within a tolerance at 80% power: each end at 90%."""


def standard_error(low: float | None, high: float | None) -> float:
    """The standard error that a 95% interval implies; 0 for a value without an interval, which counts as exact."""
    return 0.0 if low is None or high is None else (high - low) / (2 * Z_INTERVAL)


def minimum_detectable_difference(error: float) -> float:
    """The smallest true difference whose 95% interval excludes 0 in 80% of runs: 2.80 standard errors."""
    return (Z_INTERVAL + _Z_POWER) * error


def power_to_see(difference: float, error: float) -> float:
    """How often a true difference of this size has a 95% interval that excludes 0; 1 when nothing varies."""
    if error == 0:
        return 1.0
    shift = abs(difference) / error
    return _NORMAL.cdf(shift - Z_INTERVAL) + _NORMAL.cdf(-shift - Z_INTERVAL)


def n_for_equivalence(n_here: int, error_here: float, error_there: float, tolerance: float) -> int | None:
    """Items this run needs to show equivalence at 80% power when there is no difference; None when no number is enough.

    `error_here` and `error_there` are standard errors; this run's shrinks with the root of its items.
    """
    room = (tolerance / (Z_INTERVAL + _Z_BOTH_ENDS)) ** 2 - error_there**2
    return math.ceil(n_here * error_here**2 / room) if room > 0 else None
