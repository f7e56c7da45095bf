"""Formats what a check found as lines for a terminal: one per claim, cell and number."""

from collections import Counter
from collections.abc import Iterator, Sequence

from nlareport.checks import CheckReport, GoldenOutcome, NumberFinding, Replication
from nlareport.figure_text import interval, percent, plus, signed, signeds
from nlareport.statistics.power import POWER

VERDICT_WIDTH = 16


def check_lines(report: CheckReport, page: str) -> Iterator[str]:
    """Claims, then cells beside an earlier run's, recorded scores, the numbers of a page, then notes.

    Claims that cannot be asked are grouped by what the run lacks for them.
    """
    unasked: dict[str, list[str]] = {}
    for claim in report.claims:
        name = f"{claim.claim_id} (required)" if claim.is_required else claim.claim_id
        if claim.verdict == "cannot be asked":
            unasked.setdefault(claim.text, []).append(name)
        else:
            yield f"{claim.verdict:{VERDICT_WIDTH}}{name}: {claim.text}"
    for absent, names in unasked.items():
        yield f"{'cannot be asked':{VERDICT_WIDTH}}{', '.join(names)}: {absent}."
    yield from map(replication_line, report.replications)
    if report.replications:
        yield replication_summary(report.replications)
    yield from map(golden_line, report.golden)
    if report.golden:
        n_within = sum(row.verdict == "within" for row in report.golden)
        yield f"{n_within} of {len(report.golden)} recorded scores are what is measured here, within rounding."
    for finding in report.numbers:
        yield number_line(finding, page)
    yield from report.notes


def replication_line(cell: Replication) -> str:
    """A cell's verdict, both values with their intervals, the difference with its own, its power, why undecided."""
    here, earlier = (f"{signed(value)} {interval(low, high)}".strip() for value, low, high in (cell.here, cell.earlier))
    line = f"{cell.verdict:{VERDICT_WIDTH}}{cell.source} → {cell.target}: {here} here, {earlier} there"
    if cell.interval is not None:
        kind = " paired" if cell.is_paired else ""
        line += f", difference {plus(cell.difference)} {interval(*cell.interval)}{kind}"
    if cell.minimum_detectable_difference is not None:
        line += (
            f"; minimum detectable difference {signed(cell.minimum_detectable_difference)} ({percent(POWER)} power), "
            f"power at ±{cell.tolerance:g}: {percent(cell.power)}"
        )
    return f"{line}; {cell.because}" if cell.because else line


def replication_summary(cells: Sequence[Replication]) -> str:
    """How many cells have each verdict, and the range of their minimum detectable differences."""
    times = Counter(cell.verdict for cell in cells)
    line = (
        f"{times['replicated']} of {len(cells)} cells replicated within {cells[0].tolerance:g}, "
        f"{times['not replicated']} not, {times['undecided']} undecided"
    )
    seen = [cell.minimum_detectable_difference for cell in cells if cell.minimum_detectable_difference is not None]
    if not seen:
        return f"{line}."
    return f"{line}. Minimum detectable difference ({percent(POWER)} power): {signeds([min(seen), max(seen)])}."


def golden_line(row: GoldenOutcome) -> str:
    """A recorded score's verdict, the score as recorded and here, and the norms where both are known."""
    line = f"{row.verdict:{VERDICT_WIDTH}}{row.pair_id}, {row.name}: "
    if row.here is None:
        return f"{line}there {row.because}"
    line += f"mse_nrm {row.recorded:.6g} recorded, {row.here:.6g} here, at most {row.tolerance:.2g} apart"
    return line if row.norms is None else f"{line}; norm {row.norms[0]:.4g} recorded, {row.norms[1]:.4g} here"


def number_line(finding: NumberFinding, page: str) -> str:
    """A number's verdict, where it stands, and what the run says."""
    said = f": {finding.about}" if finding.about else ""
    return f"{finding.verdict:{VERDICT_WIDTH}}{page}:{finding.number.line}: {finding.number.text}{said}"
