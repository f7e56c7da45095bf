"""Makes the addresses of cells in a report, seen from its root; those of items are made by `item_pages.ItemPages`.

Ids may say anything. Those that are names as they are keep the addresses they always had; others get a digest.
"""

from urllib.parse import quote

from nlareport.files.file_names import file_name
from nlareport.rows.run_rows import PairId

MOST_IN_FAMILY = 80
"""Characters of a family's name that stand in an address as they are."""


def cell_id(source: PairId, target: PairId, kind: str = "cell") -> str:
    """The anchor of one cell, or of what `kind` says belongs to it, on the report page."""
    return f"{kind}-{file_name(source, target)}"


def cell_name(source: PairId, target: PairId) -> str:
    """What the sample browser calls one cell in its address; no two cells have one name."""
    if file_name(source) == source and file_name(target) == target:
        return f"{source}~{target}"
    # No name of the first kind begins so, whatever the ids are.
    return f"~{file_name(source, target)}"


def pair_name(pair_id: PairId) -> str:
    """What the sample browser calls one pair in its address."""
    return file_name(pair_id)


def family_name(family: str) -> str:
    """What the sample browser calls a family in its address; forms and addresses change some white space."""
    is_plain = len(family) <= MOST_IN_FAMILY and family.isprintable() and family == family.strip() != ""
    return family if is_plain else file_name(family)


def browse_href(source: PairId, target: PairId, item_id: int | None = None) -> str:
    """The sample browser, turned to one cell, and to one item in it."""
    chosen = "" if item_id is None else f"&item={item_id}"
    return f"browse.html#cell={quote(cell_name(source, target), safe='~')}{chosen}"
