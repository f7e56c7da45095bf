"""Strangers' text as pages show it: what cannot be seen is spelled out, and no text, word or letter floods a page.

Takes a text as a document, a model or a file gave it, returns one to be shown; whole texts are in the downloads.
"""

import re
import unicodedata
from itertools import groupby

MOST_IN_TEXT = 20_000
"""Characters of a text that a page shows."""
MOST_IN_WORD = 500
"""Characters without a place to break that a page shows as they are."""
KEPT_OF_WORD = 200
MOST_MARKS = 6
"""Accents on one letter; written languages need fewer, and each stands above the one before."""
MOST_UNSEEN = 8
"""Characters in a row that take no room. A flag made of letters has seven."""

_CONTROLS = re.compile(
    # Controls but tab and newline, those that turn the direction of what follows, and code points that are no
    # characters.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]"
)
_UNSEEN = re.compile(
    f"[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0f"
    f"\ufeff\uffa0\U000e0000-\U000e0fff]{{{MOST_UNSEEN + 1},}}"
)
_MAY_BE_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MOST_MARKS + 1},}}")
_LONG_WORD = re.compile(
    # Scripts that write without spaces break between any two letters.
    "[^\\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
    f"\U00020000-\U0003ffff]{{{MOST_IN_WORD + 1},}}"
)
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def readable(text: str) -> str:
    """The text to be shown in a block of its own, long ones cut at their end. Read twice, it stays as it is."""
    if len(text) <= MOST_IN_WORD and text.isascii() and text.isprintable():
        return text
    spelled = _spelled_out(text)
    note = f"… ({len(text):,} characters)"
    return spelled if len(spelled) <= MOST_IN_TEXT else spelled[: MOST_IN_TEXT - len(note)] + note


def readable_end(text: str) -> str:
    """Like `readable`, for a text whose end is what matters: it is the start of a long one that is left out."""
    spelled = _spelled_out(text)
    note = f"({len(text):,} characters) … "
    return spelled if len(spelled) <= MOST_IN_TEXT else note + spelled[len(note) - MOST_IN_TEXT :]


def isolated(text: str) -> str:
    """The text to be shown within a line: one written from right to left does not turn what stands beside it."""
    if text.isascii() or not _RIGHT_TO_LEFT.search(text):
        return readable(text)
    if text[0] == _FIRST_STRONG_ISOLATE and text[-1] == _POP_ISOLATE:
        text = text[1:-1]
    return f"{_FIRST_STRONG_ISOLATE}{readable(text)}{_POP_ISOLATE}"


def _spelled_out(text: str) -> str:
    text = _CONTROLS.sub(lambda found: _escape(found[0]), text.replace("\r\n", "\n"))
    if not text.isascii():
        text = _UNSEEN.sub(lambda found: f"({len(found[0]):,} unseen characters)", text)
        text = _MAY_BE_MARKS.sub(lambda found: _fewer_marks(found[0]), text)
    return _LONG_WORD.sub(lambda found: f"{found[0][:KEPT_OF_WORD]}… ({len(found[0]):,} characters)", text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _fewer_marks(run: str) -> str:
    """The run with at most `MOST_MARKS` accents after one another, and how many there are where there are more."""
    kept: list[str] = []
    for is_mark, group in groupby(run, key=lambda character: unicodedata.category(character) in ("Mn", "Me")):
        marks = "".join(group)
        is_flood = is_mark and len(marks) > MOST_MARKS
        kept.append(f"{marks[:MOST_MARKS]}({len(marks):,} accents)" if is_flood else marks)
    return "".join(kept)
