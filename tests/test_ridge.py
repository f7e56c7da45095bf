"""The linear map and the look-up: against a fit done the long way, on planted maps, and blind to the own document."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlareport.statistics.baselines import nearest_of_others, neighbour_errors
from nlareport.statistics.geometry import (
    Gram,
    best_constant_mse,
    centre,
    combination_errors,
    gram,
    mse_nrm,
    unit_rows,
    variance_nrm,
)
from nlareport.statistics.ridge import PENALTIES, _weights, fit_ridge, folds, training_sizes

N_ITEMS, D_SOURCE, D_TARGET = 240, 12, 20


def planted(noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activations of two pairs, the second a linear map of the first's directions, an offset and noise."""
    generator = np.random.default_rng(seed)
    source = generator.standard_normal((N_ITEMS, D_SOURCE)) + 2.0
    target = unit_rows(source) @ generator.standard_normal((D_SOURCE, D_TARGET)) + 3.0
    target += noise * generator.standard_normal(target.shape)
    # Lengths say nothing: scores read directions.
    return source * generator.uniform(0.5, 50.0, (N_ITEMS, 1)), target


def fve(errors: np.ndarray, target: np.ndarray) -> float:
    return 1 - errors.mean() / variance_nrm(target)


def test_a_planted_map_is_recovered_and_its_learning_curve_rises() -> None:
    source, target = planted(noise=0.02)
    documents = np.arange(N_ITEMS)
    curve = []
    for size in training_sizes(documents):
        fit = fit_ridge(gram(centre(source)), [gram(centre(target))], folds(documents, size, seed=1))
        assert fit.n_items == size
        curve.append(fve(fit.errors[0], target))
    assert training_sizes(documents) == [12, 24, 48, 96, 192]
    assert curve == sorted(curve)
    assert curve[0] < 0.9
    assert curve[-1] > 0.97


def test_on_unrelated_noise_the_map_comes_near_the_best_constant_guess() -> None:
    generator = np.random.default_rng(3)
    source, target = generator.standard_normal((N_ITEMS, 60)), generator.standard_normal((N_ITEMS, 40)) + 1.0
    documents = np.arange(N_ITEMS)
    fit = fit_ridge(
        gram(centre(source)), [gram(centre(target))], folds(documents, training_sizes(documents)[-1], seed=1)
    )
    constant = fve(best_constant_mse(centre(target)), target)
    assert constant - 0.06 < fve(fit.errors[0], target) < constant + 0.02


def test_weights_without_a_vector_answer_as_a_fit_on_the_vectors_does() -> None:
    source, target = planted(noise=0.3)
    fold = folds(np.arange(N_ITEMS) // 2, 90, seed=1)[2]
    weights = _weights(gram(centre(source)), fold)
    inputs, golds = unit_rows(source), unit_rows(target)
    mean_in, mean_out = inputs[fold.training].mean(axis=0), golds[fold.training].mean(axis=0)
    centred = inputs[fold.training] - mean_in
    unit = (centred**2).sum() / len(centred)
    for place, penalty in enumerate(PENALTIES):
        covariance = centred.T @ centred + penalty * unit * np.eye(D_SOURCE)
        fitted = np.linalg.solve(covariance, centred.T @ (golds[fold.training] - mean_out))
        expected = mse_nrm(golds[fold.held_out], (inputs[fold.held_out] - mean_in) @ fitted + mean_out)
        found = combination_errors(weights[place], fold.training, fold.held_out, gram(centre(target)))
        assert found == pytest.approx(expected, abs=2e-5)


def test_errors_of_weighted_sums_are_those_of_the_sums_where_v_is_very_small() -> None:
    generator = np.random.default_rng(5)
    target = generator.standard_normal((30, 16)) * 0.01 + 1.0
    weights = generator.standard_normal((4, 10)).astype(np.float32)
    weights += (1 - weights.sum(axis=1, keepdims=True)) / 10
    members, rows = np.arange(10), np.arange(20, 24)
    expected = mse_nrm(target[rows], weights.astype(np.float64) @ unit_rows(target)[members])
    assert variance_nrm(target) < 1e-4
    assert combination_errors(weights, members, rows, gram(centre(target))) == pytest.approx(expected, rel=1e-4)


def test_a_sum_that_cancels_is_charged_what_a_random_direction_costs() -> None:
    opposite = Gram(np.array([[1, -1], [-1, 1]], dtype=np.float32), np.zeros(2), 1.0)
    halves = np.array([[0.5, 0.5]], dtype=np.float32)
    assert combination_errors(halves, np.arange(2), np.array([0]), opposite).tolist() == [2.0]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 12), min_size=8, max_size=60), st.integers(0, 99))
def test_every_item_is_held_out_once_and_never_fitted_with_its_own_document(numbers: list[int], seed: int) -> None:
    documents = np.unique(numbers, return_inverse=True)[1]
    for size in training_sizes(documents):
        parts = folds(documents, size, seed)
        assert sorted(np.concatenate([fold.held_out for fold in parts]).tolist()) == list(range(len(documents)))
        for fold in parts:
            assert not set(documents[fold.training]) & set(documents[fold.held_out])
            assert len(set(documents[fold.training])) == size


def test_smaller_trainings_are_parts_of_larger_ones() -> None:
    documents = np.arange(50)
    small, large = folds(documents, 8, seed=2), folds(documents, 40, seed=2)
    for one, other in zip(small, large, strict=True):
        assert set(one.training) < set(other.training)
        assert one.held_out.tolist() == other.held_out.tolist()


def test_an_item_alone_in_knowing_its_answer_is_not_answered_from_its_own_document() -> None:
    # Two items a document, alike in it and unlike any other: only a leak could answer them.
    generator = np.random.default_rng(7)
    source = np.repeat(generator.standard_normal((60, 80)), 2, axis=0)
    target = np.repeat(generator.standard_normal((60, 70)), 2, axis=0)
    documents = np.arange(120) // 2
    fit = fit_ridge(gram(centre(source)), [gram(centre(target))], folds(documents, 48, seed=1))
    assert fve(fit.errors[0], target) < 0.0
    nearest = nearest_of_others(gram(centre(source)), documents)
    assert (documents[nearest] != documents).all()
    assert fve(neighbour_errors(gram(centre(target)), nearest), target) < -0.5


@pytest.mark.parametrize(("n_documents", "sizes"), [(1, []), (2, []), (3, [2]), (6, [2, 4]), (20, [2, 4, 8, 16])])
def test_few_documents_leave_few_points_of_the_curve_or_none(n_documents: int, sizes: list[int]) -> None:
    assert training_sizes(np.arange(n_documents)) == sizes


def test_equal_training_vectors_are_answered_with_the_mean() -> None:
    source, (_, target) = np.ones((20, 4)), planted(noise=0.1)
    fit = fit_ridge(gram(centre(source)), [gram(centre(target[:20]))], folds(np.arange(20), 16, seed=1))
    assert np.isfinite(fit.errors[0]).all()
    assert fve(fit.errors[0], target[:20]) < 0.0
