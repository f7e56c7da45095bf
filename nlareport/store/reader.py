"""Answers queries on one run file: named ones as typed rows, any read-only SQL as a frame.

Nothing here writes, and SQL that comes in reaches no other file, no variable of Python or the system, and no network.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, TypeVar

import duckdb
import polars as pl

from nlareport.errors import QueryFailed
from nlareport.ports import Row
from nlareport.rows.declaration import TABLES
from nlareport.shown import first_line, printable
from nlareport.store import sql_files
from nlareport.store.connections import connect, in_memory
from nlareport.store.migrations import create_tables
from nlareport.store.refusals import is_damage, on_opening, raise_if_stopped
from nlareport.store.row_tables import column_types, frame_schema, rows_of

Answer = TypeVar("Answer")

ASKING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)
"""What may be asked: DESCRIBE, SHOW and SUMMARIZE are SELECT to DuckDB, and a PIVOT is several statements in one."""

LARGEST_ANSWER = 10_000_000
"""Rows of an answer that are taken into memory."""


class DuckDBReader:
    """A run file open for reading; answers `ports.RunReader`. Use as a context manager, or close it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path) -> "DuckDBReader":
        """A reader of the run file at a path; any number of processes may read one at a time.

        Raises:
            RunFileMissing: nothing stands at the path.
            RunFileUnreadable: it is no run file, or is damaged.
            RunFileForeign: it holds something that nlareport did not put there.
            RunFileOfAnotherVersion: it was written under another schema version.
            RunFileBusy: a writer holds it.
        """
        return cls(connect(path, read_only=True), path)

    @classmethod
    def empty(cls) -> "DuckDBReader":
        """A reader of the tables of this schema version without a row in them, for what can be asked without a run."""
        connection = in_memory()
        create_tables(connection)
        return cls(connection, Path(":memory:"))

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        self._connection.close()

    def __enter__(self) -> "DuckDBReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rows(self, row_type: type[Row], query: str, **parameters: Any) -> list[Row]:
        """The answer of a named query, one `row_type` a row; JSON becomes dictionaries, UTC times say so.

        Raises:
            QueryUnknown: no query has this name.
            QueryFailed: DuckDB refused it, or its columns are not the row type's fields.
        """
        relation = self._answer(query, self.sql(query), parameters)
        self._check_columns(query, row_type, relation.columns)
        with self._refusals(query):
            records = relation.fetchall()
        return rows_of(row_type, relation.columns, records)

    def frame(self, query: str, **parameters: Any) -> pl.DataFrame:
        """The answer of a named query, or of one's own SQL given in its place, as a frame.

        Raises:
            QueryUnknown: a single word that names no query.
            QueryFailed: DuckDB refused it, or its answer has more rows than are taken into memory.
        """
        single_word = not any(character.isspace() for character in query.strip())
        text = self.sql(query.strip()) if single_word else query
        frame = self._stoppable(lambda: self._collected(query, text, parameters))
        if frame.height > LARGEST_ANSWER:
            raise QueryFailed(f"Query {_short(query)}: gives over {LARGEST_ANSWER:,} rows; ask for fewer with LIMIT.")
        return frame

    def table(self, row_type: type) -> pl.DataFrame:
        """A whole table as a frame, ordered by primary key; the same rows give the same frame.

        Raises:
            QueryFailed: the file is damaged.
        """
        schema = frame_schema(row_type)
        columns, keys = ", ".join(f'"{name}"' for name in schema), ", ".join(TABLES[row_type].key)
        frame = self.frame(f"SELECT {columns} FROM {TABLES[row_type].name} ORDER BY {keys}")
        # In one piece: how DuckDB cut it would show in a Parquet file's row groups.
        return frame.cast(pl.Schema(schema)).rechunk()

    def sql(self, query: str) -> str:
        """The text of a named query, as a reader would run it.

        Raises:
            QueryUnknown: no query has this name.
        """
        return sql_files.query_text(query)

    @staticmethod
    def query_names() -> dict[str, str]:
        """Every named query with its purpose, in alphabetical order; audits last, as `audits/name`."""
        names = sql_files.query_names() + sql_files.query_names("audits")
        return {name: sql_files.query_purpose(name) for name in names}

    def _answer(self, query: str, text: str, parameters: dict[str, Any]) -> duckdb.DuckDBPyRelation:
        with self._refusals(query):
            kinds = [statement.type for statement in self._connection.extract_statements(text)]
            if len(kinds) != 1 or kinds[0] not in ASKING:
                raise QueryFailed(f"Query {_short(query)}: asks for no table; write one SELECT statement.")
            relation = self._connection.sql(text, params=parameters or None)
        if relation is None:
            raise QueryFailed(f"Query {_short(query)}: gives no table; write one SELECT statement.")
        return relation

    def _collected(self, query: str, text: str, parameters: dict[str, Any]) -> pl.DataFrame:
        relation = self._answer(query, text, parameters)
        with self._refusals(query):
            frame: pl.DataFrame = relation.limit(LARGEST_ANSWER + 1).pl()
            return frame

    def _stoppable(self, ask: Callable[[], Answer]) -> Answer:
        """The answer, unless Ctrl-C comes first: DuckDB itself looks for one too seldom to be stopped by it."""
        answers: list[Answer] = []
        errors: list[BaseException] = []
        is_done = Event()

        def work() -> None:
            try:
                answers.append(ask())
            except BaseException as error:
                errors.append(error)
            finally:
                is_done.set()

        worker = Thread(target=work, daemon=True)
        try:
            worker.start()
            # Awake now and then: a signal that another thread received does not end a wait without end.
            while not is_done.wait(timeout=0.1):
                pass
        except KeyboardInterrupt:
            # Again and again: between two statements there is nothing to interrupt.
            while worker.is_alive() and not is_done.wait(timeout=0.1):
                self._connection.interrupt()
            raise
        for error in errors:
            raise error
        return answers[0]

    @contextmanager
    def _refusals(self, query: str) -> Iterator[None]:
        """Turns what DuckDB says against a query into `QueryFailed`, and what it says against the file into ours."""
        try:
            yield
        except (duckdb.Error, RuntimeError) as error:
            raise_if_stopped(error)
            if not isinstance(error, duckdb.Error):
                raise
            if is_damage(error):
                raise on_opening(self.path, error) from error
            words = first_line(error)
            if lacking := re.search(r"not provided for the following parameters: (\w+)", words):
                raise QueryFailed(
                    f"Query {_short(query)}: needs a value of ${lacking[1]}; give it with --param {lacking[1]}=VALUE."
                ) from error
            raise QueryFailed(f"Query {_short(query)}: DuckDB refused it: {words}") from error

    def _check_columns(self, query: str, row_type: type, columns: list[str]) -> None:
        fields = column_types(row_type)
        extra = [name for name in columns if name not in fields]
        lacking = [name for name in fields if name not in columns]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        complaints = [
            f"{what}: {', '.join(names)}"
            for what, names in [("only in the query", extra), ("only in the row", lacking), ("given twice", twice)]
            if names
        ]
        if complaints:
            raise QueryFailed(
                f"Query {query}: its columns and the fields of {row_type.__name__} disagree "
                f"({'; '.join(complaints)}); correct {sql_files.query_file(query)} or the row type."
            )


def _short(query: str) -> str:
    """The query on one line, cut where a message would drown in it."""
    line = printable(" ".join(query.split()))
    return line if len(line) <= 60 else line[:59] + "…"
