"""Makes the home page's index of a series: every run as a card with its own small matrix.

Takes a reader per run; returns HTML. All figures are answers of the report's own named queries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from nlareport.files.written_folders import WrittenFolder
from nlareport.ports import RunReader
from nlareport.render.report import query_rows
from nlareport.render.report_folder import SECTIONS
from nlareport.render.template_environment import template_environment
from nlareport.rows.run_rows import Pair, PairId

KINDS = {
    "computed": "Measured with nlareport",
    "published": "Figures of a published page",
    "imported": "Imported rows",
}
BEST_CELLS = (
    "Best cross-family cell", "Best cross-model cell", "Best cross-version cell", "Best diagonal",
    "Best cell of a text source",
)  # fmt: skip
"""Figures of ``hero_cells`` a card shows: the first that the run has."""


@dataclass(frozen=True, slots=True)
class Link:
    """A page as a reader chooses it."""

    title: str
    href: str


@dataclass(frozen=True, slots=True)
class RunCard:
    """One run as the home page shows it."""

    run: query_rows.RunHead
    kind: str
    counts: query_rows.Counts
    best: query_rows.HeroCell | None
    """None when no cell has a value yet."""
    pairs: list[Pair]
    matrix_rows: list[list[query_rows.MatrixCell]]
    links: list[Link]
    """The report first, then its other pages that a reader can turn to."""

    @property
    def numbers(self) -> dict[PairId, int]:
        """What rows and columns are called in the small matrix: the place of each pair."""
        return {pair.pair_id: place for place, pair in enumerate(self.pairs, start=1)}


def read_card(reader: RunReader, report: WrittenFolder, href: str) -> RunCard:
    """The card of the run whose report was written into the folder `report`, to stand at `href` of the site."""
    run = reader.rows(query_rows.RunHead, "report_run")[0]
    pairs = reader.rows(Pair, "pair_table")
    cells = reader.rows(query_rows.MatrixCell, "matrix", subset="all")
    heroes = {cell.figure: cell for cell in reader.rows(query_rows.HeroCell, "hero_cells")}
    return RunCard(
        run=run,
        kind=KINDS[run.kind],
        counts=reader.rows(query_rows.Counts, "report_counts")[0],
        best=next((heroes[figure] for figure in BEST_CELLS if figure in heroes), None),
        pairs=pairs,
        matrix_rows=[list(row) for _, row in groupby(cells, lambda cell: cell.source)],
        links=[Link(title, f"{href}/{name}") for name, title in SECTIONS if report.file(name).exists()],
    )


def series_index(cards: Sequence[RunCard], comparisons: Iterable[Link]) -> str:
    """The cards in their order, then the comparisons, as HTML for the home page."""
    template = template_environment().get_template("site/series.html")
    return template.render(cards=cards, comparisons=list(comparisons))
