"""Where a cell stands in a report, seen from its root; where an item does is known to `items.ItemPages`."""

from urllib.parse import quote

from nlareport.rows import PairId


def cell_id(source: PairId, target: PairId) -> str:
    """The anchor of one cell on the report page."""
    return f"cell-{source}--{target}"


def browse_href(source: PairId, target: PairId, item_id: int | None = None) -> str:
    """The sample browser, turned to one cell, and to one item in it."""
    chosen = "" if item_id is None else f"&item={item_id}"
    return f"browse.html#cell={quote(source)}~{quote(target)}{chosen}"
