"""Files and folders that are there whole or not at all: they are made aside and take their name at the end.

The one way to write what a reader must never meet half done. What is made lies in a hidden folder beside its place,
locked while its process lives; what a killed process left there is cleared by the next that writes into that folder.
"""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nlareport.errors import FileUnwritable

if sys.platform != "win32":
    import fcntl

ASIDE = re.compile(r"\..+\.nlareport-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}")
"""Names of the folders in which something is being made, with machine and process; nobody else calls a folder so."""
HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
LONGEST_STEM = 60
"""Characters of a file's own name in the name of the folder it is made in: names end at 255 bytes."""
NEW, FORMER, LOCK = "new", "former", "lock"
"""In such a folder: what is being made, what it takes the place of, and what its process locks while it lives."""

NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}
"""How file systems say that they know no hard links: exFAT, and some network shares."""
DISK_ENDED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
"""Faults of writing, which name no file."""
NEXT_STEPS = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some space in your quota",
    errno.EROFS: "choose a place on a disk that is not read-only",
    errno.EACCES: "choose a folder you may write to, or change its permissions",
    errno.EPERM: "choose a folder you may write to, or change its permissions",
    errno.ENOTDIR: "a file or a broken link stands where a folder is needed: choose another place, or move it away",
    errno.EEXIST: "a file or a broken link stands where a folder is needed: choose another place, or move it away",
    errno.EISDIR: "a folder stands under this name: choose another name, or move that folder away",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What to do about a refusal of the disk."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that its name shows the old content or the whole new one, even after a crash.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    with whole_file(path) as aside:
        aside.write_bytes(content)


@contextmanager
def whole_file(path: Path, *, replaces: bool = True) -> Iterator[Path]:
    """Where to make a file of the same name, which takes its place when the block ends without an error.

    With `replaces=False` it never takes the place of another: what another process finished first stays, and what was
    made here is dropped.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    with aside_folder(path) as aside:
        made = aside / NEW / path.name
        made.parent.mkdir()
        yield made
        settle(made)
        if replaces:
            made.replace(path)
        else:
            _take_free_name(made, path)


@contextmanager
def whole_folder(path: Path, *, replaces: bool = False) -> Iterator[Path]:
    """An empty folder to fill, of the same name, which takes its place when the block ends without an error.

    Of two processes that make the same the first one's stays. With `replaces=True` the new one takes the place of a
    former one, which stays until then.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    with aside_folder(path) as aside:
        made = aside / NEW / path.name
        made.mkdir(parents=True)
        yield made
        for file in made.rglob("*"):
            if file.is_file() and not file.is_symlink():
                settle(file)
        if replaces:
            (aside / FORMER).mkdir()
            with suppress(FileNotFoundError):
                path.rename(aside / FORMER / path.name)
        try:
            made.rename(path)
        except OSError:
            # Unless another process was first, the disk forbids it.
            if not path.exists():
                raise


@contextmanager
def aside_folder(path: Path, told: Path | None = None) -> Iterator[Path]:
    """An empty hidden folder beside `path`, ours while the block lasts; what is left in it then is dropped.

    Errors speak of `told`, or of `path` itself.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it, also where that happens within the block.
    """
    told = told or path
    with disk_faults(told):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_left_over(path)
        aside, lock = _claimed(path)
    try:
        with disk_faults(told, within=aside):
            yield aside
    finally:
        _unlock(lock)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Processes that enter this with the same folder do so one after the other, where the file system has locks."""
    lock = _locked(folder, os.O_RDONLY, waits=True)
    try:
        yield
    finally:
        _unlock(lock)


def settle(file: Path) -> None:
    """Has the disk keep a file's content before its name changes: after a crash a name must not show half of it."""
    # Read-only, as a copy of a read-only file is; Windows alone asks for more.
    written = os.open(file, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(written)
    finally:
        os.close(written)


def clear_left_over(path: Path) -> None:
    """Removes what killed processes were making in the folder of `path`; what a living one makes stays."""
    with suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            if (found := ASIDE.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False):
                _clear(Path(entry), found["host"], int(found["pid"]))
            elif (found := _former_pattern(path).fullmatch(entry.name)) and not entry.is_symlink():
                pid = found["pid"] or found["folder_pid"]
                _clear_unlocked(Path(entry), int(pid) if pid else None)


@contextmanager
def disk_faults(path: Path, within: Path | None = None) -> Iterator[None]:
    """Says in our words why `path` could not be written; what failed elsewhere than `within` stays as it was said.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    try:
        yield
    except OSError as error:
        places = [str(name) for name in (error.filename, error.filename2) if name is not None]
        is_ours = error.errno in DISK_ENDED or any(
            place == str(path) or place.startswith(str(within)) for place in places
        )
        # What the block reads elsewhere is not our business: a model that is missing is no fault of this disk.
        if within is not None and not is_ours:
            raise
        next_step = NEXT_STEPS.get(error.errno or 0, "check the disk")
        raise FileUnwritable(
            f"{path}: could not be written ({error.strerror or error}); {next_step}, then run again."
        ) from error


def _take_free_name(made: Path, path: Path) -> None:
    """Gives the file its name unless that is taken."""
    # Linking, unlike renaming, never puts itself over a file that another process finished first.
    try:
        os.link(made, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with suppress(FileExistsError):
            # Whoever makes the empty file has the name to themselves.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            try:
                made.replace(path)
            except BaseException:
                path.unlink()
                raise


def _name_aside(name: str) -> str:
    """A name for a folder in which this process makes `name`; it gives none twice."""
    return f".{name[:LONGEST_STEM]}.nlareport-{HOST}-{os.getpid()}-{secrets.token_hex(4)}"


def _claimed(path: Path) -> tuple[Path, int | None]:
    """A new folder beside `path`, and the lock on it; no lock where the file system has none."""
    while True:
        aside = path.with_name(_name_aside(path.name))
        aside.mkdir()
        # One that is taken for left over before it is locked is lost; then another is made.
        with suppress(FileNotFoundError, BlockingIOError):
            lock = _locked(aside / LOCK, os.O_RDWR | os.O_CREAT)
            if lock is None or os.path.samestat(os.fstat(lock), (aside / LOCK).stat()):
                return aside, lock
            _unlock(lock)


def _locked(path: Path, flags: int, *, waits: bool = False) -> int | None:
    """The lock on a file or folder, which ends with its process; None where the file system has none.

    Raises:
        BlockingIOError: another holds it, and this one does not wait.
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


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _clear(aside: Path, host: str, pid: int) -> None:
    """Removes the folder when nobody locks it and its process is gone; what it was about to replace goes back."""
    if host == HOST and pid != os.getpid() and _is_running(pid):
        return
    lock = None
    with suppress(OSError):
        lock = _locked(aside / LOCK, os.O_RDWR | os.O_CREAT)
        # Without locks a process of another machine, or another part of this one, may be at work in it.
        if lock is not None or (host == HOST and pid != os.getpid()):
            for former in (aside / FORMER).glob("*"):
                if not os.path.lexists(aside.parent / former.name):
                    former.rename(aside.parent / former.name)
            # Renamed first: of several that clear, one goes on, and nobody can begin to work in it.
            doomed = aside.rename(aside.with_name(_name_aside("left")))
            _unlock(lock)
            lock = None
            shutil.rmtree(doomed, ignore_errors=True)
    _unlock(lock)


def _former_pattern(path: Path) -> re.Pattern[str]:
    """Names under which earlier versions of nlareport made this very file or folder, with the process that did.

    A part of vectors had no process in its name: whoever wrote the part again overwrote it.
    """
    name = re.escape(path.name)
    return re.compile(rf"\.{name}\.creating-(?P<pid>\d+)(\.wal)?|{name}\.(?P<folder_pid>\d+)\.tmp|\.{name}\.writing")


def _clear_unlocked(left: Path, pid: int | None) -> None:
    """Removes what an earlier version left, which knew no locks, when its process is gone, if it had one."""
    if pid is None or not _is_running(pid):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    """Whether a process has this number; true when that cannot be known."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
