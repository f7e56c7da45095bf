"""Stops the clock that chat templates look at, so that a prompt which holds the date is one prompt on every day.

Enters a moment; leaves what templates were told while it lasted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any

from transformers.utils import chat_template_utils


@contextmanager
def standing_clock(moment: datetime) -> Iterator[list[str]]:
    """Inside, ``strftime_now`` of any template tells this moment; yields what was told, each answer once.

    Should a later Transformers ask another clock, prompts hold the day of each start again: then a run that is
    continued on another day is refused, as its prompt is another.
    """
    told: list[str] = []

    class Standing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Standing":  # noqa: ARG003 - the moment has its own
            return cls.combine(moment.date(), moment.time(), moment.tzinfo)

        def strftime(self, form: str) -> str:
            answer = super().strftime(form)
            if answer not in told:
                told.append(answer)
            return answer

    # Transformers hands templates a function that looks its class up here, and takes no function from its callers.
    clock: Any = chat_template_utils
    former = clock.datetime
    clock.datetime = Standing
    try:
        yield told
    finally:
        clock.datetime = former
