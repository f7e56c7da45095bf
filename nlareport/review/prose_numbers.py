"""Numbers in prose: finds every number of a Markdown page and says whether the run confirms or contradicts it.

Takes a page, the names its pairs go by and the figures of a run, returns a finding for each number in reading order.
A number is confirmed when a figure rounds to it at the precision it is written with, whatever the sentence says of it:
two decimals often fit several figures by chance. It is contradicted only when the words next to it name the cell or
count that it is a figure of.

Understood are decimal points, commas and thin spaces between thousands, signs (hyphen or true minus), percent (also of
a whole range, as in 65–90%). Code, links, comments, list and heading numbers, dates, "95% interval" and numbers within
names (H100, 7B) are passed over. A table's rows and columns name nothing: a number there is known by its value alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nlareport.checks import Figure, NumberFinding, WrittenNumber
from nlareport.rows.run_rows import PairId

MOST_NAMED = 3
"""Other figures named where a number is contradicted."""
_BLOCKS = re.compile(r"^(```|~~~).*?^\1[^\n]*$|<!--.*?-->", re.DOTALL | re.MULTILINE)
_LINKS = re.compile(r"(?<=\])\([^)\n]*\)|https?://\S+|\[\^\w+\]")
_NO_FIGURES = re.compile(
    r"`[^`\n]*`|^[ \t]*\d+[.)](?=\s)|^#+[ \t]*\d+(?:\.\d+)*\.?(?=\s)|\b\d{4}-\d\d-\d\d\b"
    r"|\b\d+\s?%(?= (?:confidence |paired |bootstrap )*(?:interval|CI\b))",
    re.MULTILINE,
)
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w%)\]])[−+-])?(?<![\w.])(?<![A-Za-z]-)"
    r"(?P<digits>\d{1,3}(?:[,\u202f\u00a0\u2009]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\w|\.\d|,\d{3}\b)"
    r"(?P<percent>[\u202f\u00a0 ]?%)?"
)
_ARROW = re.compile(r"[\s`*_]*(?:→|->|~|\bto\b|\binto\b|\bread by\b)[\s`*_]*")
_RANGE = re.compile(r"\s?[–-]\s?|\s+to\s+")
_OTHER_FIGURE = re.compile(
    r"[.;:!?](?=\s)|\n\s*\n|\||\b(?:by|than|above|below|over|under|more|less|gap|difference|within|times|and|but)\b"
)
_INTERVAL = re.compile(r"[^\S\n]*[\[(][^\])\n]*")
_NAME_REACH = 60
"""Characters after a cell's name within which a number is its figure."""
_WORDS_AFTER = {
    "documents": "documents", "docs": "documents", "items": "items", "positions": "items", "decodes": "decodes",
    "explanations": "decodes", "pairs": "pairs", "families": "families", "cells": "cells",
}  # fmt: skip
_WORD_AFTER = re.compile(r"\s+(" + "|".join(_WORDS_AFTER) + r")\b")
_WORD_BEFORE = re.compile(r"\b(block|seed)\s+(?:is\s+|of\s+)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Name:
    """A pair, or a cell, where the text names it."""

    start: int
    end: int
    pair_ids: tuple[PairId, ...]


def written_numbers(page: str, names: Mapping[str, PairId]) -> list[WrittenNumber]:
    """Every number of the page that may be a figure."""
    text = _blank(_LINKS, _blank(_BLOCKS, page))
    found = list(_names(text, names))
    plain = _blank(_NO_FIGURES, text)
    for name in found:
        plain = plain[: name.start] + " " * (name.end - name.start) + plain[name.end :]
    matches = list(_NUMBER.finditer(plain))
    cells = _cells_of(plain, matches, found)
    numbers = []
    for place, match in enumerate(matches):
        number = _number(plain, match, is_percent=_is_percent(plain, matches, place))
        numbers.append(number if number.is_whole else replace(number, cell=cells.get(place)))
    return numbers


def _number(text: str, match: re.Match[str], *, is_percent: bool) -> WrittenNumber:
    digits = re.sub(r"[^\d.]", "", match["digits"])
    decimals, scale = len(digits.partition(".")[2]), 0.01 if is_percent else 1.0
    is_whole = not decimals and not is_percent
    after, before = _WORD_AFTER.match(text, match.end()), _WORD_BEFORE.search(text[: match.start()][-40:])
    word = _WORDS_AFTER[after[1]] if after else before[1].lower() if before else None
    return WrittenNumber(
        line=text.count("\n", 0, match.start()) + 1,
        text=match[0] + ("%" if is_percent and not match["percent"] else ""),
        value=float(digits) * scale * (-1 if match["sign"] in ("−", "-") else 1),
        step=10.0**-decimals * scale,
        is_whole=is_whole,
        word=word if is_whole else None,
    )


def _is_percent(text: str, matches: Sequence[re.Match[str]], place: int) -> bool:
    """Whether it has a percent sign, or begins a range whose end has one."""
    match = matches[place]
    if match["percent"] or place + 1 == len(matches):
        return match["percent"] is not None
    following = matches[place + 1]
    return following["percent"] is not None and bool(_RANGE.fullmatch(text[match.end() : following.start()]))


def _cells_of(text: str, matches: Sequence[re.Match[str]], names: Sequence[_Name]) -> dict[int, tuple[PairId, PairId]]:
    """The cell that a number is of, by the number's place: the first after its name, and the interval after that."""
    found: dict[int, tuple[PairId, PairId]] = {}
    for order, name in enumerate(names):
        if len(name.pair_ids) != 2:
            continue
        cell = (name.pair_ids[0], name.pair_ids[1])
        end = names[order + 1].start if order + 1 < len(names) else len(text)
        behind = [place for place, match in enumerate(matches) if name.end <= match.start() < end]
        if not behind or matches[behind[0]].start() - name.end > _NAME_REACH:
            continue
        first = matches[behind[0]]
        if _OTHER_FIGURE.search(text, name.end, first.start()):
            continue
        interval = _INTERVAL.match(text, first.end())
        last = interval.end() if interval else first.end()
        found |= {place: cell for place in behind if matches[place].start() < last}
    return found


def _names(text: str, names: Mapping[str, PairId]) -> Iterator[_Name]:
    """Where pairs are named, two with an arrow between them as one cell; the longest name that fits counts."""
    longest_first = sorted(filter(None, names), key=len, reverse=True)
    if not longest_first:
        return
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    found = [_Name(match.start(), match.end(), (names[match[0]],)) for match in pattern.finditer(text)]
    while found:
        name = found.pop(0)
        if found and _ARROW.fullmatch(text[name.end : found[0].start]):
            other = found.pop(0)
            yield _Name(name.start, other.end, (*name.pair_ids, *other.pair_ids))
        else:
            yield name


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """The text with what matches made of spaces: every line and character stays in its place."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def judge(numbers: Sequence[WrittenNumber], figures: Sequence[Figure]) -> list[NumberFinding]:
    """A finding for every number, in its order; of several figures that fit, the first is named."""
    return [_finding(number, figures) for number in numbers]


def prose_faults(findings: Sequence[NumberFinding], page: str) -> list[str]:
    """One sentence for every number that the run contradicts."""
    return [
        f"{page}:{finding.number.line}: says {finding.number.text}; the run says {finding.about}. Correct the page."
        for finding in findings
        if finding.verdict == "contradicted"
    ]


def rounds_to(figure: float, number: WrittenNumber) -> bool:
    """Whether the figure is the number at the precision it is written with; whole numbers must be the very same."""
    if number.is_whole:
        return figure == number.value
    # Half a step and a hair: either neighbour of a tie is a fair rounding.
    return abs(figure - number.value) <= number.step / 2 + 1e-9


def _finding(number: WrittenNumber, figures: Sequence[Figure]) -> NumberFinding:
    named = [figure for figure in figures if _is_named(figure, number)]
    # What the words name counts before what merely has the same value; a cell's number must be of that cell.
    for pool in [named] if named and number.cell else [named, figures]:
        if fitting := [figure for figure in pool if rounds_to(figure.value, number)]:
            more = f", and {len(fitting) - 1} more" if len(fitting) > 1 else ""
            return NumberFinding(number, "confirmed", f"{_said(fitting[0])}{more}")
    if named:
        return NumberFinding(number, "contradicted", ", ".join(_said(figure) for figure in named[:MOST_NAMED]))
    return NumberFinding(number, "cannot know", "")


def _is_named(figure: Figure, number: WrittenNumber) -> bool:
    if number.cell is not None:
        return figure.cell == number.cell
    return number.word is not None and figure.word == number.word


def _said(figure: Figure) -> str:
    value = f"{figure.value:,.0f}" if figure.value == int(figure.value) else f"{figure.value:.4f}"
    return f"{figure.name} {value}"
