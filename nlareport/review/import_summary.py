"""Says in a line what an import made: how many cells from how many scores, and which files would bring more.

Takes a reader of the run file; returns words for the command line.
"""

from dataclasses import dataclass

from nlareport.checks import AbsentTable
from nlareport.figure_text import count
from nlareport.ports import RunReader

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """How much an import holds (``import_counts``)."""

    n_sources: int
    n_targets: int
    n_cells: int
    n_valued: int
    n_intervals: int
    n_scores: int
    n_texts: int


def import_summary(reader: RunReader) -> list[str]:
    """What was computed, and what is not there; nothing of published figures."""
    absent = [row.file for row in reader.rows(AbsentTable, "absent_tables")]
    (counts,) = reader.rows(ImportCounts, "import_counts")
    return [*_computed(counts), *_missing(absent)] if absent else []


def _computed(counts: ImportCounts) -> list[str]:
    """Such as “2 × 2 cells with intervals from 240 scores”."""
    if not counts.n_cells:
        return [f"no cell: it holds {count(counts.n_scores)} scores and {count(counts.n_texts)} texts"]
    if counts.n_cells == 1:
        return [f"1 cell {_how_known(counts)} from {count(counts.n_scores)} scores"]
    square = counts.n_sources * counts.n_targets
    shape = f"{counts.n_sources} × {counts.n_targets} cells"
    cells = shape if counts.n_cells == square else f"{count(counts.n_cells)} of {shape}"
    return [f"{cells} {_how_known(counts)} from {count(counts.n_scores)} scores"]


def _how_known(counts: ImportCounts) -> str:
    if not counts.n_valued:
        return "without a value"
    if counts.n_valued < counts.n_cells:
        return f"({count(counts.n_valued)} with a value, {count(counts.n_intervals)} with an interval)"
    if counts.n_intervals == counts.n_cells:
        return "with its interval" if counts.n_cells == 1 else "with intervals"
    if not counts.n_intervals:
        return "without an interval"
    return f"({count(counts.n_intervals)} with an interval)"


def _missing(absent: list[str]) -> list[str]:
    more = f" and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
    return [f"not there: {', '.join(absent[:MOST_NAMED])}{more} (the report's notes say more)"]
