"""Draws what is left of a score when a text is cut: curves over the number of tokens kept, one plot per target and end.

Takes points; returns the drawing for a page or for a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
from markupsafe import Markup

from nlareport.render.charts.chart_style import (
    FILE_INKS,
    PAGE_INKS,
    Inks,
    can_be_drawn,
    file_svg,
    in_order,
    inline_svg,
    look,
)

LABEL = "What is left of every cell's score when its texts are cut to their first or last tokens"
EXPLAINED = "fve_nrm of texts cut to their first or last tokens. Red is a pair reading itself, with its 95% interval."
ENDS = {"first": "first tokens kept", "last": "last tokens kept"}
WHOLE = "all"
NARROW = 400
"""Plots that are together narrower than this, in CSS pixels, stand with the targets below each other."""
MOST_BESIDE = 4
"""More targets than these stand below each other in any window."""
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 6]]


@dataclass(frozen=True, slots=True)
class CutPoint:
    """One cell at one cut."""

    source_label: str
    target_label: str
    is_diagonal: bool
    end: str
    """`first` or `last`."""
    n_tokens: int | None
    """None: the text as written."""
    fve_nrm: float | None
    ci_low: float | None
    ci_high: float | None


def cut_chart(points: Sequence[CutPoint], width: int, name: str) -> Markup | None:
    """The drawing inside a page; None without a value that can be drawn.

    `width` is that of the plots together in CSS pixels; `name` keeps the ids of two drawings on one page apart.
    """
    if not can_be_drawn(value for point in points for value in (point.fve_nrm, point.ci_low, point.ci_high)):
        return None
    return inline_svg(_plots(points, width, PAGE_INKS).configure(**look(PAGE_INKS)), name, LABEL)


def cut_file(points: Sequence[CutPoint], title: str) -> str | None:
    """The drawing as a file that stands alone under the run's title; None without a value that can be drawn."""
    if not can_be_drawn(value for point in points for value in (point.fve_nrm, point.ci_low, point.ci_high)):
        return None
    chart = _plots(points, 720, FILE_INKS).properties(title=alt.TitleParams(title, subtitle=EXPLAINED))
    return file_svg(chart.configure(**look(FILE_INKS, padding=24)), "cuts")


def _plots(points: Sequence[CutPoint], width: int, inks: Inks) -> alt.FacetChart | alt.VConcatChart:
    """Targets beside each other and the two ends below; where that is too wide, one target below the other."""
    known = [point for point in points if point.fve_nrm is not None]
    targets = in_order(point.target_label for point in known)
    ends = [title for end, title in ENDS.items() if any(point.end == end for point in known)]
    header = alt.Header(title=None, labelOrient="top", labelFontSize=12, labelFontWeight=600, labelPadding=6)
    column = alt.Column("end:N", sort=ends, header=header)
    layers = _layers(known, width, inks)
    if width < NARROW or len(targets) > MOST_BESIDE:
        rows = [
            _panel([point for point in known if point.target_label == target], layers, width // len(ends))
            .facet(column=column)
            .properties(title=alt.TitleParams(_reading(target), fontSize=13, offset=6))
            for target in targets
        ]
        below = alt.VConcatChart(vconcat=rows, spacing=18)
        # One scale, so that a pair that is harder to reach is seen to be; and one legend.
        alike: alt.VConcatChart = below.resolve_scale(y="shared", strokeDash="shared")
        return alike
    return _panel(known, layers, width // len(targets)).facet(
        row=alt.Row("end:N", sort=ends, header=alt.Header(title=None, labelFontSize=12, labelFontWeight=600)),
        column=alt.Column("target:N", sort=[_reading(target) for target in targets], header=header),
        spacing=16,
    )


def _panel(points: Sequence[CutPoint], layers: list[alt.Chart], width: int) -> alt.LayerChart:
    data = alt.InlineData(values=[_row(point) for point in points])
    return alt.LayerChart(data=data, layer=layers).properties(width=width, height=130)


def _reading(target_label: str) -> str:
    return f"→ {target_label}"


def _layers(points: Sequence[CutPoint], width: int, inks: Inks) -> list[alt.Chart]:
    """One plot: the interval of a pair that reads itself, and a line with points per source."""
    counts = sorted({point.n_tokens for point in points if point.n_tokens is not None})
    x = alt.X("tokens:O", sort=[*map(str, counts), WHOLE], title=None, axis=_axis(inks, labelAngle=0))
    y = alt.Y(
        "value:Q",
        scale=alt.Scale(zero=False, nice=True),
        title="fve_nrm",
        axis=_axis(inks, tickCount=4, titlePadding=14),
    )
    roles = alt.Scale(domain=["same-model", "cross-model"], range=[inks.same, inks.cross])
    colour = alt.Color("role:N", scale=roles, legend=None)
    sources = in_order(point.source_label for point in points)
    legend = alt.Legend(
        title="text written by",
        orient="top",
        columns=1 if width < NARROW else min(4, len(sources)),
        symbolType="stroke",
        symbolSize=500,
        columnPadding=18,
        labelFontSize=12,
        symbolStrokeColor=inks.ink,
        labelColor=inks.ink,
        labelLimit=300,
        titleColor=inks.quiet,
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


def _axis(inks: Inks, **more: Any) -> alt.Axis:
    return alt.Axis(domain=False, ticks=False, gridColor=inks.rule, labelPadding=6, **more)


def _row(point: CutPoint) -> dict[str, str | float | None]:
    """One point as the chart reads it; without an interval the band has no width."""
    return {
        "source": point.source_label,
        "target": _reading(point.target_label),
        "end": ENDS[point.end],
        "tokens": WHOLE if point.n_tokens is None else str(point.n_tokens),
        "role": "same-model" if point.is_diagonal else "cross-model",
        "value": point.fve_nrm,
        "low": point.fve_nrm if point.ci_low is None else point.ci_low,
        "high": point.fve_nrm if point.ci_high is None else point.ci_high,
    }
