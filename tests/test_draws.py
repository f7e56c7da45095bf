"""Several explanations of one item: rows that say of which draw they are, and one score made of them; tags of items."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import duckdb
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted_runs import scripted_content
from support.tiny_runs import GEMMA, QWEN, a_null_score, a_pair, a_run, a_score, a_small_run, an_explanation, an_item

from nlareport.batches import ActivationBatch
from nlareport.errors import BundleInvalid, ExperimentInvalid
from nlareport.experiment.experiment_file import parse_experiment
from nlareport.render.pages.item_pages import ItemDetail
from nlareport.rows.declaration import TABLES
from nlareport.rows.item_rows import Explanation, Score, Tag
from nlareport.rows.run_rows import Reducer, Run
from nlareport.statistics.draw_folding import REDUCERS, fold_null_scores, fold_scores
from nlareport.store.bundle.bundle import bundle_rows, export_bundle, import_bundle
from nlareport.store.bundle.bundle_formats import BundleFormat
from nlareport.store.migrations import create_tables
from nlareport.store.reader import DuckDBReader
from nlareport.store.row_tables import frame_of
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.whole_run import RunRows, read_run, store_run


def a_draw(item_id: int, draw: int, mse_nrm: float | None) -> Score:
    scored = replace(a_score(item_id, mse_nrm=mse_nrm), draw=draw)
    return scored if mse_nrm is None else replace(scored, fve_nrm=1 - mse_nrm)


TWO_DRAWS = [a_draw(0, 0, 0.5), a_draw(0, 1, 1.0), a_draw(1, 0, None), a_draw(1, 1, 0.25), a_draw(2, 0, None)]


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """A run whose sources wrote of some items twice, with tags."""
    explanations = [replace(an_explanation(0, text=f"text {draw}"), draw=draw) for draw in (0, 1)]
    tags = [Tag(0, "language", "en"), Tag(1, "language", "de"), Tag(2, "language", "en"), Tag(0, "topic", "tides")]
    rows = RunRows.gather(a_run(), [a_pair(QWEN)], [an_item(k) for k in range(3)], explanations, TWO_DRAWS, tags)
    store_run(tmp_path / "run.duckdb", rows)
    return tmp_path / "run.duckdb"


def folded_by_view(scores: list[Score], reducer: Reducer = "mean") -> list[Score]:
    with duckdb.connect() as connection:
        create_tables(connection)
        run = a_run(reducer=reducer)
        for row_type, rows in ((Run, [run]), (Score, scores)):
            connection.register("rows", frame_of(row_type, rows))
            connection.execute(f"INSERT INTO {TABLES[row_type].name} BY NAME FROM rows")
        columns = "item_id, source, target, mse_nrm, fve_nrm, unscored_reason"
        return [Score(*row) for row in connection.execute(f"SELECT {columns} FROM item_score").fetchall()]


def test_draws_are_folded_over_those_that_are_scored() -> None:
    first, second, third = fold_scores(TWO_DRAWS, "mean")
    assert (first.mse_nrm, first.fve_nrm, first.unscored_reason) == (0.75, 0.25, None)
    assert (second.mse_nrm, second.fve_nrm, second.unscored_reason) == (0.25, 0.75, None)
    assert (third.mse_nrm, third.unscored_reason) == (None, "no closing tag within 300 tokens")
    assert {row.draw for row in (first, second, third)} == {0}


def test_with_one_draw_the_scores_stand_as_they_are_and_in_their_order() -> None:
    scores = [a_draw(item_id, 0, 0.1 * item_id) for item_id in (5, 3, 9, 1)]
    assert fold_scores(scores, "mean") == scores
    assert folded_by_view(scores) == scores


@settings(max_examples=15, deadline=None)
@given(
    given=st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(0, 3)), st.none() | st.floats(0.0, 4.0), min_size=1, max_size=12
    )
)
def test_the_view_folds_as_the_statistics_do(given: dict[tuple[int, int], float | None]) -> None:
    scores = [a_draw(item_id, draw, mse_nrm) for (item_id, draw), mse_nrm in given.items()]
    for reducer in get_args(Reducer):
        found, expected = (
            sorted(rows, key=lambda row: row.item_id)
            for rows in (folded_by_view(scores, reducer), fold_scores(scores, reducer))
        )
        assert [row.item_id for row in found] == [row.item_id for row in expected]
        for by_view, by_hand in zip(found, expected, strict=True):
            assert by_view.mse_nrm == pytest.approx(by_hand.mse_nrm)
            assert by_view.fve_nrm == pytest.approx(by_hand.fve_nrm)
            assert by_view.unscored_reason == by_hand.unscored_reason


def test_null_scores_of_draws_are_folded_within_their_permutation() -> None:
    rows = [replace(a_null_score(0, mse_nrm=1.0 + draw), draw=draw) for draw in (0, 1)]
    other = replace(rows[0], permutation=1, mse_nrm=0.5)
    assert fold_null_scores([*rows, other], "mean") == [replace(rows[0], mse_nrm=1.5), other]


def test_every_reducer_that_an_experiment_may_name_is_known_and_no_other_is_taken() -> None:
    assert set(REDUCERS) == set(get_args(Reducer))
    content = scripted_content(4)
    content["scoring"]["reducer"] = "median"
    with pytest.raises(ExperimentInvalid, match=r"scoring\.reducer"):
        parse_experiment(yaml.safe_dump(content), Path("my.yaml"))


def test_queries_ask_for_one_score_an_item_and_count_every_answer(twice: Path) -> None:
    with DuckDBReader.open(twice) as reader:
        assert reader.frame("diff_scores")["fve_nrm"].to_list() == [0.25, 0.75]
        (shown,) = reader.frame("sample_explanations", item_id=0).to_dicts()
        assert (shown["text"], shown["own_fve_nrm"]) == ("text 0", 0.25)
        assert reader.frame("decode_finish")["n_decodes"].to_list() == [2]
        for name in reader.query_names():
            if name.startswith("audits/"):
                assert reader.frame(name).is_empty(), name


def test_tags_are_counted_and_shown_with_their_item(twice: Path) -> None:
    with DuckDBReader.open(twice) as reader:
        assert reader.frame("tags").rows() == [("language", "en", 2), ("language", "de", 1), ("topic", "tides", 1)]
        details = reader.rows(ItemDetail, "item_details", first=0, last=2)
    assert [item.tags for item in details] == [["language: en", "topic: tides"], ["language: de"], ["language: en"]]


@pytest.mark.parametrize("bundle_format", ["parquet", "csv", "jsonl"])
def test_draws_and_tags_go_out_with_a_bundle_and_come_back(
    bundle_format: BundleFormat, twice: Path, tmp_path: Path
) -> None:
    export_bundle(twice, tmp_path / "out", bundle_format)
    import_bundle(tmp_path / "out", tmp_path / "again.duckdb")
    before, after = read_run(twice), read_run(tmp_path / "again.duckdb")
    for row_type in (Explanation, Score, Tag):
        assert after.of(row_type) == before.of(row_type) != []


def test_a_bundle_that_names_no_draw_holds_the_first_of_each_item(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"title": "x", "pairs": [a_pair_of_yaml(QWEN)]}))
    scores = tmp_path / "scores.csv"
    scores.write_text(f"item_id,source,target,mse_nrm\n0,{QWEN},{QWEN},0.5\n")
    assert [row.draw for row in bundle_rows(tmp_path).of(Score)] == [0]
    scores.write_text(f"item_id,source,target,mse_nrm,draw\n0,{QWEN},{QWEN},0.5,\n0,{QWEN},{QWEN},0.5,1\n")
    assert [row.draw for row in bundle_rows(tmp_path).of(Score)] == [0, 1]
    scores.write_text(f"item_id,source,target,mse_nrm,draw\n0,{QWEN},{QWEN},0.5,\n0,{QWEN},{QWEN},0.5,0\n")
    with pytest.raises(BundleInvalid, match=r"2 rows repeat a key, such as source 'qwen7-L20', .*draw 0, item_id 0"):
        bundle_rows(tmp_path)
    scores.write_text(f"item_id,source,target,mse_nrm,draw\n0,{QWEN},{QWEN},0.5,-1\n")
    with pytest.raises(BundleInvalid, match=r"draw is -1"):
        bundle_rows(tmp_path)


def test_draws_under_another_name_or_without_a_number_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"title": "x", "pairs": [a_pair_of_yaml(QWEN)]}))
    scores, row = tmp_path / "scores.csv", f"0,{QWEN},{QWEN},0.5"
    scores.write_text(f"item_id,source,target,mse_nrm,rollout\n{row},0\n{row},1\n")
    with pytest.raises(
        BundleInvalid, match=r"'rollout' is not known; .*, or call it draw if it numbers the explanations"
    ):
        bundle_rows(tmp_path)
    scores.write_text(f"item_id,source,target,mse_nrm\n{row}\n{row}\n")
    with pytest.raises(
        BundleInvalid, match="keep one of each, or number several explanations of an item in a column draw"
    ):
        bundle_rows(tmp_path)


def a_pair_of_yaml(pair_id: str) -> dict[str, object]:
    return {"pair_id": pair_id, "label": pair_id, "family": "q", "base_model": "Org/q", "block_index": 1, "d_model": 3}


def test_a_run_of_one_draw_reads_back_as_it_always_did(tmp_path: Path) -> None:
    store_run(tmp_path / "run.duckdb", a_small_run())
    rows = read_run(tmp_path / "run.duckdb")
    assert rows.of(Score) == a_small_run().of(Score)
    assert {row.draw for row in rows.of(Explanation)} == {0}
    assert rows.run.reducer == "mean"


def test_reconstructions_of_a_later_draw_stand_apart_from_the_first(tmp_path: Path) -> None:
    store = ActivationStore(tmp_path / "run.duckdb")
    batches = [
        ActivationBatch(GEMMA, np.array([1, 2]), np.full((2, 3), float(draw), dtype=np.float32)) for draw in (0, 1)
    ]
    store.write_reconstructions(QWEN, batches[0])
    first = store.reconstruction_parts(QWEN, GEMMA)
    store.write_reconstructions(QWEN, batches[1], draw=1)
    fresh = ActivationStore(tmp_path / "run.duckdb")
    assert [path.parent.name for path in fresh.reconstruction_parts(QWEN, GEMMA)] == [first[0].parent.name, "draw-1"]
    for draw in (0, 1):
        assert fresh.read_reconstructions(QWEN, GEMMA, draw=draw).vectors.tolist() == [[float(draw)] * 3] * 2
        assert fresh.reconstructed_item_ids(QWEN, GEMMA, draw=draw) == {1, 2}
    assert fresh.reconstructed_item_ids(QWEN, GEMMA, draw=2) == frozenset()
