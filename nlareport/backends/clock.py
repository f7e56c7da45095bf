"""Stops the clock for chat templates: a prompt that holds the date stays the same prompt on every day.

Takes a moment, yields the dates that templates were given while it lasted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any

from transformers.utils import chat_template_utils


@contextmanager
def standing_clock(moment: datetime) -> Iterator[list[str]]:
    """Inside, ``strftime_now`` of any template gives this moment; yields what it gave, each answer once.

    If a later Transformers asks another clock, prompts hold the day of each start again: then a run that is continued
    on another day is refused, since its prompt has changed.
    """
    given: list[str] = []

    class Standing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Standing":  # noqa: ARG003 - the moment has its own
            return cls.combine(moment.date(), moment.time(), moment.tzinfo)

        def strftime(self, form: str) -> str:
            answer = super().strftime(form)
            if answer not in given:
                given.append(answer)
            return answer

    # Transformers hands templates a function that looks its class up here, and takes no function from its callers.
    clock: Any = chat_template_utils
    former = clock.datetime
    clock.datetime = Standing
    try:
        yield given
    finally:
        clock.datetime = former
