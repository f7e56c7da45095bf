"""Checks a run: audits, claims, replication of an earlier run, self-tests, and the numbers of somebody's prose.

Takes readers and the page to search, returns a `CheckReport` that each step adds to.
"""

from dataclasses import replace
from pathlib import Path

from nlareport.checks import CheckReport, SelfTestRow
from nlareport.claims.reading import OTHERWISE, absent_needs, claim_templates, read_claims
from nlareport.errors import NothingToCompare, ProseUnreadable
from nlareport.files.given_files import text_given
from nlareport.ports import RunReader
from nlareport.review import prose_numbers, replication, stored_claims
from nlareport.review.known_figures import pair_names, run_figures
from nlareport.review.run_differences import compare_runs
from nlareport.review.sources import open_run
from nlareport.rows.cell_rows import Cell
from nlareport.rows.declaration import TABLES
from nlareport.rows.run_rows import Claim, Pair, Run
from nlareport.run.vector_checks import check_vectors
from nlareport.shown import MOST_SHOWN, printable, shown
from nlareport.statistics.reading_tolerance import measurement_text
from nlareport.store.reader import DuckDBReader

MOST_PAGE_BYTES = 20_000_000
MOST_ROWS = 10
"""Rows of an audit that are listed one by one."""


def check_run(file: Path, against: Path | None, prose: Path | None, tolerance: float) -> CheckReport:
    """Everything that is wrong with a run, or published figures (YAML), and the verdicts on what was asked.

    Raises:
        ProseUnreadable: the page cannot be read.
        NlareportError: a run file or figures file is missing or damaged.
    """
    with open_run(file) as reader:
        found = check_vectors(check_self_tests(check_stored(reader), reader), reader)
        if against is not None:
            with open_run(against) as earlier:
                found = check_replication(found, earlier, reader, tolerance)
        return found if prose is None else check_prose(found, prose, reader)


def check_stored(reader: DuckDBReader) -> CheckReport:
    """Audits, the run's own text, and every claim of its report checked again."""
    for row_type in TABLES:
        # Every value once: a damaged block is noticed when it is read, and audits do not read them all.
        reader.table(row_type)
    (run,) = reader.rows(Run, "diff_run")
    now = read_claims(reader)
    checks = stored_claims.claim_checks(_required(), now, absent_needs(reader))
    faults = audit_faults(reader)
    faults += stored_claims.pair_faults(run, reader.rows(Pair, "pair_table"))
    faults += stored_claims.cell_faults(run, reader.rows(Cell, "check_cells"))
    faults += stored_claims.claim_faults(checks, reader.rows(Claim, "stored_claims"), now)
    return CheckReport(checks, faults=faults)


def check_replication(found: CheckReport, earlier: RunReader, here: RunReader, tolerance: float) -> CheckReport:
    """Also every cell against the earlier run's; that the two have nothing in common is one more fault."""
    try:
        comparison = compare_runs(earlier, here)
    except NothingToCompare as error:
        return replace(found, faults=[*found.faults, str(error)])
    n_here = {(cell.source, cell.target): cell.n_scored for cell in here.rows(Cell, "diff_cells")}
    verdicts = replication.replications(comparison.cells, n_here, tolerance)
    faults = replication.replication_faults(verdicts, tolerance)
    return replace(found, replications=verdicts, faults=found.faults + faults)


def check_prose(found: CheckReport, page: Path, reader: RunReader) -> CheckReport:
    """Also every number of a page.

    Raises:
        ProseUnreadable: the page cannot be read.
    """
    text = text_given(page, ProseUnreadable, "Give the path of a Markdown page.", MOST_PAGE_BYTES)
    numbers = prose_numbers.written_numbers(text, pair_names(reader.rows(Pair, "pair_table")))
    findings = prose_numbers.judge(numbers, run_figures(reader))
    return replace(found, numbers=findings, faults=found.faults + prose_numbers.prose_faults(findings, str(page)))


def check_self_tests(found: CheckReport, reader: RunReader) -> CheckReport:
    """Also the self-tests of the run's models; nothing for a run without them."""
    rows = reader.rows(SelfTestRow, "self_tests")
    if not rows:
        return found
    failed = [row for row in rows if not row.passed]
    note = f"Self-tests of the models, made while the run computed: {len(rows) - len(failed)} of {len(rows)} passed."
    return replace(found, notes=[*found.notes, note], faults=[*found.faults, *map(_failed_sentence, failed)])


def _failed_sentence(row: SelfTestRow) -> str:
    return (
        f"self-test {row.test} of pair {row.pair_id}, {row.role}, did not pass: {printable(row.text)}"
        f"{measurement_text(row.value, row.tolerance)} The numbers of that model are less exact than they should be: "
        'see "nlareport query FILE self_tests".'
    )


def audit_faults(reader: DuckDBReader) -> list[str]:
    """One sentence for each row an audit returns, up to ten of each audit, then how many more."""
    faults = []
    for name, purpose in reader.query_names().items():
        if not name.startswith("audits/"):
            continue
        rows, short = reader.frame(name).to_dicts(), name.removeprefix("audits/")
        for row in rows[:MOST_ROWS]:
            place = ", ".join(f"{column} {_value(value)}" for column, value in row.items() if value is not None)
            faults.append(f'audit {short}: {place}. {purpose} See "nlareport query FILE {name}".')
        if len(rows) > MOST_ROWS:
            faults.append(f'audit {short}: and {len(rows) - MOST_ROWS:,} more. See "nlareport query FILE {name}".')
    return faults


def _required() -> dict[str, bool]:
    """Every sentence and its weaker form, with whether a run must bear it out."""
    found = {}
    for template in claim_templates():
        found[template.claim_id] = template.required
        if template.otherwise is not None:
            found[f"{template.claim_id}{OTHERWISE}"] = False
    return found


def _value(value: object) -> str:
    if isinstance(value, str):
        # A pair's id reads better without quotes; a stranger's text is shown safely.
        return value if value.isprintable() and len(value) <= MOST_SHOWN else shown(value)
    return f"{value:.6g}" if isinstance(value, float) else shown(value)
