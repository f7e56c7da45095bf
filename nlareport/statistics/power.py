"""How small a difference an interval could have seen, and how many items a question takes.

Enter standard errors or the ends of 95% intervals; leave numbers. All of it treats the value as normal with the
bootstrap's own standard error, whose units are documents: z-tests at a two-sided 5%, and equivalence as two one-sided
tests at 2.5% each, which is the 95% interval lying within the tolerance (Schuirmann 1987). The smallest difference
seen is the minimum detectable effect of Bloom (1995). A standard error shrinks with the root of the items as long as
they come from as many documents in proportion.
"""

import math
from statistics import NormalDist

POWER = 0.8
"""How often a difference, or its absence, is to be seen: 4 times in 5."""

_NORMAL = NormalDist()
Z_INTERVAL = _NORMAL.inv_cdf(0.975)
"""Standard errors from a value to the end of its 95% interval: 1.96."""
_Z_POWER = _NORMAL.inv_cdf(POWER)
_Z_BOTH_ENDS = _NORMAL.inv_cdf((1 + POWER) / 2)
"""Further standard errors so that both ends of an interval fit within a tolerance 4 times in 5: each end 9 in 10."""


def standard_error(low: float | None, high: float | None) -> float:
    """The standard error a 95% interval speaks of; 0 for a value without one, which counts as exact."""
    return 0.0 if low is None or high is None else (high - low) / (2 * Z_INTERVAL)


def smallest_seen(error: float) -> float:
    """The smallest true difference whose 95% interval would leave out 0 in 4 runs of 5: 2.80 standard errors."""
    return (Z_INTERVAL + _Z_POWER) * error


def power_to_see(difference: float, error: float) -> float:
    """How often a true difference of this size would have a 95% interval that leaves out 0; 1 when nothing varies."""
    if error == 0:
        return 1.0
    shift = abs(difference) / error
    return _NORMAL.cdf(shift - Z_INTERVAL) + _NORMAL.cdf(-shift - Z_INTERVAL)


def n_for_equivalence(n_here: int, error_here: float, error_there: float, tolerance: float) -> int | None:
    """Items this run needs to show equivalence 4 times in 5 when there is no difference; None when none would do.

    `error_here` and `error_there` are standard errors; this run's shrinks with the root of its items.
    """
    room = (tolerance / (Z_INTERVAL + _Z_BOTH_ENDS)) ** 2 - error_there**2
    return math.ceil(n_here * error_here**2 / room) if room > 0 else None
