"""The heat scale: hue carries the role (same model or cross-model), lightness the value, in a light and a dark theme.

Where two runs are compared hue carries the sign and lightness the size of a difference.
Makes CSS rules for classes such as ``same-14`` and ``up-9`` from the constants below, and says which class a value
has. Values are cut into 21 steps so that no page needs inline styles, which its Content-Security-Policy refuses.
"""

import math
from dataclasses import dataclass

STEPS = 21
HUES = {"same": 32.0, "cross": 155.0, "up": 255.0, "down": 65.0}
"""Degrees in OKLCH: a warm red and a green for scores; blue and ochre, which every eye tells apart, for differences."""
FULL_SHIFT = 0.25
"""The difference from which on its colour no longer deepens. The same on every page, so that pages can be compared."""
DARK_TEXT, LIGHT_TEXT = "#161412", "#fbf9f4"


@dataclass(frozen=True, slots=True)
class Theme:
    """Lightness and chroma (OKLCH) at value 0 and at value 1."""

    lightness: tuple[float, float]
    chroma: tuple[float, float]


LIGHT = Theme(lightness=(0.955, 0.625), chroma=(0.014, 0.150))
DARK = Theme(lightness=(0.275, 0.535), chroma=(0.018, 0.125))


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """The sRGB hex of a colour in OKLCH, channels clamped (Ottosson 2020)."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _encoded(min(1.0, max(0.0, channel)))):02x}" for channel in linear)


def luminance(colour: str) -> float:
    """Relative luminance of a hex colour (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """WCAG contrast ratio of two colours, 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def step_colours(theme: Theme, role: str, step: int) -> tuple[str, str]:
    """Background and text of one step; the text is whichever of dark and light stands out more."""
    share = step / (STEPS - 1)
    background = oklch(
        theme.lightness[0] + share * (theme.lightness[1] - theme.lightness[0]),
        theme.chroma[0] + share * (theme.chroma[1] - theme.chroma[0]),
        HUES[role],
    )
    return background, max((DARK_TEXT, LIGHT_TEXT), key=lambda text: contrast(background, text))


def heat_step(value: float | None) -> str:
    """The class suffix of a colour step, 0 to 20 for 0 to 1; values outside are clamped, unknown ones are `none`."""
    return "none" if value is None else str(round((STEPS - 1) * min(1.0, max(0.0, value))))


def shift_class(difference: float | None) -> str:
    """The colour class of a difference: its direction, and a step that is full at `FULL_SHIFT`; `level` near 0."""
    step = heat_step(None if difference is None else abs(difference) / FULL_SHIFT)
    if difference is None or step == "0":
        return "level"
    return f"{'down' if difference < 0 else 'up'}-{step}"


def heat_css() -> str:
    """The rules of all steps: the light theme, and the dark one under its media query."""
    return f"{heat_rules(LIGHT)}\n@media screen and (prefers-color-scheme: dark) {{\n{heat_rules(DARK)}\n}}\n"


def heat_rules(theme: Theme, scope: str = "") -> str:
    """The rules of all steps in one theme; `scope` is a selector that must stand around them, with its blank."""
    lines = []
    for role in HUES:
        for step in range(STEPS):
            background, text = step_colours(theme, role, step)
            lines.append(f"{scope}.{role}-{step} {{ background: {background}; color: {text}; }}")
    return "\n".join(lines)


def _encoded(linear: float) -> float:
    """A linear channel with the sRGB transfer curve."""
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
