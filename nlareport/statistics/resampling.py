"""Seeded resampling: the bootstrap over documents, percentile intervals, and permutations that give no item its own.

Takes numbers and the document of each, returns draws, intervals and permutations. All items of a document are drawn
together, because positions of one text are not independent.

Randomness is PCG64's raw 64-bit stream, seeded with the SHA-256 of ``"{seed}|{purpose}"``. NumPy keeps that stream
the same on every platform and in every version, which it does not promise of `Generator.permutation` and its kin.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from nlareport.errors import TooFewItems

_WEIGHTS_AT_ONCE = 2_000_000
"""Entries of one chunk of document weights: 16 MB of random numbers and 16 MB of weights."""

_SMALLEST_VARIANCE = 1e-12
"""A resampled V below this is rounding noise: all golds are the same direction."""

_ROUNDED_SHARE = 1e-5
"""More than float32 may get wrong of a squared offset; a V below that share of it is noise: one direction was drawn."""


def document_codes(doc_ids: Sequence[str]) -> Int64[np.ndarray, " item"]:
    """0, 1, 2, … for each document, numbered by first appearance."""
    code_of: dict[str, int] = {}
    return np.array([code_of.setdefault(doc_id, len(code_of)) for doc_id in doc_ids], dtype=np.int64)


def document_weights(n_documents: int, draws: int, seed: int) -> Iterator[Float64[np.ndarray, "draw document"]]:
    """How often each document was drawn, chunk after chunk of draws; every row sums to `n_documents`.

    The same for equal arguments, so several statistics can be drawn together or one after the other.
    """
    stream = _stream(f"{seed}|bootstrap")
    rows_at_once = max(1, _WEIGHTS_AT_ONCE // n_documents)
    for start in range(0, draws, rows_at_once):
        rows = min(rows_at_once, draws - start)
        drawn = _below(stream, n_documents, rows * n_documents).reshape(rows, n_documents)
        drawn += np.arange(rows)[:, np.newaxis] * n_documents
        counts = np.bincount(drawn.ravel(), minlength=rows * n_documents)
        yield counts.reshape(rows, n_documents).astype(np.float64)


def bootstrap_ratios(
    sums: Float[np.ndarray, "document column"],
    counts: Float[np.ndarray, "document column"],
    draws: int,
    seed: int,
) -> Float64[np.ndarray, "draw column"]:
    """Resampled means: per draw and column, the drawn documents' sum over their count of items.

    All columns share the same drawn documents, so they can be compared draw by draw. NaN where a draw holds no item
    of a column.
    """
    both = np.hstack([sums, counts]).astype(np.float64)
    ratios = []
    for weights in document_weights(len(both), draws, seed):
        totals, n_items = np.hsplit(weights @ both, 2)
        ratios.append(np.divide(totals, n_items, out=np.full_like(totals, np.nan), where=n_items > 0))
    return np.concatenate(ratios)


def bootstrap_columns(
    columns: Sequence[tuple[Float[np.ndarray, " _"], Int[np.ndarray, " _"]]],
    n_documents: int,
    draws: int,
    seed: int,
) -> Float64[np.ndarray, "draw column"]:
    """The resampled mean of each column, given as its values and the document of each, numbered from 0.

    All columns share the drawn documents. NaN where a draw holds no value of a column.
    """
    sums, counts = np.zeros((n_documents, len(columns))), np.zeros((n_documents, len(columns)))
    for place, (values, documents) in enumerate(columns):
        sums[:, place] = np.bincount(documents, weights=values, minlength=n_documents)
        counts[:, place] = np.bincount(documents, minlength=n_documents)
    return bootstrap_ratios(sums, counts, draws, seed)


def percentile_interval(draws: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of what was drawn; draws that are NaN are left out.

    Raises:
        TooFewItems: no draw has a value.
    """
    valid = draws[np.isfinite(draws)]
    if len(valid) == 0:
        raise TooFewItems("No bootstrap draw held an item; an interval needs at least two documents with a value.")
    low, high = np.percentile(valid, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_variances(
    unit_gold: Float64[np.ndarray, "item d_model"],
    document_index: Int[np.ndarray, " item"],
    draws: int,
    seed: int,
) -> Float64[np.ndarray, " draw"]:
    """V of golds at norm 1 on each resample of documents, with the draws of `bootstrap_ratios` on as many documents.

    NaN where a draw leaves no variance. `document_index` numbers the documents from 0 without gaps.

    With c = u - mu and w the documents' weights, the resampled mean is mu + s/n with s = sum(w c), so
    `V* = V - 2 mu·s/n - |s|²/n²`. The last term is about V/n: float32 is enough for it, and only for it.
    """
    n_items = np.bincount(document_index)
    mean = unit_gold.mean(axis=0)
    centred = unit_gold - mean
    variance = float(np.einsum("id,id->", centred, centred)) / len(unit_gold)
    along_mean = np.bincount(document_index, weights=centred @ mean)
    offsets = np.zeros((len(n_items), unit_gold.shape[1]), dtype=np.float32)
    np.add.at(offsets, document_index, centred.astype(np.float32))
    # The Gram matrix makes a draw cost documents² instead of documents x d_model.
    gram = offsets @ offsets.T if len(n_items) <= offsets.shape[1] else None
    drawn = []
    for weights in document_weights(len(n_items), draws, seed):
        narrow = weights.astype(np.float32)
        if gram is None:
            squares = ((narrow @ offsets) ** 2).sum(axis=1, dtype=np.float64)
        else:
            squares = ((narrow @ gram) * narrow).sum(axis=1, dtype=np.float64)
        size = weights @ n_items
        offset = squares / size**2
        variances = variance - 2.0 * (weights @ along_mean) / size - offset
        noise = np.maximum(_SMALLEST_VARIANCE, _ROUNDED_SHARE * offset)
        drawn.append(np.where(variances > noise, variances, np.nan))
    return np.concatenate(drawn)


def can_derange(document_index: Int[np.ndarray, " item"]) -> bool:
    """Whether every item can be given another document's item: no document holds more than half of them."""
    return len(document_index) >= 2 and 2 * int(np.unique(document_index, return_counts=True)[1].max()) <= len(
        document_index
    )


def derangement(
    document_index: Int[np.ndarray, " item"], seed: int, permutation: int = 0
) -> Int64[np.ndarray, " item"]:
    """A seeded permutation that gives every item an item of another document; `permutation` numbers several.

    Items are placed on a circle, grouped by document, documents and items in random order, and shifted by a random
    number of places between the largest document's size and n minus that size.

    Raises:
        TooFewItems: one document holds more than half of the items, so no such permutation exists.
    """
    if not can_derange(document_index):
        raise TooFewItems(
            f"No permutation of {len(document_index)} items gives each another document's: one document holds more "
            "than half of them. Measure items of more documents."
        )
    stream = _stream(f"{seed}|derangement|{permutation}")
    _, codes, sizes = np.unique(document_index, return_inverse=True, return_counts=True)
    document_keys = stream.random_raw(len(sizes))
    item_keys = stream.random_raw(len(codes))
    circle = np.lexsort((item_keys, codes, document_keys[codes]))
    n, largest = len(codes), int(sizes.max())
    shift = largest + int(_below(stream, n - 2 * largest + 1, 1)[0])
    partner = np.empty(n, dtype=np.int64)
    partner[circle] = np.roll(circle, -shift)
    return partner


def random_order(size: int, seed: int, purpose: str) -> Int64[np.ndarray, " place"]:
    """The numbers 0 to `size - 1` in a seeded random order; `purpose` tells one order of a run from another."""
    return np.argsort(np.asarray(_stream(f"{seed}|order|{purpose}").random_raw(size)), kind="stable").astype(np.int64)


def uniforms(name: str, size: int) -> Float64[np.ndarray, " number"]:
    """The first `size` of a stream of random numbers in [0, 1) that the name alone decides."""
    raw = np.asarray(_stream(name).random_raw(size))
    numbers: Float64[np.ndarray, " number"] = (raw >> np.uint64(11)) * 2.0**-53
    return numbers


def _stream(purpose: str) -> np.random.PCG64:
    return np.random.PCG64(int.from_bytes(hashlib.sha256(purpose.encode()).digest(), "big"))


def _below(stream: np.random.PCG64, bound: int, size: int) -> Int64[np.ndarray, " number"]:
    """`size` whole numbers in [0, bound): the upper 32 bits times the bound; its bias is below bound / 2**32."""
    raw = np.asarray(stream.random_raw(size))
    return (((raw >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)
