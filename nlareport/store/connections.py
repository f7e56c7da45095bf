"""Opens a run file, and turns DuckDB's ways of failing into ours.

Leaves a connection to a file that is known to be a run file and has every table of this schema version.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from nlareport.errors import (
    NlareportError,
    RowRefused,
    RunFileBusy,
    RunFileMissing,
    RunFileOfAnotherVersion,
    RunFileUnreadable,
    RunFileUnwritable,
)
from nlareport.store.statements import tables_since

SCHEMA_VERSION = 4
"""Version of store/sql/schema.sql; a run file says in `run.schema_version` which one it was made under."""

OLDEST_SCHEMA_VERSION = 1
"""Since then tables and views have only been added, so an older file needs nothing but the ones it lacks."""

STORAGE_VERSION = "v1.4.0"
"""Oldest DuckDB that can read our files: pages open them in the browser with DuckDB-WASM 1.32, which is a 1.4."""

READER_SETTINGS = {
    # Whoever sends SQL to a run file may read that file and nothing else of this machine or the network.
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "lock_configuration": "true",
}


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection to an existing run file, whatever tables it lacked when it was written.

    An older file opened for writing gets them for good; one opened for reading stays as it is, and the connection
    alone sees them, empty.

    Raises:
        RunFileMissing: nothing stands at the path.
        RunFileUnreadable: it is no DuckDB database, holds no run, or is damaged.
        RunFileOfAnotherVersion: it was written under a schema version this nlareport does not know.
        RunFileBusy: another process, or another connection of this one, holds it.
        RunFileUnwritable: it is older, and the disk forbids to add what it lacks.
    """
    if not path.exists():
        raise RunFileMissing(f'{path}: no run file stands here; make one with "nlareport run" or "nlareport import".')
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=dict(READER_SETTINGS) if read_only else {})
    except (duckdb.Error, OSError) as error:
        raise _refusal(path, error) from error
    try:
        version = _known_version(connection, path)
        if version < SCHEMA_VERSION:
            _add_tables(connection, path, version, read_only)
    except NlareportError:
        connection.close()
        raise
    return connection


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Lets DuckDB write within, and says in our words why it would not.

    Raises:
        RowRefused: a row breaks a constraint of its table.
        RunFileUnwritable: the disk or the file's permissions forbid it.
    """
    try:
        yield
    except (duckdb.ConstraintException, duckdb.ConversionException) as error:
        raise RowRefused(f"{path}: a row was refused and nothing was stored: {first_line(error)}") from error
    except (duckdb.Error, OSError) as error:
        raise RunFileUnwritable(
            f"{path}: could not be written: {first_line(error)}; check free space and permissions, then run again."
        ) from error


def first_line(error: BaseException) -> str:
    """DuckDB's own words, without the drawing of where in the statement it stopped."""
    return str(error).strip().partition("\n")[0]


def _refusal(path: Path, error: duckdb.Error | OSError) -> NlareportError:
    words = first_line(error)
    if "different configuration" in words:
        return RunFileBusy(f"{path}: this process already holds it open for writing; close that connection first.")
    if "lock" in words.lower():
        holder = re.search(r"\(PID (\d+)\)", words)
        who = f"process {holder[1]}" if holder else "another process"
        return RunFileBusy(f"{path}: {who} holds it open for writing; wait until it is done, or stop it.")
    return RunFileUnreadable(
        f"{path}: is no run file, or is damaged ({words}); move it away and make it again with "
        '"nlareport run" or "nlareport import".'
    )


def _add_tables(connection: duckdb.DuckDBPyConnection, path: Path, version: int, read_only: bool) -> None:
    statements_of_tables = tables_since(version)
    if read_only:
        connection.execute(re.sub(r"^CREATE\b", "CREATE TEMP", statements_of_tables, flags=re.MULTILINE))
        return
    with writing(path):
        # One transaction: a process killed on the way leaves the older file whole.
        connection.execute("BEGIN")
        connection.execute(statements_of_tables)
        connection.execute(f"UPDATE run SET schema_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")


def _known_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    try:
        found = connection.execute("SELECT schema_version FROM run").fetchall()
    except duckdb.Error as error:
        raise RunFileUnreadable(
            f"{path}: is a DuckDB file without a run in it ({first_line(error)}); give the path of a run file."
        ) from error
    if not found:
        raise RunFileUnreadable(f"{path}: its run table is empty; move it away and make it again.")
    version = int(found[0][0])
    if not OLDEST_SCHEMA_VERSION <= version <= SCHEMA_VERSION:
        raise RunFileOfAnotherVersion(
            f"{path}: was written under schema version {version}, this nlareport reads versions "
            f"{OLDEST_SCHEMA_VERSION} to {SCHEMA_VERSION}; make it again, or use the nlareport that wrote it."
        )
    return version
