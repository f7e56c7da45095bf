"""Frames as bytes: Parquet, CSV or JSONL. The same frame gives the same bytes every time."""

import io
import json
from pathlib import Path
from typing import Any, Literal

import polars as pl

from nlareport.store.tables import ColumnTypes

BundleFormat = Literal["parquet", "csv", "jsonl"]


def table_bytes(frame: pl.DataFrame, bundle_format: BundleFormat, json_columns: set[str]) -> bytes:
    """The frame as a file's content; JSON text is nested in JSONL and stays text elsewhere."""
    match bundle_format:
        case "parquet":
            sink = io.BytesIO()
            frame.write_parquet(sink, compression="zstd")
            return sink.getvalue()
        case "csv":
            # NULL is an empty field and an empty text a quoted one; so polars writes them, and so it reads them.
            return frame.write_csv(line_terminator="\n").encode()
        case "jsonl":
            return "".join(_json_line(row, json_columns) for row in frame.iter_rows(named=True)).encode()


def read_frame(path: Path, schema: ColumnTypes, json_columns: set[str]) -> pl.DataFrame:
    """A file's rows with the columns it has; in CSV every column is text.

    The file's ending tells its format. What is wrong with it comes out as polars, json or the system put it
    (PolarsError, ValueError, OSError): the caller knows which bundle it belongs to.
    """
    match path.suffix:
        case ".parquet":
            return pl.read_parquet(path)
        case ".csv":
            return pl.read_csv(path, infer_schema=False)
        case _:
            return _frame_of_json_lines(path.read_text(encoding="utf-8"), schema, json_columns)


def _json_line(row: dict[str, Any], json_columns: set[str]) -> str:
    nested = {name: json.loads(row[name]) for name in json_columns if row[name] is not None}
    return json.dumps({**row, **nested}, ensure_ascii=False, allow_nan=False) + "\n"


def _frame_of_json_lines(text: str, schema: ColumnTypes, json_columns: set[str]) -> pl.DataFrame:
    """One object a line; a column that some lack is null there. Of no lines at all, no column can be missing."""
    # Not splitlines(): a text may hold a bare U+2028, which JSON leaves as it is and Python takes for a line's end.
    records = [_record(line, number) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    names = dict.fromkeys(name for record in records for name in record) if records else schema
    columns = {name: [record.get(name) for record in records] for name in names}
    for name in json_columns & columns.keys():
        columns[name] = [None if value is None else json.dumps(value, ensure_ascii=False) for value in columns[name]]
    return pl.DataFrame([pl.Series(name, values, dtype=schema.get(name)) for name, values in columns.items()])


def _record(line: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is not an object of column names and values")
    return record
