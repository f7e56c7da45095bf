"""Opens run files, and nothing but run files: whatever else stands at a path is refused before DuckDB runs any of it.

Leaves a connection to a file that is known to hold only what is nlareport's own, with every table of this schema
version, and that reaches no other file and no network.
"""

import os
import re
import stat
from pathlib import Path

import duckdb

from nlareport.errors import (
    RunFileForbidden,
    RunFileLogRefused,
    RunFileMissing,
    RunFileOfAnotherVersion,
    RunFileUnreadable,
)
from nlareport.store import refusals
from nlareport.store.ownership import Entry, catalog, refuse_foreign, refuse_lacking
from nlareport.store.sql_files import tables_since

SCHEMA_VERSION = 6
"""Version of store/sql/schema.sql; a run file says in `run.schema_version` which one it was made under."""

OLDEST_SCHEMA_VERSION = 1
"""Since then tables and views have only been added, so an older file needs nothing but the ones it lacks."""

STORAGE_VERSION = "v1.4.0"
"""Oldest DuckDB that can read our files: pages open them in the browser with DuckDB-WASM 1.32, which is a 1.4."""

SETTINGS = {
    # Whoever sends SQL, or a file, may reach that file and nothing else of this machine or the network.
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}

READER_SETTINGS = {
    **SETTINGS,
    # Reading leaves no file anywhere: what does not fit into memory is refused and not laid beside the run file.
    "temp_directory": "",
    # Unset, they are taken from environment variables, and any SELECT could read those here.
    "http_proxy": "none",
    "secret_directory": "none",
}

LOG_ENDINGS = (".wal", ".wal.checkpoint", ".wal.recovery")

KNOWN_BEGINNINGS = {
    b"SQLite format 3\0": "a SQLite database",
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
}
"""What people hand in for run files; DuckDB would open the first two in its own way."""


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection to an existing run file, whatever tables it lacked when it was written.

    An older file opened for writing gets them for good; one opened for reading stays as it is, and the connection
    alone sees them, empty.

    Raises:
        RunFileMissing: nothing stands at the path.
        RunFileUnreadable: it is no run file, or is damaged.
        RunFileForeign: it holds something that nlareport did not put there.
        RunFileLogRefused: the log beside it belongs to another file, or is damaged.
        RunFileOfAnotherVersion: it was written under a schema version, or by a DuckDB, that is not known here.
        RunFileBusy: another process, or another connection of this one, holds it.
        RunFileForbidden: the system does not let it be opened.
        RunFileUnwritable: it is to be written, and the disk or its permissions forbid that.
    """
    refuse_unusable_name(path)
    _refuse_other_kinds(path)
    connection = _open(path, READER_SETTINGS, read_only=True)
    try:
        version, found = _examined(connection, path)
        if not read_only:
            # Only now: to open for writing is to play a log into the file for good.
            connection.close()
            connection = _open_for_writing(path)
        if version < SCHEMA_VERSION:
            _add_tables(connection, path, version, read_only)
            found = catalog(connection, "temp")
        refuse_lacking(path, found)
    except BaseException:
        connection.close()
        raise
    return connection


def in_memory(settings: dict[str, str] | None = None) -> duckdb.DuckDBPyConnection:
    """A connection to an empty database that is no file and reaches none."""
    return duckdb.connect(":memory:", config=dict(SETTINGS if settings is None else settings))


def make_at(path: Path, block_size: int) -> duckdb.DuckDBPyConnection:
    """A connection to a new, empty database at a path where nothing stands; it reaches no other file."""
    # What can be set only once the file is attached, which is itself a reach outside.
    afterwards = ("enable_external_access", "lock_configuration")
    connection = in_memory({name: value for name, value in SETTINGS.items() if name not in afterwards})
    try:
        place = str(path.absolute()).replace("'", "''")
        connection.execute(
            f"ATTACH '{place}' AS run_file (TYPE duckdb, STORAGE_VERSION '{STORAGE_VERSION}', BLOCK_SIZE {block_size})"
        )
        connection.execute("USE run_file")
        for name in afterwards:
            connection.execute(f"SET {name} = {SETTINGS[name]}")
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_unusable_name(path: Path) -> None:
    """Pass when DuckDB takes the path for what it is.

    Raises:
        RunFileForbidden: it would look elsewhere.
    """
    # It writes the log of a?b to a.wal?b, and reads a backslash as a slash.
    if unusable := next((character for character in "?\\" if character in str(path)), None):
        raise RunFileForbidden(
            f"{path}: DuckDB cannot keep a file whose path has {unusable} in it; rename the file or folder (and the "
            ".activations folder beside it), then give the new path."
        )


def logs_of(path: Path) -> list[Path]:
    """What DuckDB left beside a file that a killed process had not settled, and plays when it opens the file."""
    file = os.path.realpath(path)
    return [log for ending in LOG_ENDINGS if os.path.lexists(log := Path(f"{file}{ending}"))]


def _open(path: Path, settings: dict[str, str], *, read_only: bool) -> duckdb.DuckDBPyConnection:
    with refusals.reading(path):
        # The whole path: DuckDB takes beginnings such as md: and ~ for more than names. And where a link leads, or its
        # log would lie beside the link.
        return duckdb.connect(os.path.realpath(path), read_only=read_only, config=dict(settings))


def _open_for_writing(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return _open(path, SETTINGS, read_only=False)
    except RunFileForbidden as error:
        # It has just been read, so only writing is forbidden.
        cause = error.__cause__
        if isinstance(cause, (duckdb.Error, OSError)) and refusals.is_forbidden(cause):
            raise refusals.on_writing(path, cause) from cause
        raise


def _refuse_other_kinds(path: Path) -> None:
    """Pass when what stands at the path begins as a DuckDB database does."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise RunFileUnreadable(f"{path}: is a folder; give the path of a run file, such as {path / 'run.duckdb'}.")
        if not stat.S_ISREG(status.st_mode):
            raise RunFileUnreadable(f"{path}: is no file but a pipe or device; give the path of a run file.")
        with path.open("rb") as file:
            beginning = file.read(16)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunFileMissing(
            f'{path}: no run file stands here; make one with "nlareport run" or "nlareport import".'
        ) from error
    except OSError as error:
        raise refusals.on_opening(path, error) from error
    if beginning[8:12] != b"DUCK":
        known = [name for start, name in KNOWN_BEGINNINGS.items() if beginning.startswith(start)]
        what = known[0] if known else "no DuckDB database" if beginning else "empty (0 bytes)"
        raise RunFileUnreadable(f"{path}: is {what}, so no run file; give another path: this file is left as it is.")
    # DuckDB would wait at a pipe without end.
    if odd := next((log for log in logs_of(path) if not log.is_file()), None):
        raise RunFileLogRefused(
            f"{path}: the log beside it, {odd}, is no file; move it away (the run file is sound without it), then "
            "repeat the command."
        )


def _examined(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, frozenset[Entry]]:
    """The schema version of a file in which everything is ours, and what it holds."""
    with refusals.reading(path):
        found = catalog(connection)
    # Before anything foreign is named: nobody should be told to take their own tables out of their own database.
    if not {"run_id", "schema_version"} <= {entry.column for entry in found if entry.table == "run"}:
        raise RunFileUnreadable(f"{path}: is a DuckDB file without a run in it; give the path of a run file.")
    refuse_foreign(path, found)
    with refusals.reading(path):
        versions = connection.execute("SELECT schema_version FROM run").fetchall()
    if not versions:
        raise RunFileUnreadable(f"{path}: its run table is empty; give the path of another run file.")
    version = int(versions[0][0])
    if not OLDEST_SCHEMA_VERSION <= version <= SCHEMA_VERSION:
        raise RunFileOfAnotherVersion(
            f"{path}: was written under schema version {version}, this nlareport reads versions "
            f"{OLDEST_SCHEMA_VERSION} to {SCHEMA_VERSION}; use the nlareport that wrote it, or make it again here."
        )
    return version, found


def _add_tables(connection: duckdb.DuckDBPyConnection, path: Path, version: int, read_only: bool) -> None:
    statements_of_tables = tables_since(version)
    if read_only:
        connection.execute(re.sub(r"^CREATE\b", "CREATE TEMP", statements_of_tables, flags=re.MULTILINE))
        return
    with refusals.writing(path):
        # One transaction: a process killed on the way leaves the older file whole.
        connection.execute("BEGIN")
        connection.execute(statements_of_tables)
        connection.execute(f"UPDATE run SET schema_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
