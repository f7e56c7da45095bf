"""Arithmetic of directions: errors, variances and fractions of variance explained.

Takes arrays of vectors, one row per item, returns float64 numbers.

Everything is computed from differences of unit vectors, never from a rounded cosine: where activations share one
large direction (on Gemma V is near 0.03) `1 - cos` would lose most of its digits. Formulas: Scoring in PROTOCOL.md.
A vector scaled to norm sqrt(d_model) has mean square 1, so a mean over coordinates of the protocol is a plain sum
over coordinates of unit vectors here, and d_model drops out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from nlareport.errors import TooFewItems, ZeroVector

SMALLEST_VARIANCE = 1e-12
"""Below this, V is rounding noise: all golds are the same direction."""

_SMALLEST_SQUARE = 1e-200
"""A squared norm below this, or above its inverse, may have lost digits to the range of a float64."""

_ROWS_AT_ONCE = 256
"""Rows widened to float64 together: 16 MB at d_model 8,192, however many items there are."""


def unit_rows(vectors: Float[np.ndarray, "item d_model"]) -> Float64[np.ndarray, "item d_model"]:
    """The same directions at norm 1.

    Raises:
        ZeroVector: a row has norm 0, so it has no direction; the message names the row.
    """
    return _unit(vectors, first_row=0)


def mse_nrm(
    gold: Float[np.ndarray, "item d_model"],
    reconstruction: Float[np.ndarray, "item d_model"],
) -> Float64[np.ndarray, " item"]:
    """Squared error between directions, `2(1 - cos)`, one value per item, in [0, 4].

    Computed as the squared distance of the unit vectors.

    Raises:
        ZeroVector: a row of either array has norm 0, so it has no direction.
    """
    errors = [
        ((unit_reconstruction - unit_gold) ** 2).sum(axis=1)
        for unit_gold, unit_reconstruction in zip(_unit_blocks(gold), _unit_blocks(reconstruction), strict=True)
    ]
    # Opposite directions can round to a hair above 4.
    return np.minimum(np.concatenate(errors), 4.0) if errors else np.zeros(0)


def mean_direction(gold: Float[np.ndarray, "item d_model"]) -> Float64[np.ndarray, " d_model"]:
    """mu: the mean of the unit vectors, not renormalised.

    Raises:
        TooFewItems: there is no item.
        ZeroVector: a row has norm 0.
    """
    if len(gold) == 0:
        raise TooFewItems("The mean of no activation was asked for; measure at least one item.")
    total = np.zeros(gold.shape[1])
    for block in _unit_blocks(gold):
        total += block.sum(axis=0)
    return total / len(gold)


def mean_norm(gold: Float[np.ndarray, "item d_model"]) -> float:
    """|mu|, in [0, 1]: near 1 when all activations share one direction.

    Raises:
        TooFewItems: there is no item.
        ZeroVector: a row has norm 0.
    """
    return min(float(np.linalg.norm(mean_direction(gold))), 1.0)


def variance_nrm(gold: Float[np.ndarray, "item d_model"]) -> float:
    """V: mean squared distance of the unit vectors from their mean, equal to `1 - |mu|**2`, in [0, 1].

    Raises:
        TooFewItems: there is no item.
        ZeroVector: a row has norm 0.
    """
    mean = mean_direction(gold)
    # Two passes: 1 - |mu|^2 in one pass cancels where V is small.
    total = sum(float(((block - mean) ** 2).sum()) for block in _unit_blocks(gold))
    return total / len(gold)


def fve_nrm(mse: Float[np.ndarray, " item"], variance: float) -> Float64[np.ndarray, " item"]:
    """Fraction of variance explained per item, `1 - mse_nrm / V`, at most 1 and unbounded below.

    Raises:
        TooFewItems: V is 0, so there is no variance to explain.
    """
    if not variance > SMALLEST_VARIANCE:
        raise TooFewItems(
            f"V is {variance:.3g}: all golds point the same way, so no fraction of their variance exists. "
            "Measure at least two items with different activations."
        )
    return 1.0 - np.asarray(mse, dtype=np.float64) / variance


def rescaled_fve(
    fve: Float64[np.ndarray, "*shape"], ratio: float | Float64[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """The same errors under another V': with `ratio` = V/V', `1 - mse/V'` is `1 - (1 - fve) V/V'`.

    It needs no `mse_nrm`, which an imported run may lack.
    """
    return 1.0 - (1.0 - fve) * ratio


def fve_meannorm(mse: float, mean_norm: float) -> float:
    """`1 - mse / (2(1 - |mu|))` of a mean `mse_nrm`: the best constant guess scores exactly 0.

    Raises:
        TooFewItems: |mu| is 1, so the best constant guess is already perfect.
    """
    if not 1.0 - mean_norm > SMALLEST_VARIANCE:
        raise TooFewItems("|mu| is 1: all golds point the same way. Measure items with different activations.")
    return 1.0 - mse / (2.0 * (1.0 - mean_norm))


@dataclass(frozen=True, slots=True)
class Centred:
    """One pair's directions about their mean: with u the unit vectors and mu their mean, `c = u - mu`."""

    mean: Float64[np.ndarray, " d_model"]
    """mu."""
    vectors: Float32[np.ndarray, "item d_model"]
    """c. Its entries are as small as V, so float32 keeps seven digits of what is to be told apart."""
    norms: Float64[np.ndarray, " item"]
    """`|c|`."""
    along_mean: Float64[np.ndarray, " item"]
    """`c · mu`."""


def centre(gold: Float[np.ndarray, "item d_model"]) -> Centred:
    """The rows' directions about their mean.

    Raises:
        TooFewItems: there is no item.
        ZeroVector: a row has norm 0.
    """
    mean = mean_direction(gold)
    vectors = np.empty(gold.shape, dtype=np.float32)
    norms, along_mean = np.empty(len(gold)), np.empty(len(gold))
    start = 0
    for block in _unit_blocks(gold):
        block -= mean
        rows = slice(start, start + len(block))
        vectors[rows], norms[rows], along_mean[rows] = block, np.linalg.norm(block, axis=1), block @ mean
        start += len(block)
    return Centred(mean, vectors, norms, along_mean)


def best_constant_mse(gold: Centred) -> Float64[np.ndarray, " item"]:
    """`mse_nrm` per item of always guessing mu/|mu|; its mean is `2(1 - |mu|)`.

    The guess stands `(1/|mu| - 1) mu` from mu, and each gold c from it; that the product of the two is taken from
    `c · mu` subtracts nothing large.

    Raises:
        ZeroVector: mu has norm 0, so there is no such guess.
    """
    length = float(np.linalg.norm(gold.mean))
    if length == 0:
        raise ZeroVector("The mean of all directions has norm 0, so no constant guess is best; measure more items.")
    errors = gold.norms**2 + 2.0 * (1.0 - 1.0 / length) * gold.along_mean + (1.0 - length) ** 2
    bounded: Float64[np.ndarray, " item"] = np.clip(errors, 0.0, 4.0)
    return bounded


@dataclass(frozen=True, slots=True)
class Gram:
    """All inner products of one pair's directions about their mean: what linear answers are scored with."""

    products: Float32[np.ndarray, "item other"]
    """`c_i · c_j`."""
    along_mean: Float64[np.ndarray, " item"]
    """`c_i · mu`."""
    variance: float
    """V, which is `1 - |mu|**2`."""


def gram(gold: Centred) -> Gram:
    """The Gram matrix of the directions, without which nothing of d_model is left."""
    return Gram(gold.vectors @ gold.vectors.T, gold.along_mean, float((gold.norms**2).mean()))


def combination_errors(
    weights: Float32[np.ndarray, "answer member"],
    members: Int64[np.ndarray, " member"],
    gold_rows: Int64[np.ndarray, " answer"],
    gram: Gram,
) -> Float64[np.ndarray, " answer"]:
    """`mse_nrm` of weighted sums of the members' unit vectors against the unit vectors of `gold_rows`.

    Every row of `weights` sums to 1. With p such a sum and g its gold, `|p - g|²` and `|p|² - 1` are sums of small
    inner products about the mean, and `mse_nrm = (|p - g|² - (|p| - 1)²) / |p|`: nothing large is subtracted.
    """
    among_members = gram.products[np.ix_(members, members)]
    quadratic = np.einsum("am,am->a", weights @ among_members, weights, dtype=np.float64)
    across = np.einsum("am,am->a", gram.products[np.ix_(gold_rows, members)], weights, dtype=np.float64)
    distances = quadratic - 2.0 * across + gram.products[gold_rows, gold_rows]
    squares = quadratic + 2.0 * (weights @ gram.along_mean[members]) - gram.variance
    norms = np.sqrt(np.maximum(1.0 + squares, 0.0))
    # A sum that cancels altogether has no direction: it is charged what a random one would be.
    errors = np.full(len(gold_rows), 2.0)
    np.divide(distances - (squares / (norms + 1.0)) ** 2, norms, out=errors, where=norms > 0.0)
    bounded: Float64[np.ndarray, " answer"] = np.clip(errors, 0.0, 4.0)
    return bounded


def _unit_blocks(vectors: Float[np.ndarray, "item d_model"]) -> Iterator[Float64[np.ndarray, "row d_model"]]:
    """The unit vectors, a few rows at a time, so that float64 copies stay small."""
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        yield _unit(vectors[start : start + _ROWS_AT_ONCE], first_row=start)


def _unit(vectors: Float[np.ndarray, "row d_model"], first_row: int) -> Float64[np.ndarray, "row d_model"]:
    wide = np.asarray(vectors, dtype=np.float64)
    squares = np.einsum("id,id->i", wide, wide)
    # Squares of very short or very long vectors leave the range of a float: these are first brought near 1.
    if not ((squares > _SMALLEST_SQUARE) & (squares < 1.0 / _SMALLEST_SQUARE)).all():
        largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
        if (largest == 0).any():
            row = first_row + int(np.argmax(largest[:, 0] == 0))
            raise ZeroVector(f"Row {row} has norm 0, so it has no direction to compare; leave that item unscored.")
        wide = wide / largest
        squares = np.einsum("id,id->i", wide, wide)
    unit: Float64[np.ndarray, "row d_model"] = wide / np.sqrt(squares)[:, np.newaxis]
    return unit
