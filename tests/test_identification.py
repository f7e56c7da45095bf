from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_documents import draws_of

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import CellKey, Measure
from nlareport.rows.item_rows import Resemblance
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import centre, unit_rows
from nlareport.statistics.identification import CentredGolds, identification, measure_cells, resemble

A, B = PairId("a"), PairId("b")
CELL = CellKey(B, A)
OF = ("identified_of_2", "identified_of_10", "identified_of_all")


def measured(rows: list[Resemblance], n_documents: int = 100, floor: float | None = None) -> dict[str, Measure]:
    found = measure_cells({CELL: rows}, {CELL: floor}, draws_of(range(n_documents), 300, 1))
    return {row.measure: row for row in found}


def row(item_id: int, cosine: float | None, n_nearer: int, n_others: int = 20) -> Resemblance:
    return Resemblance(item_id, B, A, cosine, n_nearer, n_others)


def test_a_worked_cell():
    # 20 others: with 5 nearer, one other is not among them in 15 of 20 draws.
    found = measured([row(0, 0.9, 0), row(1, 0.5, 5), row(2, None, 20)], floor=0.01)
    assert found["centred_cosine"].value == pytest.approx(0.7)
    assert (found["centred_cosine"].n_scored, found["centred_cosine"].chance) == (2, 0.01)
    assert found["identified_of_2"].value == pytest.approx((1 + 15 / 20 + 0) / 3)
    assert found["identified_of_10"].value == pytest.approx((1 + comb(15, 9) / comb(20, 9) + 0) / 3)
    assert found["identified_of_all"].value == pytest.approx(1 / 3)
    assert [found[name].chance for name in OF] == pytest.approx([1 / 2, 1 / 10, 1 / 21])
    assert found["identified_of_2"].ci_low < found["identified_of_2"].value < found["identified_of_2"].ci_high


@given(st.integers(1, 40), st.integers(0, 40), st.integers(2, 12))
def test_identification_is_the_share_of_draws_without_a_nearer_one(n_others, n_nearer, k):
    n_nearer, k = min(n_nearer, n_others), min(k, n_others + 1)
    found = identification(np.array([n_nearer]), np.array([n_others]), k)
    assert found.tolist() == pytest.approx([comb(n_others - n_nearer, k - 1) / comb(n_others, k - 1)])


def test_items_with_too_few_others_are_left_out_of_identification_among_more():
    found = measured([row(0, 0.9, 0, 8), row(1, 0.5, 3, 20)])
    assert found["identified_of_10"].n_scored == 1
    assert found["identified_of_2"].n_scored == 2
    alone = measured([row(0, 0.9, 0, 0)])
    assert list(alone) == ["centred_cosine"]
    assert (alone["centred_cosine"].ci_low, alone["centred_cosine"].ci_high) == (None, None)


def test_a_cell_without_a_reconstruction_has_no_measure():
    assert measured([]) == {}


def figures(gold: np.ndarray, answers: np.ndarray) -> dict[str, Measure]:
    index = np.arange(len(gold))
    cell = resemble(B, CentredGolds(A, index, index, centre(gold)), ActivationBatch(A, index, answers))
    return measured(cell.rows, len(gold), cell.others_cosine)


def test_perfect_reconstructions_are_always_identified():
    gold = np.random.default_rng(1).standard_normal((60, 16)) + 2
    found = figures(gold, 7 * gold)
    assert [found[name].value for name in OF] == [1.0, 1.0, 1.0]
    assert found["centred_cosine"].value == pytest.approx(1.0)


def test_noise_is_identified_as_often_as_chance_says_though_all_golds_share_a_direction():
    rng = np.random.default_rng(2)
    shared = 5 * rng.standard_normal(32)
    gold, answers = (shared + rng.standard_normal((600, 32)) for _ in range(2))
    found = figures(gold, answers)
    for name, tolerance in zip(OF, (0.03, 0.03, 0.01), strict=True):
        assert found[name].value == pytest.approx(found[name].chance, abs=tolerance)
        assert found[name].ci_low <= found[name].chance <= found[name].ci_high
    assert found["centred_cosine"].value == pytest.approx(0, abs=0.02)
    assert found["centred_cosine"].chance == pytest.approx(0, abs=0.01)


def batch(vectors: np.ndarray, item_ids: list[int] | None = None) -> ActivationBatch:
    return ActivationBatch(
        A, np.array(item_ids if item_ids is not None else range(len(vectors)), dtype=np.int64), vectors
    )


def resembling(gold: np.ndarray, answers: np.ndarray, documents: list[int] | None = None):
    index = np.array(documents if documents is not None else range(len(gold)))
    return resemble(B, CentredGolds(A, np.arange(len(gold)), index, centre(gold)), batch(answers))


def test_resemblances_of_a_worked_cell():
    # Golds along x, y and -x, -y: their mean is 0, so centring changes nothing.
    gold = np.array([[2.0, 0], [0, 3], [-1, 0], [0, -1]])
    answers = np.array([[1.0, 0], [1, 1], [0, 5], [0, 0]])
    rows = resembling(gold, answers).rows
    # The last reconstruction has no direction.
    assert [row.item_id for row in rows] == [0, 1, 2]
    assert [row.centred_cosine for row in rows] == pytest.approx([1.0, 0.5**0.5, 0.0])
    # (1,1) is as near to x as to its own y: the tie counts. (0,5) is nearer to y, and ties with x.
    assert [(row.n_nearer, row.n_others) for row in rows] == [(0, 3), (1, 3), (2, 3)]


def test_the_mean_of_the_golds_is_taken_from_both_unit_vectors():
    gold = np.array([[1.0, 0], [0, 1]])
    # mu = (1/2, 1/2); c = (1/2, -1/2) and (-1/2, 1/2). The answer (1,0) is q = (1/2, -1/2).
    rows = resembling(gold, np.array([[3.0, 0], [3.0, 0]])).rows
    assert [row.centred_cosine for row in rows] == pytest.approx([1.0, -1.0])


def test_a_reconstruction_that_is_the_mean_has_no_centred_cosine():
    rows = resembling(np.array([[1.0, 0], [1.0, 0]]), np.array([[1.0, 0], [0.0, 1]])).rows
    assert [row.centred_cosine for row in rows] == [None, None]


def test_golds_of_the_own_document_are_no_rivals():
    gold = np.array([[1.0, 0], [1.0, 0.01], [0, 1], [-1, 0.5]])
    rows = resembling(gold, np.array([[1.0, 0.01], [1.0, 0], [0, 1], [-1, 0.5]]), [0, 0, 1, 2]).rows
    assert [(row.n_nearer, row.n_others) for row in rows] == [(0, 2), (0, 2), (0, 3), (0, 3)]


def test_nearness_agrees_with_cosines_in_float64_where_golds_share_one_direction():
    rng = np.random.default_rng(1)
    common = rng.standard_normal(64) * 30
    gold = (common + rng.standard_normal((80, 64))).astype(np.float32)
    answers = (gold + 0.8 * rng.standard_normal((80, 64))).astype(np.float32)
    cell = resembling(gold, answers, [number // 2 for number in range(80)])
    cosines = unit_rows(answers) @ unit_rows(gold).T
    own = np.diag(cosines)[:, np.newaxis]
    is_other = (np.arange(80)[:, np.newaxis] // 2) != (np.arange(80) // 2)
    assert [row.n_nearer for row in cell.rows] == ((cosines >= own) & is_other).sum(axis=1).tolist()
    mean = unit_rows(gold).mean(axis=0)
    centred = unit_rows(unit_rows(answers) - mean) @ unit_rows(unit_rows(gold) - mean).T
    assert [row.centred_cosine for row in cell.rows] == pytest.approx(np.diag(centred).tolist(), abs=1e-6)
    assert cell.others_cosine == pytest.approx(((centred * is_other).sum(axis=1) / 78).mean(), abs=1e-6)


def test_equal_golds_tie_though_float32_rounds_their_products_apart():
    rng = np.random.default_rng(2)
    gold = rng.standard_normal((50, 8192)).astype(np.float32)
    gold[1:30:2] = gold[0:30:2]
    answers = gold + rng.standard_normal(gold.shape).astype(np.float32)
    assert [row.n_nearer for row in resembling(gold, answers).rows] == [1] * 30 + [0] * 20


def test_only_items_with_both_vectors_have_a_row_in_the_order_of_the_golds():
    gold = CentredGolds(A, np.array([7, 3, 5, 9]), np.arange(4), centre(np.eye(4)))
    cell = resemble(B, gold, batch(np.array([[0, 1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1.0]]), [3, 7, 100]))
    assert [row.item_id for row in cell.rows] == [7, 3]
    nothing = resemble(B, gold, batch(np.zeros((0, 0)), []))
    assert (nothing.rows, nothing.others_cosine) == ([], None)
