"""The schema of a run file, as numbered migrations, and how an older file is brought to this version or read as it is.

A version is one file, ``sql/schema/N.sql``: the statements that turn version N - 1 into N, whether they add a table or
a column or build a table again under another key. A new file is made by all of them.
"""

from collections.abc import Iterator, Sequence
from importlib.resources import files

import duckdb

from nlareport.rows.declaration import TABLES
from nlareport.store.derived_rows import DERIVED, store_derived_rows

FOLDER = files("nlareport.store") / "sql" / "schema"

SCHEMA_VERSION = sum(entry.name.endswith(".sql") for entry in FOLDER.iterdir())
"""The number of the last migration; a run file says in `run.schema_version` under which one it was last written."""

OLDEST_SCHEMA_VERSION = 1

MADE_OTHERWISE = (6,)
"""Versions whose first files were made by other statements, those of ``sql/schema/first``; later ones mend them."""

OLDER = "older"
"""What the database of an older file is called next to the one that stands in for it."""

_VIEWS_OF_OLDER = (files("nlareport.store") / "sql" / "opening" / "views_of_older.sql").read_text(encoding="utf-8")


def migrations(*, after: int = 0, until: int = SCHEMA_VERSION) -> Iterator[str]:
    """The statements of every version after one and up to another, in order."""
    for version in range(after + 1, until + 1):
        yield (FOLDER / f"{version}.sql").read_text(encoding="utf-8")


def create_tables(
    connection: duckdb.DuckDBPyConnection, version: int = SCHEMA_VERSION, *, as_first_made: bool = False
) -> None:
    """Makes the tables and views of an empty run file, of this version or of an earlier one."""
    last = (FOLDER / "first" / f"{version}.sql").read_text(encoding="utf-8") if as_first_made else None
    for statements in migrations(until=version if last is None else version - 1):
        connection.execute(statements)
    if last is not None:
        connection.execute(last)


def migrate(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Brings an open file of an earlier version to this one, all in one transaction."""
    connection.execute("BEGIN")
    for statements in migrations(after=version):
        connection.execute(statements)
    store_derived_rows(connection)
    connection.execute(f"UPDATE run SET schema_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def stand_in(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills an empty database with the tables of this version, holding the rows of the one attached as `OLDER`.

    A table that the older file has is a view of it, in which later columns have their defaults; one that it lacks is
    empty. The few rows to which something may be added are copied. The older file is not written to.
    """
    create_tables(connection)
    copied = [TABLES[row_type].name for row_type in DERIVED]
    for statement in views_of_older(connection, OLDER, copied):
        connection.execute(statement)
    store_derived_rows(connection)


def views_of_older(connection: duckdb.DuckDBPyConnection, database: str, copied: Sequence[str] = ()) -> list[str]:
    """The statements that show the rows of another attached database in the tables of this version.

    Those named by `copied` are filled with its rows; the others are replaced by views of it.
    """
    given = {"older": database, "copied": list(copied)}
    return [statement for (statement,) in connection.execute(_VIEWS_OF_OLDER, given).fetchall()]
