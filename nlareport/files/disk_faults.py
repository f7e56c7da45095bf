"""Turns what the disk refuses (no space, no permission, read-only) into one error with what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlareport.errors import FileUnwritable

DISK_ENDED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
"""Errors of writing that name no file."""
NEXT_STEPS = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some space in your quota",
    errno.EROFS: "choose a place on a disk that is not read-only",
    errno.EACCES: "choose a folder you may write to, or change its permissions",
    errno.EPERM: "choose a folder you may write to, or change its permissions",
    errno.ENOTDIR: "a file or a broken link is where a folder is needed: choose another place, or move it away",
    errno.EEXIST: "a file or a broken link is where a folder is needed: choose another place, or move it away",
    errno.EISDIR: "a folder has this name: choose another name, or move that folder away",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What to do about each."""


@contextmanager
def disk_faults(path: Path, within: Path | None = None) -> Iterator[None]:
    """Inside, an error of writing `path` becomes ours; with `within`, errors about files elsewhere pass unchanged.

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
        # What the block reads elsewhere is not our business: a missing model is no fault of this disk.
        if within is not None and not is_ours:
            raise
        next_step = NEXT_STEPS.get(error.errno or 0, "check the disk")
        raise FileUnwritable(
            f"{path}: could not be written ({error.strerror or error}); {next_step}, then run again."
        ) from error
