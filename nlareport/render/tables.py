"""Frames as text for a terminal or a file: what a command prints."""

import polars as pl


def written(frame: pl.DataFrame, format_: str) -> str:
    """The frame as `csv`, `json` (one object a row), `md` or, for any other word, a table for a terminal."""
    if format_ == "csv":
        return frame.write_csv()
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
