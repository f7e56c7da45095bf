"""Columns as strangers write them, turned into a table's types.

Takes columns of text, numbers or anything JSON holds; returns columns of the table's types, or the first row that
cannot be one, in words.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from nlareport.files.json_lines import is_text
from nlareport.shown import shown

_WORDS = {pl.Int64(): "a whole number", pl.Float64(): "a number", pl.Boolean(): "true or false", pl.String(): "a text"}


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
