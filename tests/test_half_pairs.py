"""Matrices that are not square, computed by scripted pairs: sources of texts, halves of pairs, pairs added later."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.scripted_runs import everything, run, scripted_content, write_corpus, write_experiment

from nlareport.errors import CheckpointChanged, ExperimentInvalid, RunOfAnotherExperiment, TextsUnfit
from nlareport.experiment.experiment_file import load_experiment
from nlareport.review.check import audit_faults
from nlareport.rows.cell_rows import Baseline, Cell, Effect, Measure, SubsetRange
from nlareport.rows.item_rows import Activation, Explanation, Item, NullScore, Outlier, Resemblance, Score
from nlareport.rows.run_rows import Pair
from nlareport.store.bundle.bundle import export_bundle, import_run
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import RunRows, read_run


def pair(pair_id: str, **changes: Any) -> dict[str, Any]:
    given = scripted_content(2)["pairs"][0]
    return {**given, "pair_id": pair_id, "label": pair_id, "base_model": pair_id, "family": pair_id, **changes}


def content(*entries: dict[str, Any], n_items: int = 8) -> dict[str, Any]:
    return {**scripted_content(n_items), "pairs": [*scripted_content(n_items)["pairs"], *entries]}


def written(folder: Path, *entries: dict[str, Any], n_items: int = 8) -> Path:
    folder.mkdir(exist_ok=True)
    write_corpus(folder, 20)
    return write_experiment(folder, content(*entries, n_items=n_items))


def human(folder: Path, texts: dict[int, str]) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"item_id": item_id, "text": text}) for item_id, text in texts.items()]
    (folder / "human.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return {"kind": "texts", "pair_id": "human", "label": "People", "path": "human.jsonl"}


LAST_WORDS = {"kind": "texts", "pair_id": "last-6", "label": "last 6 words", "last_words": 6}


def cells_of(db: Path) -> dict[tuple[str, str], float | None]:
    return cells_of_rows(read_run(db))


def cells_of_rows(rows: RunRows) -> dict[tuple[str, str], float | None]:
    return {(row.source, row.target): row.fve_nrm for row in rows.of(Cell) if row.subset == "all"}


def test_sources_of_texts_and_halves_of_pairs_make_a_matrix_that_is_not_square(tmp_path):
    texts = human(tmp_path, {number: f'A text about "river" and "letter" {number} .' for number in range(6)})
    writer, reader = pair("writer", reconstructor=None), pair("reader", verbalizer=None)
    db = tmp_path / "run.duckdb"
    experiment = {**content(texts, LAST_WORDS, writer, reader), "ablations": ["words_shuffled"], "plain_words": [4]}
    write_corpus(tmp_path, 20)
    run(write_experiment(tmp_path, experiment), db)
    sources, targets = ["small", "large", "human", "last-6", "writer"], ["small", "large", "reader"]
    assert set(cells_of(db)) == {(source, target) for source in sources for target in targets}
    rows = read_run(db)
    pairs = {row.pair_id: row for row in rows.of(Pair)}
    assert (pairs["human"].base_model, pairs["human"].d_model, pairs["human"].reads) == (None, None, False)
    halves = (pairs["writer"].reads, pairs["reader"].writes, pairs["reader"].variance_nrm is not None)
    assert halves == (False, False, True)
    said = {row.item_id: row for row in rows.of(Explanation) if row.source == "last-6"}
    item = rows.of(Item)[0]
    assert said[item.item_id].text == " ".join(item.context.split()[-6:])
    assert all(row.is_clean is None and row.completion is None for row in said.values())
    without = [row for row in rows.of(Score) if row.source == "human" and row.item_id >= 6]
    assert {row.unscored_reason for row in without} == {"no text was given"}
    assert {row.method for row in rows.of(Baseline) if row.source == "human"} == {"best_constant", "last_4_words"}
    assert {row.pair_id for row in rows.of(Effect)}.isdisjoint({"human", "last-6"})
    with DuckDBReader.open(db) as reader_of_run:
        assert audit_faults(reader_of_run) == []
    assert run(tmp_path / "experiment.yaml", db).endswith("nothing was missing")
    export_bundle(db, tmp_path / "bundle", "csv")
    import_run(tmp_path / "bundle", tmp_path / "again.duckdb")
    again = read_run(tmp_path / "again.duckdb")
    assert {row_type: again.of(row_type) for row_type in rows.tables} == rows.tables


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (pair("none", verbalizer=None, reconstructor=None), "names neither a verbalizer nor a reconstructor"),
        ({**LAST_WORDS, "path": "texts.csv"}, "either path or last_words"),
        ({**LAST_WORDS, "d_model": 3}, r"pairs\.2\.d_model: is not a known key"),
        ({**pair("p"), "kind": "text"}, r"pairs\.2\.kind"),
    ],
)
def test_an_entry_that_is_neither_pair_nor_texts_is_a_fault(tmp_path, entry, fault):
    with pytest.raises(ExperimentInvalid, match=fault):
        load_experiment(written(tmp_path, entry))


def test_texts_that_changed_or_speak_of_no_item_are_refused(tmp_path):
    texts = human(tmp_path, {0: "one", 1: "two"})
    db = tmp_path / "run.duckdb"
    experiment = written(tmp_path, texts)
    run(experiment, db)
    human(tmp_path, {0: "another", 1: "two"})
    with pytest.raises(CheckpointChanged, match="the file of texts of pair human"):
        run(experiment, db)
    human(tmp_path, {99: "nobody's"})
    with pytest.raises(TextsUnfit, match="none is of an item of this run"):
        run(experiment, tmp_path / "other.duckdb")
    (tmp_path / "human.jsonl").write_text('{"item_id": 1, "text": "a"}\n{"item_id": 1, "text": "b"}')
    with pytest.raises(TextsUnfit, match="there is another text of 1"):
        run(experiment, tmp_path / "twice.duckdb")


def test_the_last_words_of_contexts_are_not_praised_for_standing_in_them(tmp_path):
    run(written(tmp_path, LAST_WORDS), tmp_path / "run.duckdb")
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        shares = dict(reader.frame("SELECT source, share_found FROM text_summary").iter_rows())
        figures = json.loads(reader.frame("claim_content_words")["figures"][0])
    assert shares["last-6"] == 1.0
    assert max(figures["found"]) < 1.0
    assert figures["n"] == len(shares) - 1


def test_a_pair_added_to_a_finished_run_equals_the_whole_matrix_run_at_once(tmp_path):
    added = [pair("fifth", d_model=20), LAST_WORDS]
    whole, stepwise = tmp_path / "whole", tmp_path / "stepwise"
    run(written(whole, *added), whole / "run.duckdb")
    run(written(stepwise), stepwise / "run.duckdb")
    before = {(row.source, row.target, row.item_id): row for row in read_run(stepwise / "run.duckdb").of(Score)}
    run(written(stepwise, *added), stepwise / "run.duckdb")
    assert everything(stepwise / "run.duckdb") == everything(whole / "run.duckdb")
    after = {(row.source, row.target, row.item_id): row for row in read_run(stepwise / "run.duckdb").of(Score)}
    assert before.items() <= after.items()


def test_a_pair_cannot_be_taken_out_of_a_run_but_half_a_pair_can_get_the_other_half(tmp_path):
    whole, stepwise = tmp_path / "whole", tmp_path / "stepwise"
    db = stepwise / "run.duckdb"
    run(written(stepwise, pair("fifth", verbalizer=None)), db)
    with pytest.raises(RunOfAnotherExperiment, match=r"pairs\.fifth"):
        run(written(stepwise), db)
    run(written(stepwise, pair("fifth")), db)
    run(written(whole, pair("fifth")), whole / "run.duckdb")
    assert everything(db) == everything(whole / "run.duckdb")
    shutil.rmtree(stepwise / "run.activations")
    assert run(stepwise / "experiment.yaml", db).endswith("nothing was missing")


def test_a_pair_added_to_a_published_run_file_reads_all_texts_and_leaves_the_old_cells_as_they_are(tmp_path):
    added = [pair("fifth", d_model=20), LAST_WORDS]
    whole, published = tmp_path / "whole", tmp_path / "published"
    db = published / "run.duckdb"
    run(written(whole, *added), whole / "run.duckdb")
    run(written(published), db)
    before = read_run(db)
    shutil.rmtree(published / "run.activations")
    said = run(written(published, *added), db)
    assert "texts of fifth, last-6 are not read by small, large: that takes their base models" in said
    here, there = read_run(db), read_run(whole / "run.duckdb")
    sources = {"small", "large", "fifth", "last-6"}
    assert set(cells_of(db)) == {(source, "fifth") for source in sources} | set(cells_of_rows(before))
    for row_type in (Score, NullScore, Resemblance, Cell, Measure, SubsetRange, Explanation, Outlier, Activation, Pair):
        assert {str(row) for row in here.of(row_type)} <= {str(row) for row in there.of(row_type)}, row_type
    assert {str(row) for row in before.of(Baseline)} <= {str(row) for row in here.of(Baseline)}
    with DuckDBReader.open(db) as reader:
        assert audit_faults(reader) == []
    assert run(published / "experiment.yaml", db).endswith("nothing was missing")
