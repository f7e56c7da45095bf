"""Locates items in every pair's tokenization; in the reference pair's own, an item is the very token that was drawn.

Takes a `Work` and its documents, or a document with its items; returns token prefixes, each ending at its item.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from nlareport.batches import ReadingLimits, SourceDocument, Tokenization
from nlareport.experiment.corpus_section import Sampling
from nlareport.ports import Tokenizer
from nlareport.rows.item_rows import Item
from nlareport.run.context import Work
from nlareport.stages import sample


class ItemPlaces:
    """The places of a run's items, in any pair's tokens."""

    def __init__(self, work: Work, documents: dict[str, SourceDocument]) -> None:
        self._documents, self._sampling = documents, work.experiment.sampling
        self._reference = work.engines.base_model.tokenizer(work.reference)
        self._items: dict[str, list[Item]] = defaultdict(list)
        for item in work.items():
            self._items[item.doc_id].append(item)
        self._drawn: tuple[str, dict[int, list[int]]] = ("", {})

    def prefix(self, item: Item, tokenizer: Tokenizer) -> tuple[list[int], int]:
        """The tokens up to and including the item's, and how far their end is from the item's, in characters."""
        tokenization = sample.tokenize(self._documents[item.doc_id], tokenizer, self._sampling, None)
        token_index, char_error = place(tokenization, item, self._drawn_in(item.doc_id).get(item.item_id))
        return tokenization.token_ids[: token_index + 1], char_error

    def _drawn_in(self, doc_id: str) -> dict[int, list[int]]:
        # Items of one document follow each other, so only the last document is worth keeping.
        if self._drawn[0] != doc_id:
            document, items = self._documents[doc_id], self._items[doc_id]
            self._drawn = (doc_id, sample.drawn_prefixes(document, items, self._reference, self._sampling))
        return self._drawn[1]


def place(tokenization: Tokenization, item: Item, drawn_prefix: list[int] | None) -> tuple[int, int]:
    """Where a tokenization has an item: (token index, end of that token minus the item's, in characters).

    One that cuts the text up to the item as the reference does, token by token, has it at the very token that was
    drawn; any other by its character (`align`).

    Raises:
        NothingToAlign: the tokenization holds no token of text.
    """
    if drawn_prefix:
        last = len(drawn_prefix) - 1
        is_reference = tokenization.token_ids[: last + 1] == drawn_prefix
        if is_reference and tokenization.char_ends[last] == item.char_end:
            return last, 0
    return sample.align(tokenization, item.char_end or 0)


def why_unreadable(
    document: SourceDocument,
    items: Sequence[Item],
    tokenizer: Tokenizer,
    sampling: Sampling,
    limits: ReadingLimits,
    drawn: Mapping[int, list[int]],
) -> str | None:
    """Why a model cannot read a document as far as one of its items; None when it can. `drawn`: see `drawn_prefixes`.

    Raises:
        NothingToAlign: the tokenization holds no token of text.
        ChatTemplateFails: the document is a chat that the pair's template refuses.
    """
    if not items:
        return None
    tokenization = sample.tokenize(document, tokenizer, sampling, None)
    last = max(place(tokenization, item, drawn.get(item.item_id))[0] for item in items)
    return limits.why_unreadable(tokenization.token_ids[: last + 1])
