import random
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlareport.rows.item_rows import Alignment, Explanation, Outlier
from nlareport.rows.run_rows import PairId
from nlareport.statistics.outliers import find_outliers, near_duplicates

A, B = PairId("a"), PairId("b")


def explanation(item_id: int, source: PairId, text: str | None) -> Explanation:
    return Explanation(item_id, source, text, None, None, "closed", True)


def test_a_norm_above_4_times_its_own_pairs_median_is_flagged():
    norms = {A: [10.0, 10.0, 10.0, 40.0, 41.0], B: [1000.0] * 5}
    alignments = {
        pair_id: [Alignment(item_id, pair_id, 60, 0, norm) for item_id, norm in enumerate(of_pair)]
        for pair_id, of_pair in norms.items()
    }
    assert find_outliers(alignments, {}) == [Outlier(4, A, "norm", 4.1)]


def test_two_items_of_one_source_with_the_same_words_are_both_flagged():
    explanations = {
        A: [explanation(0, A, "A list, of names."), explanation(1, A, "a  list of NAMES"), explanation(2, A, "else")],
        B: [explanation(0, B, "else"), explanation(1, B, None), explanation(2, B, None)],
    }
    assert find_outliers({}, explanations) == [Outlier(n, A, "near_duplicate", 2.0) for n in (0, 1)]


def test_a_long_norm_and_a_repeated_text_in_one_pair_are_a_sink_and_in_two_pairs_are_not():
    alignments = {A: [Alignment(n, A, 60, 0, norm) for n, norm in enumerate([10.0, 160.0, 10.0, 50.0, 10.0])]}
    same = [explanation(0, A, "it begins"), explanation(1, A, "It begins."), explanation(2, A, "else")]
    assert find_outliers(alignments, {A: same, B: [explanation(n, B, "so") for n in (2, 3)]}) == [
        Outlier(1, A, "norm", 16.0),
        Outlier(3, A, "norm", 5.0),
        Outlier(0, A, "near_duplicate", 2.0),
        Outlier(1, A, "near_duplicate", 2.0),
        Outlier(1, A, "sink", 16.0),
        Outlier(2, B, "near_duplicate", 2.0),
        Outlier(3, B, "near_duplicate", 2.0),
    ]


def long_text(seed: int, n_words: int = 120) -> list[str]:
    return random.Random(seed).choices([f"w{index}" for index in range(500)], k=n_words)


def test_a_word_more_at_the_end_is_a_near_duplicate_and_another_text_is_not():
    text = long_text(1)
    texts = [" ".join(text), " ".join([*text, "end"]), " ".join(long_text(2))]
    assert near_duplicates(texts) == [2, 2, 1]


def test_short_texts_follow_the_same_rule():
    # Under five words the whole text is the one run it has.
    assert near_duplicates(["a name", "a date", "A name!", ""]) == [2, 1, 2, 1]
    assert near_duplicates(["one two three four five six", "one two three four five"]) == [1, 1]


def jaccard_by_hand(one: str, other: str) -> float:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}

    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


edits = st.lists(st.tuples(st.integers(0, 59), st.sampled_from("pqr")), max_size=3)


@given(st.lists(st.tuples(st.integers(0, 1), edits, st.integers(40, 60)), min_size=1, max_size=9))
def test_the_index_finds_exactly_the_groups_that_comparing_all_finds(variants):
    texts = []
    for seed, changes, length in variants:
        words = long_text(seed, 60)
        for place, word in changes:
            words[place] = word
        texts.append(" ".join(words[:length]))
    near = np.array([[jaccard_by_hand(one, other) >= 0.9 for other in texts] for one in texts], dtype=float)
    # Multiplied often enough, the table of near pairs reaches along every chain of them.
    chained = np.linalg.matrix_power(near, 16) > 0
    assert near_duplicates(texts) == chained.sum(axis=0).astype(int).tolist()


def test_a_verbalizer_that_nearly_always_says_the_same_stays_cheap():
    text = long_text(3)
    start = time.perf_counter()
    assert near_duplicates([" ".join([*text, f"end{index}"]) for index in range(3000)]) == [3000] * 3000
    assert time.perf_counter() - start < 5


def test_no_texts_have_no_duplicates():
    assert near_duplicates([]) == []
