"""Opens results as others write them: JSON, JSON Lines, CSV of spreadsheets too, Parquet, gzipped, a file or a folder.

Takes a path, returns the rows of every file as `Record`s. What is wrong is said in one sentence with file and row.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nlareport.errors import ResultsUnreadable
from nlareport.files.gzip_files import bytes_unpacked, inner_ending, text_unpacked
from nlareport.files.json_lines import record_in, value_in
from nlareport.shown import brief, listed, shown
from nlareport.store.maps.nested_rows import Record, records_in

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".txt")
MOST_BYTES = 1_000_000_000
"""Of one file, unpacked."""
MOST_FILES = 2_000
MOST_ROWS = 5_000_000
_ADVICE = "Correct it, or leave it out with `files` in the map."
_SEPARATORS = (",", ";", "\t")

csv.field_size_limit(50_000_000)


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of results."""

    path: Path
    records: list[Record]
    has_decimal_commas: bool = False
    """Whether 0,71 is a number: spreadsheets that separate columns by semicolons write so."""

    @property
    def name(self) -> str:
        """The file's name without its endings."""
        return self.path.name.removesuffix(".gz").rpartition(".")[0] or self.path.name


def files_at(path: Path, patterns: list[str]) -> list[Path]:
    """The file at a path, or those of a folder that fit a pattern, by name; its map and notes are no results.

    Raises:
        ResultsUnreadable: there is none, or there are too many.
    """
    if not path.is_dir():
        return [path]
    fitting = {file for pattern in patterns for file in _fitting(path, pattern) if file.is_file()}
    found = sorted(file for file in fitting if inner_ending(file) in ENDINGS)
    if not found:
        raise ResultsUnreadable(
            f"{path}: holds no {', '.join(ENDINGS)} file that fits {listed(patterns)}; correct `files` in the map."
        )
    if len(found) > MOST_FILES:
        raise ResultsUnreadable(f"{path}: holds {len(found):,} files; {MOST_FILES:,} are the most that is read.")
    return found


def _fitting(folder: Path, pattern: str) -> Iterator[Path]:
    said = f"{folder}: {shown(pattern)} is no pattern of files in it; correct `files` in the map."
    if ".." in Path(pattern).parts:
        raise ResultsUnreadable(said)
    try:
        yield from folder.glob(pattern)
    except (ValueError, NotImplementedError) as error:
        raise ResultsUnreadable(said) from error


def read_results(path: Path, rows: str | None) -> ResultFile:
    """The rows of one file; `rows` is where they are in JSON.

    Raises:
        ResultsUnreadable: the file is not there, is damaged or of another kind, or has no rows where they should be.
    """
    ending = inner_ending(path)
    try:
        match ending:
            case ".csv" | ".tsv":
                return _csv_file(path, _text(path))
            case ".jsonl" | ".ndjson":
                records = list(_json_lines(_text(path), rows))
            case ".json":
                records = _json_records(_text(path), rows)
            case ".parquet":
                records = list(_numbered(_parquet_rows(path), rows))
            case _:
                raise ResultsUnreadable(
                    f"{path}: ends in {ending or 'nothing'}; give a {', '.join(ENDINGS[:-1])} file, plain or gzipped."
                )
    except ValueError as error:
        raise ResultsUnreadable(f"{path}: {error}. {_ADVICE}") from error
    if len(records) > MOST_ROWS:
        raise ResultsUnreadable(f"{path}: holds {len(records):,} rows; {MOST_ROWS:,} are the most that is read.")
    return ResultFile(path, records)


def _text(path: Path) -> str:
    return text_unpacked(path, ResultsUnreadable, _ADVICE, MOST_BYTES)


def _json_records(text: str, rows: str | None) -> list[Record]:
    """The rows of a JSON file; one that holds an object a line is read as JSON Lines, as others name them."""
    try:
        content = value_in(text)
    except ValueError as error:
        if text.lstrip()[:1] == "{" and "\n{" in text:
            return list(_json_lines(text, rows))
        raise error
    if isinstance(content, dict) and rows is None:
        raise ValueError(f"holds an object; say in `rows` of a map where its rows are: {listed(list(content))}")
    return list(records_in(content, rows))


def _json_lines(text: str, rows: str | None) -> Iterator[Record]:
    n_rows = 0
    # Not splitlines(): a text may hold a bare U+2028, which JSON leaves as it is and Python takes for a line's end.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = list(records_in(record_in(line), rows, n_rows + 1))
        except ValueError as error:
            raise ValueError(f"line {number} {error}") from error
        n_rows += len(found)
        yield from found


def _numbered(values: list[dict[str, Any]], rows: str | None) -> Iterator[Record]:
    return records_in(values, rows)


def _csv_file(path: Path, text: str) -> ResultFile:
    header, _, _ = text.partition("\n")
    separator = max(_SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        lines = [line for line in reader if line]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not CSV ({error})") from error
    if not lines:
        raise ValueError("is empty")
    names = lines[0]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"has more than one column {listed(repeated)}; rename all but one")
    for number, line in enumerate(lines[1:], start=1):
        if len(line) != len(names):
            raise ValueError(f"row {number} has {len(line)} fields, the header {len(names)}")
    # An empty field is no value.
    rows = [{name: value for name, value in zip(names, line, strict=True) if value != ""} for line in lines[1:]]
    records = [Record(number, _with_all(row, names)) for number, row in enumerate(rows, start=1)]
    return ResultFile(path, records, has_decimal_commas=separator == ";")


def _with_all(row: dict[str, str], names: list[str]) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file, without the vectors that it may hold."""
    # Not with polars: a damaged page makes it panic, which is no Exception.
    source = io.BytesIO(bytes_unpacked(path, ResultsUnreadable, _ADVICE, MOST_BYTES))
    try:
        with pq.ParquetFile(source) as file:
            if file.metadata.num_rows > MOST_ROWS:
                raise ValueError(f"holds {file.metadata.num_rows:,} rows; {MOST_ROWS:,} are the most that is read")
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
            if sum(group.total_byte_size for group in groups) > 4 * MOST_BYTES:
                raise ValueError(f"holds more than {4 * MOST_BYTES:,} bytes once unpacked")
            plain = [field.name for field in file.schema_arrow if not _is_vector(field.type)]
            table = file.read(columns=plain)
        table.validate(full=True)
        found: list[dict[str, Any]] = table.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"is damaged or no Parquet file ({brief(error)})") from error
    return found


def _is_vector(kind: Any) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and pa.types.is_floating(kind.value_type))
