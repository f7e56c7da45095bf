import random
import time

from hypothesis import given
from hypothesis import strategies as st

from nlareport.rows import Alignment, Explanation, Item, PairId
from nlareport.stages.outliers import flag_outliers, near_duplicates

A, B = PairId("a"), PairId("b")


def item(item_id: int) -> Item:
    return Item(item_id, f"d{item_id}", 1, "x", None, "prose")


def explanation(item_id: int, source: PairId, text: str | None) -> Explanation:
    return Explanation(item_id, source, text, None, None, "closed", True)


def test_a_norm_above_4_times_its_own_pairs_median_is_flagged():
    norms = {A: [10.0, 10.0, 10.0, 40.0, 41.0], B: [1000.0] * 5}
    alignments = {
        pair_id: [Alignment(item_id, pair_id, 60, 0, norm) for item_id, norm in enumerate(of_pair)]
        for pair_id, of_pair in norms.items()
    }
    flags = flag_outliers([item(item_id) for item_id in range(5)], alignments, {})
    assert flags == {0: False, 1: False, 2: False, 3: False, 4: True}


def test_two_items_of_one_source_with_the_same_words_are_both_flagged():
    explanations = {
        A: [explanation(0, A, "A list, of names."), explanation(1, A, "a  list of NAMES"), explanation(2, A, "else")],
        B: [explanation(0, B, "else"), explanation(1, B, None), explanation(2, B, None)],
    }
    flags = flag_outliers([item(n) for n in range(3)], {}, explanations)
    assert flags == {0: True, 1: True, 2: False}


def long_text(seed: int, n_words: int = 120) -> list[str]:
    return random.Random(seed).choices([f"w{index}" for index in range(500)], k=n_words)


def test_a_word_more_at_the_end_is_a_near_duplicate_and_another_text_is_not():
    text = long_text(1)
    texts = [" ".join(text), " ".join([*text, "end"]), " ".join(long_text(2))]
    assert near_duplicates(texts) == [True, True, False]


def test_short_texts_follow_the_same_rule():
    # Under five words the whole text is the one run it has.
    assert near_duplicates(["a name", "a date", "A name!", ""]) == [True, False, True, False]
    assert near_duplicates(["one two three four five six", "one two three four five"]) == [False, False]


def jaccard_by_hand(one: str, other: str) -> float:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}

    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


edits = st.lists(st.tuples(st.integers(0, 59), st.sampled_from("pqr")), max_size=3)


@given(st.lists(st.tuples(st.integers(0, 1), edits, st.integers(40, 60)), max_size=9))
def test_the_index_finds_exactly_the_pairs_that_comparing_all_finds(variants):
    texts = []
    for seed, changes, length in variants:
        words = long_text(seed, 60)
        for place, word in changes:
            words[place] = word
        texts.append(" ".join(words[:length]))
    by_hand = [
        any(jaccard_by_hand(text, other) >= 0.9 for place, other in enumerate(texts) if place != own)
        for own, text in enumerate(texts)
    ]
    assert near_duplicates(texts) == by_hand


def test_a_verbalizer_that_nearly_always_says_the_same_stays_cheap():
    text = long_text(3)
    start = time.perf_counter()
    assert all(near_duplicates([" ".join([*text, f"end{index}"]) for index in range(3000)]))
    assert time.perf_counter() - start < 5


def test_no_texts_have_no_duplicates():
    assert near_duplicates([]) == []
