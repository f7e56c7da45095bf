"""Activations to explanations: what a source's verbalizer says of each vector.

Enters an `ActivationBatch`; leave `Explanation` rows. It knows no model, only the `Verbalizer` handed in, and what
the tags look like only through `nlareport.prompts`.
"""

from nlareport.batches import ActivationBatch, Completion
from nlareport.ports import Verbalizer
from nlareport.prompts import explanation_in
from nlareport.rows import Explanation, PairId


def verbalize(batch: ActivationBatch, verbalizer: Verbalizer) -> list[Explanation]:
    """One explanation per row of the batch, in order.

    Clean means the closing tag was found within the token budget. Tags with nothing between them are clean and hold
    no text: the format was kept, but there is nothing to score.
    """
    completions = verbalizer.verbalize(batch.vectors)
    return [
        _explanation(int(item_id), batch.pair_id, completion)
        for item_id, completion in zip(batch.item_ids, completions, strict=True)
    ]


def _explanation(item_id: int, source: PairId, completion: Completion) -> Explanation:
    # Half a surrogate pair is no text and cannot be stored; a whole one is the character it stands for.
    answer = completion.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = explanation_in(answer)
    return Explanation(
        item_id=item_id,
        source=source,
        text=text or None,
        completion=answer,
        n_tokens=completion.n_tokens,
        finish=completion.finish if text is None else "closed",
        is_clean=text is not None,
    )
