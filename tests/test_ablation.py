"""Ablations through the whole path on scripted pairs: off unless asked for, stored as computed, resumed, summarized."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from support.recorded_reads import N_READS_OF_A_SELF_TEST, Reads, record_reads
from support.scripted_runs import everything, request, run, scripted_content, write_corpus, write_experiment
from support.tiny_runs import make_older

from nlareport.backends.scripted import ScriptedEngine, ScriptedReconstructor, ScriptedTokenizer
from nlareport.batches import Tokenization
from nlareport.claims.reading import read_claims
from nlareport.errors import RunIncomplete
from nlareport.experiment.pair_section import PairSpec
from nlareport.publish import publish_run
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell
from nlareport.rows.item_rows import Ablation, AnswerMark, Explanation, Score
from nlareport.rows.run_rows import Claim, Pair, PairId, SelfTest
from nlareport.run.pipeline import run_experiment, stage_names
from nlareport.statistics.geometry import mse_nrm
from nlareport.store.bundle.bundle import export_bundle, import_bundle
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.whole_run import read_run

BOTH = ["words_shuffled", "quotes_blanked"]
EVERY = [*BOTH, "quotes_kept", "digits_masked", "first_4_tokens", "last_4_tokens"]
PAIRS = ("large", "small")
N_READS_OF_TEXTS_AS_WRITTEN = 9 * 4 + 2 * N_READS_OF_A_SELF_TEST
CELLS = [(source, target) for source in PAIRS for target in PAIRS]


class Listener:
    """Progress that is written down."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, int]] = []
        self.advanced: list[int] = []

    def stage(self, name: str, n_total: int, n_done: int) -> None:
        self.stages.append((name, n_total, n_done))
        self.advanced.append(0)

    def advance(self, n: int) -> None:
        self.advanced[-1] += n

    def ablation_lines(self) -> list[tuple[str, int, int]]:
        return [line for line in self.stages if line[0].startswith("ablate")]


class WordsInOne(ScriptedTokenizer):
    """Takes every two words as one token."""

    def __init__(self) -> None:
        super().__init__("large")

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        words = super().tokenize(text, max_tokens)
        starts, ends = words.char_starts[1::2], words.char_ends[2::2]
        n_pairs = len(ends)
        return Tokenization(words.token_ids[:n_pairs], starts[:n_pairs], ends)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    heard = record_reads(monkeypatch)
    yield heard
    assert heard.n_opened > 0, "no reconstructor was opened at all, so nothing was listened to"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tmp_path, 20)
    return tmp_path


def experiment(
    folder: Path, methods: list[str], max_new_tokens: int = 60, unclean: str = "unscored", items: int | None = None
) -> Path:
    """Nine items on two scripted pairs; a small budget leaves some answers unclean."""
    content = scripted_content(9)
    content["decoding"]["max_new_tokens"] = max_new_tokens
    content["scoring"]["unclean"] = unclean
    if methods:
        content["ablations"] = methods
    if items is not None:
        content["ablation_items"] = items
    return write_experiment(folder, content)


def test_the_stage_stands_between_reconstruct_and_score() -> None:
    assert stage_names()[-4:] == ["reconstruct", "ablate", "read_plain", "score"]


def test_nothing_is_ablated_unless_asked_for(corpus: Path, reads: Reads) -> None:
    listener = Listener()
    run_experiment(request(experiment(corpus, []), corpus / "run.duckdb"), listener)
    rows = read_run(corpus / "run.duckdb")
    assert listener.ablation_lines() == []
    assert rows.of(Ablation) == rows.of(AblationCell) == []
    assert "ablations" not in rows.run.environment["scored"]
    assert reads.n_opened == 2
    page = publish_run(corpus / "run.duckdb", corpus / "page").read_text(encoding="utf-8")
    assert "Which part of the text carries the score" not in page


def test_every_explanation_of_every_cell_is_changed_in_every_way(corpus: Path) -> None:
    listener = Listener()
    run_experiment(request(experiment(corpus, BOTH), corpus / "run.duckdb"), listener)
    rows = read_run(corpus / "run.duckdb")
    assert listener.ablation_lines() == [("ablate small", 36, 0), ("ablate large", 36, 0)]
    done = {line[0]: n for line, n in zip(listener.stages, listener.advanced, strict=True)}
    assert done["ablate small"] == done["ablate large"] == 36
    found = {(row.item_id, row.source, row.target, row.method) for row in rows.of(Ablation)}
    assert found == {(k, *cell, method) for k in range(9) for cell in CELLS for method in BOTH}
    assert rows.run.environment["scored"]["ablations"] == BOTH
    assert "ablation_items" not in rows.run.environment["scored"]


def test_a_text_without_its_quotes_leaves_the_scripted_reader_its_constant(corpus: Path) -> None:
    path, db = experiment(corpus, BOTH), corpus / "run.duckdb"
    run(path, db)
    gold = ActivationStore(db).read_activations(PairId("large"))
    constant = ScriptedReconstructor(PairSpec.model_validate(scripted_content(9)["pairs"][1])).reconstruct([""])
    expected = mse_nrm(gold.vectors, np.repeat(constant, 9, axis=0))
    rows = [row for row in read_run(db).of(Ablation) if (row.target, row.method) == ("large", "quotes_blanked")]
    for source in ("large", "small"):
        of_source = [row for row in rows if row.source == source]
        assert [row.item_id for row in of_source] == gold.item_ids.tolist()
        assert [row.mse_nrm for row in of_source] == pytest.approx(expected.tolist())


def test_the_summary_is_the_rows_own_mean_and_the_paired_drop(corpus: Path) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, BOTH), db)
    rows = read_run(db)
    assert [(cell.source, cell.target, cell.method, cell.ordinal) for cell in rows.of(AblationCell)] == [
        (*cell, method, ordinal) for cell in CELLS for method, ordinal in (("quotes_blanked", 1), ("words_shuffled", 0))
    ]
    variances = {pair.pair_id: pair.variance_nrm for pair in rows.of(Pair)}
    written = {(cell.source, cell.target): cell for cell in rows.of(Cell) if cell.subset == "all"}
    for cell in rows.of(AblationCell):
        key = (cell.source, cell.target, cell.method)
        errors = [row.mse_nrm for row in rows.of(Ablation) if (row.source, row.target, row.method) == key]
        assert cell.n_scored == written[key[:2]].n_scored == 9
        assert cell.fve_nrm == pytest.approx(1 - mean(errors) / variances[cell.target])
        assert cell.fve_drop == pytest.approx(written[key[:2]].fve_nrm - cell.fve_nrm)
        assert cell.ci_low < cell.fve_nrm < cell.ci_high
        assert cell.drop_low < cell.fve_drop < cell.drop_high
    blanked = [cell for cell in rows.of(AblationCell) if cell.source == cell.target and cell.method == "quotes_blanked"]
    # The scripted verbalizer says everything in quotes.
    assert all(cell.drop_low > 0.2 for cell in blanked)


def test_a_finished_run_opens_no_model_and_stays_as_it_is(corpus: Path, reads: Reads) -> None:
    path, db = experiment(corpus, BOTH), corpus / "run.duckdb"
    run(path, db)
    before, n_opened = everything(db), reads.n_opened
    run(path, db)
    assert reads.n_opened == n_opened == 4
    assert everything(db) == before


@pytest.mark.parametrize("n_texts", [0, 9, 60, *(pytest.param(n, marks=pytest.mark.soak) for n in (8, 100))])
def test_a_stopped_run_goes_on_where_it_was(n_texts: int, corpus: Path, reads: Reads) -> None:
    path = experiment(corpus, EVERY)
    run(path, corpus / "undisturbed.duckdb")
    undisturbed = list(reads.texts)
    db = corpus / "stopped.duckdb"
    for stage in ("sample", "extract", "verbalize", "reconstruct"):
        run(path, db, only=stage)
    n_before = len(undisturbed) + N_READS_OF_TEXTS_AS_WRITTEN
    reads.stop_after = n_before + n_texts
    with pytest.raises(KeyboardInterrupt):
        run(path, db)
    assert len(read_run(db).of(Ablation)) >= len(reads.texts) - n_before >= n_texts
    reads.stop_after = None
    run(path, db)
    # Each once, although two runs asked.
    assert reads.texts[len(undisturbed) :] == undisturbed
    assert everything(db) == everything(corpus / "undisturbed.duckdb")


def test_identical_texts_and_those_left_as_they_were_are_not_read_again(corpus: Path, reads: Reads) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, ["quotes_blanked", "digits_masked", "first_1_tokens", "last_500_tokens"]), db)
    asked = reads.texts[N_READS_OF_TEXTS_AS_WRITTEN:]
    # Nothing the scripted verbalizer says holds a digit or is long, and it always begins alike. Batches of 8 and 1.
    assert asked.count("A") == 2 * 2 * 2
    assert set(asked) - {"A"} == {text for text in asked if '""' in text}
    rows = read_run(db)
    written = {(row.item_id, row.source, row.target): row.mse_nrm for row in rows.of(Score)}
    same = [row for row in rows.of(Ablation) if row.method in ("digits_masked", "last_500_tokens")]
    assert len(same) == 72
    assert all(row.mse_nrm == written[row.item_id, row.source, row.target] for row in same)
    assert {c.fve_drop for c in rows.of(AblationCell) if c.method == "digits_masked"} == {0.0}


def test_texts_are_cut_by_the_tokenizer_of_the_pair_that_reads_them(
    corpus: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, db = experiment(corpus, ["first_2_tokens"]), corpus / "run.duckdb"
    for stage in ("sample", "extract", "verbalize", "reconstruct"):
        run(path, db, only=stage)
    reads.of_pair.clear()
    pairs = {"small": WordsInOne(), "large": ScriptedTokenizer("large")}
    monkeypatch.setattr(ScriptedEngine, "tokenizer", lambda _, pair: pairs[pair.pair_id])
    run(path, db)
    assert reads.of_pair["small"] == ['A text about "'] * len(reads.of_pair["small"])
    assert reads.of_pair["large"] == ["A text"] * len(reads.of_pair["large"])


def test_only_the_first_items_are_changed_when_so_many_are_asked_for(corpus: Path, reads: Reads) -> None:
    path, db = experiment(corpus, ["quotes_blanked"], items=4), corpus / "run.duckdb"
    run(path, db)
    rows = read_run(db)
    assert {row.item_id for row in rows.of(Ablation)} == {0, 1, 2, 3}
    assert {cell.n_scored for cell in rows.of(AblationCell)} == {4}
    assert rows.run.environment["scored"]["ablation_items"] == 4
    assert run(path, db).endswith("nothing was missing")
    run(experiment(corpus, ["quotes_blanked"]), db)
    widened = read_run(db)
    assert {cell.n_scored for cell in widened.of(AblationCell)} == {9}
    run(experiment(corpus, ["quotes_blanked"], items=4), db)
    again = read_run(db)
    assert again.of(Ablation) == widened.of(Ablation)
    assert again.of(AblationCell) == rows.of(AblationCell)


def test_a_run_whose_own_texts_alone_were_changed_stays_finished_and_can_be_gone_on_with(
    corpus: Path, reads: Reads
) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, BOTH), db)
    whole = read_run(db)
    with RunFile.open(db) as run_file:
        for row_type in (Ablation, AblationCell):
            run_file.replace({row_type: [row for row in run_file.rows(row_type) if row.source == row.target]})
        claims = read_claims(run_file.reader())
        run_file.replace({Claim: claims})
    before, n_opened = read_run(db), reads.n_opened
    shutil.copytree(corpus / "run.activations", corpus / "kept")
    shutil.rmtree(corpus / "run.activations")
    assert run(experiment(corpus, BOTH), db, "no such engine").endswith("nothing was missing")
    assert read_run(db) == before
    assert "LARGE" in publish_run(db, corpus / "page").read_text(encoding="utf-8")
    shutil.copytree(corpus / "kept", corpus / "run.activations")
    run(experiment(corpus, [*BOTH, "last_2_tokens"]), db)
    assert reads.n_opened == n_opened + 2
    after = read_run(db)
    assert len(after.of(AblationCell)) == 12
    assert after.of(Ablation) != before.of(Ablation)
    assert [row for row in after.of(Ablation) if row.method in BOTH] == whole.of(Ablation)


def test_a_finished_run_is_scored_again_when_ablations_are_added_and_when_they_go(corpus: Path, reads: Reads) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, []), db)
    plain, n_opened = read_run(db), reads.n_opened
    run(experiment(corpus, ["words_shuffled"]), db)
    run(experiment(corpus, BOTH), db)
    assert reads.n_opened == n_opened + 4
    added = read_run(db)
    assert len(added.of(AblationCell)) == 8
    assert {"ablations", "ablations.otherwise"} <= {claim.claim_id for claim in added.of(Claim)}
    assert all(added.of(kind) == plain.of(kind) for kind in (Score, Cell, Baseline))
    run(experiment(corpus, []), db)
    gone = read_run(db)
    assert gone.of(AblationCell) == []
    assert gone.of(Ablation) == added.of(Ablation)
    assert gone.of(Claim) == plain.of(Claim)
    run(experiment(corpus, BOTH), db)
    assert reads.n_opened == n_opened + 4
    assert read_run(db).of(AblationCell) == added.of(AblationCell)


def test_a_run_file_from_before_ablations_goes_on_with_them(corpus: Path, reads: Reads) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, []), db)
    before = everything(db)
    make_older(db)
    assert publish_run(db, corpus / "page").exists()
    n_opened = reads.n_opened
    run(experiment(corpus, []), db)
    assert reads.n_opened == n_opened
    # What came later than such a file is arithmetic on its vectors: it is scored again, and no model is opened, so none
    # says anything of itself.
    rows, vectors = before
    assert everything(db) == (rows.with_tables({SelfTest: []}), vectors)
    make_older(db)
    run(experiment(corpus, BOTH), db)
    assert len(read_run(db).of(AblationCell)) == 8


def test_a_published_run_gets_more_changes_by_computing_its_vectors_again(corpus: Path) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, BOTH), db)
    shutil.rmtree(corpus / "run.activations")
    path = experiment(corpus, EVERY)
    with pytest.raises(RunIncomplete, match="activations of 8 items are not here; run without --only first"):
        run(path, db, only="ablate")
    run(path, db)
    run(path, corpus / "from-the-start.duckdb")
    assert everything(db) == everything(corpus / "from-the-start.duckdb")


def test_scoring_alone_asks_for_the_ablations_first(corpus: Path) -> None:
    path, db = experiment(corpus, BOTH), corpus / "run.duckdb"
    for stage in ("sample", "extract", "verbalize", "reconstruct"):
        run(path, db, only=stage)
    with pytest.raises(RunIncomplete, match="72 changed explanations have not been read yet; run without --only"):
        run(path, db, only="score")
    run(path, db, only="ablate")
    run(path, db, only="score")
    assert len(read_run(db).of(AblationCell)) == 8


@pytest.mark.parametrize("unclean", ["unscored", "penalty"])
def test_answers_without_a_text_are_not_read_and_cost_what_they_cost_before(unclean: str, corpus: Path) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, BOTH, max_new_tokens=10, unclean=unclean), db)
    rows = read_run(db)
    read = {(row.item_id, row.source) for row in rows.of(Explanation) if row.is_clean}
    if unclean == "penalty":
        # Training did not read those either whose budget ran out behind the closing tag.
        read -= {(row.item_id, row.source) for row in rows.of(AnswerMark) if row.mark == "overrun"}
    assert 0 < len(read) < 18
    assert {(row.item_id, row.source) for row in rows.of(Ablation)} == read
    written = {(cell.source, cell.target): cell for cell in rows.of(Cell) if cell.subset == "all"}
    for cell in rows.of(AblationCell):
        assert cell.n_scored == written[cell.source, cell.target].n_scored
        assert cell.fve_drop == pytest.approx(written[cell.source, cell.target].fve_nrm - cell.fve_nrm)


def test_ablations_travel_in_bundles_and_stand_in_the_report(corpus: Path) -> None:
    db = corpus / "run.duckdb"
    run(experiment(corpus, BOTH), db)
    for bundle_format in ("parquet", "csv", "jsonl"):
        export_bundle(db, corpus / bundle_format, bundle_format)
        import_bundle(corpus / bundle_format, corpus / f"{bundle_format}.duckdb")
        assert read_run(corpus / f"{bundle_format}.duckdb") == read_run(db)
    page = publish_run(db, corpus / "page").read_text(encoding="utf-8")
    for cell in read_run(db).of(AblationCell):
        assert f'<td class="num">{cell.fve_drop:.3f} <span class="ci">'.replace("-", "−") in page


def test_a_row_without_an_error_is_not_asked_for_again(corpus: Path, reads: Reads) -> None:
    path, db = experiment(corpus, BOTH), corpus / "run.duckdb"
    run(path, db)
    with RunFile.open(db) as run_file:
        run_file.put([replace(run_file.rows(Ablation)[0], mse_nrm=None)])
    n_opened = reads.n_opened
    run(path, db, only="ablate")
    assert reads.n_opened == n_opened
