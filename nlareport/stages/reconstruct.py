"""Reconstructs vectors from explanations, and decides which text, if any, an answer offers for scoring.

Takes a source's `Explanation` rows, returns an `ActivationBatch` of the target.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.ports import Reconstructor
from nlareport.rows.item_rows import Explanation, Mark
from nlareport.rows.run_rows import PairId

Unclean = Literal["unscored", "raw", "penalty"]
"""How an answer that is not clean is scored; `scoring.unclean` of the experiment.

`unscored`: it offers nothing. `raw`: what the public client does; without a pair of tags the whole answer is read, tags
and all. `penalty`: what training did; an answer without a pair of tags costs `PENALTY_MSE_NRM`, and so does one whose
budget ran out after the closing tag. Both read an empty pair of tags as the empty text."""


def scorable_text(explanation: Explanation, unclean: Unclean, mark: Mark | None = None) -> str | None:
    """The text the reconstructor reads, possibly empty; None when there is none to score.

    A clean answer offers what stands between its tags, one that is not clean what `unclean` says. `mark` is the
    answer's own: without it a text is offered that `penalty` would not score. An explanation whose cleanness was not
    published counts as clean.
    """
    if unclean == "penalty" and mark == "overrun":
        return None
    if explanation.is_clean is not False:
        return explanation.text
    if unclean == "unscored":
        return None
    if explanation.finish == "closed":
        return explanation.text or ""
    if unclean == "penalty":
        return None
    # Unstripped, as it is sent there.
    return explanation.text if explanation.completion is None else explanation.completion


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
