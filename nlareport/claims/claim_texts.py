"""Fills the figures of a run into the text of a claim.

Takes a text with places such as ``{best:signed}`` and figures by name; returns the sentence. The words after the colons
are the filters of the report's templates.
"""

from collections.abc import Mapping
from string import Formatter
from typing import Any

from nlareport.claims.answer_marks import counted
from nlareport.figure_text import FIGURE_WORDS, count


class FigureFormatter(Formatter):
    """Fills ``{name:word}`` with the figure `name`, written as `word` says; a name that is not there is an error.

    Words: those of `FIGURE_WORDS`, followed by a number of digits where they take one (``signed 2``); ``answers``, why
    answers are not clean; and ``one|many``, the count with its noun. No word: text as it is.
    """

    def format_field(self, value: Any, format_spec: str) -> str:
        """The figure as text; what is not known says so."""
        if value is None:
            return "not known"
        if not format_spec:
            return str(value)
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return f"{count(value)} {one if value == 1 else many}"
        if format_spec == "answers":
            return counted(value)
        word, _, digits = format_spec.partition(" ")
        if word not in FIGURE_WORDS:
            raise ValueError(f"unknown format word {word!r}")
        return FIGURE_WORDS[word](value, int(digits)) if digits else FIGURE_WORDS[word](value)


def claim_text(text: str, figures: Mapping[str, Any]) -> str:
    """The sentence with its figures in place.

    Raises:
        KeyError: it names a figure that is not among them.
    """
    return FigureFormatter().vformat(text, (), figures)
