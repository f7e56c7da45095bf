"""Finds the rows of nested JSON, and values in them: a path leads to the rows, and a column may be a path too.

Takes what a JSON file holds, returns `Record`s. A list on the way stands for all its elements, `*` for all values of an
object. A column that a row lacks is looked for in the objects around it, the nearest first.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlareport.shown import listed, shown

ABSENT = object()
"""What a record says of a column that it does not have."""
EVERY = "*"
LAST = "last"
VALUE = "<value>"
"""The column of a row that is no object."""
_KEY = re.compile(r"<key([1-9]?)>")
_MOST_PLACES = 10_000
"""Of a list whose elements are to be columns."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row, with what it stands in."""

    number: int
    """Of the row in its file, from 1."""
    values: Mapping[str, Any]
    around: tuple[Mapping[str, Any], ...] = ()
    """The objects it stands in, the outermost first."""
    keys: tuple[Any, ...] = ()
    """The keys of objects and the places in lists, from 1, that lead to it."""

    def get(self, column: str) -> Any:
        """What the row says in a column; ABSENT when it has no such column."""
        if column == "<row>":
            return self.number
        if found := _KEY.fullmatch(column):
            place = int(found[1]) - 1 if found[1] else len(self.keys) - 1
            return self.keys[place] if 0 <= place < len(self.keys) else ABSENT
        for holder in (self.values, *reversed(self.around)):
            if (value := value_at(holder, column)) is not ABSENT:
                return value
        return ABSENT

    def names(self, lists: bool = False) -> Iterator[str]:
        """The paths to all its values; with `lists` also those to the elements of lists."""
        return _names(self.values, "", lists)


def records_in(content: Any, path: str | None, first: int = 1) -> Iterator[Record]:
    """The rows at a path, numbered from `first`.

    Raises:
        ValueError: the path leads nowhere, as the predicate of a sentence about the file.
    """
    steps = path.split(".") if path else []
    for number, (values, around, keys) in enumerate(_walk(content, steps, (), ()), start=first):
        yield Record(number, values, around, keys)


def value_at(holder: Any, path: str) -> Any:
    """What stands at a path in an object or a list; ABSENT when nothing does."""
    if isinstance(holder, Mapping):
        if path in holder:
            return holder[path]
        for end in range(len(path) - 1, 0, -1):
            if path[end] == "." and isinstance(holder.get(path[:end]), Mapping | list):
                return value_at(holder[path[:end]], path[end + 1 :])
        return ABSENT
    place, _, rest = path.partition(".")
    if not isinstance(holder, list) or not holder or not (place == LAST or place.isdecimal()):
        return ABSENT
    index = len(holder) if place == LAST else int(place)
    if not 1 <= index <= len(holder):
        return ABSENT
    return value_at(holder[index - 1], rest) if rest else holder[index - 1]


Found = tuple[Mapping[str, Any], tuple[Mapping[str, Any], ...], tuple[Any, ...]]


def _walk(
    content: Any, steps: Sequence[str], around: tuple[Mapping[str, Any], ...], keys: tuple[Any, ...]
) -> Iterator[Found]:
    if isinstance(content, list):
        for place, element in enumerate(content, start=1):
            yield from _walk(element, steps, around, (*keys, place))
    elif not steps:
        yield (content if isinstance(content, dict) else {VALUE: content}), around, keys
    elif not isinstance(content, dict):
        raise ValueError(f"holds no object where rows says {shown(steps[0])}")
    elif steps[0] == EVERY:
        for key, value in content.items():
            yield from _walk(value, steps[1:], (*around, content), (*keys, key))
    elif steps[0] not in content:
        raise ValueError(f"has no {shown(steps[0])} where rows says so; there are {listed(list(content))}")
    else:
        yield from _walk(content[steps[0]], steps[1:], (*around, content), keys)


def _names(value: Any, path: str, lists: bool) -> Iterator[str]:
    before = f"{path}." if path else ""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _names(inner, f"{before}{key}", lists)
    elif lists and isinstance(value, list) and len(value) <= _MOST_PLACES:
        for place, inner in enumerate(value, start=1):
            yield from _names(inner, f"{before}{place}", lists)
    else:
        yield path
