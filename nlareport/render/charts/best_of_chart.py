"""Draws what a cell scores when the best of k explanations is kept, against k: one small plot a target.

Takes the points of the curves, returns the drawing for a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
from markupsafe import Markup

from nlareport.render.charts.ablation_chart import DASHES
from nlareport.render.charts.chart_style import PAGE_INKS, can_be_drawn, in_order, inline_svg, look
from nlareport.rows.run_rows import PairId

LABEL = "What every cell scores when of k explanations of an item the best is kept, over k, one plot a target"
HEIGHT = 110
NARROW = 300


@dataclass(frozen=True, slots=True)
class BestPoint:
    """What one cell scores with the best of k draws (``best_of_k``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    k: int
    n_items: int
    fve_nrm: float
    ci_low: float | None
    ci_high: float | None


def best_of_chart(points: Sequence[BestPoint], columns: int, width: int, name: str) -> Markup | None:
    """The drawing inside a page, of at most so many `columns`; None without a curve, for which two k are needed.

    `width` is that of the plots together in CSS pixels; `name` keeps the ids of two drawings on one page apart.
    """
    figures = [figure for point in points for figure in (point.fve_nrm, point.ci_low, point.ci_high)]
    ks = sorted({point.k for point in points})
    if len(ks) < 2 or not can_be_drawn(figures):
        return None
    targets = in_order(_reading(point) for point in points)
    columns = min(columns, len(targets))
    header = alt.Header(title=None, labelAnchor="start", labelFontSize=12, labelFontWeight=600)
    data = alt.InlineData(values=[_row(point) for point in points])
    layers = _layers(ks, in_order(point.source_label for point in points), width)
    chart = (
        alt.LayerChart(data=data, layer=layers)
        .properties(width=width // columns, height=HEIGHT)
        .facet(
            facet=alt.Facet("target:N", sort=targets, header=header), columns=columns, spacing={"row": 14, "column": 14}
        )
    )
    return inline_svg(chart.configure(**look(PAGE_INKS)), name, LABEL)


def _layers(ks: list[int], sources: list[str], width: int) -> list[alt.Chart]:
    """One plot: the interval of a pair that reads itself, and a line with points per source."""
    axis = alt.Axis(values=ks, labelOverlap=True, domain=False, ticks=False, grid=False, labelPadding=6, format="d")
    x = alt.X("k:Q", scale=alt.Scale(type="log", base=2, nice=False), axis=axis, title="best of")
    value_axis = alt.Axis(tickCount=4, domain=False, ticks=False, gridColor=PAGE_INKS.rule, labelPadding=6)
    y = alt.Y("value:Q", scale=alt.Scale(zero=False, nice=True), axis=value_axis, title="fve_nrm")
    roles = alt.Scale(domain=["same-model", "cross-model"], range=[PAGE_INKS.same, PAGE_INKS.cross])
    colour = alt.Color("role:N", scale=roles, legend=None)
    legend = alt.Legend(
        title="text written by",
        orient="top",
        columns=1 if width < NARROW else min(4, len(sources)),
        symbolType="stroke",
        symbolSize=400,
        labelFontSize=12,
        symbolStrokeColor=PAGE_INKS.ink,
        labelColor=PAGE_INKS.ink,
        labelLimit=300,
        titleColor=PAGE_INKS.quiet,
        titleFontWeight=400,
    )
    dashes = [DASHES[place % len(DASHES)] for place in range(len(sources))]
    dash = alt.StrokeDash("source:N", scale=alt.Scale(domain=sources, range=dashes), legend=legend)
    base = alt.Chart().encode(x=x)
    own = base.transform_filter("datum.role == 'same-model'")
    return [
        own.mark_area(opacity=0.18).encode(y=alt.Y("low:Q"), y2="high:Q", color=colour),
        base.mark_line(strokeWidth=1.75).encode(y=y, color=colour, strokeDash=dash),
        base.mark_point(filled=True, size=16, opacity=1).encode(y=y, color=colour, detail="source:N"),
    ]


def _reading(point: BestPoint) -> str:
    return f"→ {point.target_label}"


def _row(point: BestPoint) -> dict[str, str | float | None]:
    """One point as the chart reads it; without an interval the band has no height."""
    return {
        "source": point.source_label,
        "target": _reading(point),
        "k": point.k,
        "role": "same-model" if point.is_diagonal else "cross-model",
        "value": point.fve_nrm,
        "low": point.fve_nrm if point.ci_low is None else point.ci_low,
        "high": point.fve_nrm if point.ci_high is None else point.ci_high,
    }
