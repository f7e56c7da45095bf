"""Extracts activations: one base model's vector at the last token of each item's prefix.

Takes token ids, returns an `ActivationBatch`.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from nlareport.batches import ActivationBatch
from nlareport.errors import NonFiniteVector, ZeroVector
from nlareport.experiment.experiment_file import overflow_advice
from nlareport.ports import Extractor
from nlareport.rows.run_rows import PairId


def extract(
    prefixes: list[list[int]],
    item_ids: Sequence[int],
    pair_id: PairId,
    extractor: Extractor,
    dtype: str = "float32",
) -> ActivationBatch:
    """The activation of each item at the end of its prefix, row by row in the order of `item_ids`.

    `dtype` is what the model computes in, for what an error advises.

    Raises:
        NonFiniteVector: an activation holds a NaN or an infinity.
        ZeroVector: an activation has norm 0, so it has no direction.
    """
    vectors = np.asarray(extractor.extract(prefixes))
    for item_id, vector in zip(item_ids, vectors, strict=True):
        if not np.isfinite(vector).all():
            advice = overflow_advice(dtype) or "Its base model cannot be measured here: leave the pair out."
            raise NonFiniteVector(
                f"Pair {pair_id}, item {item_id}: the activation holds a NaN or an infinity in {dtype}. {advice}"
            )
        if not vector.any():
            raise ZeroVector(
                f"Pair {pair_id}, item {item_id}: the activation has norm 0. "
                "Check the pair's block_index and the base model's weights."
            )
    return ActivationBatch(pair_id=pair_id, item_ids=np.asarray(item_ids, dtype=np.int64), vectors=vectors)


def activation_norms(batch: ActivationBatch) -> Float64[np.ndarray, " item"]:
    """Euclidean norm of each raw activation."""
    # Row by row: a float64 copy of the whole batch would double what is held.
    return np.array([np.linalg.norm(vector.astype(np.float64)) for vector in batch.vectors], dtype=np.float64)
