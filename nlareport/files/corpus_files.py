"""Reads corpus files row by row: Parquet, CSV, JSON, JSON Lines and plain text, each of them also gzipped.

Takes a path and the columns wanted, returns records with the place of each for errors. What is wrong with a file is
said in one sentence with the file and the line or row.
"""

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow.parquet as pq

from nlareport.errors import CorpusUnreadable
from nlareport.files.csv_rows import csv_rows
from nlareport.files.given_files import GZIP, N_SIGNATURE_BYTES, PARQUET, not_utf8, open_given, what_it_is
from nlareport.files.json_lines import MOST_LINE_CHARS, list_in, record_in
from nlareport.shown import brief, listed, shown

Rows = Iterator[tuple[str, dict[str, Any]]]
"""Where each row stands, such as ``texts.csv, line 3``, and its values by column."""

Wanted = Mapping[str, str]
"""The columns that are read, each with the key of the experiment's `corpus` that names it."""

GZ = ".gz"
MOST_WHOLE_BYTES = 2_000_000_000
"""Of a file that has to be in memory whole: a JSON list, a gzipped Parquet file."""
_ADVICE = "Correct corpus.path."
_PARQUET_ROWS_AT_ONCE = 1000
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ENDINGS = (".parquet", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt", ".text", ".md")


def rows_of(path: Path, wanted: Wanted, first: int, last: int | None) -> Rows:
    """The rows from index `first` to `last`, both included and counted from 0; fewer where the file ends.

    Its ending tells what a file is. In plain text, blank lines separate rows, which have the `text_column` alone.
    Columns other than those wanted may be left out.

    Raises:
        CorpusUnreadable: the file is not there, is of another kind, or is damaged; of Parquet, also a missing column.
    """
    ending = path.with_suffix("").suffix.lower() if path.suffix.lower() == GZ else path.suffix.lower()
    _refuse_other_kinds(path, ending)
    if ending == ".parquet":
        return _parquet_rows(path, wanted, first, last)
    if ending in _SEPARATORS:
        rows = csv_rows(path, _lines(path), _SEPARATORS[ending])
    elif ending == ".json":
        rows = _json_rows(path)
    elif ending in {".jsonl", ".ndjson"}:
        rows = _json_line_rows(path)
    else:
        rows = _paragraphs(path, wanted)
    return islice(rows, first, None if last is None else last + 1)


def no_such_column(place: str, key: str, column: str, columns: Sequence[str]) -> CorpusUnreadable:
    """The error for a column that is not there exactly once; `key` names it, in the section `corpus` or in another."""
    how = "more than one column" if column in columns else "no column"
    there = listed(columns) or "none at all"
    where = key if "." in key else f"corpus.{key}"
    return CorpusUnreadable(f"{place}: there is {how} {shown(column)}; there are: {there}. Correct {where}.")


def _refuse_other_kinds(path: Path, ending: str) -> None:
    with _open(path) as file, _gzip_faults(path):
        said = what_it_is(file.read(N_SIGNATURE_BYTES))
    if said is not None and not (said == PARQUET and ending == ".parquet"):
        rename = {PARQUET: ": give it a name that ends in .parquet", GZIP: ", or give it a name that ends in .gz"}
        raise CorpusUnreadable(f"{path}: {said}{rename.get(said, '')}. {_ADVICE}")
    if said is None and ending == ".parquet":
        raise CorpusUnreadable(f"{path}: is no Parquet file. {_ADVICE}")
    if ending not in _ENDINGS:
        raise CorpusUnreadable(
            f"{path}: ends in {ending or 'nothing'}; give a {', '.join(_ENDINGS)} file, or one of them gzipped (.gz)."
        )


def _open(path: Path) -> io.BufferedIOBase:
    """The bytes of a file, decompressed where its name says so."""
    file = open_given(path, CorpusUnreadable, _ADVICE)
    return _Decompressed(file) if path.suffix.lower() == GZ else cast(io.BufferedIOBase, file)


class _Decompressed(gzip.GzipFile):
    """What a compressed file holds; closed, it closes that file too."""

    def __init__(self, compressed: BinaryIO) -> None:
        super().__init__(fileobj=compressed)
        self._compressed = compressed

    def close(self) -> None:
        """Close both."""
        super().close()
        self._compressed.close()


@contextmanager
def _gzip_faults(path: Path) -> Iterator[None]:
    """Translates what decompressing raises."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorpusUnreadable(f"{path}: is damaged or not gzipped ({brief(error)}). Write it again.") from error


def _whole(path: Path) -> bytes:
    with _open(path) as file, _gzip_faults(path):
        content = file.read(MOST_WHOLE_BYTES + 1)
    if len(content) > MOST_WHOLE_BYTES:
        raise CorpusUnreadable(
            f"{path}: holds more than {MOST_WHOLE_BYTES:,} bytes, which is the most that is read at once. "
            "Give it as JSON Lines or as Parquet, not gzipped."
        )
    return content


def _json_rows(path: Path) -> Rows:
    """The objects of a JSON list; a file that begins with an object is taken for JSON Lines, as others write it."""
    content = _whole(path)
    begins = content.lstrip(b"\xef\xbb\xbf \t\r\n")
    if begins[:1] == b"{":
        if not begins.partition(b"\n")[0].rstrip().endswith(b"}"):
            raise CorpusUnreadable(
                f"{path}: begins an object over several lines; write a list of objects, or one object a line."
            )
        yield from _json_line_rows(path)
        return
    try:
        records = list_in(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorpusUnreadable(f"{path}, line {line}: {not_utf8(error)}") from error
    except ValueError as error:
        raise CorpusUnreadable(f"{path}: {error}. Correct or remove it.") from error
    for number, record in enumerate(records, start=1):
        yield f"{path}, row {number}", record


def _json_line_rows(path: Path) -> Rows:
    """The object on every line that is not empty."""
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = record_in(line)
        except ValueError as error:
            raise CorpusUnreadable(f"{path}, line {number}: {error}. Correct or remove that line.") from error
        yield f"{path}, line {number}", row


def _paragraphs(path: Path, wanted: Wanted) -> Rows:
    """The runs of lines between blank lines."""
    columns = [column for column, key in wanted.items() if key == "text_column"]
    for is_text_here, lines in groupby(_lines(path), key=lambda numbered: bool(numbered[1].strip())):
        if is_text_here:
            yield str(path), dict.fromkeys(columns, "".join(_bounded(path, lines)).rstrip("\n"))


def _bounded(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    """The lines of one document, which is not a whole file of gigabytes."""
    n_chars = 0
    for number, line in lines:
        n_chars += len(line)
        if n_chars > MOST_LINE_CHARS:
            raise CorpusUnreadable(
                f"{path}, line {number}: the document around it has more than {MOST_LINE_CHARS:,} characters. "
                "Separate documents by blank lines."
            )
        yield line


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, from 1, with line ends of any system; a byte order mark at the start is no part of the first."""
    with io.TextIOWrapper(cast(BinaryIO, _open(path)), encoding="utf-8-sig") as file, _gzip_faults(path):
        number = 0
        try:
            while line := file.readline(MOST_LINE_CHARS + 1):
                number += 1
                if len(line) > MOST_LINE_CHARS:
                    raise CorpusUnreadable(
                        f"{path}, line {number}: has more than {MOST_LINE_CHARS:,} characters, which is no document. "
                        "Write each document on a line of its own."
                    )
                yield number, line
        except UnicodeDecodeError as error:
            raise CorpusUnreadable(f"{path}, line {_line_not_utf8(path)}: {not_utf8(error)}") from error
        except gzip.BadGzipFile:
            raise
        except OSError as error:
            raise CorpusUnreadable(f"{path}, line {number + 1}: cannot be read ({error.strerror}).") from error


def _line_not_utf8(path: Path) -> int:
    """The number of the first line that is not UTF-8: the reader decodes in blocks, ahead of the lines it gives."""
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _parquet_rows(path: Path, wanted: Wanted, first: int, last: int | None) -> Rows:
    """The columns from the first index on, row group by row group; those before are not read."""
    source = io.BytesIO(_whole(path)) if path.suffix.lower() == GZ else path
    # Not with polars: a damaged page makes it panic, which is no Exception.
    with _parquet_faults(str(path)):
        parquet = pq.ParquetFile(source)
        names = parquet.schema_arrow.names
    for column, key in wanted.items():
        if names.count(column) != 1:
            raise no_such_column(str(path), key, column, names)
    index = 0
    for group in range(parquet.num_row_groups):
        n_rows = parquet.metadata.row_group(group).num_rows
        if index + n_rows <= first:
            index += n_rows
            continue
        place = f"{path}, row group {group}"
        with _parquet_faults(place):
            batches = parquet.iter_batches(_PARQUET_ROWS_AT_ONCE, [group], list(wanted))
        while True:
            with _parquet_faults(f"{place}, row {index} or after it"):
                batch = next(batches, None)
            if batch is None:
                break
            for row in range(batch.num_rows):
                if last is not None and index > last:
                    return
                if index >= first:
                    with _parquet_faults(f"{place}, row {index}"):
                        values = {name: batch.column(name)[row].as_py() for name in wanted}
                    yield f"{path}, row {index}", values
                index += 1


@contextmanager
def _parquet_faults(place: str) -> Iterator[None]:
    """Translates errors of Arrow: which Parquet file is damaged, and where."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise CorpusUnreadable(f"{place}: {not_utf8(error)}") from error
    # Arrow's errors are of many types, most of them ValueErrors and OSErrors.
    except Exception as error:
        raise CorpusUnreadable(
            f"{place}: is damaged or no Parquet file ({brief(error)}). Write it again, or correct corpus.path."
        ) from error
