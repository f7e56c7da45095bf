"""Turns rows into frames and records of the database into rows: column types, and how a value looks on either side.

Knows no file and no connection.
"""

import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NewType, Union, cast, get_args, get_origin, get_type_hints

import polars as pl

from nlareport.errors import RowRefused
from nlareport.ports import Row
from nlareport.rows.declaration import TABLES

ColumnTypes = Mapping[str, Any]
"""Column names and polars types; `Any` because beartype cannot check an annotation that names a polars type."""

POLARS_TYPES: dict[type, pl.DataType] = {
    bool: pl.Boolean(),
    int: pl.Int64(),
    float: pl.Float64(),
    str: pl.String(),
    datetime: pl.Datetime("us"),
    dict: pl.String(),
}


@cache
def column_types(row_type: type) -> dict[str, tuple[type, bool]]:
    """For each field its plain Python type, and whether it may be None."""
    hints = get_type_hints(row_type)
    return {field.name: _plain(hints[field.name]) for field in fields(row_type)}


def frame_schema(row_type: type) -> ColumnTypes:
    """For each field the polars type it is written as; dictionaries are written as JSON text."""
    return {name: POLARS_TYPES[plain] for name, (plain, _) in column_types(row_type).items()}


def frame_of(row_type: type, rows: Sequence[object]) -> pl.DataFrame:
    """The rows as a frame with the table's columns in order.

    Raises:
        RowRefused: a row is of another type, or a number is NaN or infinite.
    """
    strange = {type(row).__name__ for row in rows if type(row) is not row_type}
    if strange:
        raise RowRefused(f"{row_type.__name__} rows were expected, {', '.join(sorted(strange))} came among them.")
    encoders = {name: _ENCODERS.get(plain) for name, (plain, _) in column_types(row_type).items()}
    columns = {name: _encoded(encoder, [getattr(row, name) for row in rows]) for name, encoder in encoders.items()}
    frame = pl.DataFrame(columns, schema=frame_schema(row_type))
    for name in non_finite_columns(frame):
        raise RowRefused(
            f"{TABLES[row_type].name}.{name}: a value is NaN or infinite; hand in None where there is none."
        )
    return frame


def non_finite_columns(frame: pl.DataFrame) -> list[str]:
    """Names of the columns that hold a NaN or an infinity."""
    numbers = frame.select(pl.selectors.float())
    return [column.name for column in numbers if not column.is_finite().all()]


def rows_of(row_type: type[Row], columns: Sequence[str], records: Iterable[Sequence[Any]]) -> list[Row]:
    """One row object per record; `columns` names the record's values and must equal the row type's fields."""
    types_by_name = column_types(cast(type, row_type))
    decoders = [_DECODERS.get(types_by_name[name][0]) for name in columns]
    return [
        row_type(
            **{
                name: value if value is None or decode is None else decode(value)
                for name, decode, value in zip(columns, decoders, record, strict=True)
            }
        )
        for record in records
    ]


def sort_key(row: object) -> tuple[Any, ...]:
    """What a table is ordered by: the row's primary key."""
    return tuple(getattr(row, name) for name in TABLES[type(row)].key)


def _plain(hint: Any) -> tuple[type, bool]:
    """The Python type behind an annotation, and whether None is among its values."""
    if isinstance(hint, NewType):
        return cast(type, hint.__supertype__), False
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0]), False
    if get_origin(hint) in (Union, types.UnionType):
        inner = [_plain(part)[0] for part in get_args(hint) if part is not types.NoneType]
        return inner[0], types.NoneType in get_args(hint)
    return get_origin(hint) or hint, False


def _encoded(encode: Callable[[Any], Any] | None, values: list[Any]) -> list[Any]:
    if encode is None:
        return values
    return [None if value is None else encode(value) for value in values]


def _json_text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _without_zone(moment: datetime) -> datetime:
    """The moment in UTC without saying so, as TIMESTAMP columns hold it."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


_ENCODERS: dict[type, Callable[[Any], Any]] = {dict: _json_text, datetime: _without_zone}


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    # A literal such as 0.5 is a DECIMAL to DuckDB and would reach the page as another type.
    return float(value) if isinstance(value, int | Decimal) else value


def _in_utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


_DECODERS: dict[type, Callable[[Any], Any]] = {
    dict: _from_json,
    list: _from_json,
    tuple: lambda value: tuple(_from_json(value)),
    float: _number,
    datetime: _in_utc,
}
