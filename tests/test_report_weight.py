import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.made_runs import write_computed_run
from support.reports import write_report

LIMIT = 350_000
"""Bytes, gzipped, of what a browser loads before anyone touches the page."""


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_computed_run(tmp_path_factory.mktemp("large") / "run.duckdb", n_items=2000, pairs=4)


def test_a_report_of_2000_items_and_four_pairs_is_light(large: Path, tmp_path: Path) -> None:
    page = write_report(large, tmp_path)
    html = page.read_text(encoding="utf-8")
    loaded = [page, *(path for path in (tmp_path / "assets").iterdir() if path.name in html)]
    assert any(path.suffix == ".css" for path in loaded)
    assert sum(len(gzip.compress(path.read_bytes())) for path in loaded) <= LIMIT
    assert 'class="heat large pairs-4"' in html


def test_two_processes_write_the_same_bytes_drawings_included(tmp_path: Path) -> None:
    db = write_computed_run(tmp_path / "run.duckdb", n_items=100, pairs=4)
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-m", "nlareport", "render", str(db), "--out", str(tmp_path / seed)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
        )
    first, second = (files_under(tmp_path / seed) for seed in ("1", "2"))
    assert "downloads/charts/intervals.png" in first
    assert first == second
