"""Atomic writing: files and folders that are there whole or not at all, even after a crash.

They are made in a hidden scratch folder next to their place and take their name at the end. Everything that a reader
must never meet half written is written here.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nlareport.files.scratch_folders import FORMER, NEW, scratch_folder

NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}
"""How file systems say that they know no hard links: exFAT, and some network shares."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file in such a way that its name shows the old content or the whole new one, even after a crash.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    with whole_file(path) as scratch:
        scratch.write_bytes(content)


@contextmanager
def whole_file(path: Path, *, replaces: bool = True) -> Iterator[Path]:
    """Where to make a file of the same name, which takes its place when the block ends without an error.

    With `replaces=False` it never replaces another: what another process finished first stays, and what was made here
    is dropped.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    with scratch_folder(path) as scratch:
        made = scratch / NEW / path.name
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

    Of two processes that make the same one, the first one's stays. With `replaces=True` the new one replaces a former
    one, which stays until then.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    with scratch_folder(path) as scratch:
        made = scratch / NEW / path.name
        made.mkdir(parents=True)
        yield made
        for file in made.rglob("*"):
            if file.is_file() and not file.is_symlink():
                settle(file)
        if replaces:
            (scratch / FORMER).mkdir()
            with suppress(FileNotFoundError):
                path.rename(scratch / FORMER / path.name)
        try:
            made.rename(path)
        except OSError:
            # Unless another process was first, the disk forbids it.
            if not path.exists():
                raise


def settle(file: Path) -> None:
    """Has the disk keep a file's content before its name changes: after a crash a name must not show half of it."""
    # Read-only, as a copy of a read-only file is; Windows alone asks for more.
    written = os.open(file, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(written)
    finally:
        os.close(written)


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
