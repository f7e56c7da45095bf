"""Reads the matrix for its heatmap: every cell under four views, why a view is not available, and by values of tags.

Takes a reader; returns the cells with what each view needs. Which view is seen is up to the page's CSS.
"""

from dataclasses import dataclass
from itertools import groupby

from nlareport import figure_text
from nlareport.ports import RunReader
from nlareport.render.links import browse_href, cell_id
from nlareport.render.origins import Answer, ask
from nlareport.render.report.query_rows import Counts, MatrixCell
from nlareport.render.report.tag_tables import TagCell, Tags, read_tags

MOST_TAG_VIEWS = 12
"""Values of tags that the heatmap can show; the style sheet has rules for as many."""


@dataclass(frozen=True, slots=True)
class ScoredItems:
    """Whether there are single items to turn to (``scored_items``)."""

    n_items: int


@dataclass(frozen=True, slots=True)
class HeatView:
    """One thing the heatmap can show in its cells."""

    name: str
    """value, ceiling, null, outliers, or tag-1 and so on: part of class names."""
    label: str
    absence: str | None
    """Why the run cannot be seen this way; None when it can."""


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One cell with what its four views show."""

    cell: MatrixCell
    without_outliers: MatrixCell
    """The same cell over the items that carry no outlier flag."""
    tagged: list[TagCell | None]
    """The same cell over the items with one value of a tag, for each such view."""
    has_items: bool
    """Whether the sample browser can list this cell's items."""

    @property
    def anchor(self) -> str:
        """The cell's permalink id."""
        return cell_id(self.cell.source, self.cell.target)

    @property
    def href(self) -> str:
        """Where the cell leads: to its items, or else to itself."""
        return browse_href(self.cell.source, self.cell.target) if self.has_items else f"#{self.anchor}"


@dataclass(frozen=True, slots=True)
class Heat:
    """The whole heatmap."""

    all_items: Answer[MatrixCell]
    without_outliers: Answer[MatrixCell]
    views: list[HeatView]
    tag_views: list[HeatView]
    """One for each value of a tag, as far as there is room."""
    tags: Tags
    rows: list[list[HeatCell]]
    """One list a source, in the order of pairs."""

    @property
    def shown_views(self) -> list[HeatView]:
        """The views the run has figures for, those of tags apart."""
        return [view for view in self.views if view.absence is None]

    @property
    def relations(self) -> set[str]:
        """How source and target of the cells that have a value stand to each other."""
        return {square.cell.relation for row in self.rows for square in row if square.cell.fve_nrm is not None}

    @property
    def has_others(self) -> bool:
        """Whether any target read another source's texts."""
        return bool(self.relations - {"same-model"})

    @property
    def others_are_models(self) -> bool:
        """Whether those texts all came from other models or blocks: from neither versions nor sources of texts."""
        return not self.relations & {"cross-version", "text"}

    @property
    def has_fractions(self) -> bool:
        """Whether any cell off the diagonal can be held against its target's ceiling."""
        cells = [square.cell for row in self.rows for square in row]
        return any(cell.ceiling_fraction is not None for cell in cells if not cell.is_diagonal)

    @property
    def without_ceiling(self) -> list[str]:
        """The targets without a cell of their own, by label."""
        return [square.cell.target_label for square in self.rows[0] if square.cell.ceiling is None] if self.rows else []


def read_heat(reader: RunReader, counts: Counts) -> Heat:
    """The heatmap of a run; `counts` say what of nulls and outliers is known when the cells do not."""
    all_items = ask(reader, MatrixCell, "matrix", subset="all")
    without_outliers = ask(reader, MatrixCell, "matrix", subset="without_outliers")
    has_items = reader.rows(ScoredItems, "scored_items")[0].n_items > 0
    tags = read_tags(reader)
    subsets = [(table.name, value) for table in tags.tables for value in table.values][:MOST_TAG_VIEWS]
    tagged = {(cell.source, cell.target, cell.name, cell.value): cell for cell in tags.cells.rows}
    cells = [
        HeatCell(cell, without, [tagged.get((cell.source, cell.target, *subset)) for subset in subsets], has_items)
        for cell, without in zip(all_items.rows, without_outliers.rows, strict=True)
    ]
    rows = [list(row) for _, row in groupby(cells, lambda square: square.cell.source)]
    tag_views = [
        HeatView(f"tag-{place}", f"{name} = {value}", None) for place, (name, value) in enumerate(subsets, start=1)
    ]
    return Heat(all_items, without_outliers, _views(cells, counts), tag_views, tags, rows)


def _views(cells: list[HeatCell], counts: Counts) -> list[HeatView]:
    """The four views in their order."""
    has_fractions = any(cell.cell.ceiling_fraction is not None for cell in cells)
    has_nulls = any(cell.cell.null_fve is not None for cell in cells)
    has_outliers = any(cell.without_outliers.fve_nrm is not None for cell in cells)
    return [
        HeatView("value", "value", None),
        HeatView("ceiling", "fraction of ceiling", None if has_fractions else "no diagonal is above 0"),
        HeatView("null", "shuffled null", None if has_nulls else _why_no_nulls(counts)),
        HeatView("outliers", "without outliers", None if has_outliers else _why_no_outliers(counts)),
    ]


def _why_no_nulls(counts: Counts) -> str:
    if counts.null_low is None or counts.null_high is None:
        return "the run has none"
    return f"only their range is known: {figure_text.signeds([counts.null_low, counts.null_high], 2)}"


def _why_no_outliers(counts: Counts) -> str:
    return (
        "items were not checked for outliers"
        if counts.n_outliers is None
        else "cells were not computed without outliers"
    )
