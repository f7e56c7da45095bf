import numpy as np
import pytest

from nlareport.rows.run_rows import PairId
from nlareport.statistics.baselines import Answers, Estimate, estimate
from nlareport.statistics.geometry import best_constant_mse, centre, mean_norm, variance_nrm

SOURCE, TARGET = PairId("a"), PairId("b")
VECTORS = (np.random.default_rng(1).standard_normal((40, 8)) + 1.0).astype(np.float32)
VARIANCE = variance_nrm(VECTORS)
EVERYWHERE = np.ones(40, dtype=bool)


def constant(is_scored: np.ndarray, variance_draws: np.ndarray | None = None) -> Answers:
    errors = best_constant_mse(centre(VECTORS))
    return Answers(SOURCE, TARGET, "best_constant", errors, is_scored, VARIANCE, variance_draws)


def test_the_best_constant_guess_scores_below_0_by_what_the_two_denominators_differ() -> None:
    (found,) = estimate([constant(EVERYWHERE)], np.arange(40), draws=200, seed=1)
    # 1 - 2(1 - |mu|) / (1 - |mu|^2) = 1 - 2 / (1 + |mu|)
    assert found.fve_nrm == pytest.approx(1 - 2 / (1 + mean_norm(VECTORS)), abs=1e-12)
    assert found.ci_low < found.fve_nrm < found.ci_high < 0.1


def test_the_guess_is_scored_on_the_cells_items_but_made_from_all() -> None:
    (found,) = estimate([constant(np.arange(40) == 3)], np.arange(40), draws=100, seed=1)
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    cosine = unit[3] @ mean / np.linalg.norm(mean)
    assert found.fve_nrm == pytest.approx(1 - 2 * (1 - cosine) / VARIANCE, rel=1e-5)
    assert (found.ci_low, found.ci_high) == (None, None)


def test_a_cell_without_a_scored_item_has_no_value() -> None:
    assert estimate([constant(~EVERYWHERE)], np.arange(40), draws=100, seed=1) == [Estimate()]


def test_a_method_without_an_answer_to_a_scored_item_has_no_value() -> None:
    errors = np.where(np.arange(40) == 3, np.nan, 0.5)
    everywhere = Answers(SOURCE, TARGET, "last_8_words", errors, EVERYWHERE, 1.0)
    elsewhere = Answers(SOURCE, TARGET, "last_8_words", errors, np.arange(40) != 3, 1.0)
    found = estimate([everywhere, elsewhere], np.arange(40), draws=100, seed=1)
    assert found == [Estimate(), Estimate(0.5, 0.5, 0.5)]


def test_columns_share_the_drawn_documents_whatever_stands_beside_them() -> None:
    half = constant(np.arange(40) < 20)
    alone = estimate([half], np.arange(40) // 2, draws=100, seed=1)
    beside = estimate([constant(EVERYWHERE), constant(~EVERYWHERE), half], np.arange(40) // 2, draws=100, seed=1)
    assert beside[2] == pytest.approx(alone[0])


def test_v_drawn_with_the_documents_moves_the_interval_and_not_the_value() -> None:
    halved = constant(EVERYWHERE, np.full(100, VARIANCE / 2))
    fixed, drawn = estimate([constant(EVERYWHERE), halved], np.arange(40), draws=100, seed=1)
    assert drawn.fve_nrm == fixed.fve_nrm
    assert drawn.ci_low == pytest.approx(2 * fixed.ci_low - 1)
