"""Renders a tokenizer's chat template, bounded in time and length, and finds the token that ends a turn.

Takes a tokenizer and messages, returns a text or a token, or an error that says why the template gives none. A template
is an untrusted program.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nlareport.errors import ChatTemplateFails
from nlareport.shown import shown

TEMPLATE_SECONDS = 20.0
"""How long a chat template may take: one that does not end would stop a run without a message."""

MOST_PROMPT_CHARS = 100_000
"""Of a rendered prompt; released ones have about 500."""

_ADVICE = "Use the chat template that was released with the verbalizer."
_ANSWER = "An answer of five words."

Message = dict[str, str]
"""With `role` and `content`."""


def render_chat(
    tokenizer: Any,
    messages: list[Message],
    *,
    is_asked: bool,
    most_chars: int = MOST_PROMPT_CHARS,
    advice: str = _ADVICE,
) -> str:
    """The messages as the model's own text, of at most `most_chars`; with `is_asked` up to where it answers.

    Raises:
        ChatTemplateFails: the template raises, is not written in Jinja, does not end, or gives no prompt.
    """
    try:
        with _ending_within(TEMPLATE_SECONDS):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=is_asked)
    except Exception as error:
        # It may raise anything.
        said = f"the chat template cannot be rendered ({shown(str(error))}). {advice}"
        raise ChatTemplateFails(said.rstrip(" .") if not advice else said) from error
    if not isinstance(text, str) or not text or len(text) > most_chars:
        said = f"{len(text):,} characters" if isinstance(text, str) else "no text"
        raise ChatTemplateFails(f"the chat template gives {said}; a prompt has 1 to {most_chars:,}. {advice}".strip())
    return text


def end_of_turn(tokenizer: Any) -> int | None:
    """The token that the chat template writes after an answer; None when it is no token of its own, or none at all.

    Found by rendering an answer, and so under any name that a template gives the token.
    """
    messages = [{"role": "user", "content": "A question?"}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = render_chat(tokenizer, messages, is_asked=False)
    except ChatTemplateFails:
        return None
    _, answer, behind = text.rpartition(_ANSWER)
    control = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    for token_id in tokenizer.encode(behind, add_special_tokens=False) if answer else ():
        # Spaces and line breaks are tokens of text, also where a tokenizer adds them on top.
        if tokenizer.decode([token_id]).strip():
            return token_id if token_id in control else None
    return None


@contextmanager
def _ending_within(seconds: float) -> Iterator[None]:
    """Inside, Python code that runs longer is stopped by a `TimeoutError`."""
    deadline = time.monotonic() + seconds

    def watch(_frame: FrameType, _event: str, _value: object) -> Any:
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not end within {seconds:g} s")
        return watch

    # Traced line by line: a thread or a signal could not stop a loop everywhere this runs.
    former = sys.gettrace()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(former)
