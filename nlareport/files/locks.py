"""Locks on files and folders, which end with the process that holds them; without effect where there are none.

Windows has no such locks, and some network file systems have none either.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Processes that enter this with the same folder do so one after the other."""
    held = lock(folder, os.O_RDONLY, waits=True)
    try:
        yield
    finally:
        unlock(held)


def lock(path: Path, flags: int, *, waits: bool = False) -> int | None:
    """The lock on a file or folder, opened with `flags`; None where the file system has none.

    Raises:
        BlockingIOError: another process holds it, and this one does not wait.
    """
    if sys.platform == "win32":
        return None
    handle = os.open(path, flags)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle


def unlock(held: int | None) -> None:
    """Releases what `lock` returned."""
    if held is not None:
        os.close(held)


def is_running(pid: int) -> bool:
    """Whether a process has this number; True when that cannot be known."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
