"""A finished run as it is published, without the folder of vectors and texts beside it: nothing is done twice."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.scripted_runs import everything, run, scripted_content, write_corpus, write_experiment

from nlareport.errors import CorpusChanged, EngineUnknown
from nlareport.experiment.experiment_file import load_experiment
from nlareport.experiment.tag_section import TagSource
from nlareport.rows.cell_rows import Cell, Measure, SubsetRange
from nlareport.rows.item_rows import Item, Resemblance, Score
from nlareport.rows.run_rows import Pair
from nlareport.run.completion import SCORES_VERSION, is_finished
from nlareport.run.pipeline import STAGES, stage_names
from nlareport.run.request import narrow_to_pairs
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.whole_run import read_run

NO_ENGINE = "an engine that does not exist"


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    write_corpus(tmp_path, 20)
    return write_experiment(tmp_path, scripted_content(9))


def published(experiment: Path, db: Path, limit: int | None = None) -> Path:
    """The run file of an experiment, without its folder."""
    run(experiment, db, limit=limit)
    shutil.rmtree(ActivationStore(db).folder)
    return db


def test_a_finished_run_without_its_folder_needs_no_model_and_no_corpus(scripted: Path, tmp_path: Path) -> None:
    db = published(scripted, tmp_path / "run.duckdb")
    before = read_run(db)
    (tmp_path / "documents.jsonl").unlink()
    assert run(scripted, db, NO_ENGINE) == "9 items, 18 explanations, 36 scores; nothing was missing"
    assert run(scripted, db, NO_ENGINE, limit=4).endswith("nothing was missing")
    assert run(scripted, db, NO_ENGINE, only="extract").endswith("nothing was missing")
    assert read_run(db) == before
    assert not ActivationStore(db).folder.exists()


def scored_by_an_older_version(db: Path) -> Path:
    """The run file as it was before its scores had a version, and without what came with it."""
    with RunFile.open(db) as run_file:
        stored = run_file.run()
        scored = {key: value for key, value in stored.environment["scored"].items() if key != "version"}
        run_file.put([replace(stored, environment={**stored.environment, "scored": scored})])
        run_file.replace({Measure: [], Resemblance: [], SubsetRange: []})
    return db


def test_a_run_scored_by_an_older_version_is_scored_again_where_its_vectors_are(scripted: Path, tmp_path: Path) -> None:
    db = tmp_path / "run.duckdb"
    run(scripted, db)
    before = everything(db)
    assert not run(scripted, scored_by_an_older_version(db)).endswith("missing")
    assert everything(db) == before


def test_a_published_run_scored_by_an_older_version_is_finished_as_it_is(scripted: Path, tmp_path: Path) -> None:
    db = scored_by_an_older_version(published(scripted, tmp_path / "run.duckdb"))
    assert run(scripted, db, NO_ENGINE).endswith("nothing was missing")
    assert read_run(db).of(Measure) == []


def test_a_run_is_not_finished_before_its_scores(scripted: Path, tmp_path: Path) -> None:
    db = tmp_path / "run.duckdb"
    for stage in stage_names():
        assert not run(scripted, db, only=stage).endswith("missing")
        if stage != "score":
            with pytest.raises(EngineUnknown, match="No engine is called"):
                run(scripted, db, NO_ENGINE)
    assert run(scripted, db, NO_ENGINE).endswith("nothing was missing")


def test_a_run_of_fewer_items_is_not_finished_when_more_are_asked_for(scripted: Path, tmp_path: Path) -> None:
    db = published(scripted, tmp_path / "run.duckdb", limit=8)
    with pytest.raises(EngineUnknown, match="No engine is called"):
        run(scripted, db, NO_ENGINE)
    assert run(scripted, db, NO_ENGINE, limit=8).endswith("nothing was missing")


def test_a_new_title_reaches_a_finished_run_without_its_folder(scripted: Path, tmp_path: Path) -> None:
    db = published(scripted, tmp_path / "run.duckdb")
    before = read_run(db)
    content = scripted_content(9)
    content["title"] = "A better title"
    content["pairs"][1]["sidecar_variance_nrm"] = 0.25
    run(write_experiment(tmp_path, content), db, NO_ENGINE)
    after = read_run(db)
    assert after.run.title == "A better title"
    assert {pair.pair_id: pair.sidecar_variance_nrm for pair in after.of(Pair)} == {"small": None, "large": 0.25}
    assert (after.of(Item), after.of(Score), after.of(Cell)) == (before.of(Item), before.of(Score), before.of(Cell))


def test_a_published_run_is_widened_to_what_a_wide_one_holds(scripted: Path, tmp_path: Path) -> None:
    # Batches end where the limit does, so that both runs cut them at the same places.
    grown = published(scripted, tmp_path / "grown.duckdb", limit=8)
    run(scripted, grown)
    run(scripted, tmp_path / "whole.duckdb")
    assert everything(grown) == everything(tmp_path / "whole.duckdb")


def test_a_published_run_is_scored_in_another_way(scripted: Path, tmp_path: Path) -> None:
    db = published(scripted, tmp_path / "run.duckdb")
    content = scripted_content(9)
    content["scoring"]["bootstrap_draws"] = 300
    other = write_experiment(tmp_path, content)
    run(other, db)
    run(other, tmp_path / "from-the-start.duckdb")
    assert everything(db) == everything(tmp_path / "from-the-start.duckdb")


@pytest.mark.parametrize("n_characters_kept", [0, 300])
def test_a_corpus_with_other_texts_does_not_mix_into_a_published_run(
    n_characters_kept: int, scripted: Path, tmp_path: Path
) -> None:
    db = published(scripted, tmp_path / "run.duckdb", limit=8)
    corpus = tmp_path / "documents.jsonl"
    lines = corpus.read_text(encoding="utf-8").splitlines()
    lines[0] = lines[0][:n_characters_kept] + '"}' if n_characters_kept else ""
    corpus.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(CorpusChanged, match=r"documents are no longer in the corpus as they were, reports:local:0 is"):
        run(scripted, db)


def test_the_committed_run_is_finished_although_an_earlier_version_scored_it() -> None:
    data = Path(__file__).parents[1] / "data"
    with RunFile.open_to_read(data / "pocket.duckdb") as run_file:
        assert run_file.run().environment["scored"]["version"] < SCORES_VERSION
        assert is_finished(run_file, load_experiment(data / "experiments/pocket.yaml"))


def test_a_stage_that_not_every_run_has_is_asked_for_by_a_list_that_is_empty_otherwise(scripted: Path) -> None:
    plain = load_experiment(scripted)
    optional = [stage for stage in STAGES if stage.keys]
    assert [stage.name for stage in optional] == ["tag", "ablate", "read_plain"]
    for stage in optional:
        assert not getattr(plain, stage.keys[0])
        assert stage.asked_for(plain) == {}
    update = {"ablations": ["words_shuffled"], "ablation_items": 3, "plain_words": [2]}
    asked = plain.model_copy(update={**update, "tags": {"language": TagSource(column="lang")}})
    assert [stage.asked_for(asked) for stage in optional] == [
        {"tags": {"language": {"column": "lang", "query": None}}},
        {"ablations": ["words_shuffled"], "ablation_items": 3},
        {"plain_words": [2]},
    ]
    assert narrow_to_pairs(asked, ["small", "large"]) == plain
