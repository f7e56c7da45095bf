"""Parses one line of a JSONL file as an object, or a whole JSON file, or says in words what is wrong with it.

Takes untrusted text; the caller names the file and the line.
"""

import json
from typing import Any

from nlareport.shown import shown

MOST_LINE_CHARS = 50_000_000
"""Of one line. A longer one is no row but a whole file without line ends."""


def record_in(line: str) -> dict[str, Any]:
    """The object a line holds; a repeated key is a fault.

    Raises:
        ValueError: what is wrong, as the predicate of a sentence about the line.
    """
    if line.lstrip()[:1] == "[":
        raise ValueError("begins a JSON array; write one object a line, without brackets around them")
    try:
        record = _loaded(line)
    except json.JSONDecodeError as error:
        if line.rstrip().endswith("},"):
            raise ValueError("ends in a comma; write one object a line with nothing after it") from error
        raise ValueError(f"is not JSON ({error.msg}, column {error.colno})") from error
    if not isinstance(record, dict):
        raise ValueError("is no JSON object; every line must be one")
    return record


def value_in(text: str) -> Any:
    """What a whole JSON text says; a repeated key is a fault.

    Raises:
        ValueError: what is wrong, as the predicate of a sentence about the file.
    """
    try:
        return _loaded(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg}, line {error.lineno}, column {error.colno})") from error


def list_in(text: str) -> list[dict[str, Any]]:
    """The objects of a JSON list.

    Raises:
        ValueError: what is wrong, as the predicate of a sentence about the file.
    """
    records = value_in(text)
    if not isinstance(records, list):
        raise ValueError("holds no JSON list; write a list of objects, one a row")
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise ValueError(f"row {number} is no JSON object; every row must be one")
    return records


def _loaded(text: str) -> Any:
    """What JSON text says; a fault is a JSONDecodeError, or a ValueError that says it as a predicate."""
    try:
        return json.loads(text, object_pairs_hook=_unrepeated)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("is nested too deeply to be read") from error
    except _Repeated as error:
        raise ValueError(f"holds the key {shown(error.key)} twice; keep one") from error
    except ValueError as error:
        # Python refuses to read numbers of thousands of digits.
        raise ValueError("holds a number of too many digits") from error


def is_text(text: str) -> bool:
    """Whether every character is one: JSON can also write half of a surrogate pair, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Repeated(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Repeated(next(key for key in keys if keys.count(key) > 1))
    return record
