import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.additive_effects import ceiling_fractions, draw_cells, effects
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval
from nlareport.store import sql_files

IDS = [PairId(name) for name in "abcd"]
A, B = IDS[:2]


def scores(cells: dict[tuple[PairId, PairId], list[float | None]]) -> list[Score]:
    return [Score(n, *key, None, fve, None) for key, column in cells.items() for n, fve in enumerate(column)]


def drawn(cells: dict[tuple[PairId, PairId], list[float | None]], draws: int = 500, **more):
    n_items = max(len(column) for column in cells.values())
    return draw_cells(scores(cells), {n: n for n in range(n_items)}, draws, 3, more.get("ratios", {}))


def test_a_fraction_is_the_cell_over_the_diagonal_each_over_its_own_scored_items():
    found = ceiling_fractions(drawn({(A, A): [0.8, 0.6, None, 1.0], (B, A): [0.4, None, 0.2, 0.3]}))
    ((fraction,)) = found
    assert (fraction.source, fraction.target, fraction.n_scored, fraction.chance) == (B, A, 3, None)
    assert fraction.value == pytest.approx(0.3 / 0.8)
    assert fraction.ci_low < fraction.value < fraction.ci_high


def test_the_interval_of_a_fraction_is_narrower_than_an_unpaired_one_when_cell_and_ceiling_move_together():
    rng = np.random.default_rng(5)
    ease = rng.normal(0.6, 0.3, 80)
    ceiling, cell = ease + 0.1, ease + rng.normal(0, 0.02, 80)
    (found,) = ceiling_fractions(drawn({(A, A): ceiling.tolist(), (B, A): cell.tolist()}))
    documents = np.arange(80)
    one = bootstrap_columns([(cell, documents)], 80, 500, 11)[:, 0]
    other = bootstrap_columns([(ceiling, documents)], 80, 500, 12)[:, 0]
    low, high = percentile_interval(one / other)
    assert found.ci_high - found.ci_low < (high - low) / 3


def test_a_ceiling_that_is_0_in_some_draw_leaves_no_interval_and_one_below_0_no_fraction():
    (unsure,) = ceiling_fractions(drawn({(A, A): [1.0, -0.9, 0.1], (B, A): [0.1, 0.2, 0.3]}))
    assert (unsure.ci_low, unsure.ci_high) == (None, None)
    assert ceiling_fractions(drawn({(A, A): [-0.1, -0.2], (B, A): [0.1, 0.2]})) == []
    assert ceiling_fractions(drawn({(B, A): [0.1, 0.2]})) == []


def test_a_drawn_v_moves_cell_and_ceiling_alike():
    cells = {(A, A): [0.8, 0.6, 0.9], (B, A): [0.8, 0.6, 0.9]}
    (found,) = ceiling_fractions(drawn(cells, ratios={A: np.linspace(0.8, 1.2, 500)}))
    assert (found.ci_low, found.value, found.ci_high) == pytest.approx((1.0, 1.0, 1.0))


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
    found = effects(IDS[:n], drawn(matrix_of(0.5 + source[:, np.newaxis] + target), draws=50))
    assert [(row.role, row.pair_id) for row in found] == [(r, i) for r in ("source", "target") for i in IDS[:n]]
    expected = [*(source - source.mean()), *(target - target.mean())]
    assert [row.effect for row in found] == pytest.approx(expected, abs=1e-9)
    # Every document says the same, so nothing can move.
    assert [(row.ci_low, row.ci_high) for row in found] == [pytest.approx((e, e), abs=1e-9) for e in expected]


def test_effects_are_those_of_the_query_and_their_intervals_hold_them():
    rng = np.random.default_rng(8)
    cells = {(s, t): rng.normal(0.5, 0.2, 40).tolist() for s in IDS for t in IDS}
    found = effects(IDS, drawn(cells))
    with duckdb.connect() as connection:
        connection.execute(sql_files.schema())
        for number, pair_id in enumerate(IDS):
            connection.execute(
                "INSERT INTO pair (pair_id, label, family, base_model, block_index, d_model, ordinal) "
                "VALUES (?, ?, 'f', 'm', 1, 4, ?)", [pair_id, pair_id, number],
            )  # fmt: skip
        for (source, target), column in cells.items():
            connection.execute(
                "INSERT INTO cell (source, target, subset, fve_nrm) VALUES (?, ?, 'all', ?)",
                [source, target, float(np.mean(column))],
            )
        answer = connection.sql(sql_files.query_text("source_effects")).pl()
    asked = {row["pair_id"]: (row["source_effect"], row["target_effect"]) for row in answer.iter_rows(named=True)}
    for row in found:
        assert row.effect == pytest.approx(asked[row.pair_id][row.role == "target"], abs=1e-12)
        assert row.ci_low < row.effect < row.ci_high


def test_effects_need_three_pairs_and_every_cross_model_cell():
    whole = matrix_of(np.arange(9.0).reshape(3, 3))
    assert len(effects(IDS[:3], drawn(whole))) == 6
    assert effects(IDS[:2], drawn(matrix_of(np.arange(4.0).reshape(2, 2)))) == []
    assert effects(IDS[:3], drawn({key: column for key, column in whole.items() if key != (A, B)})) == []
