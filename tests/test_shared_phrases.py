import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from nlareport.render.shared_phrases import MINIMUM, WORD, share_phrases, shared_word_spans

WORDS = st.lists(st.sampled_from("abcd"), max_size=14)
TEXTS = st.lists(WORDS, max_size=4)
WILD = st.lists(st.lists(st.sampled_from(["a", "B", "<b>", "&", '"', ", ", "…", "ß", "SS", "it's"])), max_size=4)


def runs_of(words: list[str], length: int = MINIMUM) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def test_the_longest_shared_phrase_is_marked_whole_and_case_does_not_matter() -> None:
    shared = share_phrases(
        ["The final token ends a noun phrase.", "Here the Final Token ends\nall.", "A noun phrase of its own"]
    )
    assert shared.marked == [
        '<span class="shared">The final token ends</span> <span class="shared">a noun phrase</span>.',
        'Here <span class="shared">the Final Token ends</span>\nall.',
        '<span class="shared">A noun phrase</span> of its own',
    ]
    assert shared.n_phrases == 2


def test_a_phrase_that_only_one_text_repeats_is_not_shared() -> None:
    shared = share_phrases(["one two three, one two three", "four five six"])
    assert shared.marked == ["one two three, one two three", "four five six"]
    assert shared.n_phrases == 0


def test_markup_in_a_text_stays_text() -> None:
    shared = share_phrases(["<b>one & two</b> three", "<b>one & two</b> four"])
    assert shared.marked[0] == '&lt;<span class="shared">b&gt;one &amp; two&lt;/b</span>&gt; three'


def test_a_text_that_repeats_itself_without_end_is_marked_in_a_moment() -> None:
    assert shared_word_spans([["or", "20"] * 200, ["or", "20"] * 150]) == [[(0, 300), (300, 400)], [(0, 300)]]


@given(TEXTS)
def test_every_marked_span_stands_in_another_text(texts: list[list[str]]) -> None:
    for number, spans in enumerate(shared_word_spans(texts)):
        for start, end in spans:
            said = tuple(texts[number][start:end])
            assert len(said) >= MINIMUM
            assert any(said in runs_of(other, len(said)) for n, other in enumerate(texts) if n != number)


@given(TEXTS)
def test_spans_are_in_order_apart_and_leave_nothing_shared_between_them(texts: list[list[str]]) -> None:
    for number, spans in enumerate(shared_word_spans(texts)):
        others = set().union(*(runs_of(other) for n, other in enumerate(texts) if n != number))
        ends = [0, *(end for _, end in spans)]
        starts = [*(start for start, _ in spans), len(texts[number])]
        for end, start in zip(ends, starts, strict=True):
            assert end <= start
            assert not runs_of(texts[number][end:start]) & others


@given(TEXTS)
def test_the_longest_shared_phrase_of_all_is_marked_whole(texts: list[list[str]]) -> None:
    for number, spans in enumerate(shared_word_spans(texts)):
        for length in range(len(texts[number]), MINIMUM - 1, -1):
            others = set().union(*(runs_of(other, length) for n, other in enumerate(texts) if n != number))
            if runs_of(texts[number], length) & others:
                assert max(end - start for start, end in spans) == length
                break


@given(WILD)
def test_marks_change_nothing_but_the_marks(parts: list[list[str]]) -> None:
    texts = [" ".join(words) for words in parts]
    for text, marked in zip(texts, share_phrases(texts).marked, strict=True):
        assert unescape(re.sub(r'<span class="shared">|</span>', "", marked)) == text


def test_words_hold_their_apostrophes() -> None:
    assert WORD.findall("it's the dogs’ day, isn’t it") == ["it's", "the", "dogs", "day", "isn’t", "it"]
