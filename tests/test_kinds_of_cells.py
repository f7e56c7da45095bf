"""How source and target of a cell stand to each other: one definition in SQL and in Python, and what pages say."""

from pathlib import Path

import pytest
import yaml
from support.tiny_runs import a_pair, a_run

from nlareport.claims.reading import read_claims
from nlareport.errors import BundleInvalid, PublishedFiguresInvalid
from nlareport.render.report.query_rows import HeroCell, MatrixCell
from nlareport.rows.run_rows import Pair, PairId
from nlareport.store.bundle.bundle import import_run
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import create_run_file

FIGURES = """
experiment: formats
title: Versions and texts
substrate: {corpus: corpus, docs: 100}
decode: {mode: greedy}
metric: {name: fve_nrm}
pairs:
- {pair_id: new, label: New, family: qwen, base_model: Qwen/Qwen, block_index: 20, d_model: 8}
- {pair_id: old, label: Old, family: qwen, base_model: Qwen/Qwen, block_index: 20, d_model: 8}
- {pair_id: human, label: People, family: text, base_model: none, block_index: 0, d_model: 8}
cells:
- {source: new, target: new, fve_nrm: 0.65}
- {source: old, target: new, fve_nrm: 0.72}
- {source: human, target: new, fve_nrm: 0.46}
- {source: old, target: old, fve_nrm: 0.73}
- {source: new, target: old, fve_nrm: 0.02}
"""


def published(folder: Path, text: str = FIGURES) -> Path:
    (folder / "figures.yaml").write_text(text, encoding="utf-8")
    import_run(folder / "figures.yaml", folder / "run.duckdb")
    return folder / "run.duckdb"


def test_sql_and_python_agree_on_which_cells_are_cross_model(tmp_path):
    places = [("m", 1, "f"), ("m", 1, "f"), ("m", 2, "f"), ("n", 1, "f"), ("o", 1, "g"), (None, None, "text")]
    pairs = [
        Pair(PairId(str(n)), str(n), family, model, block, None, *[None] * 5, n, reads=model is not None)
        for n, (model, block, family) in enumerate(places)
    ]
    create_run_file(tmp_path / "run.duckdb", a_run(), pairs)
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        cells = reader.rows(MatrixCell, "matrix", subset="all")
    known = {pair.pair_id: pair for pair in pairs}
    assert len(cells) == 6 * 5
    for cell in cells:
        is_cross_model = cell.relation in ("same-family", "cross-family")
        assert is_cross_model == known[cell.source].is_other_model(known[cell.target]), cell
    assert {cell.relation for cell in cells} == {"same-model", "cross-version", "same-family", "cross-family", "text"}


def test_published_versions_and_texts_are_called_so_in_hero_and_sentences(tmp_path):
    with DuckDBReader.open(published(tmp_path)) as reader:
        figures = [cell.figure for cell in reader.rows(HeroCell, "hero_cells")]
        said = [claim.text for claim in read_claims(reader) if claim.holds]
    assert figures == [
        "Worst cross-version cell",
        "Best cross-version cell",
        "Best cell of a text source",
        "Best diagonal",
    ]
    assert any(text.startswith("Between versions of one pair, text recovers 3–111%") for text in said)
    assert any(text.startswith("Text written without an activation recovers 71%") for text in said)
    assert not [text for text in said if "cross-model" in text or "cross-family" in text]


def test_a_source_without_a_model_is_no_target(tmp_path):
    wrong = FIGURES.replace("source: new, target: old", "source: new, target: human")
    with pytest.raises(PublishedFiguresInvalid, match="new → human needs human as one that reads"):
        published(tmp_path, wrong)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    pairs = [{"pair_id": "human", "family": "text", "base_model": "none", "reads": True}]
    (bundle / "run.yaml").write_text(yaml.safe_dump({"title": "t", "pairs": pairs}))
    (bundle / "scores.csv").write_text("item_id,source,target,mse_nrm\n0,human,human,0.5\n")
    with pytest.raises(BundleInvalid, match="can only be a source"):
        import_run(bundle, tmp_path / "bundle.duckdb")


def test_a_pair_that_only_reads_is_no_source_in_a_bundle(tmp_path):
    pair = a_pair()
    described = {name: getattr(pair, name) for name in ("pair_id", "family", "base_model", "block_index", "d_model")}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"title": "t", "pairs": [{**described, "writes": False}]}))
    scores = "\n".join(f"{number},{pair.pair_id},{pair.pair_id},0.5" for number in range(3))
    (tmp_path / "scores.csv").write_text(f"item_id,source,target,mse_nrm\n{scores}\n")
    with pytest.raises(BundleInvalid, match="source says 'qwen7-L20', of which run"):
        import_run(tmp_path, tmp_path / "run.duckdb")
