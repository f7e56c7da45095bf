"""Context words: the last words before an item, read in place of an explanation, as a baseline for the verbalizer.

Takes contexts and golds, returns `PlainReading` rows. No vector is kept: only the score of a reading matters.
"""

from collections.abc import Mapping

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.errors import CheckpointDrift
from nlareport.ports import Reconstructor
from nlareport.rows.item_rows import PlainReading
from nlareport.statistics.geometry import mse_nrm


def last_words(context: str, n_words: int) -> str:
    """The last `n_words` words of a context, separated by single spaces; all of them where there are fewer.

    The last one ends where the item's token ends, so it may be the beginning of a word.
    """
    return " ".join(context.split()[-n_words:])


def read_plain(
    contexts: Mapping[int, str], n_words: int, gold: ActivationBatch, reconstructor: Reconstructor
) -> list[PlainReading]:
    """One row per row of `gold`, the target's activations, in its order; `contexts` holds the text before each item.

    Where the reconstruction has no direction, being zero or not finite, the row has no `mse_nrm`.

    Raises:
        CheckpointDrift: reconstructions and golds differ in width.
        ZeroVector: a gold has norm 0.
    """
    item_ids = gold.item_ids.tolist()
    if not item_ids:
        return []
    vectors = reconstructor.reconstruct([last_words(contexts[item_id], n_words) for item_id in item_ids])
    if vectors.shape[1] != gold.vectors.shape[1]:
        raise CheckpointDrift(
            f"Pair {gold.pair_id}: its reconstructor returns vectors of width {vectors.shape[1]}, its activations "
            f"have width {gold.vectors.shape[1]}. Check d_model and the checkpoint of each."
        )
    has_direction = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    errors = np.full(len(item_ids), np.nan)
    errors[has_direction] = mse_nrm(gold.vectors[has_direction], vectors[has_direction])
    return [
        PlainReading(item_id, gold.pair_id, n_words, error if directed else None)
        for item_id, error, directed in zip(item_ids, errors.tolist(), has_direction.tolist(), strict=True)
    ]
