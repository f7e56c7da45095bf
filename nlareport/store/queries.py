"""Answers queries on one run file: named ones as typed rows, any read-only SQL as a frame.

Nothing here writes, and SQL that comes in reaches no other file and no network.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import polars as pl

from nlareport.errors import QueryFailed
from nlareport.ports import Row
from nlareport.store import statements
from nlareport.store.connections import connect, first_line
from nlareport.store.tables import PRIMARY_KEYS, column_types, frame_schema, rows_of, table_of


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
            RunFileOfAnotherVersion: it was written under another schema version.
            RunFileBusy: a writer holds it.
        """
        return cls(connect(path, read_only=True), path)

    @classmethod
    def empty(cls) -> "DuckDBReader":
        """A reader of the tables of this schema version without a row in them, for what can be asked without a run."""
        connection = duckdb.connect(":memory:")
        connection.execute(statements.schema())
        return cls(connection, Path(":memory:"))

    def close(self) -> None:
        """Lets go of the file; a second time does nothing."""
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
        with _refusals(query):
            records = relation.fetchall()
        return rows_of(row_type, relation.columns, records)

    def frame(self, query: str, **parameters: Any) -> pl.DataFrame:
        """The answer of a named query, or of one's own SQL given in its place, as a frame.

        Raises:
            QueryUnknown: a single word that names no query.
            QueryFailed: DuckDB refused it.
        """
        single_word = not any(character.isspace() for character in query.strip())
        text = self.sql(query.strip()) if single_word else query
        relation = self._answer(query, text, parameters)
        with _refusals(query):
            frame: pl.DataFrame = relation.pl()
            return frame

    def table(self, row_type: type) -> pl.DataFrame:
        """A whole table as a frame, ordered by primary key; the same rows give the same frame.

        Raises:
            QueryFailed: the file is damaged.
        """
        schema = frame_schema(row_type)
        columns, keys = ", ".join(f'"{name}"' for name in schema), ", ".join(PRIMARY_KEYS[row_type])
        frame = self.frame(f"SELECT {columns} FROM {table_of(row_type)} ORDER BY {keys}")
        # In one piece: how DuckDB cut it would show in a Parquet file's row groups.
        return frame.cast(pl.Schema(schema)).rechunk()

    def sql(self, query: str) -> str:
        """The text of a named query, as a reader would run it.

        Raises:
            QueryUnknown: no query has this name.
        """
        return statements.query_text(query)

    @staticmethod
    def query_names() -> dict[str, str]:
        """Every named query with its purpose, in alphabetical order; audits last, as `audits/name`."""
        names = statements.query_names() + statements.query_names("audits")
        return {name: statements.query_purpose(name) for name in names}

    def _answer(self, query: str, text: str, parameters: dict[str, Any]) -> duckdb.DuckDBPyRelation:
        with _refusals(query):
            relation = self._connection.sql(text, params=parameters or None)
        if relation is None:
            raise QueryFailed(f"Query {_short(query)}: it gives no table; write one SELECT statement.")
        return relation

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
                f"({'; '.join(complaints)}); correct store/sql/{query}.sql or the row type."
            )


@contextmanager
def _refusals(query: str) -> Iterator[None]:
    """Turns what DuckDB says against a query into `QueryFailed`."""
    try:
        yield
    except duckdb.Error as error:
        raise QueryFailed(f"Query {_short(query)}: DuckDB refused it: {first_line(error)}") from error


def _short(query: str) -> str:
    """The query on one line, cut where a message would drown in it."""
    line = " ".join(query.split())
    return line if len(line) <= 60 else line[:59] + "…"
