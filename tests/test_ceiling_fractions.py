import numpy as np
import pytest
from support.drawn_documents import draws_of

from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.ceiling_fractions import ceiling_fraction, ceiling_measures
from nlareport.statistics.document_draws import VarianceScale
from nlareport.statistics.drawn_cells import DrawnCells, draw_cells
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval

A, B = PairId("a"), PairId("b")
Values = list[float | None]


def drawn(cells: dict[tuple[PairId, PairId], Values], scale: VarianceScale | None = None) -> DrawnCells:
    scores = [Score(n, *key, None, fve, None) for key, column in cells.items() for n, fve in enumerate(column)]
    n_items = max(len(column) for column in cells.values())
    return draw_cells(scores, draws_of(range(n_items), 500, 3, {A: scale or VarianceScale()}))


def test_a_fraction_is_the_cell_over_the_diagonal_each_over_its_own_scored_items():
    found = ceiling_measures(drawn({(A, A): [0.8, 0.6, None, 1.0], (B, A): [0.4, None, 0.2, 0.3]}))
    ((fraction,)) = found
    assert (fraction.source, fraction.target, fraction.n_scored, fraction.chance) == (B, A, 3, None)
    assert fraction.value == pytest.approx(0.3 / 0.8)
    assert fraction.ci_low < fraction.value < fraction.ci_high


def test_the_interval_of_a_fraction_is_narrower_than_an_unpaired_one_when_cell_and_ceiling_move_together():
    rng = np.random.default_rng(5)
    ease = rng.normal(0.6, 0.3, 80)
    ceiling, cell = ease + 0.1, ease + rng.normal(0, 0.02, 80)
    (found,) = ceiling_measures(drawn({(A, A): ceiling.tolist(), (B, A): cell.tolist()}))
    documents = np.arange(80)
    one = bootstrap_columns([(cell, documents)], 80, 500, 11)[:, 0]
    other = bootstrap_columns([(ceiling, documents)], 80, 500, 12)[:, 0]
    low, high = percentile_interval(one / other)
    assert found.ci_high - found.ci_low < (high - low) / 3


def test_a_ceiling_that_is_0_in_some_draw_leaves_no_interval_and_one_below_0_no_fraction():
    (unsure,) = ceiling_measures(drawn({(A, A): [1.0, -0.9, 0.1], (B, A): [0.1, 0.2, 0.3]}))
    assert (unsure.ci_low, unsure.ci_high) == (None, None)
    assert ceiling_measures(drawn({(A, A): [-0.1, -0.2], (B, A): [0.1, 0.2]})) == []
    assert ceiling_measures(drawn({(B, A): [0.1, 0.2]})) == []


def test_a_drawn_v_moves_cell_and_ceiling_alike():
    cells = {(A, A): [0.8, 0.6, 0.9], (B, A): [0.8, 0.6, 0.9]}
    (found,) = ceiling_measures(drawn(cells, VarianceScale(1.0, 1 / np.linspace(0.8, 1.2, 500))))
    assert (found.ci_low, found.value, found.ci_high) == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize(("fve", "ceiling"), [(None, 0.5), (0.5, None), (0.5, 0.0), (0.5, -0.2)])
def test_a_share_of_nothing_known_or_of_nothing_at_all_is_no_fraction(fve: float | None, ceiling: float | None):
    assert ceiling_fraction(fve, ceiling) is None
    assert ceiling_fraction(-0.25, 0.5) == -0.5
