"""What a part of vectors says of its own origin: what made them, and of which text each of them is.

A part carries both as notes: `making` names everything its vectors rest on, `read` has for each item a digest of what
was read. So vectors that come from elsewhere are recognized in any folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from nlareport.store.vectors.parquet_parts import damaged, part_notes

MAKING = "making"
READ = "read"

ReadDigests = Mapping[int, str]
"""For each item a digest of what is read for it."""
NOTHING_KNOWN: ReadDigests = MappingProxyType({})


def vector_notes(making: Mapping[str, str], read: ReadDigests) -> dict[str, str]:
    """The notes of a part."""
    by_item = {str(item_id): read[item_id] for item_id in sorted(read)}
    return {MAKING: json.dumps(dict(making)), READ: json.dumps(by_item)}


def noted_making(path: Path) -> dict[str, str] | None:
    """What made the vectors of a part; None where an earlier version or another tool wrote it.

    Raises:
        ActivationsDamaged: the part is not what was written.
    """
    notes = part_notes(path)
    return _mapping(path, notes[MAKING]) if MAKING in notes else None


def noted_reading(path: Path) -> dict[int, str]:
    """The digest of what was read for each item of a part; empty where it does not say.

    Raises:
        ActivationsDamaged: the part is not what was written.
    """
    return {int(item_id): digest for item_id, digest in _mapping(path, part_notes(path).get(READ, "{}")).items()}


def _mapping(path: Path, text: str) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise damaged(path, "says of its own origin what cannot be read") from error
