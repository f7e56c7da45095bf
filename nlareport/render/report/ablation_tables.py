"""Reads the ablations of a run for its page: tables of drops, and a drawing of what is left of a cut text.

Takes a reader; returns an `Ablations`, empty when no text was changed.
"""

from dataclasses import dataclass

from markupsafe import Markup

from nlareport.ports import RunReader
from nlareport.render.charts.ablation_chart import CutPoint, cut_chart
from nlareport.render.origins import Answer, ask
from nlareport.rows.ablation_methods import cut_of
from nlareport.rows.run_rows import PairId

AS_WRITTEN = "as_written"
WIDE, NARROW = 640, 250
"""Widths of the drawing's plots together, in CSS pixels."""


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One cell's texts as written, or under one change (``ablations``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    method: str
    """`as_written`, or what was done to the texts."""
    n_scored: int
    fve_nrm: float | None
    ci_low: float | None
    ci_high: float | None
    fve_drop: float | None
    """None as written: there is nothing to drop from."""
    drop_low: float | None
    drop_high: float | None


@dataclass(frozen=True, slots=True)
class AblatedItems:
    """How many items had their texts changed (``ablated_items``)."""

    n_changed: int | None
    """Counted from the first item. None where the run does not hold the single readings."""
    n_items: int

    @property
    def n_first(self) -> int | None:
        """How many of the run's items, the first, had their texts changed; None: all of them."""
        return None if self.n_changed == self.n_items else self.n_changed


@dataclass(frozen=True, slots=True)
class AblatedCell:
    """One cell as written and under each change."""

    written: AblationRow
    changed: dict[str, AblationRow]
    """By method; none for a method that was not asked of this cell."""


@dataclass(frozen=True, slots=True)
class Ablations:
    """Everything the page says of changed texts."""

    answer: Answer[AblationRow]
    items: Answer[AblatedItems]
    cells: list[AblatedCell]
    changes: list[str]
    """Methods that are no cut, in the experiment's order."""
    cuts: list[str]
    """Methods that are: first tokens before last ones, few before many."""
    charts: dict[str, Markup | None]
    """The same drawing for wide and for narrow windows; None without cuts."""

    def __bool__(self) -> bool:
        return bool(self.cells)


def read_ablations(reader: RunReader) -> Ablations:
    """What changed texts score."""
    answer = ask(reader, AblationRow, "ablations")
    methods = list(dict.fromkeys(row.method for row in answer.rows if row.method != AS_WRITTEN))
    points = cut_points(answer.rows)
    return Ablations(
        answer=answer,
        items=ask(reader, AblatedItems, "ablated_items"),
        cells=_cells(answer.rows),
        changes=[method for method in methods if cut_of(method) is None],
        cuts=[method for _, method in sorted((cut_of(method), method) for method in methods if cut_of(method))],
        charts={"wide": cut_chart(points, WIDE, "cuts-wide"), "narrow": cut_chart(points, NARROW, "cuts-narrow")},
    )


def cut_points(rows: list[AblationRow]) -> list[CutPoint]:
    """What is left of each cell at every cut; its texts as written stand at the end of each of its curves."""
    ends: dict[tuple[PairId, PairId], dict[str, None]] = {}
    for row in rows:
        if cut := cut_of(row.method):
            ends.setdefault((row.source, row.target), {})[cut.end] = None
    return [
        CutPoint(
            row.source_label, row.target_label, row.is_diagonal, end, n_tokens, row.fve_nrm, row.ci_low, row.ci_high
        )
        for row in rows
        for end, n_tokens in _places(row, list(ends.get((row.source, row.target), {})))
    ]


def _places(row: AblationRow, ends: list[str]) -> list[tuple[str, int | None]]:
    """The curves a row is a point of, by their end, and where: at a number of tokens, or as written."""
    if row.method == AS_WRITTEN:
        return [(end, None) for end in ends]
    cut = cut_of(row.method)
    return [] if cut is None else [(cut.end, cut.n_tokens)]


def _cells(rows: list[AblationRow]) -> list[AblatedCell]:
    found: dict[tuple[PairId, PairId], AblatedCell] = {}
    for row in rows:
        if row.method == AS_WRITTEN:
            found[row.source, row.target] = AblatedCell(row, {})
        else:
            found[row.source, row.target].changed[row.method] = row
    return list(found.values())
