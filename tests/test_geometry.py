import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nlareport.errors import TooFewItems, ZeroVector
from nlareport.statistics.geometry import (
    SMALLEST_VARIANCE,
    best_constant_mse,
    centre,
    combination_errors,
    fve_meannorm,
    fve_nrm,
    gram,
    mean_direction,
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
    sentence = r"^Row 300 has norm 0, so it has no direction to compare; leave that item unscored\.$"
    with pytest.raises(ZeroVector, match=sentence):
        mse_nrm(np.ones((400, 2)), vectors)
    with pytest.raises(ZeroVector, match=sentence):
        unit_rows(vectors)


def test_a_very_short_vector_has_a_direction_whatever_stands_beside_it():
    vectors = np.array([[1.0, 0.0], [0.0, 3e-170], [4e180, 3e180]])
    assert unit_rows(vectors) == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]]))
    # Its square is so small that a float64 keeps few digits of it.
    assert unit_rows(np.array([[3e-160, 4e-160]])) == pytest.approx(np.array([[0.6, 0.8]]), rel=1e-14)
    vectors[1] = 0
    with pytest.raises(ZeroVector, match="Row 1 has norm 0"):
        unit_rows(vectors[:2] * 3)


def test_a_vector_without_coordinates_has_no_direction():
    with pytest.raises(ZeroVector, match="Row 0 has norm 0"):
        unit_rows(np.zeros((2, 0)))


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


def test_fractions_of_float32_errors_are_float64():
    fractions = fve_nrm(np.array([0.25, 1.0, 4.0], dtype=np.float32), 0.5)
    assert fractions.dtype == np.float64
    assert fractions.tolist() == [0.5, -1.0, -7.0]


def test_golds_that_all_point_one_way_have_no_fraction():
    gold = np.full((6, 11), 0.1)
    sentence = (
        r"^V is 1e-12: all golds point the same way, so no fraction of their variance exists\. "
        r"Measure at least two items with different activations\.$"
    )
    with pytest.raises(TooFewItems, match=sentence):
        fve_nrm(np.zeros(6), SMALLEST_VARIANCE)
    with pytest.raises(TooFewItems, match="all golds point the same way"):
        fve_nrm(np.zeros(6), variance_nrm(gold))
    sentence = r"^\|mu\| is 1: all golds point the same way\. Measure items with different activations\.$"
    with pytest.raises(TooFewItems, match=sentence):
        fve_meannorm(0.0, mean_norm(gold))
    assert fve_nrm(np.array([0.0, 4e-12]), 2e-12).tolist() == [1.0, -1.0]


def test_the_norm_of_a_mean_of_one_direction_does_not_round_above_1():
    # Six sums of eleven equal coordinates come to 1 + 2e-16.
    assert mean_norm(np.full((6, 11), 0.1)) == 1.0


def test_opposite_directions_do_not_round_above_4():
    # Their squared distance comes to 4 + 9e-16.
    assert mse_nrm(np.array([[4.0, 7.0, -6.0]]), np.array([[-4.0, -7.0, 6.0]])).tolist() == [4.0]


def test_the_mean_of_no_activation_is_refused():
    sentence = r"^The mean of no activation was asked for; measure at least one item\.$"
    with pytest.raises(TooFewItems, match=sentence):
        variance_nrm(np.zeros((0, 3)))


def test_a_mean_over_several_blocks_is_the_mean_of_all_rows():
    gold = np.random.default_rng(6).standard_normal((600, 3)) + 0.5
    unit = gold / np.linalg.norm(gold, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    centred = centre(gold)
    assert mean_direction(gold) == pytest.approx(mean)
    assert centred.mean == pytest.approx(mean)
    assert centred.vectors == pytest.approx(unit - mean, abs=1e-6)
    assert centred.norms == pytest.approx(np.linalg.norm(unit - mean, axis=1))
    assert centred.along_mean == pytest.approx((unit - mean) @ mean)
    assert variance_nrm(gold) == pytest.approx(float(((unit - mean) ** 2).sum(axis=1).mean()))


def test_the_best_constant_guess_errs_by_the_angle_to_the_mean_direction():
    # mu of (1, 0), (1, 0), (0, 1) is (2, 1) / 3: cosines 2, 2 and 1 over the root of 5.
    errors = best_constant_mse(centre(np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 5.0]])))
    assert errors == pytest.approx([2 - 4 / 5**0.5, 2 - 4 / 5**0.5, 2 - 2 / 5**0.5], rel=1e-12)


def test_errors_of_the_best_constant_guess_do_not_round_out_of_0_to_4():
    # By their angle 0 and 4, by rounding a hair outside.
    towards, opposite = (
        np.array([[-3, -3], [1, -2], [-1, 2], [-1, -1]]),
        np.array([[3, 1], [0, -1], [-3, 3], [-3, -1], [3, 0]]),
    )
    assert best_constant_mse(centre(towards.astype(float))).min() == pytest.approx(0.0, abs=1e-15)
    assert best_constant_mse(centre(towards.astype(float))).min() >= 0.0
    assert best_constant_mse(centre(opposite.astype(float))).max() == 4.0


def test_golds_that_cancel_have_no_best_constant_guess():
    sentence = r"^The mean of all directions has norm 0, so no constant guess is best; measure more items\.$"
    with pytest.raises(ZeroVector, match=sentence):
        best_constant_mse(centre(np.array([[2.0, 0.0], [-1.0, 0.0]])))
    assert best_constant_mse(centre(np.array([[2.0, 0.0], [1.0, 0.0]]))).tolist() == [0.0, 0.0]


def test_inner_products_about_the_mean_of_two_right_angles():
    # mu is (1, 1) / 2, the golds stand half a root of 2 from it, on opposite sides.
    found = gram(centre(np.array([[7.0, 0.0], [0.0, 2.0]])))
    assert found.products == pytest.approx(np.array([[0.5, -0.5], [-0.5, 0.5]]))
    assert found.along_mean == pytest.approx([0.0, 0.0], abs=1e-15)
    assert found.variance == pytest.approx(0.5)


@given(directed(n_items=6), arrays(np.float64, (3, 4), elements=st.floats(-2, 2)))
def test_errors_of_weighted_sums_are_those_of_the_sums(gold, weights):
    weights[:, 3] = 1 - weights[:, :3].sum(axis=1)
    members, rows = np.array([5, 0, 3, 2]), np.array([1, 4, 0])
    sums = weights @ unit_rows(gold)[members]
    # Where much cancels, float32 inner products leave few digits.
    assume((np.linalg.norm(sums, axis=1) > 0.2).all())
    found = combination_errors(weights.astype(np.float32), members, rows, gram(centre(gold)))
    assert found == pytest.approx(mse_nrm(gold[rows], sums), abs=2e-3)


def test_errors_of_weighted_sums_do_not_round_out_of_0_to_4():
    # The sums are the gold itself and its opposite; float32 products give -3e-15 and 4 + 2e-7.
    of_four = gram(centre(np.array([[4.0, 2.0], [0.0, -3.0], [-2.0, -5.0], [-8.0, -4.0]])))
    errors = combination_errors(np.eye(2, dtype=np.float32), np.array([0, 3]), np.array([0, 0]), of_four)
    assert errors.tolist() == [0.0, 4.0]


def test_a_weighted_sum_that_cancels_altogether_costs_what_a_random_direction_would():
    of_two = gram(centre(np.array([[1.0, 0.0], [-1.0, 0.0]])))
    weights = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    errors = combination_errors(weights, np.array([0, 1]), np.array([0, 0, 0]), of_two)
    assert errors.tolist() == [2.0, 0.0, 4.0]
