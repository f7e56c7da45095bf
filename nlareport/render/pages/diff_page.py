"""Writes the page that compares two runs: their differences as a heat table, the items that moved, how each was made.

Takes a `Comparison`, the two runs' heads and a folder; writes ``index.html`` and its downloads. It needs no script,
opens by double-click, and links to the runs' own reports only where it is told that they stand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlareport import __version__
from nlareport.comparison import Comparison, ItemDifference
from nlareport.files.written_folders import WrittenFolder
from nlareport.ports import in_batches
from nlareport.render import diff_text
from nlareport.render.charts.colours import FULL_SHIFT
from nlareport.render.report.query_rows import RunHead
from nlareport.render.report.sample_cards import MarkedContext, mark_token
from nlareport.render.report_folder import ReportFolder, SitePlace
from nlareport.render.text_tables import guarded

CONTEXT_TAIL = 180
"""Characters of context beside an item."""


@dataclass(frozen=True, slots=True)
class ReportPlace:
    """Where a run's report stands, as seen from the comparison's page."""

    folder: str
    """Such as ``../../pocket/``."""
    item_href: Callable[[int], str] | None = None
    """Where in that folder an item has its page. None when items have none."""

    def item(self, item_id: int) -> str | None:
        """The link to an item's page."""
        return None if self.item_href is None else self.folder + self.item_href(item_id)


NOWHERE: tuple[ReportPlace | None, ReportPlace | None] = (None, None)


@dataclass(frozen=True, slots=True)
class MovedItem:
    """One item that moved, as the page shows it."""

    item: ItemDifference
    context: MarkedContext | None
    """Its tail on one line, cut before the token. None when no run holds the text."""
    page_a: str | None
    page_b: str | None


def render_comparison(
    comparison: Comparison,
    heads: tuple[RunHead, RunHead],
    place: WrittenFolder,
    places: tuple[ReportPlace | None, ReportPlace | None] = NOWHERE,
    site: SitePlace | None = None,
) -> Path:
    """Where the page will stand, written with its downloads into the folder `place`.

    `site` is the one the page belongs to, if any.
    """
    folder = ReportFolder(place, heads[0], (("index.html", "Comparison"),), site)
    frames = {
        "cells.csv": diff_text.cell_frame(comparison),
        "items.csv": diff_text.item_frame(comparison),
        "protocol.csv": diff_text.protocol_frame(comparison),
    }
    downloads = {name: guarded(frame).write_csv() for name, frame in frames.items() if len(frame)}
    for name, content in downloads.items():
        folder.file(f"downloads/{name}", content)
    return folder.page(
        "index.html",
        "report/diff.html",
        title=f"{heads[0].run_id} and {heads[1].run_id} compared",
        comparison=comparison,
        sides=list(zip("AB", heads, (comparison.a, comparison.b), places, strict=True)),
        rows=in_batches(comparison.cells, len(comparison.pairs)),
        moved=[
            ("fell", _shown(comparison.fallen(diff_text.MOST_MOVED), places)),
            ("rose", _shown(comparison.risen(diff_text.MOST_MOVED), places)),
        ],
        cards=_shown(comparison.cards or [], places),
        cards_sentence=diff_text.cards_sentence(comparison),
        full_shift=FULL_SHIFT,
        shared=diff_text.shared_sentence(comparison),
        only=diff_text.only_sentences(comparison),
        downloads=list(downloads),
        nlareport_version=__version__,
    )


def _shown(items: Sequence[ItemDifference], places: tuple[ReportPlace | None, ReportPlace | None]) -> list[MovedItem]:
    in_a, in_b = places
    return [
        MovedItem(
            item=item,
            context=None if item.context is None else mark_token(_tail(item.context), item.token or ""),
            page_a=None if in_a is None else in_a.item(item.item_a),
            page_b=None if in_b is None else in_b.item(item.item_b),
        )
        for item in items
    ]


def _tail(context: str) -> str:
    """The context's end, its white space kept: the token may begin or end with some."""
    return context if len(context) <= CONTEXT_TAIL else f"…{context[-CONTEXT_TAIL:]}"
