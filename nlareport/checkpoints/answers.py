"""Parses a verbalizer's answer: the explanation between its tags, and what is odd about its form.

Takes a whole answer and how it ended, returns a `Judgement`. An answer is clean when its first opening tag and the
closing tag after it were found within the token budget, with something between them. Knows neither models nor files.
"""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import unescape
from typing import Literal

from nlareport.checkpoints.prompts import CLOSING_TAG, OPENING_TAG, explanation_in
from nlareport.rows.item_rows import Finish, Mark

ANSWER_RULE = "first_pair"
"""What a run file says of the rule its answers were judged by; an older one says nothing, and went by the closing tag
alone, whether or not it was opened and whether or not there was text before it."""

MARK_WORDS: dict[Mark, str] = {
    "no_tag": "the answer holds no explanation tag",
    "misspelt_tag": "a tag of the answer is misspelt",
    "unopened_tag": "the answer closes a tag that it never opened",
    "unclosed_tag": "the answer ended without the closing tag",
    "budget": "the token budget ran out before the closing tag",
    "empty": "nothing stands between the tags",
    "overrun": "the token budget ran out behind the closing tag",
}
"""Each mark as the rest of a sentence, the unclean ones in the order in which pages count them."""

# An attempt at a tag: a bracket of any kind, perhaps a stroke, then as many letters as the name has, with or
# without spaces between them. Everything is bounded: no answer takes long.
_ATTEMPT = re.compile(r"[<‹〈⟨《«\[]\s{0,3}([/\\]{0,2})\s{0,3}((?:[^\W\d_]\s?){5,11})")
_NAME, _BEGINNING = "explanation", "expla"
_NEAR_NAME = 0.85
"""Of difflib's ratio: `xplanation` and `epxlanation` are above it, `examination` is below."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an answer holds."""

    text: str | None
    """Between the first pair of tags, stripped. None when nothing is there, or no such pair."""
    mark: Mark | None
    """What is odd about the answer's form. None when nothing is."""

    @property
    def is_clean(self) -> bool:
        """Whether there is an explanation between its tags."""
        return self.text is not None

    @property
    def is_closed(self) -> bool:
        """Whether there is a pair of tags, be it an empty one."""
        return self.is_clean or self.mark == "empty"


def judge_answer(completion: str, finish: Literal["stop", "length"]) -> Judgement:
    """An answer's explanation and its mark; `finish` says whether the answer ended by itself or with its budget."""
    text = explanation_in(completion)
    if text is None:
        return Judgement(None, _why_unclosed(completion, is_cut=finish == "length"))
    if not text:
        return Judgement(None, "empty")
    return Judgement(text, "overrun" if finish == "length" else None)


def unclean_words(mark: Mark | None, finish: Finish | None) -> str:
    """Why an answer is not clean, as the rest of a sentence; `finish` says what it can of one that has no mark."""
    if mark is not None:
        return MARK_WORDS[mark]
    # Without a mark it may hold any tag or none; this much is true of all of them.
    return MARK_WORDS["budget" if finish == "length" else "unclosed_tag"]


def _why_unclosed(completion: str, *, is_cut: bool) -> Mark:
    """What is wrong with an answer without a pair of tags.

    A tag that is misspelt or was never opened comes first: no larger budget would have helped.
    """
    before, opening_tag, opened = completion.partition(OPENING_TAG)
    written = opened if opening_tag else before
    strokes = _attempts(_without_cut_tag(written) if is_cut else written)
    closes = CLOSING_TAG in written
    if (False in strokes and not opening_tag) or (True in strokes and not closes):
        return "misspelt_tag"
    if closes:
        return "unopened_tag"
    if is_cut:
        return "budget"
    return "unclosed_tag" if opening_tag else "no_tag"


def _attempts(written: str) -> set[bool]:
    """Whether anything in a text looks like an opening tag (False) and like a closing one (True), however spelt."""
    found = set()
    # As compatible characters and without entities: full-width brackets and `&lt;` are brackets too.
    for attempt in _ATTEMPT.finditer(unicodedata.normalize("NFKC", unescape(written))):
        if _is_near_name("".join(attempt[2].split()).casefold()):
            found.add(bool(attempt[1]))
    return found


def _is_near_name(letters: str) -> bool:
    return letters.startswith(_BEGINNING) or SequenceMatcher(None, letters, _NAME).ratio() >= _NEAR_NAME


def _without_cut_tag(written: str) -> str:
    """The text without the beginning of a tag at its end, where the budget may have ended in the middle of one."""
    before, bracket, beginning = written.rpartition("<")
    is_of_tag = any(tag.startswith(f"<{beginning}") for tag in (OPENING_TAG, CLOSING_TAG))
    return before if bracket and is_of_tag else written
