"""Reads what the page says by tag: for each tag its values' cells, and how two of its values differ.

Takes a reader; returns tables with one row a cell, and matrices of values against cells where a tag has more than two.
"""

from dataclasses import dataclass
from itertools import groupby

from nlareport.ports import RunReader
from nlareport.render.origins import Answer, ask
from nlareport.rows.run_rows import PairId
from nlareport.rows.tag_rows import TagDifference
from nlareport.statistics.tag_subsets import in_order

CellPlace = tuple[PairId, PairId]


@dataclass(frozen=True, slots=True)
class TagCount:
    """Of how many items a tag says one thing (``tags``)."""

    name: str
    value: str
    n_items: int


@dataclass(frozen=True, slots=True)
class TagCell:
    """One cell over the items with one value of a tag (``tag_cells``)."""

    name: str
    value: str
    n_items: int
    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    n_scored: int | None
    n_unscored: int | None
    fve_nrm: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledDifference(TagDifference):
    """How two values of a tag differ in one cell, with its pairs' labels (``tag_differences``)."""

    source_label: str
    target_label: str
    is_diagonal: bool

    @property
    def is_apart(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.ci_low is not None and self.ci_high is not None and (self.ci_low > 0 or self.ci_high < 0)


@dataclass(frozen=True, slots=True)
class TagRow:
    """One cell of the matrix under one tag."""

    source_label: str
    target_label: str
    is_diagonal: bool
    cells: list[TagCell | None]
    """In the order of the tag's values; None where no item with the value was scored."""
    differences: list[LabelledDifference | None]
    """In the order of the tag's comparisons."""


@dataclass(frozen=True, slots=True)
class TagTable:
    """One tag: its values and what they make of the cells."""

    name: str
    counts: list[TagCount]
    """Of every value, the most frequent first."""
    values: list[str]
    """Those with cells of their own, in order."""
    comparisons: list[tuple[str, str]]
    rows: list[TagRow]
    """The diagonal first."""

    @property
    def n_items(self) -> int:
        """Items that have the tag."""
        return sum(count.n_items for count in self.counts)

    @property
    def n_without_cells(self) -> int:
        """Values that have no cells of their own."""
        return len(self.counts) - len(self.values)

    @property
    def n_items_of(self) -> dict[str, int]:
        """How many items have each value."""
        return {count.value: count.n_items for count in self.counts}


@dataclass(frozen=True, slots=True)
class Tags:
    """All that the page says by tag; false for a run without tags."""

    counts: Answer[TagCount]
    cells: Answer[TagCell]
    differences: Answer[LabelledDifference]
    tables: list[TagTable]

    def __bool__(self) -> bool:
        return bool(self.counts)

    @property
    def shown(self) -> list[TagTable]:
        """The tags that have cells."""
        return [table for table in self.tables if table.rows]

    @property
    def without_cells(self) -> list[TagTable]:
        """The other tags, such as one that tells every item apart."""
        return [table for table in self.tables if not table.rows]

    @property
    def n_apart(self) -> int:
        """Differences whose interval leaves out 0."""
        return sum(difference.is_apart for difference in self.differences.rows)

    @property
    def n_with_interval(self) -> int:
        """Differences that have an interval."""
        return sum(difference.ci_low is not None for difference in self.differences.rows)


def read_tags(reader: RunReader) -> Tags:
    """What the run's tags say."""
    counts = ask(reader, TagCount, "tags")
    cells = ask(reader, TagCell, "tag_cells")
    differences = ask(reader, LabelledDifference, "tag_differences")
    tables = [
        _table(
            name,
            list(of_tag),
            [cell for cell in cells.rows if cell.name == name],
            [difference for difference in differences.rows if difference.name == name],
        )
        for name, of_tag in groupby(counts.rows, key=lambda count: count.name)
    ]
    return Tags(counts, cells, differences, tables)


def _table(name: str, counts: list[TagCount], cells: list[TagCell], differences: list[LabelledDifference]) -> TagTable:
    values = in_order(list(dict.fromkeys(cell.value for cell in cells)))
    place = {value: number for number, value in enumerate(values)}
    comparisons = sorted(
        dict.fromkeys((row.value, row.other_value) for row in differences),
        key=lambda two: [place.get(value, len(place)) for value in two],
    )
    cell_of = {(cell.source, cell.target, cell.value): cell for cell in cells}
    difference_of = {(row.source, row.target, row.value, row.other_value): row for row in differences}
    labels = {(cell.source, cell.target): cell for cell in cells}
    rows = [
        TagRow(
            label.source_label,
            label.target_label,
            label.is_diagonal,
            [cell_of.get((*key, value)) for value in values],
            [difference_of.get((*key, *two)) for two in comparisons],
        )
        for key, label in sorted(labels.items(), key=lambda entry: not entry[1].is_diagonal)
    ]
    return TagTable(name, counts, values, comparisons, rows)
