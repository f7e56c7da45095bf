import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nlareport.errors import TooFewItems, ZeroVector
from nlareport.geometry import (
    best_constant_mse,
    centre,
    fve_meannorm,
    fve_nrm,
    mean_norm,
    mse_nrm,
    unit_rows,
    variance_nrm,
)

coordinates = st.floats(-1e6, 1e6, allow_subnormal=False)


def directed(n_items: int = 4, d_model: int = 5) -> st.SearchStrategy[np.ndarray]:
    """Arrays no row of which is near zero."""
    return arrays(np.float64, (n_items, d_model), elements=coordinates).filter(
        lambda rows: bool((np.abs(rows).max(axis=1) > 1e-3).all())
    )


@given(directed(), directed())
def test_mse_nrm_is_two_times_one_minus_cosine_and_lies_between_0_and_4(gold, reconstruction):
    cosine = (gold * reconstruction).sum(axis=1) / (
        np.linalg.norm(gold, axis=1) * np.linalg.norm(reconstruction, axis=1)
    )
    error = mse_nrm(gold, reconstruction)
    assert np.allclose(error, 2 * (1 - cosine), atol=1e-9)
    assert (error >= 0).all()
    assert (error <= 4).all()


@given(directed(), directed(), st.floats(1e-200, 1e200), st.floats(1e-3, 1e3))
def test_mse_nrm_does_not_see_norms(gold, reconstruction, of_gold, of_reconstruction):
    scaled = mse_nrm(gold * of_gold, reconstruction * of_reconstruction)
    assert np.allclose(scaled, mse_nrm(gold, reconstruction), rtol=1e-9, atol=1e-12)


def test_mse_nrm_equals_the_protocols_mean_square_at_norm_sqrt_d():
    rng = np.random.default_rng(1)
    gold, reconstruction = rng.standard_normal((2, 7, 12))
    scaled = [np.sqrt(12) * rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (gold, reconstruction)]
    assert np.allclose(mse_nrm(gold, reconstruction), ((scaled[1] - scaled[0]) ** 2).mean(axis=1))


def test_worked_directions_score_0_2_and_4():
    gold = np.array([[1.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    reconstruction = np.array([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    assert mse_nrm(gold, reconstruction).tolist() == [0.0, 2.0, 4.0]


def test_an_array_longer_than_one_block_keeps_its_order():
    gold = np.random.default_rng(2).standard_normal((600, 3))
    other = np.roll(gold, 1, axis=0)
    assert np.array_equal(mse_nrm(gold, other)[300:], mse_nrm(gold[300:], other[300:]))


def test_no_items_have_no_errors():
    assert mse_nrm(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)


@given(directed())
def test_unit_rows_have_norm_1(vectors):
    assert np.allclose(np.linalg.norm(unit_rows(vectors), axis=1), 1.0)


def test_a_zero_vector_is_refused_with_its_row():
    vectors = np.ones((400, 2), dtype=np.float32)
    vectors[300] = 0
    with pytest.raises(ZeroVector, match="Row 300 has norm 0"):
        mse_nrm(np.ones((400, 2)), vectors)


@given(directed(n_items=6))
def test_v_is_one_minus_the_squared_mean_norm(gold):
    assert variance_nrm(gold) == pytest.approx(1 - mean_norm(gold) ** 2, abs=1e-12)


def test_v_of_two_right_angles_is_a_half():
    gold = np.array([[2.0, 0.0], [0.0, 7.0]])
    assert variance_nrm(gold) == pytest.approx(0.5)
    assert mean_norm(gold) == pytest.approx(np.sqrt(0.5))


def gemma_like(n_items: int, d_model: int) -> np.ndarray:
    """Float32 activations of norm near 50,000 that share one large direction: V is near 0.03."""
    rng = np.random.default_rng(3)
    shared = rng.standard_normal(d_model)
    shared /= np.linalg.norm(shared)
    own = rng.standard_normal((n_items, d_model)) / np.sqrt(d_model)
    return (50_000 * (shared + 0.176 * own)).astype(np.float32)


def test_a_tiny_v_from_float32_vectors_agrees_with_long_double():
    gold = gemma_like(400, 256)
    wide = gold.astype(np.longdouble)
    unit = wide / np.sqrt((wide**2).sum(axis=1, keepdims=True))
    variance = ((unit - unit.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert 0.025 < variance < 0.035
    assert variance_nrm(gold) == pytest.approx(float(variance), rel=1e-12)
    errors = ((unit - np.roll(unit, 1, axis=0)) ** 2).sum(axis=1)
    assert np.allclose(mse_nrm(gold, np.roll(gold, 1, axis=0)), errors.astype(np.float64), rtol=1e-11)


@given(directed(n_items=6).filter(lambda gold: 1e-6 < mean_norm(gold) < 1 - 1e-6))
def test_the_best_constant_guess_has_fve_meannorm_0(gold):
    constant = float(best_constant_mse(centre(gold)).mean())
    norm = mean_norm(gold)
    assert constant == pytest.approx(2 * (1 - norm), abs=1e-12)
    assert fve_meannorm(constant, norm) * 2 * (1 - norm) == pytest.approx(0, abs=1e-12)


def test_the_best_constant_guess_has_fve_meannorm_0_and_fve_nrm_below_0_on_gemma():
    gold = gemma_like(300, 64)
    errors = best_constant_mse(centre(gold))
    assert fve_meannorm(float(errors.mean()), mean_norm(gold)) == pytest.approx(0, abs=1e-12)
    assert fve_nrm(errors, variance_nrm(gold)).mean() < -0.001


def test_a_perfect_but_shuffled_reconstructor_scores_minus_1():
    gold = np.random.default_rng(4).standard_normal((3000, 16)) + 1.0
    shuffled = mse_nrm(gold, np.roll(gold, 7, axis=0))
    assert fve_nrm(shuffled, variance_nrm(gold)).mean() == pytest.approx(-1, abs=0.05)
    assert (fve_nrm(mse_nrm(gold, gold), variance_nrm(gold)) == 1).all()


def test_golds_that_all_point_one_way_have_no_fraction():
    gold = np.full((5, 3), 0.1)
    with pytest.raises(TooFewItems, match="all golds point the same way"):
        fve_nrm(np.zeros(5), variance_nrm(gold))
    with pytest.raises(TooFewItems, match=r"\|mu\| is 1"):
        fve_meannorm(0.0, mean_norm(gold))


def test_the_mean_of_no_activation_is_refused():
    with pytest.raises(TooFewItems, match="at least one item"):
        variance_nrm(np.zeros((0, 3)))
