"""The plain text before an item: the right words, off unless asked for, resumed, and beside every cell."""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
from support.recorded_reads import N_READS_OF_A_SELF_TEST, Reads, record_reads
from support.scripted_runs import Silence, everything, request, run, scripted_content, write_corpus, write_experiment
from support.tiny_runs import make_older

from nlareport.batches import ActivationBatch
from nlareport.errors import CheckpointDrift, RunIncomplete
from nlareport.experiment.experiment_file import load_experiment
from nlareport.rows.cell_rows import Baseline, Cell, LearningCurve
from nlareport.rows.item_rows import Item, PlainReading, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run.pipeline import run_experiment
from nlareport.run.request import narrow_to_pairs
from nlareport.stages.context_words import last_words, read_plain
from nlareport.store.bundle.bundle import export_bundle, import_bundle
from nlareport.store.whole_run import read_run

TARGET = PairId("b")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    heard = record_reads(monkeypatch)
    yield heard
    assert heard.texts, "no reconstructor read anything, so nothing was listened to"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tmp_path, 20)
    return tmp_path


def experiment(folder: Path, plain_words: list[int]) -> Path:
    content: dict[str, Any] = scripted_content(9)
    if plain_words:
        content["plain_words"] = plain_words
    return write_experiment(folder, content)


class Answering:
    """A reconstructor that answers what it was given."""

    def __init__(self, vectors: list[list[float]]) -> None:
        self.vectors = np.array(vectors, dtype=np.float32)
        self.asked: list[str] = []

    def reconstruct(self, explanations: list[str]) -> np.ndarray:
        self.asked = explanations
        return self.vectors


def test_the_last_words_end_with_the_item_and_are_all_there_are_where_the_text_is_shorter() -> None:
    assert last_words("one two  three\nfour fi", 3) == "three four fi"
    assert last_words(" one two ", 8) == "one two"
    assert last_words("", 8) == ""


def test_a_reading_is_scored_against_the_items_own_activation() -> None:
    gold = ActivationBatch(TARGET, np.array([4, 2, 9]), np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32))
    reconstructor = Answering([[3, 0], [5, 0], [0, 0]])
    rows = read_plain({4: "a b c", 2: "d", 9: "e f"}, 2, gold, reconstructor)
    assert reconstructor.asked == ["b c", "d", "e f"]
    assert rows == [PlainReading(4, TARGET, 2, 0.0), PlainReading(2, TARGET, 2, 2.0), PlainReading(9, TARGET, 2, None)]


def test_a_reconstructor_of_another_width_is_refused() -> None:
    gold = ActivationBatch(TARGET, np.array([4]), np.ones((1, 2), dtype=np.float32))
    with pytest.raises(CheckpointDrift, match="vectors of width 3, its activations have width 2"):
        read_plain({4: "a"}, 2, gold, Answering([[1, 2, 3]]))


def test_nothing_plain_is_read_unless_asked_for(corpus: Path, reads: Reads) -> None:
    run(experiment(corpus, []), corpus / "run.duckdb")
    rows = read_run(corpus / "run.duckdb")
    assert rows.of(PlainReading) == []
    assert "plain_words" not in rows.run.environment["scored"]
    assert not any(row.method.startswith("last_") for row in rows.of(Baseline))
    assert len(reads.texts) == 36 + 2 * N_READS_OF_A_SELF_TEST


def test_every_target_reads_the_last_words_of_every_item_in_every_number(corpus: Path, reads: Reads) -> None:
    db = corpus / "run.duckdb"
    for stage in ("sample", "extract", "verbalize", "reconstruct"):
        run(experiment(corpus, [2, 3]), db, only=stage)
    reads.texts = []
    run(experiment(corpus, [2, 3]), db)
    rows = read_run(db)
    expected = [" ".join(item.context.split()[-n:]) for _ in rows.of(Pair) for n in (2, 3) for item in rows.of(Item)]
    assert reads.texts == expected
    found = {(row.item_id, row.target, row.n_words) for row in rows.of(PlainReading)}
    assert found == {(k, target, n) for k in range(9) for target in ("small", "large") for n in (2, 3)}


def test_a_baseline_stands_beside_every_cell_on_the_items_it_scored(corpus: Path) -> None:
    content = scripted_content(9)
    content["plain_words"] = [2]
    # A small budget leaves some answers unclean.
    content["decoding"]["max_new_tokens"] = 10
    run(write_experiment(corpus, content), corpus / "run.duckdb")
    rows = read_run(corpus / "run.duckdb")
    variances = {pair.pair_id: pair.variance_nrm for pair in rows.of(Pair)}
    found = {(row.source, row.target): row for row in rows.of(Baseline) if row.method == "last_2_words"}
    assert len(found) == 4
    n_scored = set()
    for (source, target), row in found.items():
        cell = (source, target)
        scored = {s.item_id for s in rows.of(Score) if (s.source, s.target) == cell and s.mse_nrm is not None}
        n_scored.add(len(scored))
        errors = [r.mse_nrm for r in rows.of(PlainReading) if r.target == target and r.item_id in scored]
        assert row.fve_nrm == pytest.approx(1 - mean(errors) / variances[target])
    assert min(n_scored) < 9


@pytest.mark.parametrize("n_texts", [8, *(pytest.param(n, marks=pytest.mark.soak) for n in (0, 20))])
def test_a_stopped_run_goes_on_where_it_was(n_texts: int, corpus: Path, reads: Reads) -> None:
    path, db = experiment(corpus, [2, 3]), corpus / "stopped.duckdb"
    run(path, corpus / "undisturbed.duckdb")
    for stage in ("sample", "extract", "verbalize", "reconstruct"):
        run(path, db, only=stage)
    reads.texts, reads.stop_after = [], n_texts
    with pytest.raises(KeyboardInterrupt):
        run(path, db)
    assert len(read_run(db).of(PlainReading)) == len(reads.texts) >= n_texts
    reads.stop_after = None
    run(path, db)
    # 9 items, 2 pairs, 2 numbers of words, each read once.
    assert len(reads.texts) == 36
    assert everything(db) == everything(corpus / "undisturbed.duckdb")


def test_a_finished_run_is_scored_again_when_plain_text_is_added_and_when_it_goes(corpus: Path, reads: Reads) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, []), db)
    without = read_run(db)
    make_older(db)
    reads.texts = []
    run(experiment(corpus, [2]), db)
    assert len(reads.texts) == 18
    added = read_run(db)
    assert sum(row.method == "last_2_words" for row in added.of(Baseline)) == 4
    assert (added.of(Score), added.of(Cell), added.of(LearningCurve)) == (
        without.of(Score),
        without.of(Cell),
        without.of(LearningCurve),
    )
    run(experiment(corpus, []), db)
    gone = read_run(db)
    assert gone.of(Baseline) == without.of(Baseline)
    assert gone.of(PlainReading) == added.of(PlainReading)


def test_scoring_alone_asks_for_the_readings_first(corpus: Path) -> None:
    path, db = experiment(corpus, [2, 3]), corpus / "run.duckdb"
    for stage in ("sample", "extract", "verbalize", "reconstruct"):
        run(path, db, only=stage)
    with pytest.raises(RunIncomplete, match="36 plain texts have not been read yet; run without --only"):
        run(path, db, only="score")
    run(path, db, only="read_plain")
    run(path, db, only="score")


def test_progress_names_the_target_and_counts_its_texts(corpus: Path) -> None:
    heard: list[tuple[str, int, int]] = []

    class Listener(Silence):
        def stage(self, name: str, n_total: int, n_done: int) -> None:
            heard.append((name, n_total, n_done))

    run_experiment(request(experiment(corpus, [2, 3]), corpus / "run.duckdb"), Listener())
    lines = [line for line in heard if line[0].startswith("read plain")]
    assert lines == [("read plain text small", 18, 0), ("read plain text large", 18, 0)]


def test_readings_travel_in_bundles(corpus: Path) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, [2]), db)
    for bundle_format in ("parquet", "csv", "jsonl"):
        export_bundle(db, corpus / bundle_format, bundle_format)
        import_bundle(corpus / bundle_format, corpus / f"{bundle_format}.duckdb")
        assert read_run(corpus / f"{bundle_format}.duckdb") == read_run(db)


def test_verifying_pairs_reads_no_plain_text(corpus: Path) -> None:
    assert narrow_to_pairs(load_experiment(experiment(corpus, [2])), ["small", "large"]).plain_words == []
