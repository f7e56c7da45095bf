import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_documents import draws_of

from nlareport.rows.cell_rows import Effect
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.additive_effects import effects
from nlareport.statistics.drawn_cells import draw_cells
from nlareport.store import sql_files
from nlareport.store.migrations import create_tables

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


def test_effects_are_those_of_the_query_and_their_intervals_hold_them():
    rng = np.random.default_rng(8)
    cells = {(s, t): rng.normal(0.5, 0.2, 40).tolist() for s in IDS for t in IDS}
    found = fitted(IDS, cells)
    with duckdb.connect() as connection:
        create_tables(connection)
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
    assert len(fitted(IDS[:3], whole)) == 6
    assert fitted(IDS[:2], matrix_of(np.arange(4.0).reshape(2, 2))) == []
    assert fitted(IDS[:3], {key: column for key, column in whole.items() if key != (A, B)}) == []
