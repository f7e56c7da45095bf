"""The tables in which a run says how far its own numbers can be trusted: choices, self-tests, marks of answers.

As in ``rows``: one frozen dataclass per table, fields in column order.
"""

from dataclasses import dataclass
from typing import Literal

from nlareport.making_rows import CheckpointRole
from nlareport.rows import PairId

Mark = Literal["no_tag", "misspelt_tag", "unopened_tag", "unclosed_tag", "budget", "empty", "overrun"]
"""What is odd about an answer. All but the last make it unclean: no tag at all; a tag spelt otherwise; a closing
tag never opened; an opening tag never closed though the answer ended by itself; the token budget ran out before the
closing tag; nothing between the tags. `overrun`: clean, but the budget ran out behind the closing tag."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was done where a checkpoint leaves it open, or where the public release does otherwise."""

    pair_id: PairId
    role: CheckpointRole
    topic: str
    """Such as `stop_ids` or `stream`: one word for what was chosen."""
    text: str
    """One sentence for the page, with what was chosen."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a quick test of a model said while the run computed with it."""

    pair_id: PairId
    role: CheckpointRole
    test: str
    """Such as `alone_equals_batch`."""
    passed: bool
    value: float | None
    """What was measured. None where the test has no number."""
    tolerance: float | None
    """The largest value that passes. None where the test has no number."""
    text: str
    """One sentence for the page: what was held against what."""


@dataclass(frozen=True, slots=True)
class AnswerMark:
    """Something odd about the form of one answer; an answer without a row is clean and ended by itself."""

    source: PairId
    item_id: int
    mark: Mark
