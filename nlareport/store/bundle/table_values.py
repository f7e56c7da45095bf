"""Columns as strangers write them, turned into a table's types, and the numbers that no measurement gives.

Takes columns of text, numbers or anything JSON holds; returns columns of the table's types, or the first row that
cannot be one, in words.
"""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import polars as pl
from pydantic import Field

from nlareport.checkpoints.sidecar_values import MOST_SCALE
from nlareport.files.json_lines import is_text
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, Effect, LearningCurve, Measure, SubsetRange
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
from nlareport.shown import shown
from nlareport.statistics.geometry import SMALLEST_VARIANCE

NOISE = 1e-4
"""How far beyond its range a score may be and then counts as the range's end: float32 puts a 0 at -1e-7."""
LOWEST_FVE = 1.0 - 4.0 / SMALLEST_VARIANCE
"""What the largest error comes to at the smallest V."""
MOST_INTEGER = 2**31 - 1
_WORDS = {pl.Int64(): "a whole number", pl.Float64(): "a number", pl.Boolean(): "true or false", pl.String(): "a text"}


Scale = Annotated[float, Field(gt=0, le=MOST_SCALE)]
"""The norm of a vector."""
Variance = Annotated[float, Field(gt=SMALLEST_VARIANCE, le=4.0)]
"""V: a mean squared distance of directions."""
Fve = Annotated[float, Field(ge=LOWEST_FVE, le=1.0 + NOISE)]


def storable(value: dict[str, Any]) -> dict[str, Any]:
    """The value, which a run file holds as JSON.

    Raises:
        ValueError: it holds a NaN or an infinity.
    """
    try:
        json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise ValueError("holds a number that is not finite; leave it out") from error
    return value


class UnfitValue(ValueError):
    """A value that its column cannot hold; the message names row and column."""


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
    AblationCell: [("ci_low", "ci_high"), ("drop_low", "drop_high")],
    SubsetRange: [("low", "high")],
    Resemblance: [("n_nearer", "n_others")],
    ContextOverlap: [("n_found", "n_words"), ("n_found_elsewhere", "n_words")],
    TextSummary: [(f"{name}_low", f"{name}_high") for name in ("found", "elsewhere", "excess")],
}
"""Pairs of columns of which the first is nowhere above the second."""


def column_of(name: str, values: Sequence[Any], kind: Any) -> pl.Series:
    """Values of JSON as a column; numbers may be written as texts, and texts as numbers.

    Raises:
        UnfitValue: a value is of another type; the message names row and column.
    """
    return pl.Series(name, [_value(name, value, kind, row) for row, value in enumerate(values, start=1)], dtype=kind)


def typed_column(column: pl.Series, kind: Any) -> pl.Series:
    """A column of a file as one of the type a table has.

    Raises:
        UnfitValue: a value is of another type; the message names row and column.
    """
    if column.dtype == kind:
        return column
    if isinstance(column.dtype, pl.List | pl.Array | pl.Struct | pl.Object):
        raise UnfitValue(f"{column.name} holds {column.dtype.base_type()}s; it must hold {_WORDS[kind]} a row")
    if column.dtype == pl.Categorical or isinstance(column.dtype, pl.Enum):
        return typed_column(column.cast(pl.String), kind)
    if kind == pl.String or (kind == pl.Float64 and column.dtype.is_numeric()) or column.dtype.is_integer():
        return column.cast(kind)
    return column_of(column.name, column.to_list(), kind)


def json_column(column: pl.Series) -> pl.Series:
    """The column, each text of which is a JSON object.

    Raises:
        UnfitValue: one is not; the message names row and column.
    """
    for row, text in enumerate(column, start=1):
        try:
            is_object = text is None or _is_storable(json.loads(text))
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            raise UnfitValue(f"row {row}: {column.name} is {shown(text)}; it must be a JSON object")
    return column


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


def _is_storable(value: Any) -> bool:
    """Whether a JSON value is an object without NaN and infinities, which a run file can hold."""
    try:
        return isinstance(value, dict) and is_text(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except ValueError:
        return False


def _value(name: str, value: Any, kind: Any, row: int) -> Any:
    found = _CONVERTERS[kind](value) if value is not None else None
    if found is _NO_VALUE and isinstance(value, str) and not is_text(value):
        raise UnfitValue(f"row {row}: {name} is {shown(value)}, which holds half of a surrogate pair, no character")
    if found is _NO_VALUE:
        raise UnfitValue(f"row {row}: {name} is {shown(value)}; it must be {_WORDS[kind]}")
    return found


_NO_VALUE = object()
_DIGITS = re.compile(r"[-+]?[0-9]{1,20}")


def _whole_number(value: Any) -> Any:
    # A text of many digits would lose some of them on the way through a float.
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = int(value)
    number = value if isinstance(value, int) and not isinstance(value, bool) else _number(value)
    if number is None or number is _NO_VALUE:
        return number
    return int(number) if number == number // 1 and -(2**63) <= number < 2**63 else _NO_VALUE


def _number(value: Any) -> Any:
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            return float(value)
        except ValueError:
            return _NO_VALUE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NO_VALUE
    try:
        return float(value)
    except OverflowError:
        return _NO_VALUE


def _truth(value: Any) -> Any:
    words = {"true": True, "false": False, "": None}
    if isinstance(value, bool):
        return value
    return words.get(value.strip().lower(), _NO_VALUE) if isinstance(value, str) else _NO_VALUE


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value if is_text(value) else _NO_VALUE
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else _NO_VALUE


_CONVERTERS: dict[Any, Any] = {
    pl.Int64(): _whole_number,
    pl.Float64(): _number,
    pl.Boolean(): _truth,
    pl.String(): _text,
}
