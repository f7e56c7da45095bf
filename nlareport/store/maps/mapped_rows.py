"""Follows a map through the rows of results: which item, source, target and draw each is of, its texts and its scores.

Takes files of results and their map, returns `Gathered`: items, explanations and scores under their keys, each once.
What contradicts itself is noted with file and row.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nlareport.shown import listed, shown
from nlareport.statistics.score_definitions import DEFINITIONS, NOISE, Definition
from nlareport.store.bundle.bundle_tables import Faults
from nlareport.store.bundle.item_ids import ItemNumbers
from nlareport.store.maps.map_file import IN_ORDER, ResultsMap, ScoreColumn, column_pattern
from nlareport.store.maps.mapped_values import Values
from nlareport.store.maps.nested_rows import Record
from nlareport.store.maps.result_files import ResultFile


class TextKey(NamedTuple):
    """Whose explanation of what."""

    item: str
    source: str
    draw: str | int


class ScoreKey(NamedTuple):
    """Which reading of which explanation; `method` is None where it was read as written."""

    item: str
    source: str
    target: str
    draw: str | int
    method: str | None


@dataclass(slots=True)
class GatheredScore:
    """What is said of one reading."""

    values: dict[Definition, float] = field(default_factory=dict)
    gold_norm: float | None = None
    reconstruction_norm: float | None = None


@dataclass(slots=True)
class GatheredText:
    """One explanation."""

    explanation: str | None
    completion: str | None


@dataclass(slots=True)
class Gathered:
    """What the rows of results say, in the order in which they say it."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the item's id, what is said of it by column of the map."""
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    """By item and name."""
    norms: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    """By source and item: place among the tokens, and norm."""
    texts: dict[TextKey, GatheredText] = field(default_factory=dict)
    scores: dict[ScoreKey, GatheredScore] = field(default_factory=dict)
    columns: dict[str, Definition] = field(default_factory=dict)
    """The columns of scores that there were."""
    n_rows: int = 0


PAIR_ROLES = ("source", "target")
_OF_ITEMS = ("token", "context", "char_end")


def gather(results: Iterable[ResultFile], layout: ResultsMap, faults: Faults) -> Gathered:
    """What the files say by the map."""
    found, seen, names = Gathered(), set[str](), dict[str, None]()
    for file in results:
        values = Values(file, frozenset(layout.missing), faults, seen)
        follower = _Follower(layout, values, found)
        for record in file.records:
            follower.follow(record)
        found.n_rows += len(file.records)
        for record in file.records[:100]:
            names.update(dict.fromkeys(record.names()))
    if found.n_rows:
        for column in _named_columns(layout):
            if column not in seen:
                faults.lines.append(f"No row has a column {shown(column)}; there are {listed(list(names))}.")
    return found


def _named_columns(layout: ResultsMap) -> Iterator[str]:
    """The columns of a map that must be there; those with parts in braces say for themselves when none fits."""
    pair_ids = {pair.pair_id for pair in layout.pairs}
    single = [getattr(layout, name) for name in (*_OF_ITEMS, "token_index", "norm", "method")]
    single += [layout.reconstruction_norm] if layout.converts_norms else []
    single += [layout.explanation, layout.completion, *layout.tags.values()]
    single += [name for name in (layout.source, layout.target) if name not in pair_ids]
    single += [layout.draw] if layout.draw != IN_ORDER else []
    columns = [*(layout.item or []), *(layout.document or []), *single, *(score.column for score in layout.scores)]
    yield from dict.fromkeys(column for column in columns if column is not None and column_pattern(column) is None)


class _Follower:
    """Follows the map through the rows of one file."""

    def __init__(self, layout: ResultsMap, values: Values, found: Gathered) -> None:
        self._map, self._values, self._found = layout, values, found
        self._pair_ids = {pair.pair_id for pair in layout.pairs}
        self._repeats: Counter[tuple[str | None, ...]] = Counter()
        self._fitting: dict[str, dict[str, dict[str, str]]] = {}

    def follow(self, record: Record) -> None:
        item = self._item(record)
        if item is None:
            self._values.fault(record, "item", f"{listed(self._map.item or ['<row>'])} is empty; every row needs one.")
            return
        source, target = (self._pair(record, name) for name in (self._map.source, self._map.target))
        draw = self._draw(record, item, source, target)
        method = self._values.text(record, self._map.method)
        self._take_item(record, item)
        self._take_norm(record, item, source)
        for column, captured in self._columns(record, self._map.explanation or self._map.completion):
            self._take_text(record, column, item, captured.get("source", source), captured.get("draw", draw))
        for score in self._map.scores:
            for column, captured in self._columns(record, score.column):
                said = {"source": source, "target": target, "draw": draw, "method": method, **captured}
                self._take_score(record, score, column, item, said)

    def _item(self, record: Record) -> str | None:
        if self._map.item is None:
            return f"{self._values.file.name}:{record.number}"
        parts = [self._values.text(record, column) for column in self._map.item]
        known = [part for part in parts if part is not None]
        return ":".join(known) if len(known) == len(parts) else None

    def _pair(self, record: Record, named: str | None) -> str | None:
        """A pair for all rows, or what the row says in a column; the only pair where the map names neither."""
        if named is None:
            return next(iter(self._pair_ids)) if len(self._pair_ids) == 1 else None
        if named in self._pair_ids:
            return named
        said = self._values.text(record, named)
        return None if said is None else self._known(record, said)

    def _known(self, record: Record, said: str) -> str:
        """The pair that the files call so."""
        pair_id = self._map.renamed.get(said, said)
        if pair_id not in self._pair_ids:
            told = f"{shown(said)} is none of the map's pairs; list it in `pairs`, or say in `renamed` which it is."
            self._values.fault(record, f"pair {said}", told)
        return pair_id

    def _draw(self, record: Record, item: str, source: str | None, target: str | None) -> str | int:
        if self._map.draw is None:
            return 0
        if self._map.draw == IN_ORDER:
            key = (item, source, target, self._values.text(record, self._map.method))
            self._repeats[key] += 1
            return self._repeats[key] - 1
        return self._values.text(record, self._map.draw) or ""

    def _columns(self, record: Record, column: str | None) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The columns of a row that a name stands for, with what the parts in braces are in each."""
        if column is None:
            return
        pattern = column_pattern(column)
        if pattern is None:
            yield column, {}
            return
        known = self._fitting.setdefault(column, {})
        for name in record.names(lists=True):
            if name not in known:
                match = pattern.fullmatch(name)
                known[name] = match.groupdict() if match else {}
            if known[name]:
                pairs = {role: self._known(record, said) for role, said in known[name].items() if role in PAIR_ROLES}
                yield name, {**known[name], **pairs}
        if not any(known.values()):
            self._values.fault(record, f"|{column}", f"no column looks like {shown(column)}; correct it in the map.")

    def _take_item(self, record: Record, item: str) -> None:
        said: dict[str, Any] = {"document": self._document(record)}
        said |= {name: self._values.text(record, getattr(self._map, name)) for name in ("token", "context")}
        said["char_end"] = self._values.whole(record, self._map.char_end)
        known = self._found.items.setdefault(item, said)
        for name, value in said.items():
            if known[name] is None:
                known[name] = value
            elif value not in (None, known[name]) and name != "context":
                told = f"{shown(item)} has {name} {shown(value)} here and {shown(known[name])} in another row; "
                self._values.fault(record, f"item {name}", f"item {told}name more columns in `item`.")
        for name, column in self._map.tags.items():
            value = self._values.text(record, column)
            if value is not None and self._found.tags.setdefault((item, name), value) != value:
                self._values.fault(
                    record, f"tag {name}", f"item {shown(item)} has two values of the tag {shown(name)}."
                )

    def _document(self, record: Record) -> str | None:
        parts = [self._values.text(record, column) for column in self._map.document or ()]
        return ":".join(filter(None, parts)) or None

    def _take_text(self, record: Record, column: str, item: str, source: str | None, draw: str | int) -> None:
        text = self._values.text(record, column)
        if text is None:
            return
        if source is None:
            self._values.fault(record, "source", "nothing says which pair wrote the text; name it in `source`.")
            return
        completion = self._values.text(record, self._map.completion) if self._map.explanation else text
        said = GatheredText(text if self._map.explanation else None, completion)
        if self._found.texts.setdefault(TextKey(item, source, draw), said) != said:
            told = f"item {shown(item)} has another text of {shown(source)}; say in `draw` what tells them apart"
            self._values.fault(record, "text", f"{told}, or `draw: {IN_ORDER}`.")

    def _take_norm(self, record: Record, item: str, source: str | None) -> None:
        place = self._values.whole(record, self._map.token_index)
        norm = self._values.number(record, self._map.norm)
        if place is not None and norm is not None and math.isfinite(norm) and source is not None:
            self._found.norms[source, item] = (place, norm)

    def _take_score(self, record: Record, score: ScoreColumn, column: str, item: str, said: Mapping[str, Any]) -> None:
        value = self._values.number(record, column)
        if value is None:
            return
        source, target = self._whose(record, score, said)
        if source is None:
            self._values.fault(record, "source", "nothing says which pair wrote the text; name it in `source`.")
            return
        key = ScoreKey(item, source, target or source, said["draw"], self._method(score, said["method"]))
        definition = score.definition
        described = DEFINITIONS[definition]
        if math.isfinite(value) and not described.low - NOISE <= value <= described.high + NOISE:
            self._values.fault(record, f"range {column}", _out_of_range(column, value, definition))
        known = self._found.scores.setdefault(key, GatheredScore())
        self._found.columns[score.column] = definition
        if definition in known.values:
            told = f"repeats item {shown(item)} of {shown(key.source)} read by {shown(key.target)}"
            self._values.fault(
                record, "score", f"{told}; say in `draw` what tells the rows apart, or `draw: {IN_ORDER}`."
            )
        known.values[definition] = value
        if definition == "raw_mse":
            known.gold_norm = self._values.number(record, self._map.norm)
            known.reconstruction_norm = self._values.number(record, self._map.reconstruction_norm)

    def _whose(self, record: Record, score: ScoreColumn, said: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """Source and target: what the score's own entry says, then its column's name, then the row."""
        own = [None if name is None else self._pair(record, name) for name in (score.source, score.target)]
        both = [mine or said[role] for mine, role in zip(own, PAIR_ROLES, strict=True)]
        source, target = both
        # With one pair, what is not said of the target is said of the source.
        is_said = self._map.target is not None or score.target is not None or "{target}" in score.column
        return source, target if is_said else source

    def _method(self, score: ScoreColumn, said: str | None) -> str | None:
        method = said if score.method is None else re.sub(r"\{method\}", lambda _: said or "", score.method)
        return None if said is not None and said == self._map.unchanged else method


def _out_of_range(column: str, value: float, definition: Definition) -> str:
    described = DEFINITIONS[definition]
    told = f"{column} is {value:.6g}, and {definition} is from {described.low:.4g} to {described.high:.4g}"
    if definition == "mse_nrm" and value > described.high:
        return f"{told}; an error of vectors as they are has the definition raw_mse, and needs their norms."
    return f"{told}; correct the definition in the map."


def draw_numbers(labels: Iterable[str | int]) -> dict[str | int, int]:
    """A number from 0 for every label of a draw: in numeric order where all are numbers, else as they come."""
    known = list(dict.fromkeys(labels))
    if all(str(label).isdecimal() for label in known):
        known.sort(key=lambda label: int(label))
    return {label: number for number, label in enumerate(known)}


def item_numbers(items: Iterable[str]) -> tuple[dict[str, int], dict[int, str]]:
    """The number of every item's id, and the text of those numbers that are not the ids themselves."""
    known = list(items)
    numbers = ItemNumbers()
    made = [int(number) if isinstance(number, str) else number for number in numbers.numbered(known)]
    return dict(zip(known, made, strict=True)), numbers.texts
