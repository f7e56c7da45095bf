"""Writes reports, sites and bundles into folders where users may keep files of their own, which are never touched.

All files are made in a scratch folder within the folder and take their places together. A manifest lists what was
written. Only what the manifest of a former call lists, and what by its digest is still as it was written, is ever
replaced or removed; no link is followed out of the folder. The same files give the same manifest.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nlareport.errors import FolderOfOthers
from nlareport.files.atomic_files import settle
from nlareport.files.disk_faults import disk_faults
from nlareport.files.folder_manifests import MANIFEST, Digests, Manifest, read_manifest, write_manifest
from nlareport.files.locks import taking_turns
from nlareport.files.plain_files import (
    digest_of,
    digest_of_plain,
    has_plain_way,
    remove_with_empty_folders,
)
from nlareport.files.scratch_folders import SCRATCH, scratch_folder
from nlareport.shown import shown

MOST_NAMED = 3
"""Files that an error names; the others it counts."""


@dataclass(frozen=True, slots=True)
class WrittenFolder:
    """A folder while its files are made, or one below it."""

    root: Path
    """Where the files will be."""
    staged: Path
    """Where they are made."""

    def below(self, name: str) -> "WrittenFolder":
        """A folder in this one."""
        return WrittenFolder(self.root / name, self.staged / name)

    def file(self, name: str) -> Path:
        """Where to make the file that will be at `name`; the folders it needs exist."""
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
    """What it holds, such as `report`: a folder of another kind is not taken for a former one of this kind."""
    elsewhere: str = "--out NEW"
    """How another folder is given, as an error advises it."""
    is_shared: bool = False
    """Whether it may hold files of others from the beginning. They are never touched, either way."""
    reads: tuple[Path, ...] = ()
    """Files and folders that are being read, and must not be written or removed."""
    is_settled: bool = False
    """Whether the disk is asked to keep every file before its name shows: slow for thousands of pages, which can be
    made again."""


@contextmanager
def written_folder(root: Path, terms: Terms) -> Iterator[WrittenFolder]:
    """A folder to fill; its files take their places when the block ends without an error, and former ones go.

    Raises:
        FolderOfOthers: files of others are where ours would be, or, unless it is shared, anywhere in it.
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    was_there = os.path.lexists(root)
    try:
        with scratch_folder(root / terms.kind, blamed=root) as scratch:
            _refuse_strangers(root, terms)
            _refuse_sources(root, ["."], terms)
            folder = WrittenFolder(root, scratch / "files")
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


def _refuse_strangers(root: Path, terms: Terms) -> None:
    """Refuses a folder that is not empty and not of a former call."""
    former = read_manifest(root)
    others = {name for name in os.listdir(root) if not SCRATCH.fullmatch(name)} - {MANIFEST}
    if terms.is_shared or not others:
        return
    if former.kind is None:
        raise FolderOfOthers(
            f"{root}: is not empty, and nlareport did not write what is in it; give an empty or new folder with "
            f"{terms.elsewhere}, or --force to add to it, which replaces and removes nothing that is there."
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
    made = {name: digest_of(folder.staged / name) for name in folder.names()}
    standing = {name: digest_of_plain(root, name) for name in {*made, *former}}
    # What is there already stays, and is ours only when it was before.
    written = {name: digest for name, digest in made.items() if standing[name] != digest}
    stale = [name for name in former if name not in made and standing[name] in former[name]]
    if not before.is_finished:
        # Of what the killed call removed an empty folder may be left.
        stale += [name for name in former if name not in made and _is_free(root, name)]
    _refuse_conflicts(root, former, standing, written, terms)
    _refuse_sources(root, [*written, *stale], terms)
    ours = {name: frozenset({digest}) for name, digest in made.items() if name in written or name in former}
    # First the names and both contents of each: a kill on the way leaves nothing that is not known as ours.
    both = {name: former.get(name, frozenset()) | ours.get(name, frozenset()) for name in {*former, *ours}}
    if written or stale:
        write_manifest(root, Manifest(terms.kind, both, is_finished=False))
    for name in written:
        if terms.is_settled:
            settle(folder.staged / name)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.staged / name).replace(root / name)
    for name in stale:
        remove_with_empty_folders(root, name)
    write_manifest(root, Manifest(terms.kind, ours))


def _refuse_conflicts(
    root: Path, former: Digests, standing: Mapping[str, str | None], written: Iterable[str], terms: Terms
) -> None:
    """Refuses to put a file where there is something else than what a former call wrote."""
    taken = sorted(
        name for name in written if not _is_free(root, name) and standing[name] not in former.get(name, frozenset())
    )
    if taken:
        named = ", ".join(shown(name) for name in taken[:MOST_NAMED])
        more = f" and {len(taken) - MOST_NAMED} more" if len(taken) > MOST_NAMED else ""
        raise FolderOfOthers(
            f"{root}: what is at {named}{more} is not as nlareport wrote it, and a file of the {terms.kind} "
            f"belongs there; nothing was changed. Move it away, or give an empty or new folder with {terms.elsewhere}."
        )


def _refuse_sources(root: Path, names: Iterable[str], terms: Terms) -> None:
    """Refuses to write to a path at or below something that is being read."""
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
    """Whether there is nothing at the name, and nothing but folders on the way to it."""
    return has_plain_way(root, name) and not os.path.lexists(root / name)
