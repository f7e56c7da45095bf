"""Parquet files that appear whole or not at all, and that say so when they are damaged.

A folder of parts is one table: each part is named after the smallest number in it, so that a run that is stopped
and resumed writes the same names. Every part carries checksums, compared on every read; those of earlier versions and
of other tools carry none, and are read as they are.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from nlareport.errors import ActivationsDamaged, ActivationsUnreadable, NlareportError
from nlareport.files.atomic_files import write_whole
from nlareport.shown import first_line
from nlareport.store.row_tables import ColumnTypes
from nlareport.store.vectors.sealed_parquet import SealBroken, SealedFile, open_sealed, seal

NO_NOTES: Mapping[str, str] = MappingProxyType({})


def part_name(first: int) -> str:
    """The file name of the part whose smallest number is `first`."""
    return f"part-{first:08d}.parquet"


def part_paths(folder: Path) -> list[Path]:
    """The folder's parts in order of name; none when the folder is not there."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith(".") and path.is_file())


def write_part(path: Path, frame: pl.DataFrame, notes: Mapping[str, str] = NO_NOTES) -> None:
    """Writes a frame as one Parquet file with its checksums, and notes that `part_notes` gives back.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    table = frame.to_arrow()
    # The public stage 0 writes `string` where polars would write `large_string`.
    kinds = [pa.string() if pa.types.is_large_string(field.type) else field.type for field in table.schema]
    write_whole(path, seal(table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True)))), notes))


def part_notes(path: Path) -> dict[str, str]:
    """The notes a part was written with; none where an earlier version or another tool wrote it.

    Raises:
        ActivationsDamaged: the file is not what was written.
        ActivationsUnreadable: the disk does not give it.
    """
    with _opened(path) as opened:
        # Read also where there are no notes: a file that was cut short is not one without notes.
        _metadata(*opened)
        return {} if opened[1] is None else opened[1].notes


def column_names(path: Path) -> list[str]:
    """The columns of one part.

    Raises:
        ActivationsDamaged: the file is not what was written, or no Parquet file.
        ActivationsUnreadable: the disk does not give it.
    """
    with _opened(path) as opened:
        return list(_metadata(*opened).schema.to_arrow_schema().names)


def row_count(path: Path) -> int:
    """How many rows a part says it holds.

    Raises:
        ActivationsDamaged: the file is not what was written, or no Parquet file.
        ActivationsUnreadable: the disk does not give it.
    """
    with _opened(path) as opened:
        n_rows, n_bytes = _metadata(*opened).num_rows, path.stat().st_size
    # No vector fits into less than a byte: a number that nobody checked must not ask for all the memory there is.
    if not 0 <= n_rows <= n_bytes:
        raise damaged(path, f"says that it holds {n_rows} rows, in {n_bytes} bytes")
    return int(n_rows)


def read_part(path: Path, columns: ColumnTypes) -> pl.DataFrame:
    """The named columns of one part, of the types given; `pl.Array` stands for an array of any width.

    Raises:
        ActivationsDamaged: the file is not what was written, or a column is missing or of another type.
        ActivationsUnreadable: the disk does not give it.
    """
    return _of_types(_read(path, list(columns)), path, columns)


def read_whole_part(path: Path) -> pl.DataFrame:
    """Every column of one part.

    Raises:
        ActivationsDamaged: the file is not what was written, or no Parquet file.
        ActivationsUnreadable: the disk does not give it.
    """
    return _read(path, None)


def refuse_damaged(path: Path) -> bool:
    """True when every byte of the part is as written, False when it can be read but carries no checksums.

    Raises:
        ActivationsDamaged: the file is not what was written, or no Parquet file.
        ActivationsUnreadable: the disk does not give it.
    """
    with _opened(path) as (_, sealed):
        if sealed is not None:
            sealed.refuse_any_change()
            return True
    read_whole_part(path)
    return False


def damaged(path: Path, what: str) -> ActivationsDamaged:
    """The error for a part that is not what it should be."""
    return ActivationsDamaged(f"{path}: {what}; delete this file and run again: only its rows are computed again.")


def _read(path: Path, columns: list[str] | None) -> pl.DataFrame:
    with _opened(path) as (file, sealed):
        table = pq.ParquetFile(file).read(columns) if sealed is None else sealed.table(columns)
        # Texts and names too: Arrow takes them for UTF-8 unasked, and polars panics where they are not.
        table.validate(full=True)
        _decode_names(table.schema)
        if lacking := sorted(set(columns or ()) - set(table.column_names)):
            raise damaged(path, f"cannot be read as vectors or texts: it has no column {', '.join(lacking)}")
        return pl.DataFrame(pl.from_arrow(table.replace_schema_metadata()))


def _decode_names(schema: pa.Schema) -> None:
    """Pass when every name is text, also those within types, such as that of a list's elements.

    Raises:
        UnicodeDecodeError: one is not.
    """
    for field in schema:
        field.name.encode()
        for place in range(field.type.num_fields):
            field.type.field(place).name.encode()


def _metadata(file: BinaryIO, sealed: SealedFile | None) -> pq.FileMetaData:
    return pq.read_metadata(file) if sealed is None else sealed.metadata


def _of_types(frame: pl.DataFrame, path: Path, columns: ColumnTypes) -> pl.DataFrame:
    for name, expected in columns.items():
        found = frame.schema[name]
        if found != expected and found.base_type() is not expected:
            raise damaged(path, f"holds column {name} as {found}, expected {expected}")
        if frame[name].null_count():
            raise damaged(path, f"holds rows without a value of {name}")
    return frame


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, SealedFile | None]]:
    """The file, and the same with its checksums where it carries some; whatever fails within is said in our words.

    Raises:
        ActivationsDamaged: the file is not what was written, or no Parquet file.
        ActivationsUnreadable: the disk does not give it, or there is no memory for it.
    """
    sealed: Any = None
    try:
        with path.open("rb") as file:
            sealed = open_sealed(file)
            yield file, sealed
    except NlareportError:
        raise
    except SealBroken as error:
        raise damaged(path, f"is not what was written ({error})") from error
    except Exception as error:
        # The disk, not the file; a library that cannot make sense of a file raises OSError too, without a number.
        is_disk = isinstance(error, OSError) and error.errno is not None
        if is_disk or (sealed is not None and isinstance(error, MemoryError)):
            reason = getattr(error, "strerror", None) or "there is not enough memory"
            raise ActivationsUnreadable(
                f"{path}: could not be read ({reason}); nothing says that it is damaged: mend that, then run again."
            ) from error
        raise damaged(path, f"cannot be read ({first_line(error) or type(error).__name__})") from error
