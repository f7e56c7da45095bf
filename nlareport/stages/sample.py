"""Samples positions: which tokens of each document are measured, and where another tokenization has them.

Takes texts and the reference tokenizer, returns `Document` and `Item` rows, and places. Positions are drawn bit-exactly
as the protocol says (Sampling positions in PROTOCOL.md), so anyone who has the tokenizer can draw them again.
"""

import hashlib
import random
import re
from collections.abc import Collection, Mapping, Sequence

from nlareport.batches import ReadingLimits, SourceDocument, Tokenization
from nlareport.errors import NothingToAlign
from nlareport.experiment.corpus_section import Sampling
from nlareport.ports import Tokenizer
from nlareport.rows.item_rows import Item, stratum_of
from nlareport.rows.run_rows import Document

MIN_LEFT_CONTEXT = 50
"""Tokens before an item in the reference tokenization, special tokens counted."""

_TOO_SHORT = "too short"

CANNOT_READ = "cannot read it as far as its item"
"""Part of the reason of a document that a pair's base model cannot read; the pair is named before it."""

CONTEXT_CHARS = 400
"""Length of an item's stored context, before it is shortened to a word boundary."""

_BOUNDARY_WITHIN = 80
"""A context loses at most this much to start at a word; a script without spaces keeps it all."""


def sample_positions(
    token_ids: Sequence[int], n_positions: int, special_ids: Collection[int], doc_id: str, seed: int
) -> list[int]:
    """Up to `n_positions` token indices, in the order drawn, not sorted; empty when there is no candidate.

    Candidates have at least 50 tokens before them and are not special. Bit-exact across machines.
    """
    candidates = [
        index for index, token_id in enumerate(token_ids) if index >= MIN_LEFT_CONTEXT and token_id not in special_ids
    ]
    generator = random.Random(hashlib.sha256(f"{seed}|{doc_id}".encode()).digest())
    return generator.sample(candidates, min(n_positions, len(candidates)))


def sample_document(
    document: SourceDocument, tokenizer: Tokenizer, sampling: Sampling, first_item_id: int
) -> tuple[Document, list[Item]]:
    """The document's row and its items, numbered from `first_item_id` in the order drawn.

    `tokenizer` is the reference pair's. A document without a candidate gives no item and says why.
    """
    tokenization = tokenizer.tokenize(document.text, sampling.truncation_tokens)
    positions = _positions(tokenization, document.doc_id, tokenizer, sampling)
    items = [
        _item(document, tokenization, position, item_id)
        for item_id, position in enumerate(positions, start=first_item_id)
    ]
    row = Document(
        doc_id=document.doc_id,
        corpus=document.corpus,
        source_index=document.source_index,
        n_chars=len(document.text),
        skipped_reason=None if items else _no_candidate(len(tokenization.token_ids)),
    )
    return row, items


def n_unreadable(documents: Sequence[Document]) -> int:
    """How many of the documents gave no item because a model cannot read as far."""
    return sum(CANNOT_READ in (document.skipped_reason or "") for document in documents)


def skipped_counts(documents: Sequence[Document]) -> str:
    """How many of the documents gave no item and why, in words; empty when all of them gave one."""
    n_short = sum((document.skipped_reason or "").startswith(_TOO_SHORT) for document in documents)
    n_unread = n_unreadable(documents)
    n_bare = sum(document.skipped_reason is not None for document in documents) - n_short - n_unread
    said = {
        f"have fewer than {MIN_LEFT_CONTEXT + 1} tokens (an item needs {MIN_LEFT_CONTEXT} before it)": n_short,
        f"have no token of text after the first {MIN_LEFT_CONTEXT}": n_bare,
        "cannot be read by every pair as far as their item": n_unread,
    }
    return " and ".join(f"{n:,} of {len(documents):,} documents {what}" for what, n in said.items() if n)


def drawn_prefixes(text: str, items: Sequence[Item], tokenizer: Tokenizer, sampling: Sampling) -> dict[int, list[int]]:
    """For each item of a document, all of which are given, the reference's token ids up to the one that was drawn.

    Drawn again, so that a piece of a character is found again too: all its pieces end where the character does. Items
    that are not drawn where they are recorded, as by a version with other special tokens, are left out.
    """
    if not items:
        return {}
    tokenization = tokenizer.tokenize(text, sampling.truncation_tokens)
    drawn = _positions(tokenization, items[0].doc_id, tokenizer, sampling)
    # Items were numbered in the order drawn.
    in_order = sorted(items, key=lambda item: item.item_id)
    return {
        item.item_id: tokenization.token_ids[: position + 1]
        for item, position in zip(in_order, drawn, strict=False)
        if tokenization.char_ends[position] == item.char_end
    }


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
    return align(tokenization, item.char_end or 0)


def align(tokenization: Tokenization, char_end: int) -> tuple[int, int]:
    """Where another tokenization has an item: (token index, end of that token minus `char_end`).

    The token that ends at `char_end`; failing that, the one that contains the character before it, which is the first
    to end after it. A character that a tokenizer cut into several tokens ends them all alike; the last of them is
    taken, because only there has the model read the whole character. Tokens that cover no text are never taken. A
    text cut before `char_end` gives its last token and a negative error.

    Raises:
        NothingToAlign: the tokenization holds no token of text.
    """
    covering = [
        index
        for index, (start, end) in enumerate(zip(tokenization.char_starts, tokenization.char_ends, strict=True))
        if start < end
    ]
    if not covering:
        raise NothingToAlign(
            f"Character {char_end} cannot be found again: the tokenization holds no token of text. "
            "Check that the tokenizer returns character offsets."
        )
    ends = [tokenization.char_ends[index] for index in covering]
    token_end = min((end for end in ends if end >= char_end), default=max(ends))
    index = max(index for index in covering if tokenization.char_ends[index] == token_end)
    return index, token_end - char_end


def why_unreadable(
    text: str,
    items: Sequence[Item],
    tokenizer: Tokenizer,
    limits: ReadingLimits,
    drawn: Mapping[int, list[int]],
) -> str | None:
    """Why a model cannot read a text as far as one of its items; None when it can. `drawn`: see `drawn_prefixes`.

    Raises:
        NothingToAlign: the tokenization holds no token of text.
    """
    if not items:
        return None
    tokenization = tokenizer.tokenize(text, None)
    last = max(place(tokenization, item, drawn.get(item.item_id))[0] for item in items)
    return limits.why_unreadable(tokenization.token_ids[: last + 1])


def _positions(tokenization: Tokenization, doc_id: str, tokenizer: Tokenizer, sampling: Sampling) -> list[int]:
    """The reference's token indices that are drawn in a document, in order."""
    n_positions, special_ids = sampling.positions_per_document, tokenizer.special_ids
    return sample_positions(tokenization.token_ids, n_positions, special_ids, doc_id, sampling.seed)


def _item(document: SourceDocument, tokenization: Tokenization, position: int, item_id: int) -> Item:
    char_end = tokenization.char_ends[position]
    token_start = _token_start(document.text, tokenization, position)
    token = document.text[token_start:char_end]
    return Item(
        item_id=item_id,
        doc_id=document.doc_id,
        char_end=char_end,
        token=token,
        context=_context(document.text, token_start, char_end),
        stratum=stratum_of(token),
    )


def _token_start(text: str, tokenization: Tokenization, position: int) -> int:
    """Where an item's token starts, its leading space included, as Gemma, Qwen and Llama count it."""
    start, end = tokenization.char_starts[position], tokenization.char_ends[position]
    previous_end = tokenization.char_ends[position - 1]
    # Tokenizers that trim offsets give the space before a word to no token.
    if text[previous_end:start].isspace():
        return previous_end
    # A piece of a multi-byte character may be given no character of its own; it then stands for the whole.
    return min(start, max(end - 1, 0))


def _context(text: str, token_start: int, char_end: int) -> str:
    """The text's tail up to `char_end`, about 400 characters, starting at a word where one starts near."""
    start = max(0, char_end - CONTEXT_CHARS)
    if start > 0 and not text[start - 1].isspace():
        # The token itself is never cut, however long it is.
        boundary = re.compile(r"\s+").search(text, start, min(start + _BOUNDARY_WITHIN, token_start))
        start = boundary.end() if boundary else start
    return text[min(start, token_start) : char_end]


def _no_candidate(n_tokens: int) -> str:
    if n_tokens <= MIN_LEFT_CONTEXT:
        return f"{_TOO_SHORT}: {n_tokens} tokens, an item needs {MIN_LEFT_CONTEXT} before it"
    return f"no token of text after the first {MIN_LEFT_CONTEXT} tokens"
