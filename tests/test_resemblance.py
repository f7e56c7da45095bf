import numpy as np
import pytest

from nlareport.batches import ActivationBatch
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import centre, unit_rows
from nlareport.statistics.identification import CentredGolds, resemble

A, B = PairId("a"), PairId("b")


def batch(vectors: np.ndarray, item_ids: list[int] | None = None) -> ActivationBatch:
    return ActivationBatch(
        A, np.array(item_ids if item_ids is not None else range(len(vectors)), dtype=np.int64), vectors
    )


def found(gold: np.ndarray, answers: np.ndarray, documents: list[int] | None = None):
    index = np.array(documents if documents is not None else range(len(gold)))
    return resemble(B, CentredGolds(A, np.arange(len(gold)), index, centre(gold)), batch(answers))


def test_a_worked_cell():
    # Golds along x, y and -x, -y: their mean is 0, so centring changes nothing.
    gold = np.array([[2.0, 0], [0, 3], [-1, 0], [0, -1]])
    answers = np.array([[1.0, 0], [1, 1], [0, 5], [0, 0]])
    rows = found(gold, answers).rows
    # The last reconstruction has no direction.
    assert [row.item_id for row in rows] == [0, 1, 2]
    assert [row.centred_cosine for row in rows] == pytest.approx([1.0, 0.5**0.5, 0.0])
    # (1,1) is as near to x as to its own y: the tie counts. (0,5) is nearer to y, and ties with x.
    assert [(row.n_nearer, row.n_others) for row in rows] == [(0, 3), (1, 3), (2, 3)]


def test_the_mean_of_the_golds_is_taken_from_both_unit_vectors():
    gold = np.array([[1.0, 0], [0, 1]])
    # mu = (1/2, 1/2); c = (1/2, -1/2) and (-1/2, 1/2). The answer (1,0) is q = (1/2, -1/2).
    rows = found(gold, np.array([[3.0, 0], [3.0, 0]])).rows
    assert [row.centred_cosine for row in rows] == pytest.approx([1.0, -1.0])


def test_a_reconstruction_that_is_the_mean_has_no_centred_cosine():
    rows = found(np.array([[1.0, 0], [1.0, 0]]), np.array([[1.0, 0], [0.0, 1]])).rows
    assert [row.centred_cosine for row in rows] == [None, None]


def test_golds_of_the_own_document_are_no_rivals():
    gold = np.array([[1.0, 0], [1.0, 0.01], [0, 1], [-1, 0.5]])
    rows = found(gold, np.array([[1.0, 0.01], [1.0, 0], [0, 1], [-1, 0.5]]), [0, 0, 1, 2]).rows
    assert [(row.n_nearer, row.n_others) for row in rows] == [(0, 2), (0, 2), (0, 3), (0, 3)]


def test_nearness_agrees_with_cosines_in_float64_where_golds_share_one_direction():
    rng = np.random.default_rng(1)
    common = rng.standard_normal(64) * 30
    gold = (common + rng.standard_normal((80, 64))).astype(np.float32)
    answers = (gold + 0.8 * rng.standard_normal((80, 64))).astype(np.float32)
    cell = found(gold, answers, [number // 2 for number in range(80)])
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
    assert [row.n_nearer for row in found(gold, answers).rows] == [1] * 30 + [0] * 20


def test_only_items_with_both_vectors_have_a_row_in_the_order_of_the_golds():
    gold = CentredGolds(A, np.array([7, 3, 5, 9]), np.arange(4), centre(np.eye(4)))
    cell = resemble(B, gold, batch(np.array([[0, 1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1.0]]), [3, 7, 100]))
    assert [row.item_id for row in cell.rows] == [7, 3]
    nothing = resemble(B, gold, batch(np.zeros((0, 0)), []))
    assert (nothing.rows, nothing.others_cosine) == ([], None)
