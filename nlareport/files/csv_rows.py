"""Reads comma-separated or tab-separated text row by row; what is wrong with it is said with the line it begins on."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nlareport.errors import CorpusUnreadable
from nlareport.files.json_lines import MOST_LINE_CHARS
from nlareport.shown import listed

# The module's own limit is 131,072, which is less than a long document.
csv.field_size_limit(MOST_LINE_CHARS)


def csv_rows(path: Path, lines: Iterable[tuple[int, str]], separator: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows after the first, which names the columns, each with its place; `lines` are the file's, numbered from 1.

    Raises:
        CorpusUnreadable: a row is not CSV or has another number of fields, or the columns are separated otherwise.
    """
    numbers = [0]

    def texts() -> Iterator[str]:
        for number, line in lines:
            numbers[0] = number
            yield line

    reader = csv.reader(texts(), delimiter=separator, strict=True)
    header: list[str] = []
    while True:
        begins = numbers[0] + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CorpusUnreadable(
                f"{path}, line {begins}: the row that begins there is not CSV ({error}). Put fields in double "
                "quotation marks and double those within."
            ) from error
        if row is None:
            return
        if not row:
            continue
        if not header:
            header = _header(path, row, separator)
        elif len(row) != len(header):
            raise CorpusUnreadable(
                f"{path}, line {begins}: has {len(row)} fields, the header {len(header)}. Put fields that hold "
                "separators or line ends in double quotation marks."
            )
        else:
            yield f"{path}, line {begins}", dict(zip(header, row, strict=True))


def _header(path: Path, names: list[str], separator: str) -> list[str]:
    for other, said in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
        if len(names) == 1 and other != separator and other in names[0]:
            ours = "commas" if separator == "," else "tabs"
            raise CorpusUnreadable(f"{path}: its columns are separated by {said}; separate them by {ours}.")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise CorpusUnreadable(f"{path}, line 1: there is more than one column {listed(repeated)}; rename all but one.")
    return names
