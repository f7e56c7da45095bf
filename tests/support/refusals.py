"""Returns the message that an action is refused with, for tests in which it may also succeed."""

from __future__ import annotations

from collections.abc import Callable

from nlareport.errors import NlareportError

LONGEST_LINE = 700
"""Characters of one line of a refusal: what is quoted is bounded, the rest is ours."""
MOST_LINES = 25


def refusal_of(action: Callable[[], object], expected: type[Exception] = NlareportError) -> str | None:
    """The message of the expected error, known to be short and printable; None when the action went through."""
    try:
        action()
    except expected as error:
        said = str(error)
    else:
        return None
    lines = said.splitlines()
    assert 1 <= len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= LONGEST_LINE
    said.encode()
    return said
