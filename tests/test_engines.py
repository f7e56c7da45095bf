"""One engine for all roles or one for each, what an engine is refused for, and a run where torch is not installed."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.scripted_runs import Silence, everything, request, run, scripted_content, write_corpus, write_experiment

from nlareport.backends import ENGINES
from nlareport.cli import cli
from nlareport.engine_options import ChosenEngine, EngineChoice, ModelOptions
from nlareport.errors import EngineUnfit, EngineUnknown, RunOfAnotherExperiment
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Explanation
from nlareport.run.pipeline import run_experiment
from nlareport.run.request import RunRequest
from nlareport.store.whole_run import read_run

BOTH = "base_model=scripted, verbalizer=writer, reconstructor=scripted"


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    write_corpus(tmp_path, 10)
    return write_experiment(tmp_path, scripted_content(4))


@pytest.fixture(autouse=True)
def partial_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "writer", "support.partial_engines:WritingEngine")
    monkeypatch.setitem(ENGINES, "served", "support.partial_engines:ServedEngine")


def compute(experiment: Path, db: Path, *engines: str) -> str:
    return run_experiment(RunRequest(experiment, db, ModelOptions(EngineChoice.parse(engines), "cpu")), Silence())


def test_one_name_is_the_engine_of_every_role() -> None:
    choice = EngineChoice.parse(["scripted"])
    assert str(choice) == "scripted"
    assert EngineChoice.parse_recorded("scripted") == choice
    assert EngineChoice.parse([]) == EngineChoice.parse(["transformers"])


def test_a_name_with_a_role_is_for_that_role_alone() -> None:
    choice = EngineChoice.parse(["scripted", "verbalizer=writer@http://box:8000/?a=b"])
    assert choice.verbalizer == ChosenEngine("writer", "http://box:8000/?a=b")
    assert choice.base_model == choice.reconstructor == ChosenEngine("scripted")
    assert str(choice) == BOTH
    assert str(EngineChoice.parse_recorded(BOTH)) == BOTH
    assert EngineChoice.parse(["served@http://box/?a=b"]).base_model == ChosenEngine("served", "http://box/?a=b")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["verbaliser=scripted"], "'verbaliser=scripted' names no role; choose from base_model, verbalizer, reconstru"),
        (["scripted", "transformers"], "Every role is given two engines; name one, or give each role its own"),
        (["verbalizer=scripted", "verbalizer=writer"], "verbalizer is given two engines"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: list[str], complaint: str) -> None:
    with pytest.raises(EngineUnfit, match=complaint):
        EngineChoice.parse(options)


def test_what_a_stranger_recorded_as_engine_is_a_name() -> None:
    for text in ("", "None", "verbalizer", "a=b", "role=x, y"):
        assert EngineChoice.parse_recorded(text).base_model.name == text


def test_an_engine_for_one_role_computes_what_one_engine_for_all_does(scripted: Path, tmp_path: Path) -> None:
    run(scripted, tmp_path / "one.duckdb")
    compute(scripted, tmp_path / "two.duckdb", "scripted", "verbalizer=writer")
    one, two = (everything(tmp_path / name) for name in ("one.duckdb", "two.duckdb"))
    assert two[0].of(Explanation) == one[0].of(Explanation)
    assert two[0].of(Cell) == one[0].of(Cell)
    assert two[1] == one[1]
    environment = two[0].run.environment
    assert environment["engine"] == BOTH
    assert environment["device"] == "none"
    assert environment["libraries"]["writer"] == "1.5"
    assert compute(scripted, tmp_path / "two.duckdb", "scripted").endswith("nothing was missing")


def test_another_engine_for_one_role_does_not_continue_a_run(scripted: Path, tmp_path: Path) -> None:
    compute(scripted, db := tmp_path / "run.duckdb", "scripted", "verbalizer=writer")
    wider = write_experiment(tmp_path, scripted_content(5))
    said = (
        "was begun with --engine base_model=scripted --engine verbalizer=writer --engine reconstructor=scripted, "
        "not scripted; go on with that one, or start over"
    )
    with pytest.raises(RunOfAnotherExperiment, match=said):
        compute(wider, db, "scripted")
    assert compute(wider, db, "scripted", "verbalizer=writer").startswith("5 items")


def test_an_engine_without_a_role_is_refused_before_anything_is_computed(scripted: Path, tmp_path: Path) -> None:
    said = (
        "The engine writer cannot run the base_model, it runs verbalizer; choose another for it with --engine "
        "base_model=NAME"
    )
    with pytest.raises(EngineUnfit, match=said):
        compute(scripted, tmp_path / "run.duckdb", "writer")
    assert not (tmp_path / "run.duckdb").exists()


def test_an_address_reaches_the_engine_that_asks_a_server(scripted: Path, tmp_path: Path) -> None:
    compute(scripted, db := tmp_path / "run.duckdb", "scripted", "verbalizer=served@http://box:8000")
    environment = read_run(db).run.environment
    assert environment["device"] == "base_model=none, verbalizer=http://box:8000, reconstructor=none"
    assert "served" in environment["engine"]
    assert "box" not in environment["engine"]


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("verbalizer=writer@http://box", "The engine writer uses no server; leave out @http://box"),
        ("verbalizer=served", "The engine served needs a server; say where it listens with --engine served@ADDRESS"),
    ],
)
def test_an_address_too_many_or_too_few_is_refused(option: str, complaint: str, scripted: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnfit, match=complaint):
        compute(scripted, tmp_path / "run.duckdb", "scripted", option)


def test_an_engine_that_there_is_none_of_is_wrong_usage(scripted: Path, tmp_path: Path) -> None:
    command = ["run", str(scripted), "--db", str(tmp_path / "run.duckdb"), "--engine"]
    refused = CliRunner().invoke(cli, [*command, "scriptd"])
    assert refused.exit_code == 2
    assert "No engine is called 'scriptd'; choose from transformers, scripted" in refused.stderr
    assert CliRunner().invoke(cli, [*command, "scripted"]).exit_code == 0
    with pytest.raises(EngineUnknown, match="'scriptd'"):
        run_experiment(request(scripted, tmp_path / "other.duckdb", "scriptd"), Silence())


WITHOUT_TORCH = """
import importlib.metadata, importlib.abc, sys
from pathlib import Path

ABSENT = ("torch", "transformers")
known = importlib.metadata.distribution

def distribution(name):
    if name in ABSENT:
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

importlib.metadata.distribution = distribution
sys.meta_path.insert(0, Absent())
from nlareport.cli import cli
cli(["run", sys.argv[1], "--db", sys.argv[2], "--engine", "scripted"])
"""


def test_a_scripted_run_needs_no_torch(scripted: Path, tmp_path: Path) -> None:
    db = tmp_path / "run.duckdb"
    command = [sys.executable, "-c", WITHOUT_TORCH, str(scripted), str(db)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(read_run(db).run.environment["libraries"]) == {"numpy", "polars"}
