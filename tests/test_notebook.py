"""What `import nlareport` offers: runs as frames, and matrices of frames, as in the guide's notebook."""

import subprocess
import sys
from pathlib import Path

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient
from support.made_runs import PUBLISHED

import nlareport
from nlareport.errors import BundleInvalid, QueryUnknown
from nlareport.rows.cell_rows import Cell
from nlareport.store.bundle.bundle import bundle_rows

GUIDE = Path(__file__).parents[1] / "site" / "pages" / "notebook.ipynb"
RUN_YAML = """title: Two
pairs:
- {pair_id: a, family: f, base_model: o/a, block_index: 1, d_model: 8, variance_nrm: 0.7}
- {pair_id: b, family: g, base_model: o/b, block_index: 1, d_model: 8, variance_nrm: 0.9}
"""


@pytest.fixture
def frame() -> pl.DataFrame:
    """Scores of two pairs, two items of each document."""
    rows = [
        {"item_id": k, "doc_id": f"d{k // 2}", "source": s, "target": t, "mse_nrm": 0.1 + (k * 7 % 11) / 40}
        for k in range(30)
        for s in "ab"
        for t in "ab"
    ]
    return pl.DataFrame(rows)


def test_a_matrix_of_a_frame_has_the_cells_that_an_import_computes(frame: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN_YAML)
    frame.drop("doc_id").write_csv(tmp_path / "scores.csv")
    frame.select("item_id", "doc_id").unique().write_csv(tmp_path / "items.csv")
    columns = ("source", "target", "fve_nrm", "ci_low", "ci_high", "median", "ceiling_fraction")
    imported = sorted(tuple(getattr(row, name) for name in columns) for row in bundle_rows(tmp_path).of(Cell))
    made = nlareport.matrix(frame, {"a": 0.7, "b": 0.9})
    assert made.cells.select(columns).rows() == imported
    assert nlareport.matrix(frame, {"a": 0.7, "b": 0.9}).cells.equals(made.cells)


def test_text_ids_fve_nrm_alone_and_rows_without_a_value_are_taken(frame: pl.DataFrame) -> None:
    texts = frame.select(
        "source", "target", item_id=pl.format("item-{}", "item_id"), fve_nrm=1 - pl.col("mse_nrm"), other=pl.lit("x")
    ).with_columns(fve_nrm=pl.when(pl.col("item_id") == "item-3").then(float("nan")).otherwise("fve_nrm"))
    cell = nlareport.matrix(texts, draws=200, seed=3).cells.row(0, named=True)
    assert (cell["n_scored"], cell["n_unscored"]) == (29, 1)
    assert cell["ci_low"] < cell["fve_nrm"] < cell["ci_high"]


def test_all_that_is_wrong_with_a_frame_is_said_at_once(frame: pl.DataFrame) -> None:
    with pytest.raises(BundleInvalid, match="frame: column source is missing; add it"):
        nlareport.matrix(frame.drop("source"))
    with pytest.raises(BundleInvalid, match="has neither mse_nrm nor fve_nrm"):
        nlareport.matrix(frame.drop("mse_nrm"))
    wrong = frame.with_columns(mse_nrm=pl.lit(5.0), doc_id=pl.Series(map(str, range(frame.height))))
    with pytest.raises(BundleInvalid, match=r"(?s)must be from 0 to 4.*two values of doc_id.*variances names 'c'"):
        nlareport.matrix(wrong, {"c": 0.5})
    with pytest.raises(BundleInvalid, match="60 rows repeat a key"):
        nlareport.matrix(pl.concat([frame, frame.head(30)]))


def test_a_bundle_and_published_figures_open_as_a_run_file_does(frame: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN_YAML)
    frame.drop("doc_id").write_csv(tmp_path / "scores.csv")
    with nlareport.open(tmp_path) as run:
        assert run.cells().height == 4
        assert (run.scores().height, run.items().height, run.explanations().height) == (120, 0, 0)
        assert run.query("matrix", subset="all").height == 4
        assert run.query("SELECT count(*) AS n FROM score").item() == 120
        assert "image/svg+xml" in run.matrix()._repr_mimebundle_()
        with pytest.raises(QueryUnknown, match="did you mean matrix"):
            run.query("matrx")
    with nlareport.open(str(PUBLISHED)) as run:
        assert run.cells().filter(subset="all").height == 16
        assert run.matrix("prose").svg() is None


def test_import_is_fast_because_nothing_heavy_comes_with_it() -> None:
    ask = "import sys, nlareport; print({'polars', 'duckdb', 'numpy', 'altair', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout == "set()\n"
    assert {"open", "matrix", "Matrix", "OpenRun", "NlareportError"} <= set(dir(nlareport))


@pytest.mark.runs
def test_the_notebook_of_the_guide_runs_in_a_kernel_and_shows_its_matrix(tmp_path: Path) -> None:
    notebook = nbformat.read(GUIDE, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs[0].data["image/svg+xml"].startswith("<svg")
    said = "".join(output.get("text", "") for output in outputs)
    assert "mse_nrm is 5; it must be from 0 to 4" in said
    assert "variances names 'frist'" in said
