"""Digests of the text behind every vector: a vector is used only when it is of the very text that the run has.

Takes rows of a run; returns one digest per item. An activation is of a document up to the item's end, a reconstruction
is of an explanation.
"""

import hashlib
from collections.abc import Iterable

from nlareport.rows.item_rows import Explanation, Item
from nlareport.rows.run_rows import DocumentDigest
from nlareport.stages.reconstruct import Unclean, scorable_text

DIGEST_CHARACTERS = 16
"""Of SHA-256 in hex: 64 bits, for texts that nobody chose to collide."""


def activation_readings(items: Iterable[Item], documents: Iterable[DocumentDigest]) -> dict[int, str]:
    """For every item a digest of its document and its end there; an item whose document has no digest is left out."""
    texts = {row.doc_id: row.text_sha256 for row in documents}
    return {item.item_id: _digest(f"{texts[item.doc_id]}:{item.char_end}") for item in items if item.doc_id in texts}


def reconstruction_readings(explanations: Iterable[Explanation], unclean: Unclean) -> dict[int, str]:
    """For every item of one source whose explanation can be read, a digest of the text that is read."""
    return {row.item_id: _digest(text) for row in explanations if (text := scorable_text(row, unclean)) is not None}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:DIGEST_CHARACTERS]
