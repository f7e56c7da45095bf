"""Tables next to the matrix: measures that targets share, scores over graded items, and items flagged as outliers.

Takes a reader, returns answers. A run without vectors has none of the comparable figures, and the page says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nlareport.ports import RunReader
from nlareport.render.links import browse_href
from nlareport.render.origins import Answer, ask
from nlareport.rows.measures import MEASURES, MeasureDeclaration
from nlareport.rows.run_rows import PairId

MOST_OUTLIERS = 20
"""Flagged items that the page lists; the sample browser has all of them."""


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One figure of one cell that can be compared between targets (``cell_measures``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    measure: str
    """Of `rows.measures.MEASURES`."""
    value: float
    ci_low: float | None
    ci_high: float | None
    chance: float | None
    n_scored: int | None


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """One cell with its figures by measure; a measure it lacks is not among them."""

    source_label: str
    target_label: str
    is_diagonal: bool
    figures: dict[str, MeasureRow]


@dataclass(frozen=True, slots=True)
class MeasureChance:
    """What a measure comes to by chance, over all cells (``measure_chances``)."""

    measure: str
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class GradedRow:
    """One cell over quarters of the items, lowest first (``graded_subsets``); None for a quarter without items."""

    property: Literal["context", "norm", "atypical"]
    target: PairId
    target_label: str
    source: PairId
    source_label: str
    is_diagonal: bool
    low: list[float | None]
    high: list[float | None]
    n_items: list[int | None]
    fve_nrm: list[float | None]
    ci_low: list[float | None]
    ci_high: list[float | None]


@dataclass(frozen=True, slots=True)
class OutlierCount:
    """How many items one pair flags (``outlier_counts``)."""

    pair_id: PairId
    label: str
    n_items: int
    n_norm: int
    n_near_duplicate: int
    n_sink: int
    largest_norm: float | None
    """Over the pair's median. None where no norm is flagged."""
    most_alike: int | None
    """Items of the largest group of explanations that nearly repeat each other."""


@dataclass(frozen=True, slots=True)
class OutlierItem:
    """One item that one pair flags (``outlier_items``)."""

    item_id: int
    pair_id: PairId
    label: str
    token: str
    norm_over_median: float | None
    """None where the norm is no reason."""
    n_alike: int | None
    """Items of which the pair said nearly the same. None where that is no reason."""
    is_sink: bool
    fve_home: float | None
    fve_abroad: float | None

    @property
    def cell_href(self) -> str:
        """The item in the sample browser, turned to the pair reading its own text."""
        return browse_href(self.pair_id, self.pair_id, self.item_id)


@dataclass(frozen=True, slots=True)
class Measures:
    """All of it."""

    cells: Answer[MeasureRow]
    chances: Answer[MeasureChance]
    graded: Answer[GradedRow]
    outlier_counts: Answer[OutlierCount]
    outliers: Answer[OutlierItem]

    @property
    def of_cell(self) -> dict[tuple[PairId, PairId], MeasuredCell]:
        """The figures of each cell by its source and target, in the order of pairs."""
        found: dict[tuple[PairId, PairId], MeasuredCell] = {}
        for row in self.cells.rows:
            cell = MeasuredCell(row.source_label, row.target_label, row.is_diagonal, {})
            found.setdefault((row.source, row.target), cell).figures[row.measure] = row
        return found

    @property
    def declared(self) -> Sequence[MeasureDeclaration]:
        """The measures in the order of the table's columns; one that only some runs have is left out of others."""
        found = {row.measure for row in self.cells.rows}
        return [measure for measure in MEASURES if not measure.is_rare or measure.name in found]

    @property
    def measured(self) -> Sequence[MeasureDeclaration]:
        """Those that some cell has."""
        known = {row.measure for row in self.cells.rows}
        return [measure for measure in MEASURES if measure.name in known]

    @property
    def chance_of(self) -> dict[str, list[float]]:
        """The lowest and the highest by chance, by measure."""
        return {row.measure: [row.lowest, row.highest] for row in self.chances.rows}

    @property
    def listed_outliers(self) -> list[OutlierItem]:
        """Those the page has room for."""
        return self.outliers.rows[:MOST_OUTLIERS]

    @property
    def n_unlisted(self) -> int:
        """How many more there are."""
        return max(0, len(self.outliers.rows) - MOST_OUTLIERS)


def read_measures(reader: RunReader) -> Measures:
    """What a run holds beside its matrix."""
    return Measures(
        cells=ask(reader, MeasureRow, "cell_measures"),
        chances=ask(reader, MeasureChance, "measure_chances"),
        graded=ask(reader, GradedRow, "graded_subsets"),
        outlier_counts=ask(reader, OutlierCount, "outlier_counts"),
        outliers=ask(reader, OutlierItem, "outlier_items"),
    )
