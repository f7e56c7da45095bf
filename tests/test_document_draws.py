"""The draws of a run: whose documents they are, where an interval exists, and V that is drawn too."""

import numpy as np
import pytest
from support.drawn_documents import draws_of

from nlareport.rows.item_rows import Item
from nlareport.rows.run_rows import PairId
from nlareport.statistics.document_draws import Column, DocumentDraws, VarianceScale, interval
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval

A = PairId("a")


def item(item_id: int, doc_id: str) -> Item:
    return Item(item_id, doc_id, 9, "x", None, "prose", is_outlier=False)


def test_documents_are_numbered_in_item_order_whatever_order_the_items_come_in():
    draws = DocumentDraws.of([item(9, "second"), item(2, "first"), item(30, "second")], 50, 1)
    assert draws.documents.tolist() == [0, 1, 1]
    assert draws.documents_of([30, 2]).tolist() == [1, 0]
    with pytest.raises(KeyError):
        draws.documents_of([3])


def test_values_of_fewer_than_two_documents_have_no_interval_and_cost_no_draw():
    draws = draws_of([0, 0, 1, 2], 300, 7)
    two, one = draws.column(np.array([0.1, 0.9]), [1, 2]), draws.column(np.array([0.1, 0.9]), [0, 1])
    nothing = Column(np.zeros(0), np.zeros(0, dtype=np.int64))
    assert [column.has_interval for column in (two, one, nothing)] == [True, False, False]
    assert draws.intervals([one, two, nothing])[::2] == [(None, None), (None, None)]
    # Document 2 has no value and is drawn all the same.
    means = bootstrap_columns([(np.array([0.1, 0.9]), np.array([0, 1]))], 3, 300, 7)[:, 0]
    assert draws.intervals([one, two])[1] == percentile_interval(means)
    assert draws.means([one, nothing]) == [None, None]
    assert interval(None) == (None, None)


def test_a_mean_error_and_the_mean_score_it_is_give_the_same_on_a_drawn_v():
    scale = VarianceScale(0.5, np.array([0.25, 1.0]))
    errors = np.array([0.2, 0.4])
    # By hand: 1 - 0.2 / 0.25 and 1 - 0.4 / 1.
    assert scale.fve(errors) == pytest.approx([0.2, 0.6])
    assert scale.rescale(1 - errors / 0.5) == pytest.approx([0.2, 0.6])
    assert scale.share(errors) == pytest.approx([0.8, 0.4])


def test_without_a_drawn_v_errors_are_shares_of_the_fixed_one():
    assert VarianceScale(0.5).fve(np.array([0.2])) == pytest.approx([0.6])
    assert VarianceScale(0.5).rescale(np.array([0.6])) == pytest.approx([0.6])
    # V of an imported run may not be known: a score stands as it was stated.
    assert VarianceScale().rescale(np.array([0.6])) == pytest.approx([0.6])
    assert draws_of([0, 1], 10, 1).on_scale(A).rescale(np.array([0.6])) == pytest.approx([0.6])
