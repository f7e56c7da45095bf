"""Vectors that are given, such as steering vectors: files of both kinds, what is refused, and runs from them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file
from support.reports import write_report
from support.scripted_runs import run, scripted_content, write_experiment

from nlareport.errors import (
    CorpusChanged,
    CorpusTooShort,
    CorpusUnreadable,
    ExperimentInvalid,
    NlareportError,
    NonFiniteVector,
    ZeroVector,
)
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Alignment, Item, Score, Tag
from nlareport.rows.run_rows import Document, Making
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.vector_files import read_given_vectors

WIDTHS = {"small": 16, "large": 24}


def vectors_of(width: int, n: int = 6) -> np.ndarray:
    return np.random.default_rng(width).standard_normal((n, width)).astype(np.float32)


def write_vectors(path: Path, width: int, **columns: Any) -> Path:
    pl.DataFrame({"activation_vector": vectors_of(width).tolist(), **columns}).write_parquet(path)
    return path


def an_experiment(folder: Path, **changes: Any) -> Path:
    """The two scripted pairs on a file of vectors each."""
    corpus = {"kind": "vectors", "name": "steering", "path": {name: f"{name}.parquet" for name in WIDTHS}}
    sampling = {"seed": 3, "n_items": 6, "reference_pair": "small"}
    return write_experiment(folder, {**scripted_content(6), "corpus": corpus, "sampling": sampling, **changes})


def test_given_vectors_are_measured_as_they_are_without_text_or_base_model(tmp_path: Path) -> None:
    labels = ["anger", "calm", "French", "code", "9 lives", None]
    for name, width in WIDTHS.items():
        write_vectors(tmp_path / f"{name}.parquet", width, label=labels, item_id=[5, 4, 3, 2, 1, 0])
    experiment, db = an_experiment(tmp_path), tmp_path / "run.duckdb"
    assert run(experiment, db) == "6 items, 12 explanations, 24 scores"
    with RunFile.open_to_read(db) as run_file:
        items = run_file.rows(Item)
        assert [(item.item_id, item.token, item.context, item.char_end) for item in items] == [
            (number, label or "", None, None) for number, label in enumerate(reversed(labels))
        ]
        assert len({item.doc_id for item in items}) == len(run_file.rows(Document)) == 6
        assert {row.role for row in run_file.rows(Making)} == {"verbalizer", "reconstructor"}
        norms = {row.item_id: row.activation_norm for row in run_file.rows(Alignment) if row.pair_id == "large"}
        assert norms[5] == pytest.approx(float(np.linalg.norm(vectors_of(24)[0])))
        assert all(row.mse_nrm is not None for row in run_file.rows(Score))
    assert run(experiment, db).endswith("nothing was missing")


def test_the_pages_say_once_that_vectors_were_given_and_speak_of_no_text(tmp_path: Path) -> None:
    for name, width in WIDTHS.items():
        write_vectors(tmp_path / f"{name}.parquet", width, label=["anger", "calm", "French", "code", "<b>9", None])
    run(an_experiment(tmp_path), tmp_path / "run.duckdb")
    report = tmp_path / "report"
    write_report(tmp_path / "run.duckdb", report)
    page = (report / "index.html").read_text(encoding="utf-8")
    assert page.count("vectors that were given, not read from text") == 1
    assert "label <code>" in page
    for absent in (
        "left context</th>",
        "does not hold this item's text",
        ">Punctuation<",
        "token <code>",
        "mapped to the",
    ):
        assert absent not in page
    item = (report / "items/4.html").read_text(encoding="utf-8")
    assert "label <code>&lt;b&gt;9</code>" in item
    assert "Off by" not in item
    assert "label <code>" not in (report / "items/5.html").read_text(encoding="utf-8")


def test_vectors_of_one_document_move_together_and_more_can_be_asked_for_later(tmp_path: Path) -> None:
    for name, width in WIDTHS.items():
        columns = {"doc_id": ["a", "a", "b", "b", "c", "c"], "n_raw_tokens": [7] * 6}
        write_vectors(tmp_path / f"{name}.parquet", width, detokenized_text_truncated=["one two"] * 6, **columns)
    experiment, db = an_experiment(tmp_path), tmp_path / "run.duckdb"
    run(experiment, db, limit=3)
    run(experiment, db)
    with RunFile.open_to_read(db) as run_file:
        assert [item.doc_id for item in run_file.rows(Item)] == ["a", "a", "b", "b", "c", "c"]
        assert {item.context for item in run_file.rows(Item)} == {"one two"}
        assert {row.token_index for row in run_file.rows(Alignment)} == {6}


def test_a_run_does_not_go_on_with_other_vectors(tmp_path: Path) -> None:
    for name, width in WIDTHS.items():
        write_vectors(tmp_path / f"{name}.parquet", width)
    experiment, db = an_experiment(tmp_path), tmp_path / "run.duckdb"
    run(experiment, db, limit=3)
    changed = vectors_of(24)
    changed[1] += 1
    pl.DataFrame({"activation_vector": changed.tolist()}).write_parquet(tmp_path / "large.parquet")
    with pytest.raises(CorpusChanged, match="steering:vectors:1 is the first: it has other vectors"):
        run(experiment, db)
    write_vectors(tmp_path / "large.parquet", 24)
    save_file({"activation_vector": vectors_of(16)}, tmp_path / "small.parquet.safetensors")
    path = {"small": "small.parquet.safetensors", "large": "large.parquet"}
    moved = an_experiment(tmp_path, corpus={"kind": "vectors", "name": "steering", "path": path})
    assert run(moved, db).startswith("6 items")


def test_a_file_may_be_parquet_or_safetensors_with_a_row_or_a_tensor_for_each_vector(tmp_path: Path) -> None:
    vectors = vectors_of(16)
    save_file({"activation_vector": vectors.astype(np.float64), "item_id": np.arange(6)[::-1].copy()},
              tmp_path / "rows.safetensors")  # fmt: skip
    save_file({f"v{n}": vector for n, vector in enumerate(vectors)}, tmp_path / "named.safetensors")
    pl.DataFrame({"activation_vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, 16))}).write_parquet(
        tmp_path / "rows.parquet"
    )
    rows, named, parquet = (
        read_given_vectors(tmp_path / name, "label")
        for name in ("rows.safetensors", "named.safetensors", "rows.parquet")
    )
    assert np.array_equal(rows.vectors, vectors[::-1])
    assert np.array_equal(named.vectors, vectors)
    assert named.labels == [f"v{n}" for n in range(6)]
    assert np.array_equal(parquet.vectors, vectors)


def test_brain_floats_are_read_as_the_numbers_they_are(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    vectors = torch.tensor(vectors_of(16)).to(torch.bfloat16)
    save_torch({"activation_vector": vectors}, str(tmp_path / "b.safetensors"))
    assert np.array_equal(read_given_vectors(tmp_path / "b.safetensors", "label").vectors, vectors.float().numpy())


ROW = [1.0] * 16


@pytest.mark.parametrize(
    ("columns", "error", "said"),
    [
        ({"activation_vector": [ROW, [1.0] * 15]}, CorpusUnreadable, "vectors have 15, 16 numbers. Give them all one"),
        ({"activation_vector": [ROW, None]}, CorpusUnreadable, "16 numbers or none"),
        ({"activation_vector": ["1,2", "3"]}, CorpusUnreadable, "holds String. Write a list of numbers"),
        ({"vector": [ROW, ROW]}, CorpusUnreadable, "no column activation_vector; there are: 'vector'"),
        ({"activation_vector": [[1.0] * 8] * 2}, CorpusUnreadable, "vectors of 8 numbers, pair small has d_model 16"),
        ({"activation_vector": [ROW, [0.0] * 16]}, ZeroVector, "the vector of item 1 is zero"),
        ({"activation_vector": [ROW, [float("nan"), *ROW[1:]]]}, NonFiniteVector, "item 1 holds a NaN"),
        ({"activation_vector": [ROW, [1e300, *ROW[1:]]]}, NonFiniteVector, "item 1 holds a NaN, or a number too large"),
        ({"activation_vector": [ROW, [None, *ROW[1:]]]}, NonFiniteVector, "item 1 holds a NaN"),
        ({"activation_vector": [ROW] * 2, "item_id": [4, 4]}, CorpusUnreadable, "item_id 4 stands for more than one"),
        ({"activation_vector": [ROW] * 2, "item_id": [1, -1]}, CorpusUnreadable, "must be a whole number from 0"),
        ({"activation_vector": [ROW] * 2, "item_id": ["a", "b"]}, CorpusUnreadable, "must be a whole number from 0"),
        ({"activation_vector": [ROW] * 2, "n_raw_tokens": [1.5, 2.0]}, CorpusUnreadable, "n_raw_tokens must be a"),
        ({"activation_vector": [ROW] * 2, "label": [1, 2]}, CorpusUnreadable, "column 'label' holds something else"),
        ({"activation_vector": [ROW] * 2, "activation_layer": [9, 9]}, CorpusUnreadable,
         "come from layer 9, pair small reads block 2. Give the vectors of that block"),
        ({"activation_vector": [ROW]}, CorpusTooShort, "holds 1 vectors, the experiment asks for 2 items"),
    ],
)  # fmt: skip
def test_what_is_no_vector_of_the_pair_is_refused_in_one_sentence(
    columns: dict[str, Any], error: type[NlareportError], said: str, tmp_path: Path
) -> None:
    pl.DataFrame(columns, strict=False).write_parquet(tmp_path / "v.parquet")
    corpus = {"kind": "vectors", "name": "v", "path": "v.parquet"}
    sampling = {"seed": 3, "n_items": 2, "reference_pair": "small"}
    pairs = scripted_content(2)["pairs"][:1]
    experiment = an_experiment(tmp_path, corpus=corpus, sampling=sampling, pairs=pairs)
    with pytest.raises(error, match=rf"v\.parquet.*{said}"):
        run(experiment, tmp_path / "run.duckdb")


def test_columns_of_the_vectors_become_tags(tmp_path: Path) -> None:
    strengths = [2.0, 2.0, 0.5, 0.5, None, 2.0]
    write_vectors(tmp_path / "large.parquet", 24, strength=strengths, item_id=[5, 4, 3, 2, 1, 0])
    write_vectors(tmp_path / "small.parquet", 16)
    experiment, db = an_experiment(tmp_path, tags={"strength": {"column": "strength"}}), tmp_path / "run.duckdb"
    run(experiment, db)
    with RunFile.open_to_read(db) as run_file:
        said = {(tag.item_id, tag.name, tag.value) for tag in run_file.rows(Tag)}
        assert {cell.subset for cell in run_file.rows(Cell)} >= {"strength=0.5", "strength=2.0"}
    assert said == {(5 - n, "strength", str(value)) for n, value in enumerate(strengths) if value is not None}
    with pytest.raises(CorpusUnreadable, match=r"there is no column 'kind'; .*Correct tags\.kind\.column"):
        run(an_experiment(tmp_path, tags={"kind": {"column": "kind"}}), db)


def test_files_of_two_pairs_must_be_of_the_same_items(tmp_path: Path) -> None:
    experiment = an_experiment(tmp_path)
    write_vectors(tmp_path / "small.parquet", 16)
    write_vectors(tmp_path / "large.parquet", 24, item_id=[0, 1, 2, 3, 4, 9])
    with pytest.raises(CorpusUnreadable, match="are of different items: 5 is in one of them only"):
        run(experiment, tmp_path / "run.duckdb")
    write_vectors(tmp_path / "small.parquet", 16, label=["a"] * 6)
    write_vectors(tmp_path / "large.parquet", 24, label=["a", "b", "a", "a", "a", "a"])
    with pytest.raises(CorpusUnreadable, match=r"item 1 is called 'a', in .*large\.parquet 'b'"):
        run(experiment, tmp_path / "run.duckdb")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corpus": {"kind": "vectors", "name": "v", "path": "v.parquet"}}, "name a file for each pair"),
        ({"corpus": {"kind": "vectors", "name": "v", "path": {"small": "v.parquet"}}}, "each of the pairs small, lar"),
        ({"sampling": {"seed": 1, "n_items": 2, "reference_pair": "small", "truncation_tokens": 99}},
         "sampling.truncation_tokens: given vectors have no positions"),
        ({"plain_words": [4]}, "plain_words, last_words: there are no words before given"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_without_texts_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentInvalid, match=said):
        run(an_experiment(tmp_path, **changes), tmp_path / "run.duckdb")
