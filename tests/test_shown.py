from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlareport.shown import MOST_SHOWN, printable, shown


def test_a_long_word_is_shown_cut_with_its_length() -> None:
    assert shown("W" * 1_000_000) == f"'{'W' * MOST_SHOWN}'… (1,000,000 characters)"


def test_a_short_text_is_shown_in_quotes_on_one_line() -> None:
    assert shown("two\nlines") == r"'two\nlines'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("a\ud800b", r"a\ud800b"),
        ("\x9b31m over\rwritten", r"\x9b31m over\x0dwritten"),
        ("tab\tand\nline stay, so do é and שלום", "tab\tand\nline stay, so do é and שלום"),
    ],
)
def test_what_is_no_writing_is_printed_as_its_escape(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_a_value_that_aliases_itself_a_billion_times_is_shown_in_few_characters() -> None:
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    assert len(shown(yaml.safe_load(laughs))) < 5_000


@given(st.text())
def test_whatever_is_shown_can_be_encoded_and_stands_on_one_line(text: str) -> None:
    line = shown(text)
    line.encode("utf-8")
    assert len(line.splitlines()) == 1
