"""The list that nlareport keeps of the files it wrote into a folder: which are its own, by their digests.

Reads and writes the manifest; refuses one that names files outside its folder.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nlareport.errors import FolderOfOthers
from nlareport.files.atomic_files import write_whole
from nlareport.files.plain_files import is_plain_file
from nlareport.shown import shown

MANIFEST = ".nlareport-manifest.json"
"""Hidden: it is no page, and mkdocs publishes no hidden files."""
LARGEST_MANIFEST = 64_000_000
"""Bytes. A site of a hundred thousand pages needs a fifth of it."""

Digests = dict[str, frozenset[str]]
"""By name, what a file may hold and be ours: the former content and the new one while a call is at work."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a former call wrote into a folder."""

    kind: str | None
    """None where there is no manifest."""
    files: Digests
    is_finished: bool = True
    """False while a call is at work, or when it was killed there."""


def read_manifest(root: Path) -> Manifest:
    """What a former call wrote into the folder; nothing when it has no manifest.

    Raises:
        FolderOfOthers: the file in its place is no manifest.
    """
    path = root / MANIFEST
    if not os.path.lexists(path):
        return Manifest(None, {})
    try:
        if not is_plain_file(path) or path.stat().st_size > LARGEST_MANIFEST:
            raise ValueError("it is no file, or too large")
        return _manifest(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderOfOthers(
            f"{path}: is no list of files that nlareport wrote ({error}), so a user's files cannot be told from ours; "
            "move it away, or write into a new folder."
        ) from error


def _manifest(content: Any) -> Manifest:
    """A manifest whose names all stay in its folder.

    Raises:
        ValueError: it has another form.
    """
    kind, files = (content.get("kind"), content.get("files")) if isinstance(content, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(files, dict):
        raise ValueError("it has no kind, or no files")
    for name, digests in files.items():
        if not _stays_within(name):
            raise ValueError(f"it names {shown(name)}")
        if not isinstance(digests, list) or not all(isinstance(digest, str) for digest in digests):
            raise ValueError(f"it has no digests for {shown(name)}")
    is_finished = content.get("is_finished", True) is True
    return Manifest(kind, {name: frozenset(digests) for name, digests in files.items()}, is_finished)


def _stays_within(name: str) -> bool:
    """Whether the name is one of a file below the folder; what no file system could take is refused as no text."""
    path = PurePosixPath(os.fsdecode(os.fsencode(name)))
    is_plain = str(path) == name and Path(name).anchor == "" and "\\" not in name and "\0" not in name
    return is_plain and name not in (".", MANIFEST) and ".." not in path.parts


def _manifest_bytes(manifest: Manifest) -> bytes:
    content = {
        "written_by": "nlareport",
        "kind": manifest.kind,
        "is_finished": manifest.is_finished,
        "files": {name: sorted(digests) for name, digests in sorted(manifest.files.items())},
    }
    return f"{json.dumps(content, indent=1)}\n".encode()


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Writes the list into its folder, unless it is there already.

    Raises:
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    content, path = _manifest_bytes(manifest), root / MANIFEST
    if not is_plain_file(path) or path.read_bytes() != content:
        write_whole(path, content)
