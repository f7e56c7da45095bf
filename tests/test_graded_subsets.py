import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import SubsetRange
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import centre
from nlareport.statistics.graded_subsets import atypicalities, members, ranges

A = PairId("a")


def test_eight_different_values_make_four_quarters_of_two():
    found = ranges(A, "context", np.array([80.0, 10, 70, 20, 60, 30, 50, 40]))
    assert found == [
        SubsetRange(A, "context_1", 10.0, 20.0, 2),
        SubsetRange(A, "context_2", 30.0, 40.0, 2),
        SubsetRange(A, "context_3", 50.0, 60.0, 2),
        SubsetRange(A, "context_4", 70.0, 80.0, 2),
    ]


def test_equal_values_stay_in_one_quarter_and_a_quarter_they_empty_is_left_out():
    found = ranges(A, "norm", np.array([1.0, 1, 1, 1, 1, 2, 3, 4]))
    assert found == [
        SubsetRange(A, "norm_1", 1.0, 1.0, 5),
        SubsetRange(A, "norm_3", 2.0, 2.0, 1),
        SubsetRange(A, "norm_4", 3.0, 4.0, 2),
    ]
    assert ranges(A, "norm", np.ones(5)) == [SubsetRange(A, "norm_1", 1.0, 1.0, 5)]
    assert ranges(A, "norm", np.zeros(0)) == []


@given(st.lists(st.integers(0, 12).map(float), min_size=1, max_size=60))
def test_ranges_alone_give_every_item_back_once(values):
    by_item = dict(enumerate(values))
    groups = [members(subset, by_item) for subset in ranges(A, "context", np.array(values))]
    assert sorted(item_id for group in groups for item_id in group) == list(range(len(values)))
    assert [len(group) for group in groups] == [subset.n_items for subset in ranges(A, "context", np.array(values))]


def test_atypicality_is_one_minus_the_cosine_to_the_mean_direction_whatever_the_lengths():
    # Unit vectors (1,0), (0,1), (1,0), (0,1) have their mean along the diagonal, 45 degrees from each.
    gold = ActivationBatch(A, np.arange(4), np.array([[5.0, 0], [0, 2], [1, 0], [0, 9]]))
    assert [row.atypicality for row in atypicalities(gold, centre(gold.vectors))] == pytest.approx([1 - 0.5**0.5] * 4)


def test_atypicality_keeps_its_digits_where_all_share_one_direction():
    off = np.array([[1.0, 1e-7, 0], [1.0, -1e-7, 0]])
    found = [row.atypicality for row in atypicalities(ActivationBatch(A, np.arange(2), off), centre(off))]
    assert found == pytest.approx([0.5e-14] * 2, rel=1e-6)
