"""Explanations to vectors: what a target's reconstructor makes of a source's texts.

Enter `Explanation` rows; leaves an `ActivationBatch` of the target. It knows no model, only the `Reconstructor`
handed in, and decides which text, if any, an explanation offers for scoring.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.ports import Reconstructor
from nlareport.rows import Explanation, PairId

Unclean = Literal["unscored", "raw", "penalty"]
"""What becomes of an explanation whose closing tag is missing; `scoring.unclean` of the experiment."""


def scorable_text(explanation: Explanation, unclean: Unclean) -> str | None:
    """The text the reconstructor reads, or None when there is none.

    A clean explanation offers what stands between its tags. One that is not clean offers its whole answer under
    `raw` and nothing otherwise. An explanation whose cleanness was not published counts as clean.
    """
    if explanation.is_clean is not False:
        return explanation.text
    if unclean == "raw":
        return (explanation.completion or explanation.text or "").strip() or None
    return None


def reconstruct(
    explanations: Sequence[Explanation], unclean: Unclean, target: PairId, reconstructor: Reconstructor
) -> ActivationBatch:
    """The target's vectors for the scorable explanations of one source, in item order.

    With nothing scorable the batch has no rows, and its vectors no width.
    """
    texts = {
        explanation.item_id: text
        for explanation in sorted(explanations, key=lambda explanation: explanation.item_id)
        if (text := scorable_text(explanation, unclean)) is not None
    }
    vectors = reconstructor.reconstruct(list(texts.values())) if texts else np.zeros((0, 0), dtype=np.float32)
    return ActivationBatch(pair_id=target, item_ids=np.array(list(texts), dtype=np.int64), vectors=vectors)
