"""Chats as one text that is the same for every pair, and where its characters are in what a chat template makes of it.

An item of a chat is a character of a message. Each pair renders the messages with its own template; here the tokens of
that rendering get the characters of the common text, and tokens of the template get none.
"""

from collections.abc import Sequence
from typing import Any

from nlareport.batches import ChatMessage, Tokenization
from nlareport.checkpoints.chat_templates import render_chat
from nlareport.errors import ChatTemplateFails

ANSWERING = "assistant"
_BETWEEN = "\n\n"
_MARK = "\ue000{}\ue001"
"""Stands for a message's content while the template's own text is found; private characters, which no chat has."""
MOST_CHAT_CHARS = 50_000_000

Span = tuple[int, int]
Place = tuple[int, int, int]
"""Where a content begins and ends in the rendered chat, and where its first written character is in the common text."""


def conversation_text(messages: Sequence[ChatMessage]) -> str:
    """``role: content`` of each message, with blank lines between; ends in ``assistant:`` where an answer would begin.

    Up to any item it is the same text as of the chat without what follows.
    """
    turns = [f"{message.role}: {message.content}" for message in messages]
    if messages and messages[-1].role != ANSWERING:
        turns.append(f"{ANSWERING}:")
    return _BETWEEN.join(turns)


def content_spans(messages: Sequence[ChatMessage]) -> list[Span]:
    """Where each message's content is in `conversation_text`."""
    spans, start = [], 0
    for message in messages:
        start += len(message.role) + 2
        spans.append((start, start + len(message.content)))
        start += len(message.content) + len(_BETWEEN)
    return spans


def before_answer(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The messages up to the last answer, which is left out."""
    n_kept = len(messages)
    while n_kept and messages[n_kept - 1].role == ANSWERING:
        n_kept -= 1
    return list(messages[:n_kept])


def answer_span(messages: Sequence[ChatMessage]) -> Span:
    """Where ``assistant:`` is in `conversation_text`, before the answer that `before_answer` leaves out."""
    kept = before_answer(messages)
    start = len(conversation_text(kept)) - len(ANSWERING) - 1 if kept else 0
    return start, start + len(ANSWERING) + 1


def tokenize_rendered(tokenizer: Any, messages: Sequence[ChatMessage], *, is_asked: bool) -> Tokenization:
    """The tokens of the rendered chat, with the characters of `conversation_text` that each covers.

    With `is_asked` the chat ends in the generation prompt, whose last token covers `answer_span`.

    Raises:
        ChatTemplateFails: the template refuses the chat, or does not write each content once and as it is.
    """
    written = before_answer(messages) if is_asked else messages
    rendered, places = _rendered(tokenizer, written, is_asked=is_asked)
    encoding = tokenizer(
        rendered, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False
    )
    spans, reached = [], 0
    for start, end in encoding["offset_mapping"]:
        span = covered(start, end, places) or (reached, reached)
        reached = max(reached, span[1])
        spans.append(span)
    return with_spans(list(encoding["input_ids"]), spans, answer_span(messages) if is_asked else None)


def with_spans(token_ids: list[int], spans: Sequence[Span], answer: Span | None) -> Tokenization:
    """The tokens with their characters; the last of a generation prompt covers where the answer begins."""
    if answer is None:
        return Tokenization(token_ids, [start for start, _ in spans], [end for _, end in spans])
    # The prompt's other tokens are there too, so that the blank line before it is no part of the last one.
    reached = max(end for _, end in spans)
    placed = [(answer[0], answer[0]) if span == (reached, reached) else span for span in spans[:-1]]
    return with_spans(token_ids, [*placed, answer], None)


def covered(start: int, end: int, places: Sequence[Place]) -> Span | None:
    """The characters of the common text that a token of the rendered chat covers; None for one of the template."""
    for begins, ends, common in places:
        if max(start, begins) < min(end, ends):
            return common + max(start, begins) - begins, common + min(end, ends) - begins
    return None


def _rendered(tokenizer: Any, messages: Sequence[ChatMessage], *, is_asked: bool) -> tuple[str, list[Place]]:
    """The rendered chat and where each content is in it: between what the template writes around any contents."""
    if not messages:
        raise ChatTemplateFails("there is no message before the answer")
    marks = [_MARK.format(number) for number in range(len(messages))]
    marked = [ChatMessage(message.role, mark) for message, mark in zip(messages, marks, strict=True)]
    text, rest = _render(tokenizer, messages, is_asked), _render(tokenizer, marked, is_asked)
    places, at = [], 0
    for number, (message, mark, (begins, _)) in enumerate(
        zip(messages, marks, content_spans(messages), strict=True), start=1
    ):
        gap, found, rest = rest.partition(mark)
        at += len(gap)
        # Templates of Llama and Gemma strip what they are given.
        forms = (message.content, message.content.strip())
        written = next((form for form in forms if found and text.startswith(gap + form, at - len(gap))), None)
        if written is None:
            raise ChatTemplateFails(f"the chat template does not write message {number} as it is")
        places.append((at, at + len(written), begins + message.content.find(written)))
        at += len(written)
    if text[at:] != rest:
        raise ChatTemplateFails("the chat template writes something else after the last message than it does of others")
    return text, places


def _render(tokenizer: Any, messages: Sequence[ChatMessage], is_asked: bool) -> str:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return render_chat(tokenizer, turns, is_asked=is_asked, most_chars=MOST_CHAT_CHARS, advice="")
