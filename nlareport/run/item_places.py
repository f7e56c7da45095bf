"""Locates items in every pair's tokenization; in the reference pair's own, an item is the very token that was drawn.

Takes a `Work` and the texts of its documents; returns token prefixes, each ending at its item.
"""

from collections import defaultdict

from nlareport.ports import Tokenizer
from nlareport.rows.item_rows import Item
from nlareport.run.context import Work
from nlareport.stages import sample


class ItemPlaces:
    """The places of a run's items, in any pair's tokens."""

    def __init__(self, work: Work, texts: dict[str, str]) -> None:
        self._texts, self._sampling = texts, work.experiment.sampling
        self._reference = work.engines.base_model.tokenizer(work.reference)
        self._items: dict[str, list[Item]] = defaultdict(list)
        for item in work.items():
            self._items[item.doc_id].append(item)
        self._drawn: tuple[str, dict[int, list[int]]] = ("", {})

    def prefix(self, item: Item, tokenizer: Tokenizer) -> tuple[list[int], int]:
        """The tokens up to and including the item's, and how far their end is from the item's, in characters."""
        text = self._texts[item.doc_id]
        tokenization = tokenizer.tokenize(text, None)
        token_index, char_error = sample.place(tokenization, item, self._drawn_in(item.doc_id).get(item.item_id))
        return tokenization.token_ids[: token_index + 1], char_error

    def _drawn_in(self, doc_id: str) -> dict[int, list[int]]:
        # Items of one document follow each other, so only the last document is worth keeping.
        if self._drawn[0] != doc_id:
            found = sample.drawn_prefixes(self._texts[doc_id], self._items[doc_id], self._reference, self._sampling)
            self._drawn = (doc_id, found)
        return self._drawn[1]
