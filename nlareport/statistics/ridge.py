"""Ridge regression: how much of the target's activation a linear map from the source's own activation predicts.

Takes Gram matrices of the same items in two pairs, returns out-of-fold errors: nothing of an item's document was fitted
on. A prediction is a weighted sum of golds, and the target's Gram matrix gives its distance from a gold, so no vector
is needed. The map is fitted on unit vectors, with an intercept: scores read directions only, and raw norms differ so
much (16-fold on Gemma) that a handful of items would decide the fit.

Hoerl and Kennard, Ridge regression (1970), in its dual form (Saunders, Gammerman, Vovk 1998).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int, Int64
from scipy.linalg import cho_factor, cho_solve

from nlareport.statistics.geometry import Gram, combination_errors
from nlareport.statistics.resampling import random_order

FoldWeights = Float32[np.ndarray, "penalty _ _"]
"""By penalty, held-out item and training item; folds differ in the last two."""

N_FOLDS = 5
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Lambda, in units of the mean eigenvalue of the source's Gram matrix on the training items."""

TRAINING_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Parts of the training documents at which the learning curve is taken, before all of them."""

FEWEST_DOCUMENTS = 2
"""Fewer training documents have no direction to fit."""

CHOOSING_ITEMS = 100
"""Items of each fold on which penalties are compared: 400 judge five penalties that are a factor of ten apart."""


class Fold(NamedTuple):
    """One fold's places among the items."""

    training: Int64[np.ndarray, " member"]
    held_out: Int64[np.ndarray, " answer"]
    """In random order of documents, so that its beginning is a fair sample."""


@dataclass(frozen=True, slots=True)
class RidgeFit:
    """One source's maps to several targets, each item answered by the map of its own fold."""

    n_items: int
    """Items a map was fitted on, in the mean over folds."""
    errors: list[Float64[np.ndarray, " item"]]
    """`mse_nrm` of every item, a list entry per target."""


def training_sizes(document_index: Int[np.ndarray, " item"]) -> list[int]:
    """How many documents each point of the learning curve is fitted on, ascending; the last is all any fold has.

    Empty with too few documents to hold one out.
    """
    n_documents = len(np.unique(document_index))
    all_of_them = n_documents - _fold_size(n_documents)
    if all_of_them < FEWEST_DOCUMENTS:
        return []
    parts = {int(share * all_of_them) for share in TRAINING_SHARES}
    return [*sorted(size for size in parts if size >= FEWEST_DOCUMENTS), all_of_them]


def _fold_size(n_documents: int) -> int:
    """Documents in the largest fold."""
    return -(-n_documents // min(N_FOLDS, n_documents))


def folds(document_index: Int[np.ndarray, " item"], n_training: int, seed: int) -> list[Fold]:
    """Items in five parts by document, each with the items of `n_training` documents of the other parts.

    Smaller trainings are parts of larger ones. `document_index` numbers the documents from 0 without gaps.
    """
    n_documents = int(document_index.max()) + 1
    n_folds = min(N_FOLDS, n_documents)
    place_of = np.empty(n_documents, dtype=np.int64)
    place_of[random_order(n_documents, seed, "folds")] = np.arange(n_documents)
    place = place_of[document_index]
    order = np.argsort(place, kind="stable")
    found = []
    for fold in range(n_folds):
        is_held_out = place[order] % n_folds == fold
        # A document's rank among those of the other folds.
        rank = place[order] - (place[order] + n_folds - fold - 1) // n_folds
        found.append(Fold(order[~is_held_out & (rank < n_training)], order[is_held_out]))
    return found


def fit_ridge(source: Gram, targets: Sequence[Gram], parts: Sequence[Fold]) -> RidgeFit:
    """Out-of-fold errors of the maps from one source to each target.

    A fold's penalty is the one with the least mean error in the *other* folds, so no item influences the penalty of its
    own prediction. What is left of a leak: the other folds' maps were fitted on this fold's items too.
    """
    weights = [_weights(source, fold) for fold in parts]
    errors = []
    for target in targets:
        found = np.empty(len(target.products))
        for fold, by_penalty, penalty in zip(parts, weights, _choices(target, parts, weights), strict=True):
            found[fold.held_out] = combination_errors(by_penalty[penalty], fold.training, fold.held_out, target)
        errors.append(found)
    return RidgeFit(n_items=round(float(np.mean([len(fold.training) for fold in parts]))), errors=errors)


def _weights(source: Gram, fold: Fold) -> Float32[np.ndarray, "penalty answer member"]:
    """What each training gold counts in each held-out item's answer, under every penalty; each row sums to 1."""
    within = source.products[np.ix_(fold.training, fold.training)]
    across = source.products[np.ix_(fold.held_out, fold.training)]
    mean = within.mean(axis=0)
    across -= across.mean(axis=1, keepdims=True) + mean - mean.mean()
    within -= mean[:, np.newaxis] + mean - mean.mean()
    # Equal training vectors leave nothing to penalise; any unit does.
    unit = float(np.trace(within)) / len(within) or 1.0
    # float32: rounding moves the matrix by 6e-8 of its largest eigenvalue, which is at most n times the mean one;
    # that is less than the smallest penalty for any n below 16,000.
    diagonal = np.diagonal(within).copy()
    weights = np.empty((len(PENALTIES), *across.shape), dtype=np.float32)
    for place, penalty in enumerate(PENALTIES):
        np.fill_diagonal(within, diagonal + np.float32(penalty * unit))
        factor = cho_factor(within, lower=True, check_finite=False)
        weights[place] = cho_solve(factor, across.T, check_finite=False).T
    # The intercept: what is missing to 1 falls to the mean of the training golds.
    weights += (1.0 - weights.sum(axis=2, keepdims=True)) / np.float32(len(within))
    return weights


def _choices(target: Gram, parts: Sequence[Fold], weights: Sequence[FoldWeights]) -> list[int]:
    """For each fold, which penalty does best in the others."""
    sums, counts = [], []
    for fold, by_penalty in zip(parts, weights, strict=True):
        sample = fold.held_out[:CHOOSING_ITEMS]
        stacked = by_penalty[:, : len(sample)].reshape(-1, len(fold.training))
        errors = combination_errors(stacked, fold.training, np.tile(sample, len(PENALTIES)), target)
        sums.append(errors.reshape(len(PENALTIES), -1).sum(axis=1))
        counts.append(len(sample))
    total, n_items = np.sum(sums, axis=0), sum(counts)
    others = (total - np.array(sums)) / (n_items - np.array(counts))[:, np.newaxis]
    return [int(choice) for choice in others.argmin(axis=1)]
