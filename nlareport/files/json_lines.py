"""Parses one line of a JSONL file as an object, or says in words what is wrong with it.

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
        record = json.loads(line, object_pairs_hook=_unrepeated)
    except json.JSONDecodeError as error:
        if line.rstrip().endswith("},"):
            raise ValueError("ends in a comma; write one object a line with nothing after it") from error
        raise ValueError(f"is not JSON ({error.msg}, column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply to be read") from error
    except _Repeated as error:
        raise ValueError(f"holds the key {shown(error.key)} twice; keep one") from error
    except ValueError as error:
        # Python refuses to read numbers of thousands of digits.
        raise ValueError("holds a number of too many digits") from error
    if not isinstance(record, dict):
        raise ValueError("is no JSON object; every line must be one")
    return record


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
