"""The user's cache folder, and digests of large files kept in it: a file that has not changed is not read again.

A digest counts as long as the file has the size, times and inode number it had when it was read.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nlareport.errors import CheckpointChanged, FileUnwritable
from nlareport.files.atomic_files import write_whole

DIGESTS_NAME = "digests.json"
KEPT_FROM_BYTES = 1_000_000
"""Smaller files are read each time, which is as quick as looking them up."""
SETTLED_AFTER_S = 2.0
"""A file written less than this ago may be written again under the same times; its digest is not kept."""
CHUNK_BYTES = 1 << 22

Stamp = list[int]
"""Size, modification and change time in nanoseconds, and number of a file."""


def cache_folder() -> Path:
    """Where base models, wheels, built pairs and digests are kept: ``NLAREPORT_CACHE``, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nlareport"
    return Path(os.environ.get("NLAREPORT_CACHE", default))


def file_sha256(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """The digest of a file's content in hex; `advance` hears how many bytes were read.

    Raises:
        CheckpointChanged: somebody writes to the file meanwhile.
    """
    key, kept = _key(path), _kept_digests()
    if (known := kept.get(key)) and known[:-1] == _stamp(path.stat()):
        return str(known[-1])
    digest = hashlib.sha256()
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        # No further than it reached: a file that grows faster than it is read has no end.
        while file.tell() <= before.st_size and (chunk := file.read(CHUNK_BYTES)):
            digest.update(chunk)
            if advance is not None:
                advance(len(chunk))
    stamp = _stamp(path.stat())
    if stamp != _stamp(before):
        raise CheckpointChanged(f"{path}: was changed while it was being read; wait until it is whole, then run again.")
    if before.st_size >= KEPT_FROM_BYTES and time.time() - before.st_mtime > SETTLED_AFTER_S:
        _keep(key, [*stamp, digest.hexdigest()])
    return digest.hexdigest()


def unread_bytes(paths: Iterable[Path]) -> int:
    """How much of these files has to be read for their digests."""
    kept = _kept_digests()
    sizes = 0
    for path in paths:
        stamp = _stamp(path.stat())
        if kept.get(_key(path), [])[:-1] != stamp:
            sizes += stamp[0]
    return sizes


def _key(path: Path) -> str:
    # The hub's cache shows every file through a link.
    return str(path.resolve())


def _stamp(status: os.stat_result) -> Stamp:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _kept_digests() -> dict[str, list[int | str]]:
    return {key: entry for key, entry in kept_entries(DIGESTS_NAME).items() if isinstance(entry, list)}


def _keep(key: str, entry: list[int | str]) -> None:
    """Keeps one more digest, and forgets those of files that are gone."""
    _write(DIGESTS_NAME, {**{known: was for known, was in _kept_digests().items() if Path(known).exists()}, key: entry})


def kept_entries(name: str) -> dict[str, Any]:
    """What a file of the cache keeps by key; nothing where there is none of ours: then it is computed again."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads((cache_folder() / name).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}


def keep(name: str, key: str, entry: Any, most: int) -> None:
    """Keeps one more entry in a file of the cache, the newest `most` of them."""
    entries = {known: was for known, was in kept_entries(name).items() if known != key}
    _write(name, dict([*entries.items(), (key, entry)][-most:]))


def _write(name: str, content: dict[str, Any]) -> None:
    """Writes nothing where the cache is read-only."""
    with suppress(FileUnwritable):
        write_whole(cache_folder() / name, json.dumps(content).encode())
