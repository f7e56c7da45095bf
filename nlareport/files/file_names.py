"""Makes safe names of files and folders from untrusted ids: a run's, a pair's, those of both sides of a cell.

An id may be any text; a name made from it stays within its folder on every system, and no two ids share one.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable

ORDINARY = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
"""Ids that are names as they are: no separator, no leading dot, which hides, no dot at the end, which Windows drops."""
RESERVED = re.compile(r"(?:con|nul|aux|prn|conin|conout|(?:com|lpt)[0-9])(?:\..*)?", re.IGNORECASE)
"""Names that are devices on Windows, with any ending."""
LONGEST = 120
"""Characters of an ordinary name; endings still come to it, and names end at 255 bytes."""
MARK = "~"
"""In no ordinary name: an id that is spelled like a name made for another gets a name of its own."""


def file_name(*ids: str, joint: str = "--") -> str:
    """A name for the ids together: they themselves where that is safe and unambiguous, else one with their digest.

    Names of different ids differ. Those of ordinary ids may differ in case alone, which some systems do not see.
    """
    plain = joint.join(ids)
    is_safe = ORDINARY.fullmatch(plain) and len(plain) <= LONGEST and not RESERVED.fullmatch(plain)
    return plain if is_safe and _is_clear(ids, joint) else _name_with_digest(ids, joint)


def distinct_names(ids: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A name for each id, no two of them alike even where case is not seen, and none of those that are taken.

    Of ids that differ in case alone the first keeps its name.
    """
    names: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    for each in ids:
        if each not in names:
            plain = file_name(each)
            names[each] = _name_with_digest((each,), "") if plain.casefold() in used else plain
            used.add(names[each].casefold())
    return names


def _name_with_digest(ids: tuple[str, ...], joint: str) -> str:
    """A name made unique by a digest of the ids; it begins with what is readable of them."""
    # As JSON: an id may hold surrogates, which no encoding takes, and joined ids may be split in two ways.
    digest = hashlib.sha256(json.dumps([joint, *ids]).encode()).digest()
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", joint.join(ids)[:LONGEST]).strip("-")[:40].strip("-") or "id"
    return f"{readable}{MARK}{base64.b32encode(digest).decode()[:20].lower()}"


def _is_clear(ids: tuple[str, ...], joint: str) -> bool:
    """Whether the joined ids can be split in one way only: `a--b--c` may be two pairs of ids."""
    plain = joint.join(ids)
    return len(ids) == 1 or (all(ids) and sum(plain.startswith(joint, at) for at in range(len(plain))) == len(ids) - 1)
