import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_documents import draws_of

from nlareport.rows.cell_rows import CellKey, Effect
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.additive_effects import effects
from nlareport.statistics.drawn_cells import draw_cells

IDS = [PairId(name) for name in "abcd"]
A, B = IDS[:2]


def scores(cells: dict[tuple[PairId, PairId], list[float | None]]) -> list[Score]:
    return [Score(n, *key, None, fve, None) for key, column in cells.items() for n, fve in enumerate(column)]


def fitted(ids: list[PairId], cells: dict[tuple[PairId, PairId], list[float | None]], draws: int = 500) -> list[Effect]:
    n_items = max(len(column) for column in cells.values())
    found = draw_cells(scores(cells), draws_of(range(n_items), draws, 3))
    return effects(ids, found.values, found.drawn)


def matrix_of(values: np.ndarray) -> dict[tuple[PairId, PairId], list[float | None]]:
    ids = IDS[: len(values)]
    return {
        (source, target): [float(values[s, t])] * 4
        for s, source in enumerate(ids)
        for t, target in enumerate(ids)
        if s != t
    }


@given(st.data(), st.integers(3, 4))
def test_effects_recover_a_planted_additive_matrix(data, n):
    side = st.lists(st.floats(-0.5, 0.5), min_size=n, max_size=n).map(np.array)
    source, target = data.draw(side), data.draw(side)
    found = fitted(IDS[:n], matrix_of(0.5 + source[:, np.newaxis] + target), draws=50)
    assert [(row.role, row.pair_id) for row in found] == [(r, i) for r in ("source", "target") for i in IDS[:n]]
    expected = [*(source - source.mean()), *(target - target.mean())]
    assert [row.effect for row in found] == pytest.approx(expected, abs=1e-9)
    # Every document says the same, so nothing can move.
    assert [(row.ci_low, row.ci_high) for row in found] == [pytest.approx((e, e), abs=1e-9) for e in expected]


def test_effects_lie_within_their_intervals():
    rng = np.random.default_rng(8)
    cells = {(s, t): rng.normal(0.5, 0.2, 40).tolist() for s in IDS for t in IDS}
    for row in fitted(IDS, cells):
        assert row.ci_low < row.effect < row.ci_high


def test_effects_need_three_pairs_and_every_cross_model_cell():
    whole = matrix_of(np.arange(9.0).reshape(3, 3))
    assert len(fitted(IDS[:3], whole)) == 6
    assert fitted(IDS[:2], matrix_of(np.arange(4.0).reshape(2, 2))) == []
    assert fitted(IDS[:3], {key: column for key, column in whole.items() if key != (A, B)}) == []


@given(st.data())
def test_effects_of_a_matrix_with_holes_or_half_pairs_are_those_it_was_made_of(data):
    n_sources, n_targets = 3, 4
    values = st.floats(-0.5, 0.5)
    source = np.array(data.draw(st.lists(values, min_size=n_sources, max_size=n_sources)))
    target = np.array(data.draw(st.lists(values, min_size=n_targets, max_size=n_targets)))
    names = [PairId(name) for name in "abcdefg"]
    cells = {
        (names[s], names[n_sources + t]): 0.5 + source[s] + target[t]
        for s in range(n_sources)
        for t in range(n_targets)
    }
    missing = data.draw(st.sampled_from(sorted(cells)))
    known = {CellKey(*key): value for key, value in cells.items() if key != missing}
    found = {(row.role, row.pair_id): row.effect for row in effects(names, known)}
    expected = {("source", names[s]): source[s] - source.mean() for s in range(n_sources)}
    expected |= {("target", names[n_sources + t]): target[t] - target.mean() for t in range(n_targets)}
    assert found == pytest.approx(expected, abs=1e-9)


def test_cells_that_do_not_tell_effects_apart_have_none():
    two_islands = {CellKey(A, B): 0.1, CellKey(B, A): 0.2, CellKey(IDS[2], IDS[3]): 0.3, CellKey(IDS[3], IDS[2]): 0.4}
    assert effects(IDS, two_islands) == []
    assert effects(IDS, {CellKey(A, target): 0.1 for target in IDS[1:]}) == []
