"""Written numbers beside the figures of a run: confirmed, contradicted, or not to be known.

Enter numbers and figures; leaves a finding each. A number is confirmed when a figure rounds to it at the precision it
is written with, whatever the sentence says of it: two decimals often fit several figures by chance. It is contradicted
only when the words name what it is a figure of.
"""

from collections.abc import Sequence

from nlareport.checks import Figure, NumberFinding, WrittenNumber

MOST_NAMED = 3
"""Other figures named where a number is contradicted."""


def judge(numbers: Sequence[WrittenNumber], figures: Sequence[Figure]) -> list[NumberFinding]:
    """A finding for every number, in its order; of several figures that fit, the first is named."""
    return [_finding(number, figures) for number in numbers]


def prose_faults(findings: Sequence[NumberFinding], page: str) -> list[str]:
    """One sentence for every number that the run contradicts."""
    return [
        f"{page}:{finding.number.line}: says {finding.number.text}; the run says {finding.about}. Correct the page."
        for finding in findings
        if finding.verdict == "contradicted"
    ]


def rounds_to(figure: float, number: WrittenNumber) -> bool:
    """Whether the figure is the number at the precision it is written with; whole numbers must be the very same."""
    if number.is_whole:
        return figure == number.value
    # Half a step and a hair: either neighbour of a tie is a fair rounding.
    return abs(figure - number.value) <= number.step / 2 + 1e-9


def _finding(number: WrittenNumber, figures: Sequence[Figure]) -> NumberFinding:
    named = [figure for figure in figures if _is_named(figure, number)]
    # What the words name counts before what merely has the same value; a cell's number must be of that cell.
    for pool in [named] if named and number.cell else [named, figures]:
        if fitting := [figure for figure in pool if rounds_to(figure.value, number)]:
            more = f", and {len(fitting) - 1} more" if len(fitting) > 1 else ""
            return NumberFinding(number, "confirmed", f"{_said(fitting[0])}{more}")
    if named:
        return NumberFinding(number, "contradicted", ", ".join(_said(figure) for figure in named[:MOST_NAMED]))
    return NumberFinding(number, "cannot know", "")


def _is_named(figure: Figure, number: WrittenNumber) -> bool:
    if number.cell is not None:
        return figure.cell == number.cell
    return number.word is not None and figure.word == number.word


def _said(figure: Figure) -> str:
    value = f"{figure.value:,.0f}" if figure.value == int(figure.value) else f"{figure.value:.4f}"
    return f"{figure.name} {value}"
