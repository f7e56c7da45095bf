"""Ceiling fractions and additive effects of runs that come without them: imported ones, and older run files."""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from support.made_runs import write_computed_run
from support.tiny_runs import make_older

from nlareport.rows.cell_rows import Cell, Effect
from nlareport.store.bundle.bundle import bundle_rows, export_bundle
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.published.published_run import published_rows
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import read_run

FIGURES = Path(__file__).parents[1] / "data" / "published" / "18-cross-family.yaml"
ASKED = ("hero_cells", "target_ceilings", "released_variance", "audits/ceiling_fraction_beside_its_diagonal")


def values(effects: list[Effect]) -> dict[tuple[str, str], float]:
    return {(row.pair_id, row.role): row.effect for row in effects}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A finished run of four pairs, of which everything is known."""
    return write_computed_run(tmp_path / "whole.duckdb", n_items=40, pairs=4)


@pytest.fixture
def bare(whole: Path, tmp_path: Path) -> Path:
    """The same run as a file of an earlier version that holds no effects and no ceiling fraction."""
    path = tmp_path / "bare.duckdb"
    path.write_bytes(whole.read_bytes())
    make_older(path, SCHEMA_VERSION - 1)
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM effect")
        connection.execute("UPDATE cell SET ceiling_fraction = NULL")
    return path


def test_published_figures_get_their_effects_and_fractions_when_they_are_imported() -> None:
    rows = published_rows(FIGURES)
    of = {(cell.source, cell.target): cell.fve_nrm for cell in rows.of(Cell)}
    for cell in rows.of(Cell):
        assert cell.ceiling_fraction == cell.fve_nrm / of[cell.target, cell.target]
    found = values(rows.of(Effect))
    names = sorted({target for _, target in of})
    # By hand, as an ordinary least-squares problem: a level, and effects of each role that sum to 0.
    crossing = [key for key in of if key[0] != key[1]]
    design = [[1, *(s == name for name in names), *(t == name for name in names)] for s, t in crossing]
    sums = [[0, *[1] * 4, *[0] * 4], [0, *[0] * 4, *[1] * 4]]
    solution = np.linalg.lstsq(
        np.array([*design, *sums], dtype=float), np.array([*(of[key] for key in crossing), 0, 0]), rcond=None
    )[0]
    expected = dict(zip([(name, role) for role in ("source", "target") for name in names], solution[1:], strict=True))
    assert found == pytest.approx(expected)
    assert {(row.ci_low, row.ci_high) for row in rows.of(Effect)} == {(None, None)}


def test_a_bundle_of_cells_gets_what_it_does_not_state_and_keeps_what_it_does(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    export_bundle(whole, folder, "parquet")
    before = bundle_rows(folder)
    (folder / "effects.parquet").unlink()
    cells = pl.read_parquet(folder / "cells.parquet")
    stated = pl.when((pl.col("source") == cells["source"][1]) & (pl.col("target") == cells["target"][1])).then(0.25)
    cells.with_columns(ceiling_fraction=stated).write_parquet(folder / "cells.parquet")
    after = bundle_rows(folder)
    assert values(after.of(Effect)) == pytest.approx(values(before.of(Effect)))
    for cell, earlier in zip(after.of(Cell), before.of(Cell), strict=True):
        is_stated = (cell.source, cell.target) == (cells["source"][1], cells["target"][1])
        assert cell == (replace(earlier, ceiling_fraction=0.25) if is_stated else earlier)


def test_an_older_file_shows_the_figures_it_lacks_and_stays_as_it_is(whole: Path, bare: Path) -> None:
    before = bare.read_bytes()
    with DuckDBReader.open(whole) as known, DuckDBReader.open(bare) as found:
        for name in ASKED:
            assert found.frame(name).equals(known.frame(name))
        effects = [reader.frame("source_effects") for reader in (known, found)]
        for column in ("source_effect", "target_effect", "mean_as_source", "mean_as_target"):
            assert effects[1][column].to_list() == pytest.approx(effects[0][column].to_list())
        for subset in ("all", "without_outliers", "context_1"):
            assert found.frame("matrix", subset=subset).equals(known.frame("matrix", subset=subset))
        # Nothing is left to draw an interval from.
        assert found.frame("source_effects")["source_low"].is_null().all()
    assert bare.read_bytes() == before


def test_an_older_file_that_is_written_to_holds_them_from_then_on(whole: Path, bare: Path) -> None:
    RunFile.open(bare).close()
    assert read_run(bare).of(Cell) == read_run(whole).of(Cell)
    with duckdb.connect(str(bare), read_only=True) as connection:
        stored = connection.execute("SELECT pair_id, role, effect FROM effect").fetchall()
    assert {(pair_id, role): effect for pair_id, role, effect in stored} == pytest.approx(
        values(read_run(whole).of(Effect))
    )


def test_effects_that_an_older_file_holds_stay_with_their_intervals(whole: Path) -> None:
    known = read_run(whole).of(Effect)
    make_older(whole, SCHEMA_VERSION - 1)
    assert read_run(whole).of(Effect) == known
    assert all(row.ci_low is not None for row in known)
