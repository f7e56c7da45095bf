"""What a chat template writes behind an answer ends one."""

from collections.abc import Callable
from typing import Any

import pytest

from nlareport.checkpoints.chat_templates import end_of_turn, render_chat


class Turns:
    """Tokens of one letter; capital letters are tokens added on top, of which A is special."""

    def __init__(self, render: Callable[[list[dict[str, str]], bool], Any]) -> None:
        self.render = render
        self.all_special_ids = [ord("A")]
        self.added_tokens_decoder = {ord(letter): letter for letter in "ABC\n"}

    def apply_chat_template(
        self, messages: Any, *, tokenize: bool, add_generation_prompt: bool, **variables: Any
    ) -> Any:
        assert tokenize is False
        return self.render(messages, add_generation_prompt)

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert add_special_tokens is False
        return [ord(letter) for letter in text]

    def decode(self, token_ids: list[int]) -> str:
        return "".join(map(chr, token_ids))


def behind(text: str) -> int | None:
    """What ends a turn where this stands behind every message."""

    def render(messages: list[dict[str, str]], is_asked: bool) -> str:
        assert is_asked is False
        assert [message["role"] for message in messages] == ["user", "assistant"]
        return "".join(f"{message['role']}: {message['content']}{text}" for message in messages)

    return end_of_turn(Turns(render))


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("A\n", "A"),
        ("B\n", "B"),
        ("\nB", "B"),
        (" \n BA", "B"),
        ("", None),
        ("\n", None),
        ("xA", None),
        ("\nxA", None),
        ("A", "A"),
    ],
)
def test_what_ends_a_turn_is_the_first_token_behind_an_answer_that_is_no_text(text: str, token: str | None) -> None:
    assert behind(text) == (None if token is None else ord(token))


def test_only_what_stands_behind_the_answer_counts() -> None:
    def render(messages: list[dict[str, str]], _: bool) -> str:
        return f"{messages[1]['content']}A {messages[0]['content']}A again: {messages[1]['content']}B"

    assert end_of_turn(Turns(render)) == ord("B")


def test_a_template_that_writes_no_answer_tells_no_end_of_turn() -> None:
    def refusing(messages: list[dict[str, str]], _: bool) -> str:
        raise ValueError("only users may speak")

    assert end_of_turn(Turns(refusing)) is None
    assert end_of_turn(Turns(lambda messages, _: f"{messages[0]['content']}A")) is None
    assert end_of_turn(Turns(lambda *_: "")) is None


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_template_hears_whether_it_is_asked(is_asked: bool) -> None:
    tokenizer = Turns(lambda messages, asked: f"{messages[0]['content']} {asked}")
    assert render_chat(tokenizer, [{"role": "user", "content": "Hello"}], is_asked=is_asked) == f"Hello {is_asked}"
