"""Checks that everything in a database file is nlareport's own: its tables, its columns, its views as it defines them.

A run file travels, and DuckDB runs what a file brings along: a view that reads a local file, a macro that stands in for
`avg` or `+`, a default, a trigger. So nothing is asked of a file before its catalog is known to be ours. Takes an open
connection; knows nothing of rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb

from nlareport.errors import RunFileForeign, RunFileUnreadable
from nlareport.shown import shown
from nlareport.store import refusals, sql_files
from nlareport.store.migrations import MADE_OTHERWISE, OLDEST_SCHEMA_VERSION, SCHEMA_VERSION, create_tables

SYSTEM_DATABASES = ("system", "temp")
"""What every connection has besides the file."""

HARMLESS_KINDS = ("NOT NULL", "PRIMARY KEY")
"""Constraints that run nothing and that a later schema may move."""

WHOLE_KINDS = ("schema", "view", "table")

MOST_NAMED = 3

REMOVING = {
    "schema": "DROP SCHEMA {table} CASCADE",
    "view": "DROP VIEW {table}",
    "table": "DROP TABLE {table}",
    "macro": "DROP MACRO {table}",
    "type": "DROP TYPE {table}",
    "sequence": "DROP SEQUENCE {table}",
    "index": "DROP INDEX {table}",
    "column": "ALTER TABLE {table} DROP COLUMN {column}",
    "default": "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT",
}
"""The statement that takes each kind of thing out of a file, the outermost kinds first."""


class Entry(NamedTuple):
    """One thing in a catalog."""

    kind: str
    schema: str
    table: str
    """Its name, or that of the table it is part of."""
    column: str | None = None
    definition: str | None = None
    """The type of a column, the expression of a default or a check, the query of a view."""


def catalog(connection: duckdb.DuckDBPyConnection) -> frozenset[Entry]:
    """Everything in the open file."""
    rows = connection.execute(sql_files.CATALOG).fetchall()
    return frozenset(
        Entry(kind, schema, table, column, definition)
        for database, schema, kind, table, column, definition in rows
        if database not in SYSTEM_DATABASES and kind not in HARMLESS_KINDS
    )


def refuse_foreign(path: Path, found: frozenset[Entry], version: int | None = None) -> None:
    """Pass when all of what is in the file at `path` is ours: of the schema version given, or of any one.

    Raises:
        RunFileForeign: something is not; it is named.
    """
    versions = range(SCHEMA_VERSION, OLDEST_SCHEMA_VERSION - 1, -1) if version is None else [version]
    foreign = sorted(_foreign(found, versions), key=_importance)
    # A foreign table or view is named as a whole, without its columns.
    wholes = {entry[1:3] for entry in foreign if entry.kind in WHOLE_KINDS}
    foreign = [entry for entry in foreign if entry.kind in WHOLE_KINDS or entry[1:3] not in wholes]
    if not foreign:
        return
    names = ", ".join(f"the {entry.kind.lower()} {_name(entry)}" for entry in foreign[:MOST_NAMED])
    more = f" and {len(foreign) - MOST_NAMED} more" if len(foreign) > MOST_NAMED else ""
    raise RunFileForeign(
        f"{path}: holds {names}{more}, which nlareport did not put there, so nothing of it is run; "
        f"{_advice(foreign)}"
        'if the file is not yours, ask for its bundle ("nlareport export") and import that.'
    )


def refuse_lacking(path: Path, found: Iterable[Entry], version: int) -> None:
    """Pass when every table, column and view of a schema version is in the file.

    Raises:
        RunFileUnreadable: one is not.
    """
    there = {(entry.table, entry.column) for entry in found}
    absent = min((_columns_and_views(form) - there for form in _forms(version)), key=len)
    lacking = sorted(absent, key=lambda place: (place[0], place[1] or ""))
    if lacking:
        names = ", ".join(table if column is None else f"{table}.{column}" for table, column in lacking[:MOST_NAMED])
        raise RunFileUnreadable(
            f"{path}: is no whole run file, {names} is not in it; put back a copy of the file as nlareport wrote it."
        )


def _foreign(found: frozenset[Entry], versions: Iterable[int]) -> frozenset[Entry]:
    """What is foreign to the version that the file is most like; the first of them, when it is like several."""
    nearest = found
    for form in (form for version in versions for form in _forms(version)):
        nearest = min(nearest, found - form, key=len)
        if not nearest:
            break
    return nearest


def _forms(version: int) -> Iterator[frozenset[Entry]]:
    """What files of a schema version hold: as its migration makes them, and as the first were made."""
    yield _ours(version)
    if version in MADE_OTHERWISE:
        yield _ours(version, as_first_made=True)


@cache
def _ours(version: int, *, as_first_made: bool = False) -> frozenset[Entry]:
    """The catalog of an empty run file of a schema version."""
    with duckdb.connect(":memory:") as connection:
        try:
            create_tables(connection, version, as_first_made=as_first_made)
            return catalog(connection)
        except (RuntimeError, duckdb.Error) as error:
            refusals.raise_if_stopped(error)
            raise


def _columns_and_views(form: frozenset[Entry]) -> set[tuple[str, str | None]]:
    return {(entry.table, entry.column) for entry in form if entry.kind in ("view", "column")}


def _importance(entry: Entry) -> tuple[int, str, str]:
    kinds = list(REMOVING)
    place = kinds.index(entry.kind) if entry.kind in kinds else len(kinds)
    return place, entry.table, entry.column or ""


def _name(entry: Entry) -> str:
    return shown(".".join(part for part in (*_place(entry), entry.column) if part))


def _advice(foreign: Sequence[Entry]) -> str:
    """How the first thing named is taken out; where it stands in place of something of ours, that helps nobody."""
    entry = foreign[0]
    ours = {(known.table, known.column) for known in _ours(SCHEMA_VERSION) if known.kind in ("table", "view", "column")}
    is_in_place_of_ours = entry.kind != "default" and (entry.table, entry.column) in ours
    is_computed = any(other.kind == "generated column" and other[1:4] == entry[1:4] for other in foreign)
    if entry.kind not in REMOVING or is_in_place_of_ours or is_computed:
        return "put back a copy of the file as nlareport wrote it; "
    table = ".".join(_quoted(part) for part in _place(entry))
    statement = REMOVING[entry.kind].format(table=table, column=_quoted(entry.column or ""))
    return f"if you added it, take it out with DuckDB, {shown(statement)[1:-1]}; "


def _place(entry: Entry) -> tuple[str, ...]:
    in_own_schema = entry.schema == "main" or entry.kind == "schema"
    return (entry.table,) if in_own_schema else (entry.schema, entry.table)


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
