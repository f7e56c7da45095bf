"""Writes frames and values as text for a terminal, a file or a script."""

import json
import re
from decimal import Decimal

import polars as pl

from nlareport.shown import printable

FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet takes for the beginning of a formula, or passes over before one."""
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def written(frame: pl.DataFrame, format_: str) -> str:
    """The frame as `csv`, `json` (one object a row), `md` or, for any other word, a table for a terminal."""
    if format_ == "csv":
        return flat(frame).write_csv()
    if format_ == "json":
        return frame.write_json()
    with pl.Config(
        tbl_formatting="MARKDOWN" if format_ == "md" else "UTF8_FULL_CONDENSED",
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=-1,
        fmt_str_lengths=80,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    ):
        return str(_to_look_at(flat(frame), format_))


def _to_look_at(frame: pl.DataFrame, format_: str) -> pl.DataFrame:
    """The frame with texts that keep their cell and move no cursor; the table is laid out by what is then seen."""
    texts = [
        pl.Series(column.name, [value if value is None else _cell(value, format_) for value in column], pl.String)
        for column in frame
        if column.dtype == pl.String
    ]
    names = {name: _cell(name, "md") for name in frame.columns}
    return frame.with_columns(texts).rename(names, strict=False)


def _cell(text: str, format_: str) -> str:
    safe = printable(text)
    # A line of a Markdown table is a row, and a bar ends a cell.
    return safe.replace("\n", "\\n").replace("|", "\\|") if format_ == "md" else safe


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with nested columns as JSON text, which CSV cannot nest."""
    nested = [column for column in frame if column.dtype.is_nested()]
    texts = [pl.Series(column.name, [_json(value) for value in column.to_list()], pl.String) for column in nested]
    return frame.with_columns(texts)


def guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before each text that a spreadsheet would run as a formula; numbers stay numbers."""
    texts = [
        pl.Series(column.name, [_guarded(text) for text in column], pl.String)
        for column in frame
        if column.dtype == pl.String
    ]
    return frame.with_columns(texts)


def _guarded(text: str | None) -> str | None:
    return f"'{text}" if text and FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def script_literal(value: object) -> str:
    """The value as JSON that a script of any age can hold: old ones end a line at two characters that JSON allows."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> float | str:
    """What JSON has for a value it does not know: a decimal is a number, a date its text."""
    return float(value) if isinstance(value, Decimal) else str(value)
