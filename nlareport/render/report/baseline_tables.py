"""Reads the baselines of a run for its page: what explanations score against other answers on the same items.

Takes a reader; returns one table, a row per cell and a column per method, and the linear map's learning curves.
"""

from dataclasses import dataclass

from markupsafe import Markup

from nlareport.ports import RunReader
from nlareport.render.charts.learning_chart import CurvePoint, learning_chart
from nlareport.render.origins import Answer, ask
from nlareport.rows.run_rows import PairId


@dataclass(frozen=True, slots=True)
class MethodScore:
    """What one method scores in one cell (``language_and_geometry``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    method: str
    """`language`, or that of a baseline."""
    fve_nrm: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """One row of the table."""

    source_label: str
    target_label: str
    is_diagonal: bool
    scores: list[MethodScore | None]
    """In the order of the table's methods; None where a method was not asked in this cell."""


@dataclass(frozen=True, slots=True)
class Baselines:
    """Everything the page shows of baselines."""

    answer: Answer[MethodScore]
    methods: list[str]
    """In the order of columns, language first."""
    cells: list[ComparedCell]
    curves: Answer[CurvePoint]
    charts: dict[str, Markup | None]
    """The same drawing for wide and for narrow windows."""

    @property
    def plain_methods(self) -> list[str]:
        """Those that read the plain text before an item."""
        return [method for method in self.methods if method.startswith("last_")]


def read_baselines(reader: RunReader) -> Baselines:
    """The baselines of a run, which may hold none, or only some."""
    answer = ask(reader, MethodScore, "language_and_geometry")
    curves = ask(reader, CurvePoint, "learning_curves")
    by_cell: dict[tuple[PairId, PairId], dict[str, MethodScore]] = {}
    for row in answer.rows:
        by_cell.setdefault((row.source, row.target), {})[row.method] = row
    # Any cell off the diagonal has them all, one on it lacks the map.
    methods = max((list(scores) for scores in by_cell.values()), key=len, default=[])
    return Baselines(
        answer=answer,
        methods=methods,
        cells=[_compared(scores, methods) for scores in by_cell.values()],
        curves=curves,
        charts={
            "wide": learning_chart(curves.rows, 3, 178, "curve-wide"),
            "narrow": learning_chart(curves.rows, 2, 118, "curve-narrow"),
        },
    )


def _compared(scores: dict[str, MethodScore], methods: list[str]) -> ComparedCell:
    first = next(iter(scores.values()))
    return ComparedCell(
        first.source_label, first.target_label, first.is_diagonal, [scores.get(method) for method in methods]
    )
