"""Formats numbers as text: one vocabulary for the filters of the report's templates and the words of its claims.

Takes a number or None, returns text. A figure that is not known is a dash, never an empty place, NaN or None; one that
is too large to be read in full is written with a power of ten.
"""

import math
from collections.abc import Callable, Sequence

MINUS = "\u2212"
THIN = "\u202f"
UNKNOWN = "–"
MOST_SCORED, MOST_COUNTED, MOST_WRITTEN = 1e6, 1e15, 1e300
"""From where on a score and a count are written with a power of ten, and both as without bound."""
Number = float | int


def signed(value: Number | None, digits: int = 3) -> str:
    """The value with fixed digits, a true minus sign, and no negative zero."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if abs(value) >= MOST_SCORED:
        return _with_power(value)
    text = f"{value:.{digits}f}"
    if not text.startswith("-"):
        return text
    return text[1:] if float(text) == 0 else MINUS + text[1:]


def plus(value: Number | None, digits: int = 3) -> str:
    """Like `signed`, with a plus before what is above 0: for effects and differences."""
    text = signed(value, digits)
    is_positive = value is not None and value > 0 and text.strip("0.") != ""
    return f"+{text}" if is_positive else text


def percent(value: Number | None) -> str:
    """A share in whole percent; 0% and 100% only when it is exactly so."""
    if value is None:
        return UNKNOWN
    if 0 < value <= 0.005:
        return "<1%"
    if 0.995 <= value < 1:
        return ">99%"
    return f"{signed(100 * value, 0)}%"


def percents(values: Sequence[Number | None]) -> str:
    """A range in whole percent, as one figure when both ends round to the same."""
    low, high = percent(values[0]), percent(values[1])
    if low == high:
        return high
    # A dash before or after a minus would be hard to read.
    return f"{low} to {high}" if MINUS in low + high else f"{low.removesuffix('%')}–{high}"


def signeds(values: Sequence[Number | None], digits: int = 3) -> str:
    """A range of scores, as one figure when both ends round to the same."""
    low, high = signed(values[0], digits), signed(values[1], digits)
    return low if low == high else f"{low} to {high}"


def interval(low: Number | None, high: Number | None, digits: int = 3) -> str:
    """An interval in brackets; empty when there is none."""
    return "" if low is None or high is None else f"[{signed(low, digits)}, {signed(high, digits)}]"


def size(n_bytes: int) -> str:
    """A file's size as people say it: 66 kB, 7.6 MB."""
    if n_bytes < 999_500:
        return f"{max(1, round(n_bytes / 1e3))} kB"
    megabytes = n_bytes / 1e6
    return f"{megabytes:.1f} MB" if megabytes < 99.95 else f"{megabytes:.0f} MB"


def count(value: Number | None) -> str:
    """A number in full, thousands separated by a narrow no-break space; decimals only where it has some."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if abs(value) >= MOST_COUNTED:
        return _with_power(value)
    whole = int(value)
    if whole == value:
        return f"{whole:,}".replace(",", THIN).replace("-", MINUS)
    return f"{value:,.4g}".replace(",", THIN).replace("-", MINUS) if abs(value) < 1000 else count(round(value))


def _with_power(value: Number) -> str:
    """The value as 1.25e6."""
    sign = MINUS if value < 0 else ""
    if abs(value) >= MOST_WRITTEN:
        return f"{sign}∞"
    digits, _, power = f"{abs(value):.2e}".partition("e+")
    return f"{sign}{digits}e{int(power)}"


def tiny(value: Number | None) -> str:
    """Two digits, with a power of ten where there are zeros before them: 0.012, 3.1e−6."""
    return UNKNOWN if value is None else f"{value:.2g}".replace("e-0", "e-").replace("-", MINUS)


def joined_names(values: Sequence[str]) -> str:
    """Several names as English lists them: a, b and c."""
    names = [str(value) for value in values]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


FIGURE_WORDS: dict[str, Callable[..., str]] = {
    "signed": signed,
    "signeds": signeds,
    "plus": plus,
    "percent": percent,
    "percents": percents,
    "count": count,
    "size": size,
    "tiny": tiny,
    "listed": joined_names,
}
"""What templates may put behind a bar and claims behind a colon."""
