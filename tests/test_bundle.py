from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from support.tiny_runs import a_small_run, any_runs

from nlareport.errors import BundleInvalid, RunFileMissing, RunFileTaken
from nlareport.files.written_folders import MANIFEST
from nlareport.rows.cell_rows import AblationCell, Cell
from nlareport.rows.item_rows import Ablation, Item, Score
from nlareport.rows.run_rows import Document, Pair, Run
from nlareport.store.bundle.bundle import bundle_rows, export_bundle, import_bundle, import_run
from nlareport.store.bundle.bundle_formats import BundleFormat
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.whole_run import RunRows, read_run, store_run

FORMATS: list[BundleFormat] = ["parquet", "csv", "jsonl"]

PAIRS = [
    {"pair_id": "a", "family": "f", "base_model": "org/a", "block_index": 1, "d_model": 8, "variance_nrm": 0.5},
    {"pair_id": "b", "family": "g", "base_model": "org/b", "block_index": 2, "d_model": 8, "label": "B"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle made by hand, as small as one may be."""
    folder = tmp_path / "by-hand"
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump({"title": "By hand", "pairs": PAIRS}))
    (folder / "scores.csv").write_text("item_id,source,target,mse_nrm\n1,a,a,0.25\n1,a,b,0.5\n2,a,a,\n")
    return folder


def faults_of(folder: Path) -> list[str]:
    with pytest.raises(BundleInvalid, match=str(folder)) as refusal:
        bundle_rows(folder)
    return [line.replace(f"{folder}/", "").replace(f"{folder}", "bundle") for line in str(refusal.value).splitlines()]


@pytest.mark.runs
@pytest.mark.parametrize("bundle_format", FORMATS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=any_runs())
def test_what_goes_out_comes_back_in(
    bundle_format: BundleFormat, rows: tuple[Run, list[list[Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("bundle")
    store_run(place / "a.duckdb", RunRows.gather(rows[0], *rows[1]).with_derived_rows())
    export_bundle(place / "a.duckdb", place / "out", bundle_format)
    assert import_bundle(place / "out", place / "b.duckdb")
    assert read_run(place / "b.duckdb") == read_run(place / "a.duckdb")
    assert not import_bundle(place / "out", place / "a.duckdb")


@pytest.mark.parametrize("bundle_format", FORMATS)
def test_the_same_run_gives_the_same_bytes(bundle_format: BundleFormat, tmp_path: Path) -> None:
    rows = a_small_run()
    store_run(tmp_path / "a.duckdb", rows)
    store_run(tmp_path / "b.duckdb", rows.with_tables({Score: rows.of(Score)[::-1], Pair: rows.of(Pair)[::-1]}))
    first = export_bundle(tmp_path / "a.duckdb", tmp_path / "first", bundle_format)
    second = export_bundle(tmp_path / "b.duckdb", tmp_path / "second", bundle_format)
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    names = [path.name for path in (tmp_path / "first").iterdir() if path.name != MANIFEST]
    assert sorted(names) == sorted(path.name for path in first)


def test_an_empty_text_and_a_missing_one_differ_in_csv(tmp_path: Path) -> None:
    store_run(tmp_path / "a.duckdb", a_small_run())
    export_bundle(tmp_path / "a.duckdb", tmp_path / "out", "csv")
    lines = (tmp_path / "out" / "explanations.csv").read_text().splitlines()
    assert lines[1].startswith('0,qwen7-L20,"",<explanation>')
    assert lines[2].startswith("1,qwen7-L20,,<explanation>")


def test_json_is_nested_in_jsonl(tmp_path: Path) -> None:
    store_run(tmp_path / "a.duckdb", a_small_run())
    export_bundle(tmp_path / "a.duckdb", tmp_path / "out", "jsonl")
    assert '"figures": {"fve": 0.4, "who": ["qwen"], "none": null}' in (tmp_path / "out" / "claims.jsonl").read_text()


def test_exporting_in_another_format_leaves_one_bundle(tmp_path: Path) -> None:
    store_run(tmp_path / "a.duckdb", a_small_run())
    export_bundle(tmp_path / "a.duckdb", tmp_path / "out", "csv")
    export_bundle(tmp_path / "a.duckdb", tmp_path / "out", "parquet")
    assert {path.suffix for path in (tmp_path / "out").iterdir() if path.name != MANIFEST} == {".parquet", ".yaml"}


def test_scores_alone_make_a_run(folder: Path, tmp_path: Path) -> None:
    assert import_run(folder, tmp_path / "run.duckdb")
    stored = read_run(tmp_path / "run.duckdb")
    assert (stored.run.run_id, stored.run.kind, stored.run.title) == ("by-hand", "imported", "By hand")
    assert [(pair.label, pair.ordinal) for pair in stored.of(Pair)] == [("a", 0), ("B", 1)]
    assert stored.of(Item) == []
    assert not import_run(folder, tmp_path / "run.duckdb")


def test_fve_nrm_is_computed_only_where_the_targets_variance_is_stated(folder: Path) -> None:
    scores = bundle_rows(folder).of(Score)
    assert [(s.item_id, s.target, s.mse_nrm, s.fve_nrm) for s in scores] == [
        (1, "a", 0.25, 0.5),
        (1, "b", 0.5, None),
        (2, "a", None, None),
    ]


def test_scores_given_as_fve_nrm_leave_mse_nrm_open(folder: Path) -> None:
    (folder / "scores.csv").unlink()
    (folder / "scores.jsonl").write_text('{"item_id": 1, "source": "a", "target": "b", "fve_nrm": 1}\n\n')
    (score,) = bundle_rows(folder).of(Score)
    assert (score.mse_nrm, score.fve_nrm) == (None, 1.0)


def test_items_may_leave_out_what_follows_from_the_token(folder: Path) -> None:
    (folder / "items.csv").write_text('item_id,token\n1," 7th"\n2,""\n')
    rows = bundle_rows(folder)
    assert [(i.token, i.stratum, i.doc_id) for i in rows.of(Item)] == [
        (" 7th", "digits", "item:1"),
        ("", "punctuation", "item:2"),
    ]
    assert [document.doc_id for document in rows.of(Document)] == ["item:1", "item:2"]


def test_documents_follow_from_the_items(folder: Path) -> None:
    (folder / "items.csv").write_text("item_id,token,doc_id\n1,x,c:en:4\n2,y,c:en:4\n")
    assert bundle_rows(folder).of(Document) == [Document("c:en:4", "c", 4, None)]


def test_a_float32_parquet_from_elsewhere_is_read(folder: Path) -> None:
    frame = pl.read_csv(folder / "scores.csv")
    (folder / "scores.csv").unlink()
    frame.cast({"item_id": pl.Int32, "mse_nrm": pl.Float32}).write_parquet(folder / "scores.parquet")
    assert [score.mse_nrm for score in bundle_rows(folder).of(Score)] == [0.25, 0.5, None]


def test_all_faults_of_a_bundle_are_listed_together(folder: Path) -> None:
    (folder / "run.yaml").write_text(yaml.safe_dump({"title": "x", "pairs": [*PAIRS, PAIRS[0]], "schema_version": 99}))
    (folder / "scores.csv").write_text(
        "item_id,source,target,mse_nrm,colour\n1,a,a,0.5,r\n1,a,a,0.5,r\n2,a,c,5,r\n,a,b,inf,r\n9,a,b,nan,r\n"
    )
    (folder / "items.jsonl").write_text('{"item_id": 1, "token": "x", "stratum": "poetry"}\n{"item_id": 2}')
    (folder / "cells.csv").write_text("source,target\na,b\n")
    (folder / "claims.parquet").write_bytes(b"PAR1")
    (folder / "explanations.csv").write_text("item_id,source,is_clean,n_tokens\n1,a,perhaps,1\n")
    (folder / "baselines.csv").touch()
    (folder / "documents.jsonl").write_text("{}\nnonsense")
    (folder / "alignments.csv").touch()
    (folder / "alignments.jsonl").touch()
    faults = faults_of(folder)
    expected = [
        "run.yaml: pairs: 'a' is used twice",
        f"run.yaml: schema_version is 99, this nlareport reads 1 to {SCHEMA_VERSION}",
        "documents.jsonl: cannot be read: line 2 is not JSON",
        "claims.parquet: cannot be read",
        "items.jsonl: stratum says 'poetry'; it must be one of digits, punctuation, prose",
        "alignments.csv: stands beside alignments.jsonl; keep one of them",
        "explanations.csv: row 1: is_clean is 'perhaps'; it must be true or false.",
        "scores.csv: column 'colour' is not known",
        "scores.csv: row 4: item_id is empty",
        "scores.csv: mse_nrm holds a NaN or an infinity",
        "scores.csv: row 3: mse_nrm is 5; it must be from 0 to 4.",
        "scores.csv: 2 rows repeat a key, such as source 'a', target 'a', item_id 1",
        "cells.csv: column subset is missing",
        "baselines.csv: cannot be read: empty CSV",
        "scores.csv: target says 'c'; run.yaml lists no such pair",
        "scores.csv: 1 items are not in items.jsonl, such as 9",
    ]
    assert [fault[: len(start)] for fault, start in zip(faults, expected, strict=True)] == expected


def test_a_folder_with_nothing_in_it_lacks_two_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    faults = faults_of(tmp_path / "empty")
    assert len(faults) == 2
    assert faults[0].startswith("run.yaml: cannot be read (No such file or directory)")
    assert faults[1].startswith("bundle: holds no scores.parquet, scores.csv or scores.jsonl")


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        ("{}", "title: is missing"),
        ("title: x\npairs: []", "pairs: List should have at least 1 item"),
        ("title: [", "is not YAML"),
        ("- 1", "holds no run; the top level must be keys such as `title` and `pairs`"),
        ("title: x\npairs: [{pair_id: a}]", "pairs.0.family: is missing"),
    ],
)
def test_a_description_that_says_too_little_is_a_fault(folder: Path, description: str, complaint: str) -> None:
    (folder / "run.yaml").write_text(description)
    assert any(complaint in fault for fault in faults_of(folder))


def test_scores_without_a_score_are_a_fault(folder: Path) -> None:
    (folder / "scores.csv").write_text("item_id,source,target\n1,a,a\n")
    assert faults_of(folder) == ["scores.csv: has neither mse_nrm nor fve_nrm; add one of them."]


def test_fractions_where_whole_numbers_belong_are_a_fault(folder: Path) -> None:
    frame = pl.read_csv(folder / "scores.csv").with_columns(item_id=pl.col("item_id") + 0.5)
    (folder / "scores.csv").unlink()
    frame.write_parquet(folder / "scores.parquet")
    assert faults_of(folder) == ["scores.parquet: row 1: item_id is 1.5; it must be a whole number."]


def test_another_bundle_does_not_overwrite(folder: Path, tmp_path: Path) -> None:
    import_bundle(folder, tmp_path / "run.duckdb")
    (folder / "scores.csv").write_text("item_id,source,target,mse_nrm\n1,a,a,0.26\n")
    with pytest.raises(RunFileTaken, match="already holds run 'by-hand'"):
        import_bundle(folder, tmp_path / "run.duckdb")


def test_figures_computed_after_an_import_do_not_make_it_another(folder: Path, tmp_path: Path) -> None:
    rows = bundle_rows(folder)
    cells = a_small_run().of(Cell)
    pairs = [replace(pair, variance_nrm=0.5) for pair in rows.of(Pair)]
    store_run(tmp_path / "run.duckdb", rows.with_tables({Pair: pairs, Cell: cells}))
    assert not import_bundle(folder, tmp_path / "run.duckdb")


def test_a_bundle_from_before_ablations_makes_a_file_of_today(folder: Path, tmp_path: Path) -> None:
    (folder / "run.yaml").write_text(yaml.safe_dump({"title": "By hand", "pairs": PAIRS, "schema_version": 1}))
    assert import_bundle(folder, tmp_path / "run.duckdb")
    stored = read_run(tmp_path / "run.duckdb")
    assert stored.run.schema_version == SCHEMA_VERSION
    assert stored.of(Ablation) == stored.of(AblationCell) == []


def test_exporting_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunFileMissing, match="no run file stands here"):
        export_bundle(tmp_path / "none.duckdb", tmp_path / "out", "csv")
    assert not (tmp_path / "out").exists()
