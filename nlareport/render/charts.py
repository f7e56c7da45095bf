"""Charts as SVG text that stands inside a page: drawn once, themed by the page's CSS variables.

Enters rows, leaves markup that is the same for the same rows. No script, no font file, no outside reference.
"""

import re
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from nlareport.render import formats
from nlareport.render.contexts import MatrixCell

INK, QUIET, RULE = "var(--ink)", "var(--quiet)", "var(--rule)"
ROLE_COLOURS = {"same-model": "var(--same)", "cross-model": "var(--cross)"}
FONT = "system-ui, sans-serif"


def interval_chart(cells: list[MatrixCell], width: int, name: str) -> Markup | None:
    """Every cell's value and interval, grouped by target with the target's ceiling as a line; None without a value.

    `width` is that of the plot in CSS pixels; `name` keeps the ids of two drawings on one page apart.
    """
    known = [cell for cell in cells if cell.fve_nrm is not None]
    if not known:
        return None
    targets = list(dict.fromkeys(_target_title(cell, width) for cell in cells))
    header = alt.Header(
        title=None, labelOrient="top", labelAnchor="start", labelAngle=0, labelPadding=0, labelFontWeight=600
    )
    layers = _layers(known, [cell.source_label for cell in cells], width)
    chart = layers.properties(width=width, height=alt.Step(24)).facet(
        row=alt.Row("target:N", sort=targets, header=header), spacing=12
    )
    return _svg(chart.configure(**_look()), name, "Value and 95% interval of every cell, grouped by target")


def _layers(cells: list[MatrixCell], sources: list[str], width: int) -> alt.LayerChart:
    """One target's group: its ceiling, an interval per source, and a tick at the value."""
    label_axis = alt.Axis(domain=False, ticks=False, labelPadding=10, minExtent=_label_room(sources))
    y = alt.Y("source:N", sort=list(dict.fromkeys(sources)), title=None, axis=label_axis)
    value_axis = alt.Axis(
        tickCount=max(3, width // 75), domain=False, ticks=False, gridColor=RULE, labelPadding=8, format=".2f"
    )
    low = alt.X("low:Q", scale=alt.Scale(zero=False, nice=True), axis=value_axis, title="fve_nrm")
    roles = alt.Scale(domain=list(ROLE_COLOURS), range=list(ROLE_COLOURS.values()))
    colour = alt.Color("role:N", scale=roles, legend=None)
    base = alt.Chart()
    ceiling = base.mark_rule(strokeWidth=1, strokeDash=[3, 3], color=QUIET).encode(x=alt.X("ceiling:Q"))
    bars = base.mark_bar(height=8, opacity=0.45).encode(x=low, x2="high:Q", y=y, color=colour)
    values = base.mark_tick(thickness=2.5, height=16).encode(x=alt.X("value:Q"), y=y, color=colour)
    return alt.LayerChart(
        data=alt.InlineData(values=[_row(cell, width) for cell in cells]), layer=[ceiling, bars, values]
    )


def _row(cell: MatrixCell, width: int) -> dict[str, str | float | None]:
    """One cell as the chart reads it; without an interval the bar has no length."""
    return {
        "source": cell.source_label,
        "target": _target_title(cell, width),
        "role": "same-model" if cell.is_diagonal else "cross-model",
        "value": cell.fve_nrm,
        "low": cell.fve_nrm if cell.ci_low is None else cell.ci_low,
        "high": cell.fve_nrm if cell.ci_high is None else cell.ci_high,
        "ceiling": cell.ceiling,
    }


def _target_title(cell: MatrixCell, width: int) -> str:
    """What stands above a target's group; a narrow drawing has no room for the ceiling's figure."""
    title = f"→ {cell.target_label}"
    return title if width < 400 else f"{title}, ceiling {formats.signed(cell.ceiling)}"


def _label_room(labels: list[str]) -> int:
    """Room for the longest label in whatever font the reader has; Vega measures in another."""
    return 18 + round(7.5 * max(len(label) for label in labels))


def _look() -> dict[str, Any]:
    """The page's own inks and the reader's own fonts."""
    return {
        "background": "transparent",
        "font": FONT,
        "padding": 2,
        "view": {"stroke": None},
        "axis": {
            "labelColor": INK,
            "titleColor": QUIET,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": 400,
        },
        "header": {"labelColor": INK, "labelFontSize": 13},
    }


def _svg(chart: alt.FacetChart, name: str, label: str) -> Markup:
    """The chart as one inline image: ids numbered per chart, fluid width, one label in place of Vega's own roles."""
    svg: str = vl_convert.vegalite_to_svg(chart.to_dict())
    svg = _normalised_ids(svg, name)
    svg = re.sub(r' (?:aria-[a-z]+|role)="[^"]*"', "", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"', r"<svg \1", svg, count=1)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    # The data enter the drawing through Vega's own escaping; nothing else of it comes from outside.
    return Markup(svg)


def _normalised_ids(svg: str, chart: str) -> str:
    """The SVG with its ids numbered from 0: Vega counts them up per process."""
    for number, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = re.sub(rf'(id="|url\(#|href="#){re.escape(name)}(?=["\)])', rf"\g<1>{chart}-{number}", svg)
    return svg
