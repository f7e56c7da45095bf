"""Reads single values of mapped rows as texts, numbers and whole numbers, and notes what cannot be one.

Takes a file of results and a column's name, returns values; a fault names file, row and column, once a column.
"""

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from nlareport.files.json_lines import is_text
from nlareport.shown import shown
from nlareport.store.bundle.bundle_tables import Faults
from nlareport.store.maps.nested_rows import ABSENT, Record
from nlareport.store.maps.result_files import ResultFile

FILE = "<file>"
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")
_NOT_FINITE = {"nan", "inf", "-inf", "infinity", "-infinity"}


@dataclass(slots=True)
class Values:
    """Reads the values of one file."""

    file: ResultFile
    missing: frozenset[str]
    """Texts that stand for no value."""
    faults: Faults
    seen: set[str]
    """The columns that some row of some file has."""
    _told: Counter[str] = field(default_factory=Counter)

    def raw(self, record: Record, column: str) -> Any:
        """What a row says in a column; None when it says nothing."""
        if column == FILE:
            self.seen.add(column)
            return self.file.name
        value = record.get(column)
        if value is ABSENT:
            return None
        self.seen.add(column)
        return None if isinstance(value, str) and value in self.missing else value

    def text(self, record: Record, column: str | None) -> str | None:
        """A text; a list of texts is one of as many lines."""
        value = None if column is None else self.raw(record, column)
        if isinstance(value, list) and all(isinstance(line, str) for line in value):
            value = "\n".join(value)
        if isinstance(value, bool | int | float):
            # As JSON writes it: True is true.
            value = json.dumps(value)
        if value is None or (isinstance(value, str) and is_text(value)):
            return value
        half = "; it holds half of a surrogate pair, no character" if isinstance(value, str) else ""
        self.refuse(record, column, value, f"a text{half}")
        return None

    def number(self, record: Record, column: str | None) -> float | None:
        """A number, which may be written as a text; NaN and the infinities are numbers here."""
        value = None if column is None else self.raw(record, column)
        if isinstance(value, str):
            value = self._of_text(value.strip())
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            try:
                return None if value is None else float(value)
            except OverflowError:
                pass
        self.refuse(record, column, value, "a number")
        return None

    def whole(self, record: Record, column: str | None) -> int | None:
        """A whole number."""
        number = self.number(record, column)
        if number is None:
            return None
        if not math.isfinite(number) or number != int(number) or not 0 <= number < 2**53:
            self.refuse(record, column, number, "a whole number, 0 or above")
            return None
        return int(number)

    def refuse(self, record: Record, column: str | None, value: Any, wanted: str) -> None:
        """Notes that a value is not what it must be."""
        self.fault(record, f"{column}|{wanted}", f"{column} is {shown(value)}; it must be {wanted}.")

    def fault(self, record: Record, kind: str, said: str) -> None:
        """Notes a fault of a row, unless one of its kind is noted already."""
        self._told[kind] += 1
        if self._told[kind] == 1:
            self.faults.add(self.file.path, f"row {record.number}: {said}")

    def _of_text(self, text: str) -> Any:
        if not text:
            return None
        if self.file.has_decimal_commas and _DECIMAL_COMMA.fullmatch(text):
            text = text.replace(",", ".")
        if text.lower() in _NOT_FINITE:
            return float(text)
        try:
            # Python also takes 1_000 for a number.
            return text if "_" in text else float(text)
        except ValueError:
            return text
