"""Explanations changed on purpose: what the target still recovers when something is taken from the text.

Enter texts and golds; leave `Ablation` rows. The changes are pure functions of a text. It knows no model, only the
`Reconstructor` handed in, and keeps no vector: what is asked of a changed text is its score alone.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.errors import CheckpointDrift
from nlareport.geometry import mse_nrm
from nlareport.ports import Reconstructor
from nlareport.resampling import random_order
from nlareport.rows import Ablation, AblationMethod, PairId

_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')


class Occasion(NamedTuple):
    """Which explanation of which run is changed: what chance is seeded with."""

    seed: int
    item_id: int
    source: PairId


def words_shuffled(text: str, occasion: Occasion) -> str:
    """The text's words, parted by whitespace, in a random order that is always the same on one occasion.

    The words stand apart by single spaces; line breaks are not kept.
    """
    words = text.split()
    order = random_order(len(words), occasion.seed, f"words_shuffled|{occasion.item_id}|{occasion.source}")
    return " ".join(words[place] for place in order.tolist())


def quotes_blanked(text: str) -> str:
    """The text with nothing left between a pair of double quotation marks, straight or curly; the marks stay.

    Marks pair from left to right, across lines too; one that finds no partner stays with what follows it. Single
    marks are left alone: most of them are apostrophes.
    """
    return _QUOTED.sub(lambda quoted: quoted[0][0] + quoted[0][-1], text)


INTERVENTIONS: Mapping[AblationMethod, Callable[[str, Occasion], str]] = {
    "words_shuffled": words_shuffled,
    "quotes_blanked": lambda text, _: quotes_blanked(text),
}
"""What each method does to a text. A new one needs its name in `rows.AblationMethod` and its words on the page."""


def is_ablated(source: PairId, target: PairId) -> bool:
    """Whether a cell's texts are changed and read again: those on the diagonal. The one place to widen it."""
    return source == target


def ablate(
    texts: Mapping[int, str],
    source: PairId,
    method: AblationMethod,
    gold: ActivationBatch,
    seed: int,
    reconstructor: Reconstructor,
) -> list[Ablation]:
    """One row per row of `gold`, the target's activations, in its order; `texts` holds each item's text as written.

    A text that the method leaves as it was is read and scored like any other. Where the reconstruction has no
    direction, being zero or not finite, the row has no `mse_nrm`.

    Raises:
        CheckpointDrift: reconstructions and golds differ in width.
        ZeroVector: a gold has norm 0.
    """
    item_ids = gold.item_ids.tolist()
    if not item_ids:
        return []
    intervene = INTERVENTIONS[method]
    changed = [intervene(texts[item_id], Occasion(seed, item_id, source)) for item_id in item_ids]
    vectors = reconstructor.reconstruct(changed)
    if vectors.shape[1] != gold.vectors.shape[1]:
        raise CheckpointDrift(
            f"Pair {gold.pair_id}: its reconstructor returns vectors of width {vectors.shape[1]}, its activations "
            f"have width {gold.vectors.shape[1]}. Check d_model and the checkpoint of each."
        )
    has_direction = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    errors = np.full(len(item_ids), np.nan)
    errors[has_direction] = mse_nrm(gold.vectors[has_direction], vectors[has_direction])
    return [
        Ablation(item_id, source, gold.pair_id, method, error if directed else None)
        for item_id, error, directed in zip(item_ids, errors.tolist(), has_direction.tolist(), strict=True)
    ]
