import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlareport.render.readable import MOST_IN_TEXT, isolated, readable, readable_end

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
odd = st.text(st.characters() | st.sampled_from("\x00\x1b\u202e\u0301\u200b\n\t\r אب中"), max_size=60)


@settings(deadline=None)
@given(odd, st.integers(1, 700))
def test_what_is_read_twice_stays_and_holds_nothing_unseen(text: str, times: int) -> None:
    for shown in (readable(text * times), readable_end(text * times)):
        assert len(shown) <= MOST_IN_TEXT
        assert readable(shown) == shown
        assert not set(shown) & set("\x00\x1b\x85\r\u202a\u202e\u2066\u2069\ufffe")
    assert isolated(isolated(text)) == isolated(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=400))
def test_plain_texts_are_left_as_they_are(text: str) -> None:
    assert readable(text) == isolated(text) == readable_end(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "नमस्ते दुनिया, தமிழ், ภาษาไทย, Tiếng Việt, שָׁלוֹם",
        "👩‍👩‍👧 and the flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿 of one",
        "没有空格的文字" * 200,
        "two\nlines\tand a tab",
    ],
)
def test_what_people_write_is_left_as_it_is(text: str) -> None:
    assert readable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x7f\x9b", "a\\x00b\\x7f\\x9b"),
        ("\u202eback\u2069", "\\u202eback\\u2069"),
        ("one\r\ntwo\rthree", "one\ntwo\\x0dthree"),
        ("x" * 3_000, f"{'x' * 200}… (3,000 characters)"),
        (f"a {'/y' * 600} b", f"a {'/y' * 100}… (1,200 characters) b"),
        ("o" + "\u0308" * 40 + "!", "o" + "\u0308" * 6 + "(40 accents)!"),
        ("a" + "\u200b" * 90 + "b", "a(90 unseen characters)b"),
    ],
)
def test_what_floods_or_hides_is_told(text: str, shown: str) -> None:
    assert readable(text) == shown


def test_a_long_text_keeps_the_end_that_matters() -> None:
    text = " ".join(map(str, range(20_000)))
    assert readable(text).startswith("0 1 2 3 ")
    assert readable(text).endswith(f"… ({len(text):,} characters)")
    assert readable_end(text).startswith(f"({len(text):,} characters) … ")
    assert readable_end(text).endswith(" 19998 19999")


def test_within_a_line_only_what_runs_from_right_to_left_is_set_apart() -> None:
    assert isolated("Qwen 2.5") == "Qwen 2.5"
    assert isolated("שלום 0.5") == f"{FIRST_STRONG_ISOLATE}שלום 0.5{POP_ISOLATE}"
