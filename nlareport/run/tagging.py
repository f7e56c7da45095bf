"""The stage ``tag``: reads the tags of items from columns of the corpus, and those that queries give before scoring.

Takes a run whose items are drawn; fills the table `tag`. Tags that others made, such as the role of a chat's message,
stay; those that the experiment no longer names go.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from nlareport.errors import CorpusUnreadable, QueryFailed, QueryUnknown, TagUnreadable
from nlareport.experiment.corpus_section import VectorsCorpus
from nlareport.files import corpus_files
from nlareport.rows.item_rows import Item, Tag
from nlareport.rows.tag_rows import value_fault
from nlareport.run.context import Work
from nlareport.run.corpus_texts import read_known_texts
from nlareport.run.stage import Stage
from nlareport.shown import listed, shown
from nlareport.stages import corpus
from nlareport.store.reader import DuckDBReader

RECORD = "tags"
"""The key of `run.environment` that says what tags were read from."""


def tag_items(work: Work) -> None:
    """Reads what the corpus says of the documents that gave items, unless it was read before.

    Raises:
        TagUnreadable: a column holds what no tag can say.
        CorpusUnreadable: the corpus has no such column, or cannot be read.
        CorpusChanged: the corpus no longer holds a document as it was.
    """
    columns = _columns(work)
    # What is wrong with a query need not wait for the models.
    with DuckDBReader.empty() as empty:
        for name, query in _queries(work).items():
            _answer(empty, name, query)
    is_read = _is_read(work)
    work.progress.stage("read tags", len(columns), len(columns) if is_read else 0)
    if is_read:
        return
    values = _column_values(work, columns) if columns else {}
    tags = [
        Tag(item_id, name, value)
        for item_id, said in values.items()
        for name, value in said.items()
        if value is not None
    ]
    run = work.run_file.run()
    before = run.environment.get(RECORD, {})
    gone = {*before.get("columns", {}), *before.get("queries", []), *columns}
    with work.run_file.transaction():
        work.run_file.replace({Tag: [*(tag for tag in work.run_file.rows(Tag) if tag.name not in gone), *tags]})
        environment = {name: fact for name, fact in run.environment.items() if name != RECORD}
        if work.experiment.tags:
            environment[RECORD] = _record(work)
        work.run_file.put([replace(run, environment=environment)])
    work.progress.advance(len(columns))


def tags_not_asked(work: Work) -> list[Tag]:
    """The tags of the run but those that queries give."""
    return [tag for tag in work.run_file.rows(Tag) if tag.name not in _queries(work)]


def ask_tags(work: Work) -> list[Tag]:
    """The tags that queries give of a run whose other tables are filled.

    Raises:
        TagUnreadable: a query is refused, or does not say one thing of each item.
    """
    known = {item.item_id for item in work.items()}
    reader = work.run_file.reader()
    found: list[Tag] = []
    for name, query in _queries(work).items():
        found += _tags_in(_answer(reader, name, query), name, known)
    return found


def has_queries(work: Work) -> bool:
    """Whether queries give tags."""
    return bool(_queries(work))


def _answer(reader: DuckDBReader, name: str, query: str) -> pl.DataFrame:
    """What a query gives: two columns, the first being items."""
    try:
        frame = reader.frame(query)
    except (QueryFailed, QueryUnknown) as error:
        raise TagUnreadable(f"tags.{name}: {error} Correct the query.") from error
    if frame.width != 2 or frame.columns[0] != "item_id" or not frame["item_id"].dtype.is_integer():
        raise TagUnreadable(f"tags.{name}: the query gives {listed(frame.columns)}; select item_id and one value.")
    return frame


def _tags_in(frame: pl.DataFrame, name: str, known: set[int]) -> list[Tag]:
    """The rows of a query's answer as tags."""
    place = f"tags.{name}: the query"
    rows = [(item_id, value) for item_id, value in frame.rows() if item_id is not None]
    if strangers := sorted({item_id for item_id, _ in rows} - known):
        raise TagUnreadable(f"{place} speaks of item {strangers[0]}, which the run does not have; select from item.")
    if len({item_id for item_id, _ in rows}) < len(rows):
        raise TagUnreadable(f"{place} gives an item twice; select each item once, such as with GROUP BY item_id.")
    tags = [(item_id, _text_of(value, f"{place}, item {item_id}")) for item_id, value in rows]
    return [Tag(item_id, name, value) for item_id, value in tags if value is not None]


Said = dict[str, str | None]
"""What columns say of one document or vector, by tag."""


def _column_values(work: Work, columns: Mapping[str, str]) -> dict[int, Said]:
    """What the corpus says of each item: of its document, or of the vector that it is."""
    if isinstance(work.experiment.corpus, VectorsCorpus):
        said = _values_of_vectors(work.experiment.corpus, work.folder, columns)
        return {item.item_id: said[item.item_id] for item in work.items() if item.item_id in said}
    documents = _values_of_documents(work, columns)
    return {item.item_id: documents[item.doc_id] for item in work.items()}


def _values_of_vectors(section: VectorsCorpus, folder: Path, columns: Mapping[str, str]) -> dict[int, Said]:
    """What the first of the files says of its vectors that has all columns, by their numbers."""
    paths = section.path.values() if isinstance(section.path, dict) else [section.path]
    wanted = {column: f"tags.{name}.column" for name, column in columns.items()}
    for place, path in enumerate(paths, start=1):
        try:
            rows = list(corpus_files.rows_of(folder / path, wanted, 0, None))
        except CorpusUnreadable:
            if place < len(paths):
                continue
            raise
        numbers: Sequence[int] = range(len(rows))
        with suppress(CorpusUnreadable):
            numbered = corpus_files.rows_of(folder / path, {"item_id": "item_id"}, 0, None)
            numbers = [row["item_id"] for _, row in numbered]
        return {number: _said_in(row, columns, where) for number, (where, row) in zip(numbers, rows, strict=True)}
    return {}


def _said_in(row: Mapping[str, Any], columns: Mapping[str, str], place: str) -> Said:
    return {
        name: _text_of(row.get(column), f"tags.{name}: {place}, column {shown(column)}")
        for name, column in columns.items()
    }


def _values_of_documents(work: Work, columns: Mapping[str, str]) -> dict[str, Said]:
    """What the corpus says of each document that gave items."""
    known = read_known_texts(work.run_file)
    lacking = set(known.items)
    unmet = {column: f"tags.{name}.column" for name, column in columns.items()}
    values: dict[str, Said] = {}
    for place, document, row in corpus.read_rows(work.experiment.corpus, work.folder, dict(unmet)):
        if document.doc_id not in lacking:
            continue
        unmet = {column: key for column, key in unmet.items() if column not in row}
        if not known.is_as_before(document):
            known.refuse({document.doc_id}, {document.doc_id: document})
        values[document.doc_id] = _said_in(row, columns, place)
        lacking.discard(document.doc_id)
        if not lacking:
            break
    known.refuse(lacking, {})
    for column, key in unmet.items():
        raise corpus_files.no_such_column(place, key, column, list(row))
    return values


def _text_of(value: Any, place: str) -> str | None:
    """A value as a tag says it; None and an empty text are no tag."""
    # NaN is how tables of floats say that there is nothing.
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise TagUnreadable(f"{place} holds {type(value).__name__}; a tag takes a text, a number, or true or false.")
    text = str(value)
    if (fault := value_fault(text)) is not None:
        raise TagUnreadable(f"{place}: {shown(text)} {fault}.")
    return text


def _columns(work: Work) -> dict[str, str]:
    return {name: source.column for name, source in work.experiment.tags.items() if source.column is not None}


def _queries(work: Work) -> dict[str, str]:
    return {name: source.query for name, source in work.experiment.tags.items() if source.query is not None}


def _record(work: Work) -> dict[str, Any]:
    """What the tags of a run are read from: all that decides what reading them again would give."""
    return {"n_items": work.run_file.count(Item), "columns": _columns(work), "queries": sorted(_queries(work))}


def _is_read(work: Work) -> bool:
    wanted = _record(work) if work.experiment.tags else None
    return bool(work.run_file.run().environment.get(RECORD) == wanted)


def _outstanding(work: Work) -> str | None:
    return None if _is_read(work) else "the tags that the experiment asks for are not read yet"


TAG = Stage("tag", tag_items, _outstanding, keys=("tags",))
