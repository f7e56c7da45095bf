"""Turns what the system and DuckDB say against a run file into our errors, each with advice that mends that fault.

Takes a path and a foreign error; returns ours. The only place that reads DuckDB's words.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from nlareport.errors import (
    NlareportError,
    RowRefused,
    RunFileBusy,
    RunFileForbidden,
    RunFileLogRefused,
    RunFileOfAnotherVersion,
    RunFileUnreadable,
    RunFileUnwritable,
)
from nlareport.shown import first_line

DAMAGED = r"corrupt|checksum|could not read enough bytes|invalid (bit|block)|deserializ|fatal"
FORBIDDEN = r"permission denied|read-only file system|not permitted"
FULL = r"no space left|file too large|quota|could not write all bytes"

ON_OPENING: list[tuple[str, type[NlareportError], str]] = [
    (
        "different configuration|unique file handle conflict",
        RunFileBusy,
        "this process already holds it open for writing; close that connection first.",
    ),
    ("conflicting lock.*read-only mode", RunFileBusy, "{holder} is reading it; wait until it is done, or stop it."),
    ("conflicting lock", RunFileBusy, "{holder} holds it open for writing; wait until it is done, or stop it."),
    (
        "could not set lock",
        RunFileForbidden,
        "could not be locked ({words}), as on some network shares; copy it to a local disk and open it there.",
    ),
    (
        "too many open files",
        RunFileForbidden,
        'too many files are open here; close some, or allow more with "ulimit -n 4096", then repeat the command.',
    ),
    (
        "replaying wal.*does not match",
        RunFileLogRefused,
        "the log beside it, {log}, belongs to another file; move that log away (the run file is sound without "
        "it), then repeat the command.",
    ),
    (
        "replaying wal",
        RunFileLogRefused,
        "the log beside it, {log}, cannot be read ({words}); move that log away: the run file keeps all that was "
        'settled before it, and "nlareport run" computes the rest again.',
    ),
    (
        FORBIDDEN,
        RunFileForbidden,
        "may not be opened by you ({words}); nothing is wrong with the file: ask its owner for the permission, or for "
        "a copy.",
    ),
    (
        "storage version|version number",
        RunFileOfAnotherVersion,
        "was written by a DuckDB whose files the {duckdb} here does not read; open it with the nlareport that wrote "
        'it, or run "nlareport export" there and import that bundle here.',
    ),
    (
        "without a key|encrypt",
        RunFileUnreadable,
        "is encrypted, and nlareport has no key to give; ask for a copy without encryption.",
    ),
    (
        "out of memory|cannot allocate|failed to allocate",
        RunFileForbidden,
        "reading it took more memory than there is ({words}); free some, then try again.",
    ),
    (
        DAMAGED,
        RunFileUnreadable,
        "is damaged ({words}); put back a copy of it, or move it away and make it again with the command that made it.",
    ),
]
"""What DuckDB may say, in the order in which it is looked for; our error for it; its sentence after the path."""


def on_opening(path: Path, error: duckdb.Error | OSError) -> NlareportError:
    """Why a file cannot be opened or read."""
    words = first_line(error)
    holder = re.search(r"\(PID (\d+)\)", words)
    facts = {
        "words": words,
        "log": f"{os.path.realpath(path)}.wal",
        "holder": f"process {holder[1]}" if holder else "another process",
        "duckdb": duckdb.__version__,
    }
    for said, kind, sentence in ON_OPENING:
        if _speaks_of(said, words):
            return kind(f"{path}: {sentence.format(**facts)}")
    return RunFileUnreadable(
        f"{path}: could not be read ({words}); keep the file, try a copy of it in another folder, and put back an "
        "earlier copy when that fails too."
    )


def on_writing(path: Path, error: duckdb.Error | OSError) -> NlareportError:
    """Why nothing could be written to a file."""
    words = first_line(error)
    if _speaks_of(DAMAGED, words):
        return on_opening(path, error)
    if isinstance(error, (duckdb.ConstraintException, duckdb.ConversionException)):
        return RowRefused(f"{path}: a row was refused and nothing was stored: {words}")
    if _speaks_of(FULL, words):
        advice = "free some space there, then run again: what was stored before is kept"
    elif _speaks_of(FORBIDDEN, words):
        advice = "its folder or the file itself may not be written by you; give a path in a folder of your own"
    elif _speaks_of("not a directory|file exists", words):
        advice = "a file stands where a folder is asked for; give another path"
    else:
        advice = "check free space and permissions, then run again"
    return RunFileUnwritable(f"{path}: could not be written: {words}; {advice}.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Lets DuckDB read within, and says in our words why it could not.

    Raises:
        RunFileUnreadable: the file is damaged; likewise the other refusals of opening one.
    """
    try:
        yield
    except RuntimeError as error:
        raise_if_stopped(error)
        raise
    except (duckdb.Error, OSError) as error:
        raise_if_stopped(error)
        raise on_opening(path, error) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Lets DuckDB write within, and says in our words why it would not.

    Raises:
        RowRefused: a row breaks a constraint of its table.
        RunFileUnwritable: the disk or the file's permissions forbid it.
    """
    try:
        yield
    except RuntimeError as error:
        raise_if_stopped(error)
        raise
    except (duckdb.Error, OSError) as error:
        raise_if_stopped(error)
        raise on_writing(path, error) from error


def raise_if_stopped(error: BaseException) -> None:
    """Passes on a Ctrl-C that came while DuckDB was at work, which it wraps in an error of its own.

    Raises:
        KeyboardInterrupt: it was one.
    """
    if isinstance(error, duckdb.InterruptException) or str(error) == "Query interrupted":
        raise KeyboardInterrupt from error


def is_damage(error: duckdb.Error) -> bool:
    """Whether DuckDB speaks of the file's bytes and not of what it was asked."""
    return isinstance(error, (duckdb.IOException, duckdb.FatalException)) or _speaks_of(DAMAGED, first_line(error))


def is_forbidden(error: BaseException | None) -> bool:
    """Whether the system speaks of permissions."""
    return isinstance(error, (duckdb.Error, OSError)) and _speaks_of(FORBIDDEN, first_line(error))


def _speaks_of(matter: str, words: str) -> bool:
    return bool(re.search(matter, words, re.IGNORECASE))
