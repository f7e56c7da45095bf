from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_checkpoints import ARCHITECTURES, Architecture, tiny_tokenizer

from nlareport.backends.scripted import ScriptedTokenizer
from nlareport.backends.transformers_reading import TransformersTokenizer
from nlareport.batches import ActivationBatch, Tokenization
from nlareport.errors import CheckpointDrift
from nlareport.rows.ablation_methods import WHOLE_TEXT_METHODS, AblationMethod, Cut, cut_of
from nlareport.rows.item_rows import Ablation
from nlareport.rows.run_rows import PairId
from nlareport.stages.ablate import (
    WHOLE_TEXT_CHANGES,
    Occasion,
    ablate,
    changed_text,
    digits_masked,
    quotes_blanked,
    quotes_kept,
    tokens_cut,
    words_shuffled,
)

A, B = PairId("a"), PairId("b")
TEXT = "Sports column:  the coach said\n\n“we were lucky” after the match"
ONCE = Occasion(seed=3, item_id=7, source=A)
PINNED = "“we Sports coach column: the the said match after were lucky”"


@given(text=st.text(), seed=st.integers(0, 2**40), item_id=st.integers(0, 10**6))
def test_shuffling_keeps_every_word_as_often_as_it_stood(text: str, seed: int, item_id: int) -> None:
    shuffled = words_shuffled(text, Occasion(seed, item_id, A))
    assert Counter(shuffled.split()) == Counter(text.split())
    assert shuffled == " ".join(shuffled.split())


def test_one_occasion_always_gives_the_same_order() -> None:
    # Written down once: a release that shuffles otherwise could not go on with older runs.
    assert words_shuffled(TEXT, ONCE) == PINNED
    assert words_shuffled(TEXT, ONCE) == words_shuffled(TEXT, Occasion(3, 7, PairId("a")))


@pytest.mark.parametrize("other", [Occasion(4, 7, A), Occasion(3, 8, A), Occasion(3, 7, B)])
def test_another_seed_item_or_source_gives_another_order(other: Occasion) -> None:
    words = " ".join(str(number) for number in range(40))
    assert words_shuffled(words, other) != words_shuffled(words, ONCE)


def test_every_order_of_three_words_comes_up_about_as_often() -> None:
    found = Counter(words_shuffled("x y z", Occasion(1, item_id, A)) for item_id in range(1200))
    assert len(found) == 6
    # 200 expected of each, with a standard deviation of 13.
    assert all(140 < n < 260 for n in found.values())


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        ('words such as "said" or "announced early"', 'words such as "" or ""'),
        ("the phrase “prime minister” here", "the phrase “” here"),
        ('a line, "one\ntwo" three', 'a line, "" three'),
        ("it's the speaker's 'own' words", "it's the speaker's 'own' words"),
        ('a screen of 15" at most', 'a screen of 15" at most'),
        ('"first" then a lone " mark', '"" then a lone " mark'),
        ('“a "b" c” and "d “e” f"', '“” and ""'),
        ("an end” before “a beginning", "an end” before “a beginning"),
        ('""', '""'),
        ("", ""),
    ],
)
def test_what_stands_between_double_marks_goes_and_the_marks_stay(text: str, blanked: str) -> None:
    assert quotes_blanked(text) == blanked


PLAIN = st.text(st.characters(exclude_characters='"“”'))


@given(parts=st.lists(st.tuples(PLAIN, st.sampled_from(['""', "“”"]), PLAIN)), tail=PLAIN)
def test_blanking_leaves_every_character_outside_of_quotes(parts: list[tuple[str, str, str]], tail: str) -> None:
    text = "".join(f"{before}{marks[0]}{quoted}{marks[1]}" for before, marks, quoted in parts) + tail
    assert quotes_blanked(text) == "".join(f"{before}{marks}" for before, marks, _ in parts) + tail


@given(text=st.text(st.sampled_from('ab "“”\n')))
def test_blanking_twice_changes_nothing_more(text: str) -> None:
    assert quotes_blanked(quotes_blanked(text)) == quotes_blanked(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('words such as "said" or "announced early", then', '"said" "announced early"'),
        ("the phrase “prime minister” here", "“prime minister”"),
        ('a line, "one\ntwo" three', '"one\ntwo"'),
        ("it's the speaker's 'own' words", ""),
        ('"first" then a lone " mark', '"first"'),
        ('""', '""'),
        ("", ""),
    ],
)
def test_only_what_stands_between_double_marks_is_kept_with_its_marks(text: str, kept: str) -> None:
    assert quotes_kept(text) == kept


@given(parts=st.lists(st.tuples(PLAIN, st.sampled_from(['""', "“”"]), PLAIN)), tail=PLAIN)
def test_kept_and_blanked_quotes_part_the_text_between_them(parts: list[tuple[str, str, str]], tail: str) -> None:
    quotes = [f"{marks[0]}{quoted}{marks[1]}" for _, marks, quoted in parts]
    text = "".join(f"{before}{quote}" for (before, _, _), quote in zip(parts, quotes, strict=True)) + tail
    assert quotes_kept(text) == " ".join(quotes)
    assert len(quotes_blanked(text)) == len(text) - sum(len(quote) - 2 for quote in quotes)


@given(text=st.text(st.sampled_from('ab "“”\n')))
def test_keeping_quotes_twice_changes_nothing_more(text: str) -> None:
    assert quotes_kept(quotes_kept(text)) == quotes_kept(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("fell 3.2% in 2019, to $14", "fell #.#% in ####, to $##"),
        ("x² and ٣", "x# and #"),
        ("no number, not even one", "no number, not even one"),
        ("", ""),
    ],
)
def test_every_digit_becomes_the_same_sign(text: str, masked: str) -> None:
    assert digits_masked(text) == masked


@given(text=st.text())
def test_masking_keeps_the_length_and_every_other_character(text: str) -> None:
    masked = digits_masked(text)
    assert len(masked) == len(text)
    assert all(after == (before if not before.isdigit() else "#") for before, after in zip(text, masked, strict=True))


SPLIT = "The river rose, by 14 metres"


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        (Cut("first", 1), "The"),
        (Cut("first", 4), "The river rose,"),
        (Cut("last", 1), " metres"),
        (Cut("last", 3), " by 14 metres"),
        (Cut("first", 7), SPLIT),
        (Cut("last", 7), SPLIT),
        (Cut("last", 800), SPLIT),
    ],
)
def test_a_cut_keeps_whole_tokens_from_one_end_and_counts_no_special_one(cut: Cut, left: str) -> None:
    # The, river, rose, a comma, by, 14, metres, after a BOS.
    whole = next(
        name
        for name in map(str, range(9))
        if len(ScriptedTokenizer(name).tokenize("longest word", None).token_ids) == 3
    )
    assert tokens_cut(SPLIT, cut, ScriptedTokenizer(whole)) == left


def test_an_empty_text_is_cut_to_nothing() -> None:
    assert tokens_cut("", Cut("first", 2), ScriptedTokenizer("a")) == ""


class OneCharacterInThree:
    """Cuts an emoji into three tokens that all cover it, as byte-level tokenizers do."""

    special_ids = frozenset({0})

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        assert text == "a🦊b"
        return Tokenization([0, 5, 6, 7, 8, 9], [0, 0, 1, 1, 1, 2], [0, 1, 2, 2, 2, 3])


@pytest.mark.parametrize(("cut", "left"), [(Cut("first", 2), "a🦊"), (Cut("last", 2), "🦊b"), (Cut("last", 4), "🦊b")])
def test_a_character_is_never_cut_in_two(cut: Cut, left: str) -> None:
    assert tokens_cut("a🦊b", cut, OneCharacterInThree()) == left


CUTTABLE = 'The bank\'s report of 1998: "Größe, naïve café" fell 3.2%. The river rose in the spring.'


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_real_tokenizer_finds_as_many_tokens_in_what_a_cut_leaves(architecture: Architecture, tmp_path: Path) -> None:
    tiny_tokenizer(architecture).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    tokenizer = TransformersTokenizer(tmp_path)

    def tokens(text: str) -> list[int]:
        found = tokenizer.tokenize(text, None)
        spans = zip(found.token_ids, found.char_starts, found.char_ends, strict=True)
        return [token_id for token_id, start, end in spans if end > start]

    whole = tokens(CUTTABLE)
    for n_tokens in (1, 2, 5, 12, len(whole) - 1):
        first, last = (tokens_cut(CUTTABLE, Cut(end, n_tokens), tokenizer) for end in ("first", "last"))
        assert CUTTABLE.startswith(first)
        assert CUTTABLE.endswith(last)
        assert tokens(first)[:n_tokens] == whole[:n_tokens]
        assert tokens(last)[-n_tokens:] == whole[-n_tokens:]
        assert len(first) < len(CUTTABLE) > len(last) > 0
    assert tokens_cut(CUTTABLE, Cut("first", len(whole)), tokenizer) == CUTTABLE
    assert tokens_cut(CUTTABLE, Cut("last", len(whole)), tokenizer) == CUTTABLE


@given(text=st.text(st.sampled_from("ab 1.,\n")), n_tokens=st.integers(1, 12))
def test_the_two_ends_of_a_long_text_share_nothing_and_lose_nothing_between_them(text: str, n_tokens: int) -> None:
    tokenizer = ScriptedTokenizer("a")
    n_all = len(tokenizer.tokenize(text, None).token_ids) - 1
    first = tokens_cut(text, Cut("first", n_tokens), tokenizer)
    if n_all <= n_tokens:
        assert first == text
    else:
        assert first + tokens_cut(text, Cut("last", n_all - n_tokens), tokenizer) == text


def test_every_method_that_is_no_cut_has_a_change() -> None:
    assert tuple(WHOLE_TEXT_CHANGES) == WHOLE_TEXT_METHODS
    assert [cut_of(method) for method in WHOLE_TEXT_METHODS] == [None] * 4


@pytest.mark.parametrize(
    ("method", "cut"),
    [
        ("first_16_tokens", Cut("first", 16)),
        ("last_1_tokens", Cut("last", 1)),
        ("first_0_tokens", None),
        ("last_08_tokens", None),
        ("first_tokens", None),
        ("middle_8_tokens", None),
        ("first_8_tokens ", None),
        ("first_٨_tokens", None),
    ],
)
def test_a_cut_is_known_by_its_name(method: str, cut: Cut | None) -> None:
    assert cut_of(method) == cut


def test_a_method_is_applied_by_its_name() -> None:
    def left(method: str) -> str:
        return changed_text('Said "14 or 15" of it', AblationMethod(method), ONCE, ScriptedTokenizer("a"))

    assert left("quotes_kept") == '"14 or 15"'
    assert left("quotes_blanked") == 'Said "" of it'
    assert left("digits_masked") == 'Said "## or ##" of it'
    assert left("last_2_tokens") == " of it"
    assert sorted(left("words_shuffled").split()) == sorted(["Said", '"14', "or", '15"', "of", "it"])


class Answers:
    """Answers each text with the vector written down for it, and remembers what it was asked."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors
        self.asked: list[str] = []

    def reconstruct(self, explanations: list[str]) -> np.ndarray:
        self.asked += explanations
        return np.array([self.vectors[text] for text in explanations], dtype=np.float32)


def vectors_of(item_ids: list[int], vectors: list[list[float]]) -> ActivationBatch:
    return ActivationBatch(
        B, np.array(item_ids, dtype=np.int64), np.array(vectors, dtype=np.float32).reshape(len(item_ids), 2)
    )


def ablated(
    texts: dict[int, str],
    method: str,
    gold: ActivationBatch,
    reconstructor: Answers,
    written: ActivationBatch | None = None,
    seed: int = 0,
) -> list[Ablation]:
    written = written or vectors_of([], [])
    return ablate(texts, A, AblationMethod(method), gold, written, seed, ScriptedTokenizer("a"), reconstructor)


def test_changed_texts_are_scored_against_their_own_golds_in_gold_order() -> None:
    # Angles of 0, 90 and 180 degrees: 2(1 - cos) is 0, 2 and 4, at any norm.
    reconstructor = Answers({'says ""': [5.0, 0.0], 'so ""': [0.0, -3.0]})
    texts = {1: 'says "this"', 2: 'says "that"', 3: 'so "x"', 4: "never asked for"}
    rows = ablated(texts, "quotes_blanked", vectors_of([3, 1, 2], [[0.0, 2.0], [9.0, 0.0], [0.0, 1.0]]), reconstructor)
    assert [(row.item_id, row.mse_nrm) for row in rows] == [(3, 4.0), (1, 0.0), (2, 2.0)]
    assert {(row.source, row.target, row.method) for row in rows} == {("a", "b", "quotes_blanked")}


def test_a_text_that_several_items_are_left_with_is_read_once() -> None:
    reconstructor = Answers({'says ""': [5.0, 0.0], 'so ""': [0.0, -3.0]})
    texts = {1: 'says "this"', 2: 'so "x"', 3: 'says "that"'}
    ablated(texts, "quotes_blanked", vectors_of([1, 2, 3], [[1.0, 0.0]] * 3), reconstructor)
    assert reconstructor.asked == ['says ""', 'so ""']


def test_a_text_left_as_it_was_is_scored_by_what_was_read_of_it_before() -> None:
    reconstructor = Answers({"in ####": [1.0, 0.0], "not there before": [0.0, 1.0]})
    texts = {1: "in 1998", 2: "no digit", 3: "not there before"}
    written = vectors_of([1, 2, 9], [[7.0, 7.0], [-2.0, 0.0], [7.0, 7.0]])
    rows = ablated(texts, "digits_masked", vectors_of([1, 2, 3], [[1.0, 0.0]] * 3), reconstructor, written)
    assert reconstructor.asked == ["in ####", "not there before"]
    assert [row.mse_nrm for row in rows] == [0.0, 4.0, 2.0]


def test_when_nothing_changes_nothing_is_read() -> None:
    reconstructor = Answers({})
    written = vectors_of([1, 2], [[1.0, 0.0], [0.0, 1.0]])
    rows = ablated({1: "a", 2: "b"}, "first_8_tokens", vectors_of([2, 1], [[1.0, 0.0]] * 2), reconstructor, written)
    assert reconstructor.asked == []
    assert [row.mse_nrm for row in rows] == [2.0, 0.0]


def test_a_text_of_which_nothing_is_left_is_read_as_any_other() -> None:
    reconstructor = Answers({"": [1.0, 0.0]})
    rows = ablated({1: "no quotes"}, "quotes_kept", vectors_of([1], [[1.0, 0.0]]), reconstructor)
    assert reconstructor.asked == [""]
    assert [row.mse_nrm for row in rows] == [0.0]


def test_words_are_shuffled_by_run_item_and_source() -> None:
    words = "one two three four five six seven eight"
    orders = [words_shuffled(words, Occasion(5, item_id, A)) for item_id in (1, 2)]
    reconstructor = Answers({order: [1.0, 0.0] for order in orders})
    ablated({1: words, 2: words}, "words_shuffled", vectors_of([1, 2], [[1.0, 0.0]] * 2), reconstructor, seed=5)
    assert reconstructor.asked == orders
    assert orders[0] != orders[1]


def test_a_reconstruction_without_a_direction_leaves_its_row_without_an_error() -> None:
    reconstructor = Answers({"zero": [0.0, 0.0], "nan": [float("nan"), 1.0], "fine": [1.0, 0.0]})
    texts = {1: "zero", 2: "nan", 3: "fine"}
    rows = ablated(texts, "words_shuffled", vectors_of([1, 2, 3], [[1.0, 0.0]] * 3), reconstructor)
    assert rows == [
        Ablation(1, A, B, "words_shuffled", None),
        Ablation(2, A, B, "words_shuffled", None),
        Ablation(3, A, B, "words_shuffled", 0.0),
    ]


def test_a_reconstructor_of_another_width_is_refused() -> None:
    with pytest.raises(CheckpointDrift, match=r"Pair b: its reconstructor returns vectors of width 3.*have width 2"):
        ablated({1: "x"}, "words_shuffled", vectors_of([1], [[1.0, 0.0]]), Answers({"x": [1.0, 0.0, 0.0]}))


def test_no_item_asks_the_reconstructor_nothing() -> None:
    reconstructor = Answers({})
    assert ablated({}, "words_shuffled", vectors_of([], []), reconstructor) == []
    assert reconstructor.asked == []
