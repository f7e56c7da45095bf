"""Opens run files, and nothing but run files: anything else at a path is refused before DuckDB runs any of it.

Returns a connection to a file that is known to hold only what is nlareport's own, with every table of this schema
version, and that reaches no other file and no network.
"""

import os
import stat
from contextlib import closing
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
from nlareport.store.migrations import OLDER, OLDEST_SCHEMA_VERSION, SCHEMA_VERSION, migrate, stand_in
from nlareport.store.ownership import catalog, refuse_foreign, refuse_lacking

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
    # Unset, they are taken from environment variables, and any SELECT could read those here.
    "http_proxy": "none",
    "secret_directory": "none",
    "lock_configuration": "true",
}

READER_SETTINGS = {
    **SETTINGS,
    # Reading leaves no file anywhere: what does not fit into memory is refused and not written next to the run file.
    "temp_directory": "",
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
    """A connection to an existing run file of this schema version or an earlier one.

    An older file opened for writing is brought to this version. One opened for reading stays as it is: the connection
    is to a database in memory that shows its rows in the tables of this version.

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
        version = _examined_version(connection, path)
    except BaseException:
        connection.close()
        raise
    if read_only and version == SCHEMA_VERSION:
        return connection
    connection.close()
    if read_only:
        return _stand_in_for(path)
    # Only now: to open for writing is to play a log into the file for good.
    if version < SCHEMA_VERSION:
        _bring_to_this_version(path, version)
    return _open_for_writing(path, SETTINGS)


def in_memory(settings: dict[str, str] | None = None) -> duckdb.DuckDBPyConnection:
    """A connection to an empty database that is no file and reaches none."""
    return duckdb.connect(":memory:", config=dict(SETTINGS if settings is None else settings))


def make_at(path: Path, block_size: int) -> duckdb.DuckDBPyConnection:
    """A connection to a new, empty database at a path where nothing stands; it reaches no other file."""
    options = f"TYPE duckdb, STORAGE_VERSION '{STORAGE_VERSION}', BLOCK_SIZE {block_size}"
    return _attached(path.absolute(), "run_file", options, SETTINGS, is_default=True)


def _stand_in_for(path: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory with the tables of this version and the rows of the older file at a path."""
    with refusals.reading(path):
        connection = _attached(Path(os.path.realpath(path)), OLDER, "READ_ONLY", READER_SETTINGS, is_default=False)
        try:
            stand_in(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _attached(
    place: Path, name: str, options: str, settings: dict[str, str], *, is_default: bool
) -> duckdb.DuckDBPyConnection:
    """A connection to an empty database in memory, with the one at `place` attached and no other file in reach."""
    # What can be set only once the file is attached, which is itself a reach outside.
    afterwards = ("enable_external_access", "lock_configuration")
    connection = in_memory({key: value for key, value in settings.items() if key not in afterwards})
    try:
        quoted = str(place).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS {name} ({options})")
        if is_default:
            connection.execute(f"USE {name}")
        for key in afterwards:
            connection.execute(f"SET {key} = {settings[key]}")
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
    """What DuckDB left next to a file that a killed process had not settled, and plays when it opens the file."""
    file = os.path.realpath(path)
    return [log for ending in LOG_ENDINGS if os.path.lexists(log := Path(f"{file}{ending}"))]


def _open(path: Path, settings: dict[str, str], *, read_only: bool) -> duckdb.DuckDBPyConnection:
    with refusals.reading(path):
        # The whole path: DuckDB takes beginnings such as md: and ~ for more than names. And where a link leads, or its
        # log would lie next to the link.
        return duckdb.connect(os.path.realpath(path), read_only=read_only, config=dict(settings))


def _open_for_writing(path: Path, settings: dict[str, str]) -> duckdb.DuckDBPyConnection:
    try:
        return _open(path, settings, read_only=False)
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


def _examined_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The schema version of a file in which everything is ours and nothing is missing."""
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
    refuse_foreign(path, found, version)
    refuse_lacking(path, found, version)
    return version


def _bring_to_this_version(path: Path, version: int) -> None:
    # Settled into the file by the commit itself: DuckDB cannot play a log that makes a table with a check.
    settings = {**SETTINGS, "checkpoint_threshold": "1KB"}
    with closing(_open_for_writing(path, settings)) as connection, refusals.writing(path):
        migrate(connection, version)
