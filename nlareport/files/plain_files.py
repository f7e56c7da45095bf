"""Looks at files by name without following links: what is there, its digest, and its removal."""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath


def has_plain_way(root: Path, name: str) -> bool:
    """Whether there are only folders, or nothing, on the way to the name: no link, no file."""
    for part in list(PurePosixPath(name).parents)[:-1]:
        path = root / part
        if os.path.lexists(path) and not stat.S_ISDIR(path.lstat().st_mode):
            return False
    return True


def digest_of_plain(root: Path, name: str) -> str | None:
    """The digest of the file at the name; None when there is none, or only by way of a link."""
    # What cannot be read is not known as ours.
    with suppress(OSError):
        return digest_of(root / name) if has_plain_way(root, name) and is_plain_file(root / name) else None
    return None


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_plain_file(path: Path) -> bool:
    """Whether there is a file, and no link to one."""
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)


def remove_with_empty_folders(root: Path, name: str) -> None:
    """Removes a file, and the folders above it that are empty then."""
    (root / name).unlink(missing_ok=True)
    for part in list(PurePosixPath(name).parents)[:-1]:
        try:
            (root / part).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return
