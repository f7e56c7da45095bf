"""Makes untrusted text safe to print: no control or direction characters, and long values cut.

Takes any value, returns one line of bounded length, or a text of any length that is safe to print.
"""

import re
import reprlib
from collections.abc import Sequence

MOST_SHOWN = 80
"""Characters of an untrusted value that a message quotes."""

MOST_LISTED = 10
"""Values that a message lists."""

_UNSAFE = re.compile(
    # Control characters but tab and newline; then what is invisible or turns the direction of what follows it, lone
    # surrogates, which no stream can encode, and code points that are no characters.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"
)


class _Bounded(reprlib.Repr):
    """`repr` of bounded length: a few bytes of YAML aliases can stand for gigabytes."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxother = 3, MOST_SHOWN

    def repr_str(self, x: str, _level: int) -> str:
        return _quoted(x)


_BOUNDED = _Bounded()


def shown(value: object) -> str:
    """The value as a message quotes it: on one line, in quotes when it is a text, long ones cut with their length."""
    written = _quoted(value) if isinstance(value, str) else _BOUNDED.repr(value)
    return printable(written).replace("\n", "\\n").replace("\t", "\\t")


def listed(values: Sequence[object]) -> str:
    """Several untrusted values, the first ten."""
    more = f" and {len(values) - MOST_LISTED:,} more" if len(values) > MOST_LISTED else ""
    return ", ".join(map(shown, values[:MOST_LISTED])) + more


def brief(error: BaseException) -> str:
    """What a foreign error says, on one line of bounded length, without the full stop it may end in."""
    line = printable(" ".join(str(error)[: 10 * MOST_SHOWN].split()))
    cut = line if len(line) <= 3 * MOST_SHOWN else f"{line[: 3 * MOST_SHOWN]}…"
    return cut.rstrip(".") or type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of what a foreign error says; empty when it says nothing."""
    return printable(str(error).strip().partition("\n")[0].strip())


def printable(text: str) -> str:
    """The text with every unprintable character as its escape, such as ``\\x1b``; lines stay lines."""
    return _UNSAFE.sub(lambda found: _escape(found[0]), text)


def _quoted(text: str) -> str:
    if len(text) <= MOST_SHOWN:
        return repr(text)
    return f"{text[:MOST_SHOWN]!r}… ({len(text):,} characters)"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
