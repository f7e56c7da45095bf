"""How every drawing looks and becomes SVG: inside a page themed by its CSS variables, as a file in inks of its own.

Takes a chart, returns markup that is the same for the same chart. No script, no font file, no outside reference.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup, escape

from nlareport.render.readable import readable

LABEL_LIMIT = 320
"""CSS pixels of a label on an axis; the rest of a longer one is left out."""
_LINE_ENDS = {0x2028: " ", 0x2029: " "}
MOST_DRAWN = 1e6
"""Beyond it an axis has no use, and soon no ticks."""


@dataclass(frozen=True, slots=True)
class Inks:
    """The colours and the font of one drawing."""

    paper: str
    ink: str
    quiet: str
    rule: str
    same: str
    cross: str
    font: str


PAGE_INKS = Inks(
    "var(--paper)", "var(--ink)", "var(--quiet)", "var(--rule)", "var(--same)", "var(--cross)", "system-ui, sans-serif"
)
FILE_INKS = Inks(
    "#fcfbf8", "#1c1a17", "#615c54", "#dcd7cc", "#b1452f", "#28734d", "Helvetica, Arial, Liberation Sans, sans-serif"
)
"""Those of the page's light theme, for a file that stands alone."""


def can_be_drawn(values: Iterable[float | None]) -> bool:
    """Whether there is any value, and an axis that reaches all of them still has room for the others."""
    known = [abs(value) for value in values if value is not None]
    return bool(known) and max(known) <= MOST_DRAWN


def inline_svg(chart: alt.TopLevelMixin, name: str, label: str) -> Markup:
    """The chart as an image inside a page, as wide as its place; `name` keeps the ids of two drawings apart."""
    svg = re.sub(r' (?:aria-[a-z]+|role)="[^"]*"', "", file_svg(chart, name))
    svg = re.sub(r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"', r"<svg \1", svg, count=1)
    # The data enter the drawing through Vega's own escaping; nothing else of it comes from outside.
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))


def file_svg(chart: alt.TopLevelMixin, name: str) -> str:
    """The chart as SVG, its ids numbered from 0: Vega counts them up per process."""
    svg: str = vl_convert.vegalite_to_svg(_readable(chart.to_dict()))
    for number, found in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = re.sub(rf'(id="|url\(#|href="#){re.escape(found)}(?=["\)])', rf"\g<1>{name}-{number}", svg)
    return svg


def _readable(value: Any) -> Any:
    """A chart's description with every text in it as pages show it: a drawing takes no control character."""
    if isinstance(value, dict):
        return {readable(key): _readable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_readable(part) for part in value]
    # Vega writes texts into expressions of its own, in which these two end a line in the middle of a text.
    return readable(value).translate(_LINE_ENDS) if isinstance(value, str) else value


def look(inks: Inks, *, padding: int = 0) -> dict[str, Any]:
    """What every chart is configured with."""
    return {
        "background": "transparent" if inks is PAGE_INKS else inks.paper,
        "font": inks.font,
        # Right of the last figure: the reader's font may be wider than the one Vega measures in.
        "padding": {"left": padding, "top": padding, "bottom": padding, "right": padding + 16},
        "view": {"stroke": None},
        "axis": {
            "labelColor": inks.ink,
            "titleColor": inks.quiet,
            "labelFontSize": 12,
            "labelLimit": LABEL_LIMIT,
            "titleFontSize": 12,
            "titleFontWeight": 400,
        },
        "header": {"labelColor": inks.ink, "labelFontSize": 13, "labelLimit": 600},
        "title": {
            "anchor": "start",
            "color": inks.ink,
            "fontSize": 18,
            "subtitleColor": inks.quiet,
            "subtitleFontSize": 13,
            "subtitlePadding": 6,
            "offset": 18,
        },
    }


def in_order(values: Iterable[str]) -> list[str]:
    """Each value once, as it first comes: Vega would sort them."""
    return list(dict.fromkeys(values))
