from collections import Counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.batches import ActivationBatch
from nlareport.errors import CheckpointDrift
from nlareport.rows import Ablation, AblationMethod, PairId
from nlareport.stages.ablate import INTERVENTIONS, Occasion, ablate, is_ablated, quotes_blanked, words_shuffled

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


def test_every_method_an_experiment_may_name_has_an_intervention() -> None:
    assert tuple(INTERVENTIONS) == get_args(AblationMethod)


def test_only_a_pair_that_reads_itself_is_ablated() -> None:
    assert is_ablated(A, A)
    assert not is_ablated(A, B)


class Answers:
    """Answers each text with the vector written down for it, and remembers what it was asked."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors
        self.asked: list[str] = []

    def reconstruct(self, explanations: list[str]) -> np.ndarray:
        self.asked += explanations
        return np.array([self.vectors[text] for text in explanations], dtype=np.float32)


def gold(item_ids: list[int], vectors: list[list[float]]) -> ActivationBatch:
    return ActivationBatch(
        B, np.array(item_ids, dtype=np.int64), np.array(vectors, dtype=np.float32).reshape(len(item_ids), 2)
    )


def test_changed_texts_are_scored_against_their_own_golds_in_gold_order() -> None:
    # Angles of 0, 90 and 180 degrees: 2(1 - cos) is 0, 2 and 4, at any norm.
    reconstructor = Answers({'says ""': [5.0, 0.0], "no quote": [0.0, -3.0]})
    texts = {1: 'says "this"', 2: 'says "that"', 3: "no quote", 4: "never asked for"}
    rows = ablate(texts, A, "quotes_blanked", gold([3, 1, 2], [[0.0, 2.0], [9.0, 0.0], [0.0, 1.0]]), 0, reconstructor)
    assert reconstructor.asked == ["no quote", 'says ""', 'says ""']
    assert [(row.item_id, row.mse_nrm) for row in rows] == [(3, 4.0), (1, 0.0), (2, 2.0)]
    assert {(row.source, row.target, row.method) for row in rows} == {("a", "b", "quotes_blanked")}


def test_words_are_shuffled_by_run_item_and_source() -> None:
    words = "one two three four five six seven eight"
    orders = [words_shuffled(words, Occasion(5, item_id, A)) for item_id in (1, 2)]
    reconstructor = Answers({order: [1.0, 0.0] for order in orders})
    ablate({1: words, 2: words}, A, "words_shuffled", gold([1, 2], [[1.0, 0.0]] * 2), 5, reconstructor)
    assert reconstructor.asked == orders
    assert orders[0] != orders[1]


def test_a_reconstruction_without_a_direction_leaves_its_row_without_an_error() -> None:
    reconstructor = Answers({"zero": [0.0, 0.0], "nan": [float("nan"), 1.0], "fine": [1.0, 0.0]})
    rows = ablate(
        {1: "zero", 2: "nan", 3: "fine"}, B, "words_shuffled", gold([1, 2, 3], [[1.0, 0.0]] * 3), 0, reconstructor
    )
    assert rows == [
        Ablation(1, B, B, "words_shuffled", None),
        Ablation(2, B, B, "words_shuffled", None),
        Ablation(3, B, B, "words_shuffled", 0.0),
    ]


def test_a_reconstructor_of_another_width_is_refused() -> None:
    with pytest.raises(CheckpointDrift, match=r"Pair b: its reconstructor returns vectors of width 3.*have width 2"):
        ablate({1: "x"}, B, "words_shuffled", gold([1], [[1.0, 0.0]]), 0, Answers({"x": [1.0, 0.0, 0.0]}))


def test_no_item_asks_the_reconstructor_nothing() -> None:
    reconstructor = Answers({})
    assert ablate({}, B, "words_shuffled", gold([], []), 0, reconstructor) == []
    assert reconstructor.asked == []
