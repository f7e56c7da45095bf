"""Draws how a linear map gains from more items: one small plot per cell, with what explanations score there as a line.

Takes points of learning curves, returns the drawing for a page.
"""

from dataclasses import dataclass

import altair as alt
from markupsafe import Markup

from nlareport.render.charts.chart_style import PAGE_INKS, can_be_drawn, in_order, inline_svg, look
from nlareport.rows.run_rows import PairId

LABEL = "What a linear map scores after more and more training items, one plot a cell, beside what explanations score"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a fitted method scores in one cell after so many items (``learning_curves``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    method: str
    n_items: int
    fve_nrm: float
    ci_low: float | None
    ci_high: float | None
    language_fve_nrm: float | None


def learning_chart(points: list[CurvePoint], columns: int, width: int, name: str) -> Markup | None:
    """The drawing inside a page, of at most so many `columns`; None without a curve, for which two sizes are needed.

    `width` is that of one plot in CSS pixels; `name` keeps the ids of two drawings on one page apart.
    """
    sizes = sorted({point.n_items for point in points})
    figures = [
        figure for point in points for figure in (point.fve_nrm, point.ci_low, point.ci_high, point.language_fve_nrm)
    ]
    if len(sizes) < 2 or not can_be_drawn(figures):
        return None
    n_sources = len({point.source for point in points if point.target == points[0].target})
    header = alt.Header(
        title=None, labelExpr="split(datum.label, '|')", labelAnchor="start", labelFontSize=11, labelLineHeight=14
    )
    layers = alt.LayerChart(data=alt.InlineData(values=[_row(point) for point in points]), layer=_layers(sizes))
    chart = layers.properties(width=width, height=96).facet(
        facet=alt.Facet("cell:N", sort=in_order(_title(point) for point in points), header=header),
        columns=max(1, min(columns, n_sources)),
        spacing={"row": 18, "column": 14},
    )
    return inline_svg(chart.configure(**look(PAGE_INKS)), name, LABEL)


def _layers(sizes: list[int]) -> list[alt.Chart]:
    """One plot: the line of language, and the map's curve with its interval."""
    axis = alt.Axis(values=sizes, labelOverlap=True, domain=False, ticks=False, grid=False, labelPadding=6, format="d")
    x = alt.X("n_items:Q", scale=alt.Scale(type="log", nice=False), axis=axis, title="training items")
    value_axis = alt.Axis(tickCount=3, domain=False, ticks=False, gridColor=PAGE_INKS.rule, format=".1f")
    y = alt.Y("low:Q", scale=alt.Scale(zero=True), axis=value_axis, title="fve_nrm")
    base = alt.Chart()
    return [
        base.mark_area(opacity=0.18, color=PAGE_INKS.ink).encode(x=x, y=y, y2="high:Q"),
        base.mark_rule(strokeWidth=2, color=PAGE_INKS.cross).encode(y=alt.Y("language:Q")),
        base.mark_line(strokeWidth=1.5, color=PAGE_INKS.ink).encode(x=x, y=alt.Y("value:Q")),
        base.mark_point(size=22, filled=True, opacity=1, color=PAGE_INKS.ink).encode(x=x, y=alt.Y("value:Q")),
    ]


def _row(point: CurvePoint) -> dict[str, str | float | None]:
    """One point as the chart reads it; without an interval the band has no height."""
    return {
        "cell": _title(point),
        "n_items": point.n_items,
        "value": point.fve_nrm,
        "low": point.fve_nrm if point.ci_low is None else point.ci_low,
        "high": point.fve_nrm if point.ci_high is None else point.ci_high,
        "language": point.language_fve_nrm,
    }


def _title(point: CurvePoint) -> str:
    """What stands above a plot, in two lines."""
    return f"{point.source_label}|→ {point.target_label}"
