import numpy as np
import pytest
from support.drawn_documents import draws_of

from nlareport.rows.run_rows import PairId
from nlareport.statistics.baselines import Answers, Estimate, estimate, nearest_of_others, neighbour_errors
from nlareport.statistics.document_draws import DocumentDraws, VarianceScale
from nlareport.statistics.geometry import best_constant_mse, centre, gram, mean_norm, variance_nrm

SOURCE, TARGET = PairId("a"), PairId("b")
VECTORS = (np.random.default_rng(1).standard_normal((40, 8)) + 1.0).astype(np.float32)
VARIANCE = variance_nrm(VECTORS)
EVERYWHERE = np.ones(40, dtype=bool)


def constant(is_scored: np.ndarray) -> Answers:
    return Answers(SOURCE, TARGET, "best_constant", best_constant_mse(centre(VECTORS)), is_scored)


def draws(
    n_draws: int = 100, variance: float = VARIANCE, drawn: np.ndarray | None = None, per_document: int = 1
) -> DocumentDraws:
    documents = [number // per_document for number in range(40)]
    return draws_of(documents, n_draws, 1, {TARGET: VarianceScale(variance, drawn)})


def test_the_best_constant_guess_scores_below_0_by_what_the_two_denominators_differ() -> None:
    (found,) = estimate([constant(EVERYWHERE)], draws(200))
    # 1 - 2(1 - |mu|) / (1 - |mu|^2) = 1 - 2 / (1 + |mu|)
    assert found.fve_nrm == pytest.approx(1 - 2 / (1 + mean_norm(VECTORS)), abs=1e-12)
    assert found.ci_low < found.fve_nrm < found.ci_high < 0.1


def test_the_guess_is_scored_on_the_cells_items_but_made_from_all() -> None:
    (found,) = estimate([constant(np.arange(40) == 3)], draws())
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    cosine = unit[3] @ mean / np.linalg.norm(mean)
    assert found.fve_nrm == pytest.approx(1 - 2 * (1 - cosine) / VARIANCE, rel=1e-5)
    assert (found.ci_low, found.ci_high) == (None, None)


def test_a_cell_without_a_scored_item_has_no_value() -> None:
    assert estimate([constant(~EVERYWHERE)], draws()) == [Estimate()]


def test_a_method_without_an_answer_to_a_scored_item_has_no_value() -> None:
    errors = np.where(np.arange(40) == 3, np.nan, 0.5)
    everywhere = Answers(SOURCE, TARGET, "last_8_words", errors, EVERYWHERE)
    elsewhere = Answers(SOURCE, TARGET, "last_8_words", errors, np.arange(40) != 3)
    found = estimate([everywhere, elsewhere], draws(variance=1.0))
    assert found == [Estimate(), Estimate(0.5, 0.5, 0.5)]


def test_columns_share_the_drawn_documents_whatever_stands_beside_them() -> None:
    half = constant(np.arange(40) < 20)
    alone = estimate([half], draws(per_document=2))
    beside = estimate([constant(EVERYWHERE), constant(~EVERYWHERE), half], draws(per_document=2))
    assert beside[2] == pytest.approx(alone[0])


def test_v_drawn_with_the_documents_moves_the_interval_and_not_the_value() -> None:
    (fixed,) = estimate([constant(EVERYWHERE)], draws())
    (drawn,) = estimate([constant(EVERYWHERE)], draws(drawn=np.full(100, VARIANCE / 2)))
    assert drawn.fve_nrm == fixed.fve_nrm
    assert drawn.ci_low == pytest.approx(2 * fixed.ci_low - 1)


def test_the_neighbour_is_the_one_most_alike_less_the_mean_direction() -> None:
    source = np.array([[9, 1, 0], [9, 2, 0], [9, -1, 0], [9, 0, 3], [9, 0, 1]], dtype=np.float64)
    target = np.array([[1, 0], [0, 1], [1, 1], [-1, 0], [0, -1]], dtype=np.float64)
    nearest = nearest_of_others(gram(centre(source)), np.array([0, 1, 2, 3, 4]))
    assert nearest[:2].tolist() == [1, 0]
    assert nearest[3:].tolist() == [4, 3]
    errors = neighbour_errors(gram(centre(target)), nearest)
    # A right angle costs 2, and so do (0, -1) and (-1, 0) of each other.
    assert errors[[0, 1, 3, 4]] == pytest.approx([2, 2, 2, 2], abs=1e-6)
    together = nearest_of_others(gram(centre(source)), np.array([0, 0, 1, 2, 3]))
    assert 1 not in together[:1]
