"""Reads what a run with several explanations of an item shows of them: spread, best of k, agreement, and their texts.

Takes a reader; gives None, and so leaves the page as it is, where no item has a second draw.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from nlareport.ports import RunReader
from nlareport.render.charts.best_of_chart import BestPoint, best_of_chart
from nlareport.render.origins import Answer, ask
from nlareport.rows.run_rows import PairId


@dataclass(frozen=True, slots=True)
class SourceDraws:
    """How often one source wrote of an item, and how alike its texts are (``draw_agreement``)."""

    source: PairId
    source_label: str
    n_draws: int
    """The most of an item."""
    n_explanations: int
    n_items: int | None
    """Items whose texts were compared. None where none were."""
    jaccard: float | None
    ci_low: float | None
    ci_high: float | None
    chance: float | None


@dataclass(frozen=True, slots=True)
class CellSpread:
    """How far one cell's scores differ within and between items (``draw_spreads``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    n_draws: int | None
    """The most of an item. None where the run holds no score of a single draw."""
    n_items: int
    n_scores: int
    sd_within: float
    within_low: float | None
    within_high: float | None
    sd_between: float | None
    between_low: float | None
    between_high: float | None
    share_within: float | None


@dataclass(frozen=True, slots=True)
class DrawnText:
    """One explanation of an item that has several by its source (``item_draws``)."""

    item_id: int
    source: PairId
    draw: int
    text: str | None
    completion: str | None
    own_fve_nrm: float | None
    is_best: bool
    """It scores highest with its own pair's reconstructor, and another one lower."""
    is_worst: bool


TextsOfItem = Mapping[PairId, list[DrawnText]]
"""The draws of one item by source, in order; only sources with several."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What the section on draws shows."""

    agreement: Answer[SourceDraws]
    spread: Answer[CellSpread]
    best: Answer[BestPoint]
    charts: dict[str, Markup | None]
    """The same drawing for wide and for narrow windows."""

    @property
    def n_draws(self) -> int:
        """The most explanations that an item has by one source."""
        return max([row.n_draws for row in self.agreement.rows] + [row.n_draws or 0 for row in self.spread.rows])

    @property
    def is_uneven(self) -> bool:
        """Whether items have different numbers of draws, so that later points of a curve are of fewer items."""
        return any(len({point.n_items for point in curve}) > 1 for curve in self.best_by_cell.values())

    @property
    def best_by_cell(self) -> dict[tuple[PairId, PairId], list[BestPoint]]:
        """The curve of every cell."""
        curves: dict[tuple[PairId, PairId], list[BestPoint]] = defaultdict(list)
        for point in self.best.rows:
            curves[point.source, point.target].append(point)
        return curves


def read_draws(reader: RunReader) -> Draws | None:
    """What a run holds of several draws; None where no item has more than one."""
    agreement, spread = ask(reader, SourceDraws, "draw_agreement"), ask(reader, CellSpread, "draw_spreads")
    if not agreement and not spread:
        return None
    best = ask(reader, BestPoint, "best_of_k")
    widths = {"wide": (4, 540), "narrow": (2, 208)}
    charts = {name: best_of_chart(best.rows, *size, f"best-of-{name}") for name, size in widths.items()}
    return Draws(agreement, spread, best, charts)


def read_texts(reader: RunReader, first: int, last: int) -> dict[int, TextsOfItem]:
    """The draws of the items from one id to another, by item; only items with several."""
    found: dict[int, dict[PairId, list[DrawnText]]] = defaultdict(lambda: defaultdict(list))
    for row in reader.rows(DrawnText, "item_draws", first=first, last=last):
        found[row.item_id][row.source].append(row)
    return {item_id: dict(of_item) for item_id, of_item in found.items()}
