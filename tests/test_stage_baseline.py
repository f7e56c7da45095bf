import numpy as np
import pytest

from nlareport.batches import ActivationBatch
from nlareport.geometry import mean_norm, variance_nrm
from nlareport.rows import PairId
from nlareport.stages.baseline import best_constant

SOURCE, TARGET = PairId("a"), PairId("b")
VECTORS = (np.random.default_rng(1).standard_normal((40, 8)) + 1.0).astype(np.float32)
GOLD = ActivationBatch(TARGET, np.arange(40), VECTORS)
VARIANCE = variance_nrm(VECTORS)


def test_the_best_constant_guess_scores_below_0_by_what_the_two_denominators_differ():
    baseline = best_constant(SOURCE, TARGET, GOLD, VARIANCE, np.arange(40), range(40), draws=200, seed=1)
    norm = mean_norm(VECTORS)
    # 1 - 2(1 - |mu|) / (1 - |mu|^2) = 1 - 2 / (1 + |mu|)
    assert baseline.fve_nrm == pytest.approx(1 - 2 / (1 + norm), abs=1e-12)
    assert baseline.fve_nrm < 0
    assert baseline.ci_low < baseline.fve_nrm < baseline.ci_high
    assert (baseline.source, baseline.target, baseline.method) == ("a", "b", "best_constant")


def test_the_guess_is_scored_on_the_cells_items_but_made_from_all():
    part = best_constant(SOURCE, TARGET, GOLD, VARIANCE, np.arange(40), {3}, draws=100, seed=1)
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    cosine = unit[3] @ mean / np.linalg.norm(mean)
    assert part.fve_nrm == pytest.approx(1 - 2 * (1 - cosine) / VARIANCE, rel=1e-5)
    assert (part.ci_low, part.ci_high) == (None, None)


def test_a_cell_without_a_scored_item_has_a_baseline_without_values():
    baseline = best_constant(SOURCE, TARGET, GOLD, VARIANCE, np.arange(40), (), draws=100, seed=1)
    assert (baseline.fve_nrm, baseline.ci_low, baseline.ci_high) == (None, None, None)


def test_the_baseline_does_not_depend_on_row_order():
    order = np.random.default_rng(2).permutation(40)
    documents = np.arange(40) // 2
    shuffled = ActivationBatch(TARGET, order, VECTORS[order])
    one = best_constant(SOURCE, TARGET, GOLD, VARIANCE, documents, range(30), draws=100, seed=1)
    other = best_constant(SOURCE, TARGET, shuffled, VARIANCE, documents[order], range(30), draws=100, seed=1)
    assert (other.fve_nrm, other.ci_low, other.ci_high) == pytest.approx((one.fve_nrm, one.ci_low, one.ci_high))


def test_v_drawn_with_the_documents_moves_the_interval_and_not_the_value():
    fixed = best_constant(SOURCE, TARGET, GOLD, VARIANCE, np.arange(40), range(40), draws=100, seed=1)
    draws = np.full(100, VARIANCE / 2)
    drawn = best_constant(SOURCE, TARGET, GOLD, VARIANCE, np.arange(40), range(40), 100, 1, variance_draws=draws)
    assert drawn.fve_nrm == fixed.fve_nrm
    assert drawn.ci_low == pytest.approx(2 * fixed.ci_low - 1)
