"""The names of checkpoints on the Hugging Face hub: ``owner/name``, with a revision, with a folder inside, or both.

Takes a name as an experiment file has it, returns its parts. Asks no network.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from nlareport.errors import CheckpointMissing

_NAME = re.compile(
    r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>\w[\w./-]*))?(?::(?P<folder>[\w.-][\w./ @-]*))?"
)

_FILES = ["*.json", "*.yaml", "*.jinja", "*.model", "*.txt"]
# Of pickles only a head's own file: it is opened without running code, and whole models are never read so.
_WEIGHTS = ["*.safetensors", "*head*.pt", "*head*.pth", "*head*.bin"]
LEFT_OUT = ["original/*"]
"""Files that hold the same weights a second time."""


@dataclass(frozen=True, slots=True)
class HubName:
    """A checkpoint on the hub."""

    repository: str
    revision: str | None
    """A branch, a tag or a commit. None: the default branch."""
    folder: str | None
    """Inside the repository. None: the repository itself."""

    def patterns(self, *, with_weights: bool) -> list[str]:
        """The files of a checkpoint that are downloaded."""
        named = [*_FILES, *_WEIGHTS] if with_weights else _FILES
        return [f"{self.folder}/{pattern}" for pattern in named] if self.folder else named

    def inside(self, snapshot: Path) -> Path:
        """The checkpoint's own folder in a snapshot of its repository.

        Raises:
            CheckpointMissing: the snapshot has no such folder.
        """
        directory = snapshot / self.folder if self.folder else snapshot
        if not directory.is_dir():
            raise CheckpointMissing(
                f"{self.repository}: has no folder {self.folder} with a checkpoint in it. Correct what comes after the "
                "colon, or the revision."
            )
        return directory


def hub_name(name: str) -> HubName | None:
    """The parts of a hub name; None when it is none."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    folder = None if found["folder"] is None else found["folder"].strip("/")
    if folder is not None and any(part in ("", ".", "..") for part in folder.split("/")):
        return None
    return HubName(found["repository"], found["revision"], folder)


def commit_of(directory: Path) -> str | None:
    """The commit that a folder of the hub's cache is a snapshot of; None of any other folder."""
    parts = directory.parts
    place = next((place for place, part in enumerate(parts) if part == "snapshots"), len(parts))
    is_cached = 0 < place < len(parts) - 1 and parts[place - 1].startswith("models--")
    return parts[place + 1] if is_cached else None
