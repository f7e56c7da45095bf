"""What a check found as lines for a terminal: one a claim, one a cell, one a number."""

from collections.abc import Iterator

from nlareport.checks import CheckReport, NumberFinding, Replication
from nlareport.render.formats import interval, plus, signed

VERDICT_WIDTH = 16


def check_lines(report: CheckReport, page: str) -> Iterator[str]:
    """Claims first, then cells beside an earlier run's, then the numbers of a page."""
    for claim in report.claims:
        required = " (required)" if claim.is_required else ""
        yield f"{claim.verdict:{VERDICT_WIDTH}}{claim.claim_id}{required}: {claim.text}"
    yield from map(replication_line, report.replications)
    for finding in report.numbers:
        yield number_line(finding, page)


def replication_line(cell: Replication) -> str:
    """A cell's verdict, both values with their intervals, the difference with its own, and why it is undecided."""
    here, earlier = (f"{signed(value)} {interval(low, high)}".strip() for value, low, high in (cell.here, cell.earlier))
    line = f"{cell.verdict:{VERDICT_WIDTH}}{cell.source} → {cell.target}: {here} here, {earlier} there"
    if cell.interval is not None:
        kind = " paired" if cell.is_paired else ""
        line += f", difference {plus(cell.difference)} {interval(*cell.interval)}{kind}"
    return f"{line}; {cell.because}" if cell.because else line


def number_line(finding: NumberFinding, page: str) -> str:
    """A number's verdict, where it stands, and what the run says."""
    said = f": {finding.about}" if finding.about else ""
    return f"{finding.verdict:{VERDICT_WIDTH}}{page}:{finding.number.line}: {finding.number.text}{said}"
