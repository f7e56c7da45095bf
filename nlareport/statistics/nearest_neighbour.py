"""Nearest neighbour: the answer a look-up of a similar activation gives, without any fit.

Enter Gram matrices of the same items in two pairs; leave errors. It sees no vector.
"""

import numpy as np
from jaxtyping import Float64, Int, Int64

from nlareport.statistics.geometry import Gram


def nearest_of_others(source: Gram, document_index: Int[np.ndarray, " item"]) -> Int64[np.ndarray, " item"]:
    """For each item the item of another document whose activation, less the mean direction, points most alike.

    There must be two documents.
    """
    lengths = np.sqrt(np.maximum(np.diagonal(source.products), np.finfo(np.float32).tiny))
    # An item's own length changes nothing in who is nearest to it.
    likeness = source.products / lengths
    likeness[document_index[:, np.newaxis] == document_index] = -np.inf
    nearest: Int64[np.ndarray, " item"] = likeness.argmax(axis=1)
    return nearest


def neighbour_errors(target: Gram, nearest: Int64[np.ndarray, " item"]) -> Float64[np.ndarray, " item"]:
    """`mse_nrm` of answering each item with its neighbour's gold."""
    squares = np.diagonal(target.products).astype(np.float64)
    across = target.products[np.arange(len(nearest)), nearest]
    errors: Float64[np.ndarray, " item"] = np.clip(squares + squares[nearest] - 2.0 * across, 0.0, 4.0)
    return errors
