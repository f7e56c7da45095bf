"""Samples positions: which tokens of each document are measured, drawn at random or chosen by a rule or the corpus.

Takes texts or chats and the reference tokenizer, returns `Document` and `Item` rows. Positions are drawn bit-exactly as
the protocol says (Sampling positions in PROTOCOL.md), so anyone who has the tokenizer can draw them again.
"""

import hashlib
import random
import re
from collections.abc import Collection, Sequence

from nlareport.batches import Listing, SourceDocument, Tokenization
from nlareport.checkpoints.conversations import content_spans
from nlareport.errors import ChatTemplateFails, CorpusUnreadable, EngineUnfit, NothingToAlign
from nlareport.experiment.corpus_section import MIN_LEFT_CONTEXT, Every, Listed, Sampling
from nlareport.ports import ChatTokenizer, Tokenizer
from nlareport.rows.item_rows import Item, Tag, stratum_of
from nlareport.rows.run_rows import Document
from nlareport.shown import shown

TOO_SHORT = "too short"
TOO_LONG = "too long"
"""Beginnings of reasons."""

CANNOT_READ = "cannot read it as far as its item"
"""Part of the reason of a document that a pair's base model cannot read; the pair is named before it."""

CANNOT_RENDER = "cannot render it"
"""Part of the reason of a chat that a pair's chat template refuses; the pair is named before it."""

IN_MESSAGES_OF = " in messages of "
"""Before the roles, where a chat has no candidate in messages of theirs."""

CONTEXT_CHARS = 400
"""Length of an item's stored context, before it is shortened to a word boundary."""

_BOUNDARY_WITHIN = 80
"""A context loses at most this much to start at a word; a script without spaces keeps it all."""


def sample_positions(
    token_ids: Sequence[int],
    n_positions: int,
    special_ids: Collection[int],
    doc_id: str,
    seed: int,
    min_left_context: int = MIN_LEFT_CONTEXT,
) -> list[int]:
    """Up to `n_positions` token indices, in the order drawn, not sorted; empty when there is no candidate.

    Candidates have at least `min_left_context` tokens before them and are not special. Bit-exact across machines.
    """
    candidates = [
        index for index, token_id in enumerate(token_ids) if index >= min_left_context and token_id not in special_ids
    ]
    return _drawn(candidates, n_positions, doc_id, seed)


def sample_document(
    document: SourceDocument, tokenizer: Tokenizer, sampling: Sampling, first_item_id: int
) -> tuple[Document, list[Item]]:
    """The document's row and its items, numbered from `first_item_id` in the order drawn.

    `tokenizer` is the reference pair's. A document without a candidate gives no item and says why.

    Raises:
        CorpusUnreadable: the document lists a position that it does not have.
    """
    items: list[Item] = []
    try:
        tokenization = tokenize(document, tokenizer, sampling, _most_tokens(sampling))
    except ChatTemplateFails as error:
        reason: str | None = f"{sampling.reference_pair} {CANNOT_RENDER}: {error}"
    else:
        positions, reason = _positions(document, tokenization, tokenizer, sampling)
        items = [
            _item(document, tokenization, position, item_id)
            for item_id, position in enumerate(positions, start=first_item_id)
        ]
    row = Document(
        doc_id=document.doc_id,
        corpus=document.corpus,
        source_index=document.source_index,
        n_chars=len(document.text),
        skipped_reason=None if items else reason,
    )
    return row, items


def tokenize(
    document: SourceDocument, tokenizer: Tokenizer, sampling: Sampling, max_tokens: int | None
) -> Tokenization:
    """A text or a chat in one pair's tokens, cut on the right to `max_tokens`.

    Raises:
        ChatTemplateFails: the pair's chat template refuses the chat.
        EngineUnfit: the engine has no chat templates.
    """
    if not document.messages:
        return tokenizer.tokenize(document.text, max_tokens)
    if not isinstance(tokenizer, ChatTokenizer):
        raise EngineUnfit("The engine of the base models renders no chats; use --engine base_model=transformers.")
    whole = tokenizer.tokenize_chat(document.messages, is_asked=sampling.positions == "generation_prompt")
    return Tokenization(whole.token_ids[:max_tokens], whole.char_starts[:max_tokens], whole.char_ends[:max_tokens])


def roles_of(document: SourceDocument, items: Sequence[Item]) -> list[Tag]:
    """Of a chat, the role of the message that each item is in, as a tag; the generation prompt has none."""
    spans = list(zip(document.messages, content_spans(document.messages), strict=True))
    return [
        Tag(item.item_id, "role", message.role)
        for item in items
        for message, (start, end) in spans
        if start < (item.char_end or 0) <= end
    ]


def drawn_prefixes(
    document: SourceDocument, items: Sequence[Item], tokenizer: Tokenizer, sampling: Sampling
) -> dict[int, list[int]]:
    """For each item of a document, all of which are given, the reference's token ids up to the one that was drawn.

    Drawn again, so that a piece of a character is found again too: all its pieces end where the character does. Items
    that are not drawn where they are recorded, as by a version with other special tokens, are left out.
    """
    if not items:
        return {}
    tokenization = tokenize(document, tokenizer, sampling, _most_tokens(sampling))
    drawn, _ = _positions(document, tokenization, tokenizer, sampling)
    # Items were numbered in the order drawn.
    in_order = sorted(items, key=lambda item: item.item_id)
    return {
        item.item_id: tokenization.token_ids[: position + 1]
        for item, position in zip(in_order, drawn, strict=False)
        if tokenization.char_ends[position] == item.char_end
    }


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


def _most_tokens(sampling: Sampling) -> int | None:
    """Where the reference tokenization is cut: for rules that ask for the end or for a certain place, nowhere."""
    is_cut = sampling.positions == "sampled" or isinstance(sampling.positions, Every)
    return sampling.truncation_tokens if is_cut else None


def _positions(
    document: SourceDocument, tokenization: Tokenization, tokenizer: Tokenizer, sampling: Sampling
) -> tuple[list[int], str]:
    """The reference's token indices that are measured in a document, in order, and why there are none if there are."""
    rule, n_tokens = sampling.positions, len(tokenization.token_ids)
    none = _no_candidate(n_tokens, sampling.least_left_context)
    if isinstance(rule, Listed):
        return _within_reach(_listed(document, tokenization, rule), sampling, "lists no position")
    if rule == "generation_prompt":
        return _within_reach([n_tokens - 1], sampling, none)
    candidates = _candidates(document, tokenization, tokenizer, sampling)
    if document.messages and n_tokens > sampling.least_left_context:
        none += f"{IN_MESSAGES_OF}{', '.join(sampling.roles)}"
    if rule == "last":
        return _within_reach(candidates[-1:], sampling, none)
    if isinstance(rule, Every):
        return candidates[:: rule.every], none
    return _drawn(candidates, sampling.positions_per_document, document.doc_id, sampling.seed), none


def _within_reach(chosen: list[int], sampling: Sampling, none: str) -> tuple[list[int], str]:
    """The positions, unless one of them has too few tokens before it or more than are read."""
    if chosen and max(chosen) >= sampling.truncation_tokens:
        return [], f"{TOO_LONG}: an item is token {max(chosen) + 1:,}, and {sampling.truncation_tokens:,} are read"
    if chosen and min(chosen) < sampling.least_left_context:
        return [], f"{TOO_SHORT}: {min(chosen)} tokens before an item, which needs {sampling.least_left_context}"
    return chosen, none


def _candidates(
    document: SourceDocument, tokenization: Tokenization, tokenizer: Tokenizer, sampling: Sampling
) -> list[int]:
    """The token indices with enough left context that are text; in a chat, text of one of the chosen roles."""
    special = tokenizer.special_ids | (tokenizer.control_ids if isinstance(tokenizer, ChatTokenizer) else frozenset())
    found = [
        index
        for index, token_id in enumerate(tokenization.token_ids)
        if index >= sampling.least_left_context and token_id not in special
    ]
    if not document.messages:
        return found
    turns = zip(document.messages, content_spans(document.messages), strict=True)
    spans = [span for message, span in turns if message.role in sampling.roles]
    starts, ends = tokenization.char_starts, tokenization.char_ends
    return [
        index
        for index in found
        if starts[index] < ends[index] and any(begin < ends[index] <= end for begin, end in spans)
    ]


def _drawn(candidates: list[int], n_positions: int, doc_id: str, seed: int) -> list[int]:
    generator = random.Random(hashlib.sha256(f"{seed}|{doc_id}".encode()).digest())
    return generator.sample(candidates, min(n_positions, len(candidates)))


def _listed(document: SourceDocument, tokenization: Tokenization, rule: Listed) -> list[int]:
    """The token indices that the corpus lists, each once, in its order."""
    found: dict[int, None] = {}
    for entry in document.listed:
        index = _listed_token(document, tokenization, entry, rule.listed)
        if index is None:
            raise CorpusUnreadable(
                f"Document {document.doc_id}: lists the position {shown(entry)}, which is none of its {rule.listed}. "
                "Correct the column that corpus.positions_column names; sampling.positions says how they are counted."
            )
        found[index] = None
    return list(found)


def _listed_token(document: SourceDocument, tokenization: Tokenization, entry: Listing, unit: str) -> int | None:
    """The token that an entry of a list means; None when there is no such token, or it covers no text."""
    if unit == "tokens":
        starts, ends = tokenization.char_starts, tokenization.char_ends
        is_token = isinstance(entry, int) and 0 <= entry < len(ends) and starts[entry] < ends[entry]
        return entry if isinstance(entry, int) and is_token else None
    if isinstance(entry, int):
        # Characters of a chat are counted in a message.
        is_in_text = not document.messages and 0 < entry <= len(document.text)
        return align(tokenization, entry)[0] if is_in_text else None
    message, n_chars = entry
    spans = content_spans(document.messages)
    if not 0 <= message < len(spans) or not 0 < n_chars <= spans[message][1] - spans[message][0]:
        return None
    return align(tokenization, spans[message][0] + n_chars)[0]


def _item(document: SourceDocument, tokenization: Tokenization, position: int, item_id: int) -> Item:
    char_end = tokenization.char_ends[position]
    token_start = _token_start(document.text, tokenization, position)
    token = document.text[token_start:char_end]
    return Item(
        item_id=item_id,
        doc_id=document.doc_id,
        char_end=char_end,
        token=token,
        context=context_of(document.text, token_start, char_end),
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


def context_of(text: str, token_start: int, char_end: int) -> str:
    """The text's tail up to `char_end`, about 400 characters, starting at a word where one starts near."""
    start = max(0, char_end - CONTEXT_CHARS)
    if start > 0 and not text[start - 1].isspace():
        # The token itself is never cut, however long it is.
        boundary = re.compile(r"\s+").search(text, start, min(start + _BOUNDARY_WITHIN, token_start))
        start = boundary.end() if boundary else start
    return text[min(start, token_start) : char_end]


def _no_candidate(n_tokens: int, least_left_context: int) -> str:
    if n_tokens <= least_left_context:
        return f"{TOO_SHORT}: {n_tokens} tokens, an item needs {least_left_context} before it"
    return f"no token of text after the first {least_left_context} tokens"
