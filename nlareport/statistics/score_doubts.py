"""Says by name what scores from elsewhere cannot be: mean squares per dimension, ½(1 + cos), another denominator.

Takes the scores of a run and V of its targets, returns one sentence for every doubt. What a value is, is never guessed
from numbers: a doubt refuses, and its sentence says how the definition is named.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId

SMALLEST_MEAN_ERROR = 1e-3
"""Of mse_nrm over a whole run. Directions this near to each other were met nowhere: the best of all released pairs has
0.008."""
LARGEST_STEP = 0.01
"""How far rounding may put a value off; with fewer decimals nothing was rounded."""
LARGEST_VARIANCE = 1.0
"""V of unit vectors is 1 - |mu|²."""
_NOISE = 1e-6
_FLOAT32_STEP = 1e-6


def doubts(scores: Sequence[Score], variances: Mapping[PairId, float | None]) -> list[str]:
    """What the scores of a run cannot be, one sentence each, without a full stop."""
    errors = np.array([score.mse_nrm for score in scores if score.mse_nrm is not None], dtype=np.float64)
    said = []
    if len(errors) and errors.mean() < SMALLEST_MEAN_ERROR:
        said.append(
            f"mse_nrm is {errors.mean():.2g} on average, and 2(1 - cos) is hardly ever below 0.001; if it is a mean "
            'square per dimension, import it with a map that says "definition: mse_per_dimension"'
        )
    return said + [line for target, pairs in _both(scores).items() for line in _of_target(target, pairs, variances)]


def rounding_step(values: Iterable[float]) -> float:
    """The last decimal that any of the values has, at most 0.01; values of single precision count as such."""
    n_decimals = max((_n_decimals(value) for value in values), default=0)
    return min(LARGEST_STEP, 10.0 ** -min(n_decimals, 17))


def _n_decimals(value: float) -> int:
    narrow = np.float32(value)
    written = np.format_float_positional(narrow if float(narrow) == value else np.float64(value), trim="-")
    return len(written.partition(".")[2])


def _both(scores: Sequence[Score]) -> Mapping[PairId, list[tuple[float, float]]]:
    """mse_nrm and fve_nrm of every score that has both, by target."""
    found: dict[PairId, list[tuple[float, float]]] = defaultdict(list)
    for score in scores:
        if score.mse_nrm is not None and score.fve_nrm is not None:
            found[score.target].append((score.mse_nrm, score.fve_nrm))
    return found


def _of_target(
    target: PairId, pairs: Sequence[tuple[float, float]], variances: Mapping[PairId, float | None]
) -> list[str]:
    mse, fve = np.array(pairs, dtype=np.float64).T
    steps = rounding_step(mse), rounding_step(fve)
    stated = variances.get(target)
    if stated is not None and _fits(mse, fve, stated, steps):
        return []
    if _fits(mse, fve, 4.0, steps):
        return [
            f"fve_nrm of {target} is ½(1 + cos) in every row, which explains no variance; leave it out, or import it "
            'with a map that says "definition: half_one_plus_cosine"'
        ]
    implied = mse[mse > 0.1 * mse.max()] / np.maximum(1.0 - fve[mse > 0.1 * mse.max()], 1e-12)
    if not len(implied):
        return []
    middle = float(np.median(implied))
    if not _fits(mse, fve, middle, steps):
        return [
            f"fve_nrm of {target} has another denominator from row to row "
            f"({implied.min():.3g} to {implied.max():.3g}); V is one number of a target, so leave fve_nrm "
            "out and give mse_nrm with the target's variance_nrm"
        ]
    if stated is not None:
        return [
            f"fve_nrm of {target} has the denominator {middle:.4g}, its variance_nrm is {stated:.4g}; "
            "correct variance_nrm, or leave fve_nrm out"
        ]
    if middle > LARGEST_VARIANCE + 10 * LARGEST_STEP:
        return [
            f"fve_nrm of {target} has the denominator {middle:.4g}, and V of directions is at most 1; "
            "leave it out and give mse_nrm with the target's variance_nrm"
        ]
    return []


def _fits(
    mse: Float[np.ndarray, " row"], fve: Float[np.ndarray, " row"], variance: float, steps: tuple[float, float]
) -> bool:
    """Whether every fve is 1 - mse / variance, as far as both are rounded."""
    expected = 1.0 - mse / variance
    allowed = _NOISE * (1.0 + np.abs(expected)) + steps[1] + (steps[0] + _FLOAT32_STEP) / variance
    return bool((np.abs(fve - expected) <= allowed).all())
