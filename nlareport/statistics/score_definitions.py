"""What a score from elsewhere can be, and how it becomes `mse_nrm`: cosine, fve_meannorm, raw errors with norms.

Takes one value and what is known of its target, returns the squared error of directions, 2(1 - cos), or None where the
definition does not give it. The definition itself is always named by whoever made the score.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from nlareport.statistics.geometry import SMALLEST_VARIANCE

Definition = Literal[
    "mse_nrm",
    "fve_nrm",
    "cosine",
    "centred_cosine",
    "fve_meannorm",
    "half_one_plus_cosine",
    "mse_per_dimension",
    "raw_mse",
]
"""The words by which a map names what a column of scores holds."""

NOISE = 1e-4
"""How far beyond its range a value may be by rounding."""


@dataclass(frozen=True, slots=True)
class KnownOfTarget:
    """What a conversion may need."""

    d_model: int | None
    variance_nrm: float | None = None
    """V."""
    mean_norm: float | None = None
    """|mu|."""
    gold_norm: float | None = None
    """Euclidean norm of the item's activation."""
    reconstruction_norm: float | None = None
    """Euclidean norm of its reconstruction."""


@dataclass(frozen=True, slots=True)
class ScoreDefinition:
    """One way to say how near a reconstruction came."""

    said: str
    """What it is, as the rest of a sentence that begins with its name."""
    low: float
    high: float
    converted: Callable[[float, KnownOfTarget], float | None]
    """The value as `mse_nrm`; None where what it needs is not known."""
    needs: str | None = None
    """What a map must give so that it can be converted. None when it needs nothing, or cannot be at all."""
    is_stored: bool = True
    """Whether the value itself is kept next to what it was converted to."""


def _from_fve(value: float, known: KnownOfTarget) -> float | None:
    return None if known.variance_nrm is None else (1.0 - value) * known.variance_nrm


def _from_fve_meannorm(value: float, known: KnownOfTarget) -> float | None:
    return None if known.mean_norm is None else (1.0 - value) * 2.0 * (1.0 - known.mean_norm)


def _from_raw(value: float, known: KnownOfTarget) -> float | None:
    """From |p - g|² = |p|² + |g|² - 2|p||g| cos."""
    gold, found = known.gold_norm, known.reconstruction_norm
    if not gold or not found or known.d_model is None:
        return None
    return 2.0 - (gold**2 + found**2 - known.d_model * value) / (gold * found)


LOWEST_FVE = 1.0 - 4.0 / SMALLEST_VARIANCE

DEFINITIONS: Mapping[Definition, ScoreDefinition] = {
    "mse_nrm": ScoreDefinition(
        "the squared error of directions, 2(1 − cos)", 0.0, 4.0, lambda value, _: value, is_stored=False
    ),
    "fve_nrm": ScoreDefinition("1 − mse_nrm / V of the target", LOWEST_FVE, 1.0, _from_fve, is_stored=False),
    "cosine": ScoreDefinition(
        "the cosine of activation and reconstruction, so mse_nrm = 2(1 − cosine)",
        -1.0,
        1.0,
        lambda value, _: 2.0 * (1.0 - value),
    ),
    "centred_cosine": ScoreDefinition(
        "the cosine after the target's mean direction has been taken from both vectors, which gives no mse_nrm",
        -1.0,
        1.0,
        lambda _value, _known: None,
    ),
    "fve_meannorm": ScoreDefinition(
        "1 − mse_nrm / 2(1 − |μ|), |μ| the length of the target's mean direction",
        LOWEST_FVE,
        1.0,
        _from_fve_meannorm,
    ),
    "half_one_plus_cosine": ScoreDefinition(
        "½(1 + cosine), so mse_nrm = 4(1 − value)", 0.0, 1.0, lambda value, _: 4.0 * (1.0 - value)
    ),
    "mse_per_dimension": ScoreDefinition(
        "the mean square over the dimensions of unit vectors, so mse_nrm = d_model × value",
        0.0,
        4.0,
        lambda value, known: None if known.d_model is None else value * known.d_model,
    ),
    "raw_mse": ScoreDefinition(
        "the mean square over the dimensions of vectors as they are, converted with both norms",
        0.0,
        1e300,
        _from_raw,
        needs="norm and reconstruction_norm, the columns with the norms of both vectors",
    ),
}
