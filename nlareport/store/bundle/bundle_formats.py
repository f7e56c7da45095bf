"""Frames as bytes: Parquet, CSV or JSONL; what is read may also be a JSON list, and any of them gzipped.

The same frame gives the same bytes every time.
"""

import io
import json
import re
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow.parquet as pq

from nlareport.errors import BundleInvalid
from nlareport.files.given_files import refuse_no_file
from nlareport.files.gzip_files import bytes_unpacked, inner_ending, is_gzipped, text_unpacked
from nlareport.files.json_lines import list_in, record_in
from nlareport.store.bundle.item_ids import ItemNumbers
from nlareport.store.bundle.table_values import column_of, json_column, typed_column
from nlareport.store.row_tables import ColumnTypes

BundleFormat = Literal["parquet", "csv", "jsonl"]
ENDINGS = tuple(f".{ending}{packed}" for ending in ("parquet", "csv", "jsonl", "json") for packed in ("", ".gz"))
"""Of the files that hold a table."""

MOST_BYTES = 1_000_000_000
"""Of one table as CSV or JSONL."""
MOST_UNPACKED_BYTES = 4_000_000_000
MOST_ROWS = 50_000_000
_PANDAS_INDEX = re.compile(r"__index_level_[0-9]+__")
"""What pandas calls the numbers of its rows when it writes them."""

Columns = tuple[pl.DataFrame, list[str]]
"""The columns a schema knows, and the names of the others."""


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


def read_columns(path: Path, schema: ColumnTypes, json_columns: set[str], numbers: ItemNumbers) -> Columns:
    """The columns of a file that the schema knows, each of its type; `numbers` makes numbers of items' text ids.

    The file's ending tells its format. What is wrong with it comes out as a sentence of ours (NlareportError,
    ValueError) or as polars, Arrow or the system put it: the caller knows which bundle it belongs to.
    """
    match inner_ending(path):
        case ".parquet":
            frame, unknown = _parquet_columns(path, schema)
        case ".csv":
            frame, unknown = _csv_columns(path, schema)
        case ".json":
            return _record_columns(list_in(_text(path)), schema, json_columns, numbers)
        case _:
            return _record_columns(_json_lines(_text(path)), schema, json_columns, numbers)
    if "item_id" in frame.columns and frame["item_id"].dtype in (pl.String, pl.Categorical, pl.Enum):
        ids = numbers.numbered(frame["item_id"].cast(pl.String).to_list())
        frame = frame.with_columns(pl.Series("item_id", ids))
    typed = [typed_column(column, schema[column.name]) for column in frame]
    checked = [json_column(column) if column.name in json_columns else column for column in typed]
    return pl.DataFrame(checked), unknown


def _text(path: Path) -> str:
    return text_unpacked(path, BundleInvalid, "Correct or remove it.", MOST_BYTES)


def _parquet_columns(path: Path, schema: ColumnTypes) -> Columns:
    # Not with polars: a damaged page makes it panic, which is no Exception, and it takes texts for UTF-8 unseen.
    refuse_no_file(path, BundleInvalid, "Correct or remove it.")
    packed = is_gzipped(path)
    source = io.BytesIO(bytes_unpacked(path, BundleInvalid, "Correct or remove it.", MOST_BYTES)) if packed else path
    with pq.ParquetFile(source) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        n_bytes = sum(group.total_byte_size for group in groups)
        if n_bytes > MOST_UNPACKED_BYTES or file.metadata.num_rows > MOST_ROWS:
            raise ValueError(
                f"it holds {file.metadata.num_rows:,} rows in {n_bytes:,} bytes once unpacked; {MOST_ROWS:,} rows in "
                f"{MOST_UNPACKED_BYTES:,} bytes are the most that is read"
            )
        names = file.schema_arrow.names
        known = [name for name in schema if names.count(name) == 1]
        table = file.read(columns=known)
    table.validate(full=True)
    if sum(column.nbytes for column in table.columns) > MOST_UNPACKED_BYTES:
        raise ValueError(f"it holds more than {MOST_UNPACKED_BYTES:,} bytes once unpacked")
    frame = pl.DataFrame(pl.from_arrow(table.select(known)))
    return frame, [name for name in names if name not in known and not _PANDAS_INDEX.fullmatch(name)]


def _csv_columns(path: Path, schema: ColumnTypes) -> Columns:
    text = _text(path)
    header = text.partition("\n")[0]
    for separator, said in ((";", "semicolons"), ("\t", "tabs")):
        if "," not in header and separator in header:
            raise ValueError(
                f"its columns are separated by {said}; separate them by commas, or import the file with a map"
            )
    frame = pl.read_csv(text.encode(), infer_schema=False)
    known = [name for name in schema if name in frame.columns]
    return frame.select(known), [name for name in frame.columns if name not in known]


def _json_line(row: dict[str, Any], json_columns: set[str]) -> str:
    nested = {name: json.loads(row[name]) for name in json_columns if row[name] is not None}
    return json.dumps({**row, **nested}, ensure_ascii=False, allow_nan=False) + "\n"


def _json_lines(text: str) -> list[dict[str, Any]]:
    """One object a line."""
    # Not splitlines(): a text may hold a bare U+2028, which JSON leaves as it is and Python takes for a line's end.
    return [_record(line, number) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _record_columns(
    records: list[dict[str, Any]], schema: ColumnTypes, json_columns: set[str], numbers: ItemNumbers
) -> Columns:
    """A column that some records lack is null there. Of no records at all, no column can be missing."""
    names = dict.fromkeys(name for record in records for name in record) if records else dict.fromkeys(schema)
    columns = {name: [record.get(name) for record in records] for name in schema if name in names}
    if "item_id" in columns:
        columns["item_id"] = list(numbers.numbered(columns["item_id"]))
    for name in json_columns & columns.keys():
        columns[name] = [None if value is None else json.dumps(value, ensure_ascii=False) for value in columns[name]]
    typed = [column_of(name, values, schema[name]) for name, values in columns.items()]
    for column in typed:
        if column.name in json_columns:
            json_column(column)
    return pl.DataFrame(typed), [name for name in names if name not in schema]


def _record(line: str, number: int) -> dict[str, Any]:
    try:
        return record_in(line)
    except ValueError as error:
        raise ValueError(f"line {number} {error}") from error
