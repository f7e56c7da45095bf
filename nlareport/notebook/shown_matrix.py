"""A matrix as a value: its cells as a frame, and the heatmap that a notebook shows for it.

Takes a reader of a run; returns a `Matrix`.
"""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from nlareport.figure_text import signed
from nlareport.ports import RunReader
from nlareport.render.charts.matrix_chart import matrix_file
from nlareport.render.report.query_rows import MatrixCell, RunHead


@dataclass(frozen=True, eq=False)
class Matrix:
    """The cells of a run. As the last value of a notebook's cell it shows itself as the report's heatmap."""

    cells: pl.DataFrame
    """One row per source, target and subset of items, with the columns of the table ``cell``: ``fve_nrm``, its interval
    ``ci_low`` to ``ci_high``, ``n_scored`` and so on. No value where V is not known."""
    title: str
    _squares: list[MatrixCell] = field(repr=False)

    def svg(self) -> str | None:
        """The heatmap of all items as a file that stands alone, on its own paper; None without a value."""
        return matrix_file(self._squares, self.title)

    def __repr__(self) -> str:
        known = [cell for cell in self._squares if cell.fve_nrm is not None]
        figures = ", ".join(f"{cell.source} → {cell.target} {signed(cell.fve_nrm)}" for cell in known[:4])
        more = f" and {len(known) - 4} more" if len(known) > 4 else ""
        return f"<Matrix {self.title!r}: {figures or 'no value'}{more}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002 - IPython's shape
        """What a notebook may show, the drawing where there is one."""
        drawing = self.svg()
        return {"text/plain": repr(self), **({} if drawing is None else {"image/svg+xml": drawing})}


def read_matrix(reader: RunReader, cells: pl.DataFrame, subset: str = "all") -> Matrix:
    """The matrix over one subset of a run's items; `cells` are its rows."""
    title = reader.rows(RunHead, "report_run")[0].title
    return Matrix(cells, title, reader.rows(MatrixCell, "matrix", subset=subset))
