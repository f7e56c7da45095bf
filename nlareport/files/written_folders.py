"""Folders that we write into and others may have their own files in: what we wrote stands in a manifest.

All files are made aside, within the folder, and take their places together. Only what the manifest of a former call
lists, and what is still as it was written by digest, is ever replaced or removed; no link is followed out of the
folder. The same files give the same manifest.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nlareport.errors import FolderOfOthers
from nlareport.files.atomic_files import ASIDE, aside_folder, disk_faults, settle, taking_turns, write_whole
from nlareport.shown import shown

MANIFEST = ".nlareport-manifest.json"
"""Hidden: it is no page, and mkdocs publishes no hidden files."""
LARGEST_MANIFEST = 64_000_000
"""Bytes. A site of a hundred thousand pages needs a fifth of it."""
MOST_NAMED = 3
"""Files that an error names; the others it counts."""

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


@dataclass(frozen=True, slots=True)
class WrittenFolder:
    """A folder while its files are made, or one below it."""

    root: Path
    """Where the files will stand."""
    staged: Path
    """Where they are made."""

    def below(self, name: str) -> "WrittenFolder":
        """A folder in this one."""
        return WrittenFolder(self.root / name, self.staged / name)

    def file(self, name: str) -> Path:
        """Where to make the file that will stand at `name`; the folders it needs are there."""
        path = self.staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def names(self) -> list[str]:
        """Every file made so far, in order, with slashes."""
        found = [path for path in self.staged.rglob("*") if path.is_file()]
        return sorted(path.relative_to(self.staged).as_posix() for path in found)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a folder is written."""

    kind: str
    """What stands in it, such as `report`: a folder of another kind is not taken for a former one of this kind."""
    elsewhere: str = "--out NEW"
    """How another folder is given, as an error advises it."""
    is_shared: bool = False
    """Whether files of others may stand in it from the beginning. They are never touched, either way."""
    reads: tuple[Path, ...] = ()
    """Files and folders that are being read, and must not be written or removed."""
    is_settled: bool = False
    """Whether the disk is asked to keep every file before its name shows: slow for thousands of pages, which can be
    made again."""


@contextmanager
def written_folder(root: Path, terms: Terms) -> Iterator[WrittenFolder]:
    """A folder to fill; its files take their places when the block ends without an error, and former ones go.

    Raises:
        FolderOfOthers: files of others stand where ours would, or, unless it is shared, anywhere in it.
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    was_there = os.path.lexists(root)
    try:
        with aside_folder(root / terms.kind, told=root) as aside:
            _refuse_strangers(root, terms)
            _refuse_sources(root, ["."], terms)
            folder = WrittenFolder(root, aside / "files")
            folder.staged.mkdir()
            yield folder
            with disk_faults(root), taking_turns(root):
                _refuse_strangers(root, terms)
                _install(folder, terms)
    except BaseException:
        if not was_there:
            with suppress(OSError):
                root.rmdir()
        raise


def read_manifest(root: Path) -> Manifest:
    """What a former call wrote into the folder; nothing when it has no manifest.

    Raises:
        FolderOfOthers: what stands there in its place is none.
    """
    path = root / MANIFEST
    if not os.path.lexists(path):
        return Manifest(None, {})
    try:
        if not _is_file(path) or path.stat().st_size > LARGEST_MANIFEST:
            raise ValueError("it is no file, or too large")
        return _manifest(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderOfOthers(
            f"{path}: is no list of files that nlareport wrote ({error}), so it cannot be told what here is a user's; "
            "move it away, or write into a new folder."
        ) from error


def _manifest(content: Any) -> Manifest:
    """A manifest whose names all stay in its folder.

    Raises:
        ValueError: it is made otherwise.
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


def _refuse_strangers(root: Path, terms: Terms) -> None:
    """Refuses a folder that is not empty and not of a former call."""
    former = read_manifest(root)
    others = {name for name in os.listdir(root) if not ASIDE.fullmatch(name)} - {MANIFEST}
    if terms.is_shared or not others:
        return
    if former.kind is None:
        raise FolderOfOthers(
            f"{root}: is not empty, and nlareport did not write what is in it; give an empty or new folder with "
            f"{terms.elsewhere}, or --force to write beside it, which replaces and removes nothing of it."
        )
    if former.kind != terms.kind:
        raise FolderOfOthers(
            f"{root}: holds a {shown(former.kind)} that nlareport wrote, and a {terms.kind} would take its place; "
            f"give an empty or new folder with {terms.elsewhere}, or --force to have it replaced."
        )


def _install(folder: WrittenFolder, terms: Terms) -> None:
    """Puts the files in their places, and takes away those of the former call that have no successor."""
    root, before = folder.root, read_manifest(folder.root)
    former = before.files
    made = {name: _digest(folder.staged / name) for name in folder.names()}
    standing = {name: _digest_of_plain(root, name) for name in {*made, *former}}
    # What stands there already stays, whoever wrote it; it is ours only when it was before.
    written = {name: digest for name, digest in made.items() if standing[name] != digest}
    stale = [name for name in former if name not in made and standing[name] in former[name]]
    if not before.is_finished:
        # Of what the killed call removed an empty folder may be left.
        stale += [name for name in former if name not in made and _is_free(root, name)]
    _refuse_conflicts(root, former, standing, written, terms)
    _refuse_sources(root, [*written, *stale], terms)
    ours = {name: frozenset({digest}) for name, digest in made.items() if name in written or name in former}
    # First the names and both contents of each: whoever is killed on the way leaves nothing that is not known as ours.
    both = {name: former.get(name, frozenset()) | ours.get(name, frozenset()) for name in {*former, *ours}}
    if written or stale:
        _write_manifest(root, Manifest(terms.kind, both, is_finished=False))
    for name in written:
        if terms.is_settled:
            settle(folder.staged / name)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.staged / name).replace(root / name)
    for name in stale:
        _remove(root, name)
    _write_manifest(root, Manifest(terms.kind, ours))


def _write_manifest(root: Path, manifest: Manifest) -> None:
    content, path = _manifest_bytes(manifest), root / MANIFEST
    if not _is_file(path) or path.read_bytes() != content:
        write_whole(path, content)


def _refuse_conflicts(
    root: Path, former: Digests, standing: Mapping[str, str | None], written: Iterable[str], terms: Terms
) -> None:
    """Refuses to put a file where something else stands than what a former call wrote."""
    taken = sorted(
        name for name in written if not _is_free(root, name) and standing[name] not in former.get(name, frozenset())
    )
    if taken:
        named = ", ".join(shown(name) for name in taken[:MOST_NAMED])
        more = f" and {len(taken) - MOST_NAMED} more" if len(taken) > MOST_NAMED else ""
        raise FolderOfOthers(
            f"{root}: what stands at {named}{more} is not as nlareport wrote it, and a file of the {terms.kind} "
            f"belongs there; nothing was changed. Move it away, or give an empty or new folder with {terms.elsewhere}."
        )


def _refuse_sources(root: Path, names: Iterable[str], terms: Terms) -> None:
    """Refuses to write what stands at or below something that is being read."""
    real = Path(os.path.realpath(root))
    sources = {Path(os.path.realpath(path)): path for path in terms.reads}
    for name in names:
        for source, path in sources.items():
            if (real / name).is_relative_to(source):
                raise FolderOfOthers(
                    f"{path}: is being read, and would be replaced, removed or written into by what goes to {root}; "
                    f"nothing was changed. Give an empty or new folder with {terms.elsewhere}."
                )


def _is_free(root: Path, name: str) -> bool:
    """Whether nothing stands at the name, and nothing but folders on the way to it."""
    return _has_plain_way(root, name) and not os.path.lexists(root / name)


def _has_plain_way(root: Path, name: str) -> bool:
    """Whether only folders, or nothing, stand on the way to the name: no link, no file."""
    for part in list(PurePosixPath(name).parents)[:-1]:
        path = root / part
        if os.path.lexists(path) and not stat.S_ISDIR(path.lstat().st_mode):
            return False
    return True


def _digest_of_plain(root: Path, name: str) -> str | None:
    """The digest of the file at the name; None when none stands there, or only by way of a link."""
    # What cannot be read is not known as ours.
    with suppress(OSError):
        return _digest(root / name) if _has_plain_way(root, name) and _is_file(root / name) else None
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_file(path: Path) -> bool:
    """Whether a file stands there, and no link to one."""
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)


def _remove(root: Path, name: str) -> None:
    """Removes a file, and the folders above it that are empty then."""
    (root / name).unlink(missing_ok=True)
    for part in list(PurePosixPath(name).parents)[:-1]:
        try:
            (root / part).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return
