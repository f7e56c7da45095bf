from dataclasses import replace
from pathlib import Path

import pytest
from support.made_runs import PAIRS, run_row

from nlareport.render.origins import ask
from nlareport.render.report.heat_views import Heat, read_heat
from nlareport.render.report.query_rows import Counts
from nlareport.rows.cell_rows import Cell
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import create_run_file


def heat_of(db: Path) -> Heat:
    with DuckDBReader.open(db) as reader:
        return read_heat(reader, ask(reader, Counts, "report_counts").only)


def absences(heat: Heat) -> dict[str, str | None]:
    return {view.name: view.absence for view in heat.views}


def test_a_computed_run_can_be_seen_every_way(computed_run: Path) -> None:
    heat = heat_of(computed_run)
    assert absences(heat) == {"value": None, "ceiling": None, "null": None, "outliers": None}
    square = heat.rows[0][1]
    assert (square.cell.source, square.cell.target) == ("smollm2-L20", "qwen05-L16")
    assert square.cell.null_fve == -0.61
    assert square.without_outliers.fve_nrm == pytest.approx(0.307, abs=5e-4)
    assert (square.without_outliers.n_scored, square.cell.n_scored) == (115, 117)


def test_what_published_figures_do_not_hold_says_why(published_run: Path) -> None:
    heat = heat_of(published_run)
    assert absences(heat) == {
        "value": None,
        "ceiling": None,
        "null": "only their range is known: −0.98 to −0.66",
        "outliers": "items were not checked for outliers",
    }
    assert [view.name for view in heat.shown_views] == ["value", "ceiling"]


def test_a_run_that_has_only_begun_can_be_seen_one_way_and_says_why(tmp_path: Path) -> None:
    create_run_file(tmp_path / "run.duckdb", run_row(), PAIRS)
    heat = heat_of(tmp_path / "run.duckdb")
    assert absences(heat) == {
        "value": None,
        "ceiling": "no diagonal is above 0",
        "null": "the run has none",
        "outliers": "items were not checked for outliers",
    }


def test_a_cell_leads_to_its_items_or_to_itself_when_there_are_none(computed_run: Path, tmp_path: Path) -> None:
    with_items = heat_of(computed_run).rows[0][1]
    assert with_items.href == "browse.html#cell=smollm2-L20~qwen05-L16"
    cells = [Cell(s.pair_id, t.pair_id, "all", 9, 0, 0.5, 0.4, 0.6, *[None] * 6) for s in PAIRS for t in PAIRS]
    create_run_file(tmp_path / "bare.duckdb", replace(run_row(), kind="imported", experiment_yaml=None), PAIRS, cells)
    bare = heat_of(tmp_path / "bare.duckdb").rows[0][1]
    assert bare.href == f"#{bare.anchor}" == "#cell-smollm2-L20--qwen05-L16"
