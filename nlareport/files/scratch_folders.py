"""Hidden scratch folders next to a file or folder that is being written, and the removal of those left by a kill.

A scratch folder is locked while its process lives. What a killed process left is removed by the next one that writes
into the same folder; what it was about to replace goes back to its place.
"""

import hashlib
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nlareport.files.disk_faults import disk_faults
from nlareport.files.locks import is_running, lock, unlock

SCRATCH = re.compile(r"\..+\.nlareport-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}")
"""Names of scratch folders, with machine and process; nothing else has such a name."""
HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
LONGEST_STEM = 60
"""Characters of a file's own name in the name of its scratch folder: names end at 255 bytes."""
NEW, FORMER, LOCK = "new", "former", "lock"
"""In a scratch folder: what is being made, what it replaces, and the file that its process locks while it lives."""


@contextmanager
def scratch_folder(path: Path, blamed: Path | None = None) -> Iterator[Path]:
    """An empty hidden folder next to `path` while the block lasts; what is left in it then is removed.

    Errors name `blamed`, or `path` itself.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it, also where that happens within the block.
    """
    blamed = blamed or path
    with disk_faults(blamed):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_left_over(path)
        scratch, held = _claim(path)
    try:
        with disk_faults(blamed, within=scratch):
            yield scratch
    finally:
        unlock(held)
        shutil.rmtree(scratch, ignore_errors=True)


def clear_left_over(path: Path) -> None:
    """Removes what killed processes were making in the folder of `path`; what a living one makes stays."""
    with suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            if (found := SCRATCH.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False):
                _clear(Path(entry), found["host"], int(found["pid"]))
            elif (found := _former_pattern(path).fullmatch(entry.name)) and not entry.is_symlink():
                pid = found["pid"] or found["folder_pid"]
                _clear_unlocked(Path(entry), int(pid) if pid else None)


def _scratch_name(name: str) -> str:
    """A name for a folder in which this process makes `name`, different each time."""
    return f".{name[:LONGEST_STEM]}.nlareport-{HOST}-{os.getpid()}-{secrets.token_hex(4)}"


def _claim(path: Path) -> tuple[Path, int | None]:
    """A new scratch folder next to `path`, and the lock on it; no lock where the file system has none."""
    while True:
        scratch = path.with_name(_scratch_name(path.name))
        scratch.mkdir()
        # Another process may take it for left over before it is locked, and remove it; then another is made.
        with suppress(FileNotFoundError, BlockingIOError):
            held = lock(scratch / LOCK, os.O_RDWR | os.O_CREAT)
            if held is None or os.path.samestat(os.fstat(held), (scratch / LOCK).stat()):
                return scratch, held
            unlock(held)


def _clear(scratch: Path, host: str, pid: int) -> None:
    """Removes the folder when nobody locks it and its process is gone; what it was about to replace goes back."""
    if host == HOST and pid != os.getpid() and is_running(pid):
        return
    held = None
    with suppress(OSError):
        held = lock(scratch / LOCK, os.O_RDWR | os.O_CREAT)
        # Without locks a process of another machine, or another part of this one, may be at work in it.
        if held is not None or (host == HOST and pid != os.getpid()):
            for former in (scratch / FORMER).glob("*"):
                if not os.path.lexists(scratch.parent / former.name):
                    former.rename(scratch.parent / former.name)
            # Renamed first: of several that clear, one goes on, and nobody can begin to work in it.
            doomed = scratch.rename(scratch.with_name(_scratch_name("left")))
            unlock(held)
            held = None
            shutil.rmtree(doomed, ignore_errors=True)
    unlock(held)


def _former_pattern(path: Path) -> re.Pattern[str]:
    """Names under which earlier versions of nlareport made this very file or folder, with the process that did.

    A part of vectors had no process in its name: whoever wrote the part again overwrote it.
    """
    name = re.escape(path.name)
    return re.compile(rf"\.{name}\.creating-(?P<pid>\d+)(\.wal)?|{name}\.(?P<folder_pid>\d+)\.tmp|\.{name}\.writing")


def _clear_unlocked(left: Path, pid: int | None) -> None:
    """Removes what an earlier version, which knew no locks, left, unless the process that made it still runs."""
    if pid is None or not is_running(pid):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
