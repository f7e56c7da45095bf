"""Draws every cell's value and interval, grouped by target, with the target's ceiling as a line.

Takes the matrix, returns the drawing for a page or for a file.
"""

import altair as alt
from markupsafe import Markup

from nlareport import figure_text
from nlareport.render.charts.chart_style import (
    FILE_INKS,
    LABEL_LIMIT,
    PAGE_INKS,
    Inks,
    can_be_drawn,
    file_svg,
    in_order,
    inline_svg,
    look,
)
from nlareport.render.report.query_rows import MatrixCell

LABEL = "Value and 95% interval of every cell, grouped by target"
EXPLAINED = "fve_nrm with its 95% interval, grouped by the pair that reads; the dashed line is its ceiling."
NARROW = 400
"""A plot below this width, in CSS pixels, has no room for figures beside its bars and headings."""


def interval_chart(cells: list[MatrixCell], width: int, name: str) -> Markup | None:
    """The drawing inside a page; None without a value that can be drawn.

    `width` is that of the plot in CSS pixels; `name` keeps the ids of two drawings on one page apart.
    """
    if not can_be_drawn(value for cell in cells for value in (cell.fve_nrm, cell.ci_low, cell.ci_high, cell.ceiling)):
        return None
    return inline_svg(_groups(cells, width, PAGE_INKS).configure(**look(PAGE_INKS)), name, LABEL)


def interval_file(cells: list[MatrixCell], title: str) -> str | None:
    """The drawing as a file that stands alone under the run's title; None without a value that can be drawn."""
    if not can_be_drawn(value for cell in cells for value in (cell.fve_nrm, cell.ci_low, cell.ci_high, cell.ceiling)):
        return None
    chart = _groups(cells, 680, FILE_INKS).properties(title=alt.TitleParams(title, subtitle=EXPLAINED))
    return file_svg(chart.configure(**look(FILE_INKS, padding=24)), "intervals")


def _groups(cells: list[MatrixCell], width: int, inks: Inks) -> alt.FacetChart:
    """One group a target, in the order of pairs."""
    known = [cell for cell in cells if cell.fve_nrm is not None]
    header = alt.Header(
        title=None, labelOrient="top", labelAnchor="start", labelAngle=0, labelPadding=-6, labelFontWeight=600
    )
    layers = alt.LayerChart(
        data=alt.InlineData(values=[_row(cell, width) for cell in known]),
        layer=_layers([cell.source_label for cell in cells], width, inks),
    )
    return layers.properties(width=width, height=alt.Step(24)).facet(
        row=alt.Row("target:N", sort=in_order(_target_title(cell, width) for cell in cells), header=header), spacing=22
    )


def _layers(sources: list[str], width: int, inks: Inks) -> list[alt.Chart]:
    """One group: the ceiling, an interval per source, a tick at its value and, where there is room, the figure."""
    label_axis = alt.Axis(domain=False, ticks=False, labelPadding=10, minExtent=_label_room(sources))
    y = alt.Y("source:N", sort=in_order(sources), title=None, axis=label_axis)
    low = alt.X("low:Q", scale=alt.Scale(zero=False, nice=True), axis=_value_axis(width, inks), title="fve_nrm")
    roles = alt.Scale(domain=["same-model", "cross-model"], range=[inks.same, inks.cross])
    colour = alt.Color("role:N", scale=roles, legend=None)
    base = alt.Chart()
    layers = [
        base.mark_rule(strokeWidth=1.25, strokeDash=[4, 3], color=inks.quiet).encode(x=alt.X("ceiling:Q")),
        base.mark_bar(height=9, opacity=0.4).encode(x=low, x2="high:Q", y=y, color=colour),
        base.mark_tick(thickness=2.5, height=16, opacity=1).encode(x=alt.X("value:Q"), y=y, color=colour),
    ]
    if width < NARROW:
        return layers
    figure = base.encode(x=alt.X("high:Q"), y=y, text="figure:N")
    # The first of the two keeps the figure readable where a ceiling runs behind it.
    halo = figure.mark_text(align="left", dx=7, fontSize=12, color=inks.paper, stroke=inks.paper, strokeWidth=4)
    return [*layers, halo, figure.mark_text(align="left", dx=7, fontSize=12, color=inks.quiet)]


def _value_axis(width: int, inks: Inks) -> alt.Axis:
    return alt.Axis(
        tickCount=max(3, width // 100),
        domain=False,
        ticks=False,
        gridColor=inks.rule,
        labelPadding=8,
        labelFlush=False,
        format=".2f",
    )


def _row(cell: MatrixCell, width: int) -> dict[str, str | float | None]:
    """One cell as the chart reads it; without an interval the bar has no length."""
    return {
        "source": cell.source_label,
        "target": _target_title(cell, width),
        "role": "same-model" if cell.is_diagonal else "cross-model",
        "value": cell.fve_nrm,
        "figure": figure_text.signed(cell.fve_nrm),
        "low": cell.fve_nrm if cell.ci_low is None else cell.ci_low,
        "high": cell.fve_nrm if cell.ci_high is None else cell.ci_high,
        "ceiling": cell.ceiling,
    }


def _target_title(cell: MatrixCell, width: int) -> str:
    """What stands above a target's group; a narrow drawing has no room for the ceiling's figure."""
    title = f"→ {cell.target_label}"
    return title if width < NARROW else f"{title}, ceiling {figure_text.signed(cell.ceiling)}"


def _label_room(labels: list[str]) -> int:
    """Room for the longest label in whatever font the reader has; Vega measures in another."""
    return 18 + min(round(1.2 * LABEL_LIMIT), round(7.5 * max(len(label) for label in labels)))
