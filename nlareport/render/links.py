"""Where a report's pages stand, seen from its root: what one page writes to lead to another."""

from urllib.parse import quote

from nlareport.rows import PairId


def cell_id(source: PairId, target: PairId) -> str:
    """The anchor of one cell on the report page."""
    return f"cell-{source}--{target}"


def browse_href(source: PairId, target: PairId) -> str:
    """The sample browser, turned to one cell."""
    return f"browse.html#cell={quote(source)}~{quote(target)}"


def item_href(item_id: int) -> str:
    """The page of one item."""
    return f"items/{item_id}.html"
