"""Keeps a run under another name, so that another can begin in its place."""

import os
from itertools import count
from pathlib import Path

from nlareport.errors import FileUnwritable, NlareportError, RunFileBusy, RunFileUnreadable
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_places import vectors_folder

MAGIC = b"DUCK"
"""What every DuckDB file says from its ninth byte on."""


def set_aside(db: Path) -> list[tuple[Path, Path]]:
    """Renames a run file, its log and its vectors to names that nothing has yet; gives former and new ones.

    Whatever of them is there is renamed, so also vectors whose run file is gone, and a run file that is damaged.

    Raises:
        RunFileBusy: another process holds the run file.
        RunFileUnreadable: what stands at the path was never a run file.
        FileUnwritable: the folder does not let it be renamed.
    """
    _refuse_others(db)
    if not any(_stands(path) for path in _places(db)):
        return []
    number = next(n for n in count(1) if not any(_stands(path) for path in _places(_numbered(db, n))))
    renamed = []
    for path, new in zip(_places(db), _places(_numbered(db, number)), strict=True):
        if _stands(path):
            _rename(path, new)
            renamed.append((path, new))
    return renamed


def _places(db: Path) -> list[Path]:
    """What belongs to a run: the log first, which a new run file would discard, and the vectors last."""
    return [db.with_name(f"{db.name}.wal"), db, vectors_folder(db)]


def _numbered(db: Path, number: int) -> Path:
    return db.with_name(f"{db.stem}.{number}{db.suffix}")


def _stands(path: Path) -> bool:
    return os.path.lexists(path)


def _refuse_others(db: Path) -> None:
    if not _stands(db):
        return
    try:
        DuckDBReader.open(db).close()
    except RunFileBusy:
        raise
    except NlareportError as error:
        # Damaged, or of another version: it may go. A file that was never a database is somebody's own.
        if not _is_database(db):
            raise RunFileUnreadable(
                f"{db}: is no run file, so it stays where it is; give the path of another --db."
            ) from error


def _is_database(db: Path) -> bool:
    try:
        with db.open("rb") as file:
            return file.read(12)[8:] == MAGIC
    except OSError:
        return False


def _rename(path: Path, new: Path) -> None:
    try:
        path.rename(new)
    except OSError as error:
        raise FileUnwritable(
            f"{path}: could not be renamed to {new.name} ({error.strerror}); check the permissions of its folder, "
            "then run again."
        ) from error
