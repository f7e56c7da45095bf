"""The whole path on scripted and on tiny real pairs: what it computes, that it stops and goes on, what it refuses."""

import json
import math
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support import scripted_runs
from support.scripted_runs import everything, run, scripted_content, write_corpus, write_experiment

from nlareport.errors import CorpusChanged, CorpusTooShort, RunIncomplete, RunOfAnotherExperiment
from nlareport.publish import publish_run
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, Effect, LearningCurve, Measure, SubsetRange
from nlareport.rows.item_rows import Ablation, Activation, Alignment, Explanation, Item, NullScore, Resemblance, Score
from nlareport.rows.run_rows import Claim, Document, Pair
from nlareport.rows.text_rows import TextSummary
from nlareport.statistics.geometry import best_constant_mse, centre, unit_rows
from nlareport.statistics.resampling import bootstrap_columns, bootstrap_variances, document_codes, percentile_interval
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.whole_run import read_run


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    """An experiment of 9 items on two scripted pairs."""
    write_corpus(tmp_path, 20)
    return write_experiment(tmp_path, scripted_content(9))


@pytest.fixture
def finished(scripted_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, with its vectors, experiment and corpus."""
    shutil.copytree(scripted_run.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / scripted_run.name


def test_a_run_fills_every_table(scripted_run: Path) -> None:
    rows = read_run(scripted_run)
    assert len(rows.of(Item)) == 9
    assert len(rows.of(Alignment)) == 9 * 2
    assert len(rows.of(Explanation)) == 9 * 2
    assert len(rows.of(Score)) == len(rows.of(NullScore)) == 9 * 4
    assert len(rows.of(Resemblance)) == 9 * 4
    assert len(rows.of(Activation)) == 9 * 2
    # Three properties in quarters, beside the five subsets that are the same for both targets.
    assert len(rows.of(SubsetRange)) == 12 * 2
    assert len(rows.of(Cell)) == 4 * (5 + 12)
    # Eight other documents are too few to be told among ten; two pairs are too few for the fit.
    assert {(row.measure, row.source == row.target) for row in rows.of(Measure)} == {
        *((name, own) for name in ("centred_cosine", "identified_of_2", "identified_of_all") for own in (True, False)),
        ("ceiling_fraction", False),
    }
    assert rows.of(Effect) == []
    methods = Counter(row.method for row in rows.of(Baseline))
    assert methods == {"best_constant": 4, "nearest_neighbour": 4, "ridge": 2}
    assert {(row.source, row.target) for row in rows.of(LearningCurve)} == {("small", "large"), ("large", "small")}
    assert rows.of(Claim)
    assert [(row.source, row.n_texts) for row in rows.of(TextSummary)] == [("large", 9), ("small", 9)]
    assert {document.skipped_reason is None for document in rows.of(Document)} == {True, False}
    assert all(pair.variance_nrm is not None for pair in rows.of(Pair))


def test_running_twice_changes_nothing(finished: Path, scripted_run: Path) -> None:
    run(finished.with_name("experiment.yaml"), finished)
    assert everything(finished) == everything(scripted_run)


def test_a_run_widened_later_equals_a_wide_one(scripted: Path, scripted_run: Path, tmp_path: Path) -> None:
    # Batches end where the limit does, so that both runs cut them at the same places.
    run(scripted, tmp_path / "grown.duckdb", limit=8)
    run(scripted, tmp_path / "grown.duckdb")
    assert everything(tmp_path / "grown.duckdb") == everything(scripted_run)


def test_a_smaller_limit_throws_nothing_away(finished: Path, scripted_run: Path) -> None:
    run(finished.with_name("experiment.yaml"), finished, limit=4)
    assert everything(finished) == everything(scripted_run)


def test_documents_with_several_positions_are_taken_whole(scripted: Path, tmp_path: Path) -> None:
    content = scripted_content(7)
    content["sampling"]["positions_per_document"] = 3
    experiment, db = write_experiment(tmp_path, content), tmp_path / "run.duckdb"
    run(experiment, db, limit=4)
    run(experiment, db)
    rows = read_run(db)
    assert len(rows.of(Item)) == 9
    assert len(rows.of(Score)) == 9 * 4
    before = everything(db)
    run(experiment, db)
    assert everything(db) == before


def test_a_corpus_that_lies_elsewhere_is_the_same_as_long_as_it_says_the_same(scripted: Path, tmp_path: Path) -> None:
    run(scripted, tmp_path / "run.duckdb", limit=4)
    documents = tmp_path / "documents.jsonl"
    moved = documents.rename(tmp_path / "texts.jsonl")
    content = scripted_content(9)
    content["corpus"]["path"] = moved.name
    write_experiment(tmp_path, content)
    run(scripted, tmp_path / "run.duckdb", limit=6)
    moved.write_text(moved.read_text().replace("river", "tiger"))
    with pytest.raises(CorpusChanged, match="has another text"):
        run(scripted, tmp_path / "run.duckdb")


def test_a_corpus_widened_at_its_end_goes_on(scripted: Path, tmp_path: Path) -> None:
    content, db = scripted_content(9), tmp_path / "run.duckdb"
    content["corpus"]["last_index"] = 4
    with pytest.raises(CorpusTooShort, match="widen the corpus's index range"):
        run(write_experiment(tmp_path, content), db)
    del content["corpus"]["last_index"]
    run(write_experiment(tmp_path, content), db)
    assert len(read_run(db).of(Score)) == 9 * 4


def test_a_corrected_family_reaches_pairs_and_claims(scripted: Path, tmp_path: Path) -> None:
    content, db = scripted_content(9), tmp_path / "run.duckdb"
    content["pairs"][1].update(family="one", label="MISNAMED")
    run(write_experiment(tmp_path, content), db)
    mistaken = read_run(db)
    run(write_experiment(tmp_path, scripted_content(9)), db)
    corrected = read_run(db)
    assert {pair.pair_id: pair.family for pair in corrected.of(Pair)} == {"small": "one", "large": "two"}
    assert all(pair.variance_nrm is not None for pair in corrected.of(Pair))
    assert corrected.of(Claim) != mistaken.of(Claim)
    assert not any("MISNAMED" in claim.text for claim in corrected.of(Claim))
    assert corrected.of(Explanation) == mistaken.of(Explanation)


def _run_until_killed(experiment: Path, db: Path, engine: str, n_writes: int, kind: str = "any") -> int:
    """Exit code of a process that computes the experiment and is killed before its n-th write of a kind."""
    script = Path(scripted_runs.__file__)
    arguments = [sys.executable, str(script), str(experiment), str(db), engine, kind, str(n_writes)]
    return subprocess.run(arguments, check=False, capture_output=True, timeout=120).returncode


@pytest.mark.soak
def test_a_run_killed_again_and_again_ends_in_the_same_rows(scripted: Path, tmp_path: Path) -> None:
    run(scripted, tmp_path / "undisturbed.duckdb")
    killed = tmp_path / "killed.duckdb"
    codes = []
    while not codes or codes[-1] != 0:
        # One write more each time, so that the kills fall at ever other places of the path.
        codes.append(_run_until_killed(scripted, killed, "scripted", n_writes=len(codes) + 2))
    assert codes == [-signal.SIGKILL] * (len(codes) - 1) + [0]
    assert len(codes) > 6
    assert everything(killed) == everything(tmp_path / "undisturbed.duckdb")


@pytest.mark.soak
def test_scoring_killed_before_each_of_its_writes_ends_in_the_same_rows(scripted: Path, tmp_path: Path) -> None:
    run(scripted, tmp_path / "undisturbed.duckdb")
    killed = tmp_path / "killed.duckdb"
    for stage in ("sample", "extract", "verbalize", "reconstruct"):
        run(scripted, killed, only=stage)
    assert [_run_until_killed(scripted, killed, "scripted", n) for n in range(1, 6)] == [-signal.SIGKILL] * 4 + [0]
    assert everything(killed) == everything(tmp_path / "undisturbed.duckdb")


@pytest.fixture
def tiny(tmp_path: Path, tiny_pairs: dict) -> Path:
    """An experiment of 6 items on tiny random checkpoints of all three families."""
    write_corpus(tmp_path, 10)
    content = scripted_content(6)
    specs = [tiny_pairs[name].pair_spec for name in ("qwen2", "gemma3_multimodal", "llama")]
    content["pairs"] = [spec.model_dump(mode="json") for spec in specs]
    content["sampling"]["reference_pair"] = specs[1].pair_id
    # Random verbalizers close no tag.
    content["scoring"]["unclean"] = "raw"
    content["decoding"]["max_new_tokens"] = 8
    return write_experiment(tmp_path, content)


def test_tiny_checkpoints_of_three_architectures_run_through_all_stages(tiny: Path, tmp_path: Path) -> None:
    db = tmp_path / "tiny.duckdb"
    run(tiny, db, "transformers")
    rows = read_run(db)
    assert len(rows.of(Explanation)) == 6 * 3
    assert len(rows.of(Score)) == 6 * 9
    assert all(score.mse_nrm is not None and 0 <= score.mse_nrm <= 4 for score in rows.of(Score))
    assert all(math.isfinite(alignment.activation_norm) for alignment in rows.of(Alignment))
    assert {pair.injection_scale for pair in rows.of(Pair)} == {150.0, 80_000.0, 30.0}
    assert set(rows.run.environment["checkpoints"]) == {pair.pair_id for pair in rows.of(Pair)}
    assert rows.run.environment["machine"] == {
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    assert publish_run(db, tmp_path / "pages").read_text(encoding="utf-8").startswith("<!")


@pytest.mark.soak
def test_real_models_killed_on_the_way_end_in_the_same_rows(tiny: Path, tmp_path: Path) -> None:
    # In a process of its own like the others: another number of threads rounds otherwise.
    assert _run_until_killed(tiny, tmp_path / "undisturbed.duckdb", "transformers", n_writes=1_000) == 0
    killed = tmp_path / "killed.duckdb"
    reached = []
    for kind, n_writes in (("write_activations", 2), ("Explanation", 5), ("write_reconstructions", 4), ("Claim", 1)):
        assert _run_until_killed(tiny, killed, "transformers", n_writes, kind) == -signal.SIGKILL
        rows = read_run(killed)
        n_read = sum(1 for _ in ActivationStore(killed).folder.glob("reconstructions/*/*.parquet"))
        reached.append(
            (len(rows.of(Alignment)), len(rows.of(Explanation)), n_read, len(rows.of(Score)), len(rows.of(Claim)))
        )
    # Killed while it extracted, verbalized, reconstructed, and between scores and claims.
    assert reached == [(6, 0, 0, 0, 0), (18, 8, 0, 0, 0), (18, 18, 3, 0, 0), (18, 18, 9, 54, 0)]
    assert _run_until_killed(tiny, killed, "transformers", n_writes=1_000) == 0
    assert everything(killed) == everything(tmp_path / "undisturbed.duckdb")


def test_a_short_corpus_stops_the_run_and_keeps_what_it_gave(scripted: Path, tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path, scripted_content(500))
    reason = r"gave 16 items from 20 documents, the experiment asks for 500: 4 of 20 documents .*--limit 16"
    with pytest.raises(CorpusTooShort, match=reason):
        run(experiment, tmp_path / "run.duckdb")
    assert len(read_run(tmp_path / "run.duckdb").of(Item)) == 16
    run(experiment, tmp_path / "run.duckdb", limit=16)
    assert len(read_run(tmp_path / "run.duckdb").of(Score)) == 16 * 4


@pytest.mark.parametrize(
    ("texts", "first_index", "said"),
    [
        (
            ["one two three"] * 38,
            0,
            r"38 of 38 documents have fewer than 51 tokens .*Give a corpus of longer",
        ),
        (["word " * 60] + ["short"] * 4, 0, r"gave 1 items from 5 documents.*4 of 5 .*a run needs at least 2 items\.$"),
        (["word " * 60] * 3, 40, r"holds no document from index 40 on.*Lower corpus\.first_index"),
    ],
)
def test_a_corpus_that_gives_no_run_says_why_and_advises_no_limit(
    texts: list[str], first_index: int, said: str, tmp_path: Path
) -> None:
    content = scripted_content(12)
    content["corpus"]["first_index"] = first_index
    (tmp_path / "documents.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with pytest.raises(CorpusTooShort, match=said) as refusal:
        run(write_experiment(tmp_path, content), tmp_path / "run.duckdb")
    assert "--limit" not in str(refusal.value)


def test_another_experiment_does_not_mix_into_a_run_file(finished: Path) -> None:
    content = scripted_content(9)
    content["sampling"]["seed"] = 4
    with pytest.raises(RunOfAnotherExperiment, match=r"other values of sampling\.seed"):
        run(write_experiment(finished.parent, content), finished)


def test_published_figures_are_not_computed_into(scripted: Path, published_run: Path, tmp_path: Path) -> None:
    shutil.copy(published_run, tmp_path / "published.duckdb")
    with pytest.raises(RunOfAnotherExperiment, match="holds published figures"):
        run(scripted, tmp_path / "published.duckdb")


def test_other_scoring_choices_score_the_same_answers_again(finished: Path) -> None:
    db = finished
    before = read_run(db)
    content = scripted_content(9)
    content["scoring"]["variance"] = "resampled"
    content["ablations"] = ["quotes_blanked"]
    run(write_experiment(db.parent, content), db)
    after = read_run(db)
    assert after.of(Explanation) == before.of(Explanation)
    assert [score.mse_nrm for score in after.of(Score)] == [score.mse_nrm for score in before.of(Score)]
    assert [cell.ci_low for cell in after.of(Cell)] != [cell.ci_low for cell in before.of(Cell)]
    # Every interval over the V that its own target has on the same draw.
    documents = document_codes([item.doc_id for item in after.of(Item)])
    golds = {pair.pair_id: ActivationStore(db).read_activations(pair.pair_id).vectors for pair in after.of(Pair)}
    variances = {key: bootstrap_variances(unit_rows(gold), documents, 200, 3) for key, gold in golds.items()}

    def interval(errors: list[float | None], target: str) -> tuple[float, float]:
        means = bootstrap_columns([(np.array(errors), documents)], int(documents.max()) + 1, 200, 3)[:, 0]
        return percentile_interval(1 - means / variances[target])

    for cell in (cell for cell in after.of(Cell) if cell.subset == "all"):
        key = (cell.source, cell.target)
        errors = [score.mse_nrm for score in after.of(Score) if (score.source, score.target) == key]
        assert (cell.ci_low, cell.ci_high) == pytest.approx(interval(errors, cell.target))
    for baseline in (row for row in after.of(Baseline) if row.method == "best_constant"):
        errors = best_constant_mse(centre(golds[baseline.target])).tolist()
        assert (baseline.ci_low, baseline.ci_high) == pytest.approx(interval(errors, baseline.target))
    for blanked in after.of(AblationCell):
        key = (blanked.source, blanked.target)
        errors = [row.mse_nrm for row in after.of(Ablation) if (row.source, row.target) == key]
        assert (blanked.ci_low, blanked.ci_high) == pytest.approx(interval(errors, blanked.target))
    assert len(after.of(AblationCell)) == 4


def test_answers_that_no_longer_count_are_not_scored(tmp_path: Path) -> None:
    write_corpus(tmp_path, 20)
    content = scripted_content(9)
    # Too few tokens for any scripted answer to be closed: all nine are read raw first.
    content["decoding"]["max_new_tokens"] = 4
    content["scoring"]["unclean"] = "raw"
    changed, fresh = tmp_path / "changed.duckdb", tmp_path / "fresh.duckdb"
    run(write_experiment(tmp_path, content), changed)
    assert all(score.mse_nrm is not None for score in read_run(changed).of(Score))
    content["scoring"]["unclean"] = "unscored"
    for db in (changed, fresh):
        run(write_experiment(tmp_path, content), db)
    assert read_run(changed).of(Score) == read_run(fresh).of(Score)
    assert all(score.mse_nrm is None and score.unscored_reason for score in read_run(changed).of(Score))


def test_a_single_stage_asks_for_those_before_it(scripted: Path, tmp_path: Path) -> None:
    run(scripted, tmp_path / "run.duckdb", only="sample")
    with pytest.raises(RunIncomplete, match=r"the activations of .* items are not here; run without --only"):
        run(scripted, tmp_path / "run.duckdb", only="verbalize")
    with pytest.raises(RunIncomplete, match="not every item has its explanations yet"):
        run(scripted, tmp_path / "run.duckdb", only="score")


def _audit(db: Path, name: str) -> int:
    with DuckDBReader.open(db) as reader:
        return len(reader.frame(f"audits/{name}"))


AUDITS = [name.removeprefix("audits/") for name in DuckDBReader.query_names() if name.startswith("audits/")]


@pytest.mark.parametrize("name", AUDITS)
def test_a_computed_and_an_imported_run_pass_every_audit(name: str, scripted_run: Path, published_run: Path) -> None:
    assert [_audit(db, name) for db in (scripted_run, published_run)] == [0, 0]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("score_without_value_or_reason", {"mse_nrm": None, "fve_nrm": None}),
        ("fve_nrm_beside_its_mse_nrm", {"mse_nrm": 1.999}),
        ("cell_beside_its_scores", {"fve_nrm": -17.0}),
    ],
)
def test_an_audit_finds_a_planted_fault(name: str, change: dict, scripted_run: Path, tmp_path: Path) -> None:
    shutil.copy(scripted_run, tmp_path)
    with RunFile.open(tmp_path / "run.duckdb") as run_file:
        run_file.put([replace(run_file.rows(Score)[5], **change)])
    assert _audit(tmp_path / "run.duckdb", name) >= 1
