"""The numbers that a measurement can give: the range of every column of a bundle, and what is outside it, in words."""

from typing import Annotated, NamedTuple

import polars as pl
from pydantic import Field

from nlareport.checkpoints.sidecar_values import MOST_SCALE
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, Effect, LearningCurve, Measure, SubsetRange
from nlareport.rows.draw_rows import BestOfDraws, DrawSpread, TextAgreement
from nlareport.rows.given_rows import GivenScore
from nlareport.rows.item_rows import (
    Ablation,
    Activation,
    Alignment,
    AnswerMark,
    Explanation,
    Item,
    NullScore,
    Outlier,
    PlainReading,
    Resemblance,
    Score,
)
from nlareport.rows.run_rows import Document
from nlareport.rows.tag_rows import TagDifference
from nlareport.rows.text_rows import ContextOverlap, TextSign, TextSummary
from nlareport.statistics.geometry import SMALLEST_VARIANCE

NOISE = 1e-4
"""How far beyond its range a score may be and then counts as the range's end: float32 puts a 0 at -1e-7."""
LOWEST_FVE = 1.0 - 4.0 / SMALLEST_VARIANCE
"""What the largest error comes to at the smallest V."""
MOST_INTEGER = 2**31 - 1

Scale = Annotated[float, Field(gt=0, le=MOST_SCALE)]
"""The norm of a vector."""
Variance = Annotated[float, Field(gt=SMALLEST_VARIANCE, le=4.0)]
"""V: a mean squared distance of directions."""
Fve = Annotated[float, Field(ge=LOWEST_FVE, le=1.0 + NOISE)]


class Range(NamedTuple):
    """From which to which number a column may go, both included."""

    low: int | float
    high: int | float
    noise: float = 0.0


_COUNT = Range(0, MOST_INTEGER)
_INTEGER = Range(-MOST_INTEGER - 1, MOST_INTEGER)
_LONG_COUNT = Range(0, 2**63 - 1)
_MSE = Range(0.0, 4.0, NOISE)
_FVE = Range(LOWEST_FVE, 1.0, NOISE)
_SHARE = Range(0.0, 1.0, NOISE)
_SPREAD = Range(0.0, 4.0 / SMALLEST_VARIANCE, NOISE)
_INTERVAL = {"fve_nrm": _FVE, "ci_low": _FVE, "ci_high": _FVE}

RANGES: dict[type, dict[str, Range]] = {
    Document: {"source_index": _LONG_COUNT, "n_chars": _LONG_COUNT},
    Item: {"char_end": _LONG_COUNT},
    Alignment: {"token_index": _COUNT, "char_error": _INTEGER, "activation_norm": Range(0.0, 1e308)},
    Explanation: {"n_tokens": _COUNT, "draw": _COUNT},
    AnswerMark: {"draw": _COUNT},
    Score: {"mse_nrm": _MSE, "fve_nrm": _FVE, "draw": _COUNT},
    NullScore: {"permutation": _COUNT, "mse_nrm": _MSE, "draw": _COUNT},
    Ablation: {"mse_nrm": _MSE, "draw": _COUNT},
    PlainReading: {"n_words": _COUNT, "mse_nrm": _MSE},
    Cell: {
        **_INTERVAL,
        "n_scored": _LONG_COUNT,
        "n_unscored": _LONG_COUNT,
        "fve_meannorm": _FVE,
        "median": _FVE,
        "trimmed_mean": _FVE,
        "share_below_zero": _SHARE,
        "null_fve": _FVE,
    },
    Baseline: _INTERVAL,
    LearningCurve: {**_INTERVAL, "n_items": _LONG_COUNT},
    AblationCell: {**_INTERVAL, "ordinal": _INTEGER, "n_scored": _LONG_COUNT},
    Outlier: {"value": Range(0.0, 1e308)},
    Activation: {"atypicality": Range(0.0, 2.0, NOISE)},
    SubsetRange: {"n_items": _LONG_COUNT},
    Resemblance: {
        "centred_cosine": Range(-1.0, 1.0, NOISE),
        "n_nearer": _LONG_COUNT,
        "n_others": _LONG_COUNT,
        "draw": _COUNT,
    },
    Measure: {"n_scored": _LONG_COUNT},
    DrawSpread: {
        "n_items": _LONG_COUNT,
        "n_scores": _LONG_COUNT,
        **dict.fromkeys(("sd_within", "within_low", "within_high"), _SPREAD),
        **dict.fromkeys(("sd_between", "between_low", "between_high"), _SPREAD),
        "share_within": _SHARE,
    },
    BestOfDraws: {**_INTERVAL, "k": Range(1, MOST_INTEGER), "n_items": _LONG_COUNT},
    TextAgreement: {"n_items": _LONG_COUNT, **dict.fromkeys(("jaccard", "ci_low", "ci_high", "chance"), _SHARE)},
    GivenScore: {"draw": _COUNT},
    TextSign: {"draw": _COUNT},
    ContextOverlap: {
        "n_words": Range(1, MOST_INTEGER),
        "n_found": _COUNT,
        "n_found_elsewhere": _COUNT,
        "draw": _COUNT,
    },
    TextSummary: {
        "n_texts": _LONG_COUNT,
        "n_compared": _LONG_COUNT,
        **{f"{name}_{end}": _SHARE for name in ("found", "elsewhere") for end in ("low", "high")},
        **{f"share_{name}": _SHARE for name in ("found", "elsewhere")},
        "excess_low": Range(-1.0, 1.0, NOISE),
        "excess_high": Range(-1.0, 1.0, NOISE),
    },
    TagDifference: {"n_documents": _LONG_COUNT},
}
"""What a measurement can give. The query `audits/number_out_of_range` asks the same of a run file."""

IN_ORDER: dict[type, list[tuple[str, str]]] = {
    **{key: [("ci_low", "ci_high")] for key in (Cell, Baseline, LearningCurve, Measure, Effect, TagDifference)},
    **{key: [("ci_low", "ci_high")] for key in (BestOfDraws, TextAgreement)},
    DrawSpread: [(f"{name}_low", f"{name}_high") for name in ("within", "between")],
    AblationCell: [("ci_low", "ci_high"), ("drop_low", "drop_high")],
    SubsetRange: [("low", "high")],
    Resemblance: [("n_nearer", "n_others")],
    ContextOverlap: [("n_found", "n_words"), ("n_found_elsewhere", "n_words")],
    TextSummary: [(f"{name}_low", f"{name}_high") for name in ("found", "elsewhere", "excess")],
}
"""Pairs of columns of which the first is nowhere above the second."""


def without_noise(row_type: type, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with every number that is only just beyond its range at the range's end."""
    noisy = {name: limits for name, limits in RANGES.get(row_type, {}).items() if limits.noise}
    return frame.with_columns(
        pl.when(pl.col(name).is_between(low - noise, high + noise))
        .then(pl.col(name).clip(low, high))
        .otherwise(pl.col(name))
        for name, (low, high, noise) in noisy.items()
    )


def range_faults(row_type: type, frame: pl.DataFrame) -> list[str]:
    """What no measurement gives, one line a column: the first row, and how many there are."""
    faults = []
    for name, (low, high, _) in RANGES.get(row_type, {}).items():
        column = frame[name]
        # What is not finite is a fault of its own.
        outside = ~column.is_between(low, high) & (column.is_finite() if column.dtype.is_float() else True)
        if n_outside := int(outside.sum()):
            row = outside.arg_max() or 0
            faults.append(
                f"row {row + 1}: {name} is {column[row]:.6g}; it must be {_said(low, high)}{_of_how_many(n_outside)}."
            )
    for first, second in IN_ORDER.get(row_type, []):
        swapped = frame[first] > frame[second]
        if n_swapped := int(swapped.sum()):
            row = swapped.arg_max() or 0
            faults.append(
                f"row {row + 1}: {first} {frame[first][row]:.6g} is above {second} {frame[second][row]:.6g}"
                f"{_of_how_many(n_swapped)}."
            )
    return faults


def _said(low: int | float, high: int | float) -> str:
    return f"{low:g} or above" if high >= 1e18 else f"from {low:.10g} to {high:.10g}"


def _of_how_many(n_rows: int) -> str:
    return "" if n_rows == 1 else f" ({n_rows:,} rows are so)"
