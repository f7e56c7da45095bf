"""Frames as text for a terminal or a file: what a command prints, what a download holds."""

import json
from decimal import Decimal

import polars as pl


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
        return str(frame)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with nested columns as JSON text, which CSV cannot nest."""
    nested = [column for column in frame if column.dtype.is_nested()]
    texts = [pl.Series(column.name, [_json(value) for value in column.to_list()], pl.String) for column in nested]
    return frame.with_columns(texts)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> float | str:
    """What JSON has for a value it does not know: a decimal is a number, a date its text."""
    return float(value) if isinstance(value, Decimal) else str(value)
