"""Executors: found by the name of their module, free to answer in any order, and handed nothing of the run file."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.scripted_runs import Silence, everything, run, scripted_content, write_corpus, write_experiment

from nlareport import executors
from nlareport.cli import cli
from nlareport.engine_options import EngineChoice, ModelOptions
from nlareport.errors import ExecutorUnknown
from nlareport.executors import executor_names, load_executor
from nlareport.executors.local import LocalExecutor
from nlareport.ports import Executor
from nlareport.run.context import Work
from nlareport.run.pipeline import run_experiment
from nlareport.run.request import RunRequest
from nlareport.store.run_file import RunFile

PAGE = Path(__file__).parents[1] / "site/pages/extending.md"


@pytest.fixture
def backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an executor that was added as the page for contributors says: by one module in the folder."""
    folder = tmp_path / "more"
    folder.mkdir()
    code = re.search(r"## An executor\n.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    (folder / "backwards.py").write_text(code[1])
    monkeypatch.setattr(executors, "__path__", [*executors.__path__, str(folder)])
    return "backwards"


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    write_corpus(tmp_path, 20)
    content = scripted_content(10) | {"ablations": ["words_shuffled"], "plain_words": [2]}
    content["compute"]["batch_size"] = 1
    return write_experiment(tmp_path, content)


def test_an_executor_is_a_module_of_its_folder(backwards: str) -> None:
    assert executor_names() == [backwards, "local"]
    assert isinstance(load_executor(backwards), Executor)
    assert isinstance(load_executor("local"), LocalExecutor)
    with pytest.raises(ExecutorUnknown, match="No executor is called 'ray'; choose from backwards, local"):
        load_executor("ray")


def test_an_executor_that_there_is_none_of_is_wrong_usage(scripted: Path, tmp_path: Path) -> None:
    command = ["run", str(scripted), "--db", str(tmp_path / "run.duckdb"), "--executor", "ray"]
    assert CliRunner().invoke(cli, command).exit_code == 2


def test_the_order_of_the_answers_changes_nothing(backwards: str, scripted: Path, tmp_path: Path) -> None:
    models = ModelOptions(EngineChoice.parse(["scripted"]), "cpu", backwards)
    run_experiment(RunRequest(scripted, tmp_path / "backwards.duckdb", models), Silence())
    run(scripted, tmp_path / "forwards.duckdb")
    assert everything(tmp_path / "backwards.duckdb") == everything(tmp_path / "forwards.duckdb")


def held_by(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Everything that would be sent along with a function or a row: what it closes over, and its fields."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    for cell in getattr(value, "__closure__", None) or ():
        yield from held_by(cell.cell_contents, seen)
    for argument in value.args if isinstance(value, partial) else ():
        yield from held_by(argument, seen)
    for name in getattr(value, "__dataclass_fields__", {}):
        yield from held_by(getattr(value, name), seen)


def test_what_an_executor_is_handed_holds_nothing_of_the_run_file(
    backwards: str, scripted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[Any, Any]] = []
    known = load_executor(backwards).map

    def listening(_executor: Any, open_model: Any, answer: Any, batches: Any) -> Any:
        handed.append((open_model, answer))
        return known(open_model, answer, batches)

    monkeypatch.setattr(type(load_executor(backwards)), "map", listening)
    models = ModelOptions(EngineChoice.parse(["scripted"]), "cpu", backwards)
    run_experiment(RunRequest(scripted, tmp_path / "run.duckdb", models), Silence())
    assert len(handed) == 5 * 2
    sent = [value for pair in handed for function in pair for value in held_by(function)]
    assert len(sent) > 50
    assert not [value for value in sent if isinstance(value, Work | RunFile)]


def test_the_model_is_closed_when_nobody_asks_on() -> None:
    told: list[str] = []

    @contextmanager
    def open_model() -> Iterator[Callable[[int], int]]:
        told.append("open")
        try:
            yield lambda batch: batch * batch
        finally:
            told.append("closed")

    with closing(LocalExecutor().map(open_model, lambda model, batch: model(batch), [2, 3, 4])) as answers:
        assert [next(answers), next(answers)] == [(2, 4), (3, 9)]
        assert told == ["open"]
    assert told == ["open", "closed"]
