"""Marks the phrases that several texts share: words in a row that occur in at least two of them, ignoring case.

Takes texts; returns the same texts with these phrases marked. Anything but a word may separate two words.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nlareport.render.marked_words import Span, mark_spans

WORD = re.compile(r"\w+(?:['’]\w+)*")
MINIMUM = 3
"""Words a phrase has at least; two in a row are shared by chance."""

Words = list[str]


@dataclass(frozen=True, slots=True)
class SharedPhrases:
    """Texts with what they share."""

    marked: list[Markup]
    """Every text in full, escaped, its shared phrases in ``<span class="shared">``."""
    n_phrases: int
    """Different phrases marked, over all texts."""


def share_phrases(texts: Sequence[str], held: Sequence[Sequence[Span]] = ()) -> SharedPhrases:
    """The texts with the phrases marked that each shares with another, and the places of each in `held` underlined."""
    words = [[match.group().casefold() for match in WORD.finditer(text)] for text in texts]
    spans = shared_word_spans(words)
    phrases = {tuple(said[start:end]) for said, found in zip(words, spans, strict=True) for start, end in found}
    marked = [
        mark_spans(text, _places(text, found), places)
        for text, found, places in zip(texts, spans, held or [()] * len(texts), strict=True)
    ]
    return SharedPhrases(marked, len(phrases))


def shared_word_spans(texts: Sequence[Words]) -> list[list[Span]]:
    """Every text's spans of at least `MINIMUM` words that stand in another text, in order and apart from each other.

    The longest comes first, the earlier of two equal ones; then what is left on its either side is searched alike.
    """
    return [_longest_first(lengths) for lengths in _shared_lengths(texts)]


def _shared_lengths(texts: Sequence[Words]) -> list[list[int]]:
    """At every word of every text, how many words from there on stand in a row in another text; 0 below `MINIMUM`."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for number, words in enumerate(texts):
        for start in range(len(words) - MINIMUM + 1):
            places[tuple(words[start : start + MINIMUM])].append((number, start))
    return [_lengths_of(number, words, places) for number, words in enumerate(texts)]


def _lengths_of(number: int, words: Words, places: dict[tuple[str, ...], list[tuple[int, int]]]) -> list[int]:
    """One text's shared lengths."""
    lengths = [0] * len(words)
    # Backwards, a match is one word longer than the one at the next word, so that even a text that repeats itself
    # without end costs no more than its matches.
    following: dict[tuple[int, int], int] = {}
    for start in range(len(words) - MINIMUM, -1, -1):
        others = places[tuple(words[start : start + MINIMUM])]
        following = {
            (other, place): following.get((other, place + 1), MINIMUM - 1) + 1
            for other, place in others
            if other != number
        }
        lengths[start] = max(following.values(), default=0)
    return lengths


def _longest_first(lengths: Sequence[int]) -> list[Span]:
    """The spans of one text, given how many words are shared from each on."""
    found: list[Span] = []
    open_parts = [(0, len(lengths))]
    while open_parts:
        low, high = open_parts.pop()
        # What starts before a longer phrase may reach into it: only the words before it are still to be had.
        reach = {place: min(lengths[place], high - place) for place in range(low, high)}
        start = max(reach, key=lambda place: reach[place], default=low)
        if reach.get(start, 0) < MINIMUM:
            continue
        end = start + reach[start]
        found.append((start, end))
        open_parts += [(low, start), (end, high)]
    return sorted(found)


def _places(text: str, spans: Sequence[Span]) -> list[Span]:
    """From where to where in a text the words of each span stand."""
    words = [match.span() for match in WORD.finditer(text)]
    return [(words[start][0], words[end - 1][1]) for start, end in spans]
