"""Counts of answers by what is odd about their form, as parts of a sentence.

Takes how many answers bear which mark; returns text. Why an answer is not clean is worded in `checkpoints.answers`.
"""

from collections.abc import Mapping
from typing import Literal

from nlareport.figure_text import count
from nlareport.rows.item_rows import Mark

ShownMark = Mark | Literal["unknown"]
"""`unknown`: not clean, and nothing says why."""

PHRASES: dict[ShownMark, str] = {
    "no_tag": "without any tag",
    "misspelt_tag": "with a misspelt tag",
    "unopened_tag": "with a tag never opened",
    "unclosed_tag": "without the closing tag",
    "budget": "cut by the token budget",
    "empty": "with nothing between the tags",
    "unknown": "for reasons that are not known",
    "overrun": "cut after the closing tag",
}
"""Each mark as what follows a number of answers."""


def counted(reasons: Mapping[ShownMark, int]) -> str:
    """How many answers bear which mark, as a part of a sentence, in the order given."""
    return ", ".join(f"{count(n)} {PHRASES[mark]}" for mark, n in reasons.items())
