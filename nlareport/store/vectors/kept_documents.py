"""The texts and chats of a run as a table: what is kept of each document next to the vectors read from it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from nlareport.batches import ChatMessage, SourceDocument
from nlareport.store.vectors.parquet_parts import column_names, damaged, read_part

_COLUMNS = {"doc_id": pl.String, "corpus": pl.String, "source_index": pl.Int64, "text": pl.String}
_OF_SOME = ("messages", "listed")
"""As JSON, in the parts of corpora that have them."""


def documents_frame(documents: Sequence[SourceDocument]) -> pl.DataFrame:
    """One row a document, in corpus order."""
    columns: dict[str, list[Any]] = {name: [getattr(document, name) for document in documents] for name in _COLUMNS}
    frame = pl.DataFrame(columns, schema=_COLUMNS)
    if any(document.messages or document.listed for document in documents):
        messages = [json.dumps([[turn.role, turn.content] for turn in row.messages]) for row in documents]
        listed = [json.dumps(row.listed) for row in documents]
        frame = frame.with_columns(pl.Series("messages", messages), pl.Series("listed", listed))
    return frame.sort("source_index", "doc_id")


def documents_in(path: Path) -> list[SourceDocument]:
    """The documents of one part.

    Raises:
        ActivationsDamaged: it cannot be read.
    """
    present = set(column_names(path))
    frame = read_part(path, _COLUMNS | {name: pl.String for name in _OF_SOME if name in present})
    try:
        return [_document(record) for record in frame.iter_rows(named=True)]
    except (ValueError, TypeError) as error:
        raise damaged(path, "holds chats or positions that cannot be read") from error


def _document(record: dict[str, Any]) -> SourceDocument:
    messages, listed = (json.loads(record.pop(name, None) or "[]") for name in _OF_SOME)
    return SourceDocument(
        **record,
        messages=tuple(ChatMessage(role, content) for role, content in messages),
        listed=tuple(tuple(entry) if isinstance(entry, list) else entry for entry in listed),
    )
