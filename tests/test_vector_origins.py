"""A run is of one making: what made its vectors is recorded, compared on every start, and told when it changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from support.recorded_reads import record_reads
from support.scripted_runs import everything, request, run, scripted_content, write_corpus, write_experiment
from support.tiny_runs import make_older

from nlareport.cli import cli
from nlareport.engine_options import EngineChoice
from nlareport.errors import (
    CorpusChanged,
    RunFileBusy,
    RunFileUnreadable,
    RunOfAnotherExperiment,
    VectorsOfAnotherMaking,
)
from nlareport.review.check import check_run
from nlareport.rows.item_rows import Item, Score
from nlareport.rows.run_rows import Document, DocumentDigest, Making, SelfTest
from nlareport.run.pipeline import start_over
from nlareport.run.start import refuse_other_engine
from nlareport.store.run_file import RunFile
from nlareport.store.run_places import vectors_folder
from nlareport.store.set_aside import set_aside
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.vectors.parquet_parts import part_notes, part_paths, write_part
from nlareport.store.whole_run import read_run

Edit = Callable[[dict[str, Any]], None]


def other_seed(content: dict[str, Any]) -> None:
    content["sampling"]["seed"] = 4


def fewer_tokens(content: dict[str, Any]) -> None:
    content["decoding"]["max_new_tokens"] = 11


def shorter_documents(content: dict[str, Any]) -> None:
    content["sampling"]["truncation_tokens"] = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, an experiment, and its finished run with vectors. Copy it."""
    folder = tmp_path_factory.mktemp("made")
    write_corpus(folder, 30)
    run(write_experiment(folder, content()), folder / "run.duckdb")
    return folder


def content(*edits: Edit) -> dict[str, Any]:
    given = scripted_content(9)
    given["scoring"]["unclean"] = "raw"
    for edit in edits:
        edit(given)
    return given


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def measured(db: Path) -> Any:
    """The same but for tests of models: a run that takes vectors as they are opens none to be tested."""
    rows, vectors = everything(db)
    return rows.with_tables({SelfTest: []}), vectors


def clean(folder: Path, experiment: Path) -> Any:
    """What the experiment comes to where nothing was there before."""
    run(experiment, folder / "clean" / "run.duckdb")
    return everything(folder / "clean" / "run.duckdb")


@pytest.mark.parametrize(
    ("edit", "named"), [(other_seed, r"sampling\.seed \(3 there, 4 here\)"), (shorter_documents, "truncation_tokens")]
)
def test_vectors_left_by_another_protocol_are_refused_by_its_name_until_the_run_starts_over(
    edit: Edit, named: str, folder: Path
) -> None:
    db = folder / "run.duckdb"
    db.unlink()
    former = sorted(path.name for path in (folder / "run.activations").rglob("*"))
    experiment = write_experiment(folder, content(edit))
    with pytest.raises(VectorsOfAnotherMaking, match=named + r".*--new-run"):
        run(experiment, db)
    assert not db.exists()
    assert start_over(request(experiment, db)) == f"{db}: starts over; kept run.activations as run.1.activations."
    run(experiment, db)
    assert everything(db) == clean(folder, experiment)
    assert sorted(path.name for path in (folder / "run.1.activations").rglob("*")) == former


def test_a_lost_run_file_is_made_again_from_the_vectors_that_are_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = folder / "run.duckdb"
    before = measured(db)
    db.unlink()
    reads = record_reads(monkeypatch)
    run(folder / "experiment.yaml", db)
    assert measured(db) == before
    assert reads.n_opened == 0


def test_reconstructions_of_other_texts_are_not_taken_for_those_of_this_run(folder: Path) -> None:
    (folder / "run.duckdb").unlink()
    experiment = write_experiment(folder, content(fewer_tokens))
    run(experiment, folder / "run.duckdb")
    assert read_run(folder / "run.duckdb").of(Score) == clean(folder, experiment)[0].of(Score)


def test_a_part_whose_text_changed_alone_is_read_again(folder: Path) -> None:
    db = folder / "run.duckdb"
    before = everything(db)
    path = part_paths(folder / "run.activations" / "reconstructions" / "small--large")[0]
    notes = part_notes(path)
    read = {**json.loads(notes["read"]), "0": "0" * 16}
    frame = pl.read_parquet(path)
    turned = pl.Series("vector", -frame["vector"].to_numpy(), dtype=frame["vector"].dtype)
    write_part(path, frame.with_columns(turned), {**notes, "read": json.dumps(read)})
    assert any("reconstructions by large" in fault for fault in check_run(db, None, None, 0.05).faults)
    assert not run(folder / "experiment.yaml", db).endswith("nothing was missing")
    assert everything(db) == before


@pytest.mark.parametrize(
    ("place", "taken", "named"),
    [
        ("small", "large", "activations of large there, activations of small here"),
        (
            "reconstructions/small--large",
            "reconstructions/large--small",
            "by small from texts of large there, reconstructions by large from texts of small here",
        ),
    ],
)
def test_a_folder_exchanged_for_another_ones_is_refused(place: str, taken: str, named: str, folder: Path) -> None:
    vectors = folder / "run.activations"
    shutil.rmtree(vectors / place)
    shutil.copytree(vectors / taken, vectors / place)
    assert any(named in fault for fault in check_run(folder / "run.duckdb", None, None, 0.05).faults)
    content_again = content(lambda given: given["scoring"].update(bootstrap_draws=300))
    with pytest.raises(VectorsOfAnotherMaking, match=named):
        run(write_experiment(folder, content_again), folder / "run.duckdb")


def test_the_folder_of_another_run_is_refused_beside_a_run_file(folder: Path) -> None:
    experiment = write_experiment(folder, content(other_seed))
    run(experiment, folder / "other.duckdb", limit=8)
    shutil.rmtree(folder / "other.activations")
    shutil.copytree(folder / "run.activations", folder / "other.activations")
    with pytest.raises(VectorsOfAnotherMaking, match=r"sampling\.seed \(3 there, 4 here\)"):
        run(experiment, folder / "other.duckdb")
    shutil.rmtree(folder / "other.activations")
    run(experiment, folder / "other.duckdb")
    assert everything(folder / "other.duckdb") == clean(folder, experiment)


def forget_notes(folder: Path) -> None:
    """The parts as versions before schema 5 wrote them."""
    for path in folder.rglob("part-*.parquet"):
        write_part(path, pl.read_parquet(path))


def test_vectors_that_do_not_say_what_made_them_are_no_beginning_of_a_run(folder: Path) -> None:
    (folder / "run.duckdb").unlink()
    forget_notes(folder / "run.activations")
    with pytest.raises(VectorsOfAnotherMaking, match=r"part-00000000\.parquet: does not say what made its vectors"):
        run(folder / "experiment.yaml", folder / "run.duckdb")


@pytest.mark.parametrize("name", ["run.duckdb", "run.db"])
def test_an_older_run_goes_on_with_its_vectors_and_says_from_then_on_what_made_it(name: str, folder: Path) -> None:
    before = measured(folder / "run.duckdb")
    forget_notes(folder / "run.activations")
    make_older(folder / "run.duckdb")
    db = (folder / "run.duckdb").rename(folder / name)
    run(folder / "experiment.yaml", db)
    assert measured(db) == before
    assert {row.kind for row in read_run(db).of(Making)} == {"script"}
    noted = [part_notes(path) for path in vectors_folder(db).rglob("part-*.parquet") if path.parent.name != "documents"]
    assert all("making" in notes for notes in noted)
    assert len(noted) == 12


def test_run_files_of_one_stem_have_each_their_own_vectors(folder: Path) -> None:
    other = write_experiment(folder / "..", content(other_seed))
    shutil.copy(folder / "documents.jsonl", folder.parent)
    for name in ("run.db", "run"):
        run(other, folder / name, limit=2)
    assert {path.name for path in folder.glob("*activations")} == {
        "run.activations",
        "run.db.activations",
        "run.run.activations",
    }
    assert run(folder / "experiment.yaml", folder / "run.duckdb").endswith("nothing was missing")


def test_a_linked_run_file_has_the_vectors_of_the_file_itself(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    link = folder / "elsewhere" / "link.db"
    link.symlink_to(folder / "run.duckdb")
    content_again = content(lambda given: given["scoring"].update(bootstrap_draws=300))
    run(write_experiment(folder, content_again), link)
    assert [path.name for path in (folder / "elsewhere").iterdir()] == ["link.db"]
    assert ActivationStore(link).folder == folder / "run.activations"
    new = folder / "elsewhere" / "new.duckdb"
    new.symlink_to(folder / "later.duckdb")
    run(folder / "experiment.yaml", new, limit=2)
    assert (folder / "later.duckdb").is_file()
    assert (folder / "later.activations").is_dir()


def replaced(lines: list[str]) -> list[str]:
    return [line.replace("river", "tiger") for line in lines]


def beyond_the_first(lines: list[str]) -> list[str]:
    return [lines[0], *replaced(lines[1:])]


CORPORA: dict[str, Callable[[list[str]], list[str]]] = {
    "words of the same length": replaced,
    "one document alone": beyond_the_first,
    "reversed": lambda lines: lines[::-1],
    "without the first": lambda lines: lines[1:],
    "a skipped document": lambda lines: [*lines[:4], lines[4].replace("Report", "Letter"), *lines[5:]],
    "emptied": lambda lines: [],
}


@pytest.mark.parametrize(("n_items", "has_texts"), [(9, True), (12, True), (12, False)])
def test_a_corpus_that_changed_is_told_on_every_start(n_items: int, has_texts: bool, folder: Path) -> None:
    corpus, db = folder / "documents.jsonl", folder / "run.duckdb"
    lines = corpus.read_text().split("\n")
    if not has_texts:
        shutil.rmtree(folder / "run.activations" / "documents")
    before = read_run(db)
    experiment = write_experiment(folder, content(lambda given: given["sampling"].update(n_items=n_items)))
    for name, change in CORPORA.items():
        corpus.write_text("\n".join(change(lines)))
        with pytest.raises(CorpusChanged, match=r"are no longer in the corpus as they were, reports:local:\d+ is"):
            run(experiment, db)
        assert read_run(db) == before, name
    corpus.write_text("\n".join(lines))
    run(experiment, db)
    assert len(read_run(db).of(Item)) == n_items


def test_a_corpus_may_grow_at_its_end_and_may_be_gone_once_it_is_read(folder: Path) -> None:
    corpus = folder / "documents.jsonl"
    corpus.write_text(corpus.read_text() + "\n" + json.dumps({"text": "One more report."}))
    assert run(folder / "experiment.yaml", folder / "run.duckdb").endswith("nothing was missing")
    corpus.unlink()
    again = write_experiment(folder, content(lambda given: given["scoring"].update(bootstrap_draws=300)))
    assert run(again, folder / "run.duckdb") == "9 items, 18 explanations, 36 scores"


def test_every_document_that_was_looked_at_has_a_digest(folder: Path) -> None:
    rows = read_run(folder / "run.duckdb")
    assert {row.doc_id for row in rows.of(DocumentDigest)} == {row.doc_id for row in rows.of(Document)}
    assert len(rows.of(Document)) > len(rows.of(Item))


def test_what_may_change_between_two_starts_is_recorded_once_each(folder: Path) -> None:
    db = folder / "run.duckdb"
    for n_items, batch_size in ((10, 2), (12, 5), (14, 3), (16, 5)):
        grown = content(
            lambda given, n=n_items: given["sampling"].update(n_items=n),
            lambda given, size=batch_size: given["compute"].update(batch_size=size),
        )
        run(write_experiment(folder, grown), db)
    environment = read_run(db).run.environment
    assert environment["batch_size"] == 2
    assert environment["later"] == [{"batch_size": 5}, {"batch_size": 3}]


def test_another_engine_does_not_go_on_with_a_run(folder: Path) -> None:
    with pytest.raises(RunOfAnotherExperiment, match=r"was begun with --engine scripted, not transformers; go on"):
        refuse_other_engine(read_run(folder / "run.duckdb").run, EngineChoice(), folder / "run.duckdb")


def test_a_run_that_starts_over_keeps_the_old_one_under_a_name_that_nothing_has(folder: Path) -> None:
    db = folder / "run.duckdb"
    before = everything(db)
    (folder / "run.1.activations").mkdir()
    (folder / "run.2.duckdb.wal").write_text("somebody's")
    arguments = ["run", str(write_experiment(folder, content(other_seed))), "--db", str(db), "--engine", "scripted"]
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 1
    assert "other values of sampling.seed" in refused.output
    assert "--new-run" in refused.output
    done = CliRunner().invoke(cli, [*arguments, "--new-run"])
    assert done.exit_code == 0, done.output
    assert "starts over; kept run.duckdb as run.3.duckdb, run.activations as run.3.activations.\n" in done.stderr
    assert everything(folder / "run.3.duckdb") == before
    assert read_run(db).run.seed == 4
    assert list((folder / "run.1.activations").iterdir()) == []
    assert (folder / "run.2.duckdb.wal").read_text() == "somebody's"
    assert run(folder / "experiment.yaml", db).endswith("nothing was missing")


def test_a_new_run_begins_where_nothing_was(folder: Path) -> None:
    assert start_over(request(folder / "experiment.yaml", folder / "nothing" / "run.duckdb")) is None
    assert not (folder / "nothing").exists()


def test_a_log_goes_with_its_run_file(folder: Path) -> None:
    (folder / "run.duckdb.wal").write_bytes(b"")
    renamed = [(former.name, new.name) for former, new in set_aside(folder / "run.duckdb")]
    assert renamed == [
        ("run.duckdb.wal", "run.1.duckdb.wal"),
        ("run.duckdb", "run.1.duckdb"),
        ("run.activations", "run.1.activations"),
    ]


def test_a_damaged_run_file_is_kept_too_but_a_file_that_never_was_one_stays(folder: Path) -> None:
    db = folder / "run.duckdb"
    damaged = db.read_bytes()[:20_000]
    db.write_bytes(damaged)
    set_aside(db)
    assert (folder / "run.1.duckdb").read_bytes() == damaged
    notes = folder / "experiment.yaml"
    with pytest.raises(RunFileUnreadable, match=r"experiment\.yaml: is no run file, so it stays where it is"):
        set_aside(notes)
    assert notes.exists()


def test_a_run_that_is_being_computed_is_not_started_over(folder: Path) -> None:
    with RunFile.open(folder / "run.duckdb"), pytest.raises(RunFileBusy):
        set_aside(folder / "run.duckdb")
    assert (folder / "run.duckdb").exists()
    assert (folder / "run.activations").exists()


def test_what_made_a_run_goes_out_with_its_bundle_and_comes_back(folder: Path) -> None:
    db, bundle = folder / "run.duckdb", folder / "bundle"
    for arguments in (
        ["export", str(db), "--out", str(bundle), "--format", "csv"],
        ["import", str(bundle), "--db", str(folder / "again.duckdb")],
    ):
        assert CliRunner().invoke(cli, arguments).exit_code == 0
    before, after = read_run(db), read_run(folder / "again.duckdb")
    assert (after.of(Making), after.of(DocumentDigest)) == (before.of(Making), before.of(DocumentDigest))
    assert all(isinstance(row, Making) for row in after.of(Making))
    assert all(isinstance(row, DocumentDigest) for row in after.of(DocumentDigest))


def test_a_finished_run_of_an_earlier_version_is_told_as_one_and_stays_byte_by_byte_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With nothing built: on another processor pocket pairs may come out with other roundings.
    monkeypatch.setenv("NLAREPORT_CACHE", str(tmp_path / "cache"))
    published = Path(__file__).parents[1] / "data" / "pocket.duckdb"
    db = Path(shutil.copy(published, tmp_path))
    done = run(published.parent / "experiments" / "pocket.yaml", db, engine="transformers")
    assert done == "1,000 items, 4,000 explanations, 16,000 scores; nothing was missing"
    assert db.read_bytes() == published.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [db.name]
