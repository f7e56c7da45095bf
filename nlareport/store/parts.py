"""Parquet files that appear whole or not at all, and that say so when they are damaged.

A folder of parts is one table: each part is named after the smallest number in it, so that a run that is stopped
and resumed writes the same names.
"""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from nlareport.atomic_files import write_whole
from nlareport.errors import ActivationsDamaged
from nlareport.store.tables import ColumnTypes


def part_name(first: int) -> str:
    """The file name of the part whose smallest number is `first`."""
    return f"part-{first:08d}.parquet"


def part_paths(folder: Path) -> list[Path]:
    """The folder's parts in order of name; none when the folder is not there."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def write_part(path: Path, frame: pl.DataFrame) -> None:
    """Writes a frame as one Parquet file.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    table = frame.to_arrow()
    # The public stage 0 writes `string` where polars would write `large_string`.
    kinds = [pa.string() if pa.types.is_large_string(field.type) else field.type for field in table.schema]
    sink = pa.BufferOutputStream()
    pq.write_table(table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True)))), sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def column_names(path: Path) -> list[str]:
    """The columns of one part.

    Raises:
        ActivationsDamaged: the file cannot be read.
    """
    try:
        return list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(path, f"cannot be read ({_first_line(error)})") from error


def read_part(path: Path, columns: ColumnTypes) -> pl.DataFrame:
    """The named columns of one part, of the types given; `pl.Array` stands for an array of any width.

    Raises:
        ActivationsDamaged: the file cannot be read, or a column is missing or of another type.
    """
    try:
        frame = pl.read_parquet(path, columns=list(columns))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(path, f"cannot be read ({_first_line(error)})") from error
    for name, expected in columns.items():
        found = frame.schema[name]
        if found != expected and found.base_type() is not expected:
            raise damaged(path, f"holds column {name} as {found}, expected {expected}")
    return frame


def damaged(path: Path, what: str) -> ActivationsDamaged:
    """The error for a part that is not what it should be."""
    return ActivationsDamaged(f"{path}: {what}; delete this file and run again, only its rows are computed anew.")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
