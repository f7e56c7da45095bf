"""Guesses a map for results in a layout of their own, from names alone, and says what was understood of them.

Takes a path, returns the text of a map and a summary. How a score is defined is taken from its column's name or left
to be filled in; never from its values.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlareport.errors import MapInvalid, ResultsUnreadable
from nlareport.files.atomic_files import write_whole
from nlareport.files.gzip_files import inner_ending, text_unpacked
from nlareport.files.json_lines import value_in
from nlareport.shown import listed, printable
from nlareport.statistics.score_definitions import DEFINITIONS
from nlareport.store.maps.known_names import columns_by_name, definition_by_name, looks_like_a_score
from nlareport.store.maps.map_file import FILL_IN, built_in_maps
from nlareport.store.maps.nested_rows import ABSENT, VALUE, Record
from nlareport.store.maps.result_files import MOST_BYTES, ResultFile, files_at, read_results

_MOST_TAG_VALUES = 12
_MOST_TAGS = 6
_DEEPEST = 5
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


@dataclass(frozen=True, slots=True)
class Guess:
    """A map as far as names give it."""

    text: str
    understood: list[str]
    """Lines for the reader."""


def guess_map(path: Path) -> Guess:
    """The map that the names in a file or a folder of results suggest.

    Raises:
        ResultsUnreadable: there are no results, or they cannot be read.
    """
    paths = files_at(path, ["*"])
    if inner_ending(paths[0]) == ".txt":
        return Guess(built_in_maps()["transcripts"], ["Text files: taken for the public transcripts."])
    rows = _rows_path(paths[0])
    files = [read_results(file, rows) for file in paths]
    records = [record for file in files for record in file.records]
    if not records:
        raise ResultsUnreadable(f"{path}: holds no rows.")
    return _Guesser(path, files, records, rows).guess()


def guess_and_write(path: Path, map_name: str | None = None) -> list[str]:
    """Writes the map that names suggest and gives lines that say what was understood and where it is.

    Raises:
        ResultsUnreadable: there are no results, or they cannot be read.
        MapInvalid: another file is where the map would go.
        FileUnwritable: it cannot be written.
    """
    guess = guess_map(path)
    place = Path(map_name or f"{path.resolve().name.partition('.')[0]}.map.yaml")
    if place.exists() and place.read_bytes() != guess.text.encode():
        raise MapInvalid(f"{place}: is there already and says something else; give another path with --map.")
    write_whole(place, guess.text.encode())
    n_open = guess.text.count(FILL_IN)
    before = f"fill in the {n_open} places that say {FILL_IN}, then" if n_open else "read it, then"
    return [*guess.understood, f'{place}: the map; {before} "nlareport import {path} --map {place} --db FILE".']


def _rows_path(path: Path) -> str | None:
    """Where the rows of a JSON file are: the longest list of objects in it; None where it is a list itself."""
    if inner_ending(path) != ".json":
        return None
    try:
        content = value_in(text_unpacked(path, ResultsUnreadable, "Correct it.", MOST_BYTES))
    except ValueError:
        return None
    found = list(_lists(content, ""))
    return max(found, key=lambda found: found[1])[0] or None if found else None


def _lists(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, int]]:
    """The paths to lists of objects, and to objects of like objects, with how many there are."""
    if isinstance(value, list):
        if value and all(isinstance(element, dict) for element in value):
            yield path, len(value)
    elif isinstance(value, dict) and depth < _DEEPEST:
        inner = [element for element in value.values() if isinstance(element, dict)]
        if len(inner) == len(value) > 1 and all(element.keys() == inner[0].keys() for element in inner):
            yield f"{path}.*".lstrip("."), len(inner)
        for key, element in value.items():
            if "." not in key:
                yield from _lists(element, f"{path}.{key}".lstrip("."), depth + 1)


class _Guesser:
    """Puts a map together for files of rows."""

    def __init__(self, path: Path, files: Sequence[ResultFile], records: Sequence[Record], rows: str | None) -> None:
        self._path, self._files, self._records, self._rows = path, files, records, rows
        names = dict.fromkeys(name for record in records[:2000] for name in record.names())
        self._values: dict[str, list[Any]] = {
            name: [value for record in records if (value := record.get(name)) is not ABSENT] for name in names
        }
        self._columns = columns_by_name(list(names))
        self._scores = [name for name in names if looks_like_a_score(name) and self._numbers(name)]

    def guess(self) -> Guess:
        """The map and what was understood."""
        lines = [f"title: {_written(self._title())}", "pairs:", *self._pair_lines()]
        lines += [f"rows: {_written(self._rows)}"] if self._rows else []
        lines += self._column_lines()
        tags = self._tags()
        lines += [f"tags: [{', '.join(map(_written, tags))}]"] if tags else []
        lines += ["scores:", *self._score_lines()] if self._scores else []
        return Guess("\n".join(lines) + "\n", list(self._understood(tags)))

    def _title(self) -> str:
        return self._path.resolve().name.partition(".")[0].replace("_", " ")

    def _sources(self) -> list[str]:
        """The pairs that the columns of sources and targets name."""
        named = [self._columns[role] for role in ("source", "target") if role in self._columns]
        found = dict.fromkeys(str(value) for name in named for value in self._values[name] if value is not None)
        return list(found) or [FILL_IN]

    def _pair_lines(self) -> Iterator[str]:
        for name in self._sources():
            known = f"pair_id: {_written(name)}, family: {FILL_IN}, base_model: {FILL_IN}"
            yield f"- {{{known}, block_index: {FILL_IN}, d_model: {FILL_IN}}}"
        yield "# With variance_nrm, V of the target, errors become fve_nrm."

    def _column_lines(self) -> Iterator[str]:
        item = self._item()
        if item:
            yield f"item: [{', '.join(map(_written, item))}]"
        else:
            yield "# item: every row is taken for an item of its own; name the columns that tell items apart, if not."
        for key, column in self._columns.items():
            if key == "item" or (key == "norm" and "token_index" not in self._columns):
                continue
            yield f"{key}: {_written(column)}"
        if "draw" not in self._columns and self._has_repeats(item):
            yield "draw: in_order  # Not sure: rows repeat an item, a source and a target."

    def _item(self) -> list[str]:
        """The columns that tell items apart: an id, or a document with a place in it."""
        parts = [self._columns[key] for key in ("document", "token_index") if key in self._columns]
        if "item" in self._columns:
            return [self._columns["item"]]
        return parts if len(parts) == 2 or parts == [self._columns.get("document")] else []

    def _has_repeats(self, item: Sequence[str]) -> bool:
        told = [*item, *(self._columns[key] for key in ("source", "target", "method") if key in self._columns)]
        keys = [tuple(str(record.get(name)) for name in told) for record in self._records]
        return bool(item) and len(set(keys)) < len(keys)

    def _score_lines(self) -> Iterator[str]:
        told: set[str | None] = set()
        for name in self._scores:
            definition = definition_by_name(name)
            note = "" if definition else f"  # One of: {', '.join(DEFINITIONS)}."
            if definition in told:
                note = "  # Not sure: give it a source, target or method of its own, or remove it."
            told.add(definition)
            yield f"- {{column: {_written(name)}, definition: {definition or FILL_IN}}}{note}"

    def _tags(self) -> list[str]:
        """Columns of a few texts or of true and false, which may be conditions of the items."""
        used = {*self._columns.values(), *self._scores}
        return [name for name in self._values if name not in used and name != VALUE and self._is_tag(name)][:_MOST_TAGS]

    def _is_tag(self, name: str) -> bool:
        values = [value for value in self._values[name] if value is not None]
        if not values or not all(isinstance(value, str | bool) for value in values):
            return False
        few = {value for value in values if not isinstance(value, str) or 0 < len(value) <= 60}
        is_number = all(isinstance(value, str) and _is_number(value) for value in values)
        return 1 < len(set(values)) <= _MOST_TAG_VALUES and len(few) == len(set(values)) and not is_number

    def _numbers(self, name: str) -> list[float]:
        values = [value for value in self._values[name] if value is not None and not isinstance(value, bool)]
        written = [str(value) for value in values if isinstance(value, int | float | str)]
        if len(written) < len(values) or not all(map(_is_number, written)):
            return []
        return [float(text.replace(",", ".")) for text in written]

    def _understood(self, tags: Sequence[str]) -> Iterator[str]:
        yield f"{len(self._files):,} file(s), {len(self._records):,} rows{self._where()}."
        item = self._item()
        n_items = len({tuple(str(record.get(name)) for name in item) for record in self._records}) if item else 0
        yield f"Items: {n_items:,}, told apart by {listed(item)}." if item else "Items: every row is one of its own."
        for key in ("source", "target", "draw", "method"):
            if key in self._columns:
                found = list(dict.fromkeys(self._values[self._columns[key]]))
                yield f"{key.capitalize()}s: {len(found):,} in {listed([self._columns[key]])}: {listed(found)}."
        told = [f"{key} is {listed([column])}" for key, column in self._columns.items() if key not in _TOLD]
        if told:
            yield f"Columns: {', '.join(told)}."
        for name in self._scores:
            yield _score_said(name, [value for value in self._numbers(name) if math.isfinite(value)])
        if tags:
            yield f"Tags, not sure: {listed(tags)}."
        used = {*self._columns.values(), *self._scores, *tags}
        if unused := [name for name in self._values if name not in used]:
            yield f"Not used: {listed(unused)}."

    def _where(self) -> str:
        return f" at {listed([self._rows])}" if self._rows else ""


_TOLD = ("item", "source", "target", "draw", "method")


def _score_said(name: str, values: Sequence[float]) -> str:
    definition = definition_by_name(name)
    spread = f"{min(values):.4g} to {max(values):.4g}, mean {sum(values) / len(values):.4g}" if values else "no number"
    said = f"is {definition} by its name" if definition else "does not say by its name how it is defined; fill it in"
    return f"Score {listed([name])} {said}: {len(values):,} values, {spread}."


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _written(text: str) -> str:
    """The text as a YAML scalar."""
    if text == FILL_IN or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML):
        return text
    return json.dumps(printable(text) if not text.isprintable() else text, ensure_ascii=False)
