"""Marks parts of a text: words that stand in the context underlined, phrases that several texts share as such.

Takes texts and places in them; returns the same texts, escaped, with these places in elements.
"""

from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup, escape

from nlareport.render.readable import readable
from nlareport.statistics.text_words import content_words

Span = tuple[int, int]
"""From the first to before the last character."""


def underlined(text: str, context: str | None) -> Markup:
    """A text to be shown in a block of its own, its content words that the context holds underlined."""
    shown = readable(text)
    return mark_spans(shown, [], held_spans(shown, context))


def held_spans(text: str, context: str | None) -> list[Span]:
    """From where to where content words of a text stand in the context, in order and apart from each other."""
    spans: list[Span] = []
    known = frozenset[str]() if context is None else _keys(context)
    for word in content_words(text):
        if word.key not in known:
            continue
        # The pairs of letters that Chinese is compared in overlap.
        if spans and word.start < spans[-1][1]:
            spans[-1] = (spans[-1][0], word.end)
        else:
            spans.append((word.start, word.end))
    return spans


def mark_spans(text: str, shared: Sequence[Span], held: Sequence[Span]) -> Markup:
    """The text, escaped: some spans in ``<span class="shared">``, others, also within them, in ``<u class="held">``."""
    parts, done = [], 0
    for start, end in shared:
        parts.append(_with_held(text, done, start, held))
        parts.append(Markup('<span class="shared">{}</span>').format(_with_held(text, start, end, held)))
        done = end
    return Markup("").join([*parts, _with_held(text, done, len(text), held)])


def _with_held(text: str, start: int, end: int, held: Sequence[Span]) -> Markup:
    """Part of a text; a word that reaches beyond it is underlined as far as it goes."""
    parts, done = [], start
    for low, high in held:
        low, high = max(low, start), min(high, end)
        if low < high:
            parts += [escape(text[done:low]), Markup('<u class="held">{}</u>').format(text[low:high])]
            done = high
    return Markup("").join([*parts, escape(text[done:end])])


@lru_cache(maxsize=8)
def _keys(context: str) -> frozenset[str]:
    # An item has several explanations, and its context may be long.
    return frozenset(word.key for word in content_words(context))
