"""Renders the report of a run file, for tests of its pages."""

from pathlib import Path

from nlareport.files.written_folders import Terms, written_folder
from nlareport.render.report.page import render_report
from nlareport.store.reader import DuckDBReader


def write_report(db: Path, out: Path) -> Path:
    """The report page of a run file, written into `out`."""
    with DuckDBReader.open(db) as reader, written_folder(out, Terms("report")) as place:
        return render_report(reader, place)
