"""Draws the heatmap as a file, for a paper or a slide; on the page it is a table.

Takes the matrix, returns the drawing.
"""

from typing import Any

import altair as alt

from nlareport import figure_text
from nlareport.render.charts.chart_style import FILE_INKS, file_svg, in_order, look
from nlareport.render.charts.colours import LIGHT, heat_step, step_colours
from nlareport.render.report.query_rows import MatrixCell

EXPLAINED = "fve_nrm with its 95% interval. Rows write, columns read; red is a pair reading itself."


def matrix_file(cells: list[MatrixCell], title: str) -> str | None:
    """The drawing as a file that stands alone under the run's title; None without a value."""
    if all(cell.fve_nrm is None for cell in cells):
        return None
    axis: dict[str, Any] = {"domain": False, "ticks": False, "labelAngle": 0, "labelPadding": 8}
    columns = alt.X(
        "target:N", sort=in_order(cell.target_label for cell in cells), title=None, axis=alt.Axis(orient="top", **axis)
    )
    rows = alt.Y("source:N", sort=in_order(cell.source_label for cell in cells), title=None, axis=alt.Axis(**axis))
    base = alt.Chart().encode(x=columns, y=rows)
    ink = alt.Color("ink:N", scale=None)
    chart = alt.LayerChart(
        data=alt.InlineData(values=[_square(cell) for cell in cells]),
        layer=[
            base.mark_rect(stroke=FILE_INKS.paper, strokeWidth=3).encode(color=alt.Color("background:N", scale=None)),
            base.mark_text(fontSize=20, dy=-8).encode(text="value:N", color=ink),
            base.mark_text(fontSize=12, dy=14).encode(text="interval:N", color=ink),
        ],
    ).properties(width=alt.Step(132), height=alt.Step(84), title=alt.TitleParams(title, subtitle=EXPLAINED))
    return file_svg(chart.configure(**look(FILE_INKS, padding=24)), "matrix")


def _square(cell: MatrixCell) -> dict[str, str]:
    """One cell as the drawing reads it."""
    if cell.fve_nrm is None:
        background, ink = FILE_INKS.rule, FILE_INKS.ink
    else:
        step = int(heat_step(cell.fve_nrm))
        background, ink = step_colours(LIGHT, "same" if cell.is_diagonal else "cross", step)
    return {
        "source": cell.source_label,
        "target": cell.target_label,
        "background": background,
        "ink": ink,
        "value": figure_text.signed(cell.fve_nrm),
        "interval": figure_text.interval(cell.ci_low, cell.ci_high),
    }
