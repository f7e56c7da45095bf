"""Every refusal says what to do next, and what it says exists and works.

Two ways: every text of the package is searched for options, commands, variables and packages, which must be there; and
refusals are provoked through the real command line, their advice is read, followed, and then the command works.
"""

import ast
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
from click.testing import CliRunner, Result
from support.scripted_runs import scripted_content, write_corpus, write_experiment
from support.tiny_runs import a_run

from nlareport import errors, terminal
from nlareport.cli import cli
from nlareport.errors import NlareportError
from nlareport.pairs.catalog import pocket_pair
from nlareport.review import pair_agreement
from nlareport.rows.run_rows import Making, PairId
from nlareport.run.recorded_checkpoints import refuse_changed
from nlareport.store.run_file import RunFile, create_run_file
from nlareport.terminal import TRACEBACK_VARIABLE

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "data/published/18-cross-family.yaml"
OTHER_VARIABLES = {"NLAREPORT_CACHE", TRACEBACK_VARIABLE}
"""Variables that stand for no option."""
COLOURS = "nlareport/render/charts/chart_style.py"
"""Its words of this look are names of a style sheet."""
OPTIONS_OF_PIP = {"--no-deps", "--dest", "--quiet"}


# What texts name ----------------------------------------------------------------------------------------------------


@cache
def every_text() -> list[tuple[str, str]]:
    """Every text in the package, its filled-in parts as {}, with its file and line."""
    return list(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / "nlareport").rglob("*.py")):
        place = file.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
                yield f"{place}:{node.lineno}", "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{place}:{node.lineno}", node.value


def commands(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} ")


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")} | {"--help"}


def test_every_option_that_a_text_names_is_one() -> None:
    known = set().union(*(options(command) for _, command in commands()))
    for place, text in every_text():
        for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", "" if place.startswith(COLOURS) else text):
            assert name in known | OPTIONS_OF_PIP, f"{place} names {name}, which no command has"


def test_every_command_that_a_text_names_is_one_with_its_options() -> None:
    known = dict(commands())
    found = [
        (place, snippet)
        for place, text in every_text()
        for snippet in re.findall(r'"nlareport ([a-z][^"]*)"|Example: nlareport (.*)', text)
    ]
    assert len(found) > 20
    for place, groups in found:
        words = shlex.split(next(filter(None, groups)))
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        assert name in known, f"{place} names the command {words}"
        missing = {word for word in words if word.startswith("--")} - options(known[name])
        assert not missing, f"{place}: nlareport {name} has no {missing}"


def test_every_variable_that_a_text_names_is_read() -> None:
    known = {str(parameter.envvar) for _, command in commands() for parameter in command.params} | OTHER_VARIABLES
    named = {name for _, text in every_text() for name in re.findall(r"NLAREPORT_[A-Z_]+\b", text)}
    assert named
    assert named <= known


def test_what_is_to_be_installed_can_be() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {*project["dependencies"], *chain(*project["optional-dependencies"].values())}
    for place, text in every_text():
        assert "nlareport[" not in text, f"{place}: nlareport is in no package index yet"
        for requirement in re.findall(r'pip install "([^"{}]+)"', text):
            assert requirement in wanted, f"{place} has {requirement} installed, pyproject.toml does not"


def test_every_kind_of_error_is_told_in_a_test() -> None:
    tests = "\n".join(
        line
        for file in sorted((ROOT / "tests").glob("*.py"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if "import" not in line
    )
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, NlareportError)]
    untold = [kind.__name__ for kind in kinds if not re.search(rf"\b{kind.__name__}\b", tests)]
    assert untold == []


# Refusals, and following them ---------------------------------------------------------------------------------------


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """The errors that commands end with."""
    errors_told: list[BaseException | None] = []

    def say(text: object, *, err: bool = False) -> None:
        errors_told.append(sys.exception())
        terminal_say(text, err=err)

    terminal_say = terminal.say
    monkeypatch.setattr(terminal, "say", say)
    return errors_told


@dataclass
class Place:
    """A folder with a scripted experiment, its run, and published figures."""

    folder: Path
    content: dict[str, Any] = field(default_factory=lambda: scripted_content(4))

    @property
    def experiment(self) -> Path:
        return self.folder / "experiment.yaml"

    @property
    def db(self) -> Path:
        return self.folder / "run.duckdb"

    @property
    def figures(self) -> Path:
        return self.folder / "published.duckdb"

    def write(self) -> Path:
        return write_experiment(self.folder, self.content)

    def run(self, *options: object) -> tuple[object, ...]:
        return ("run", self.experiment, "--db", self.db, "--engine", "scripted", *options)

    def new(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Place(tmp_path_factory.mktemp("advice"))
    write_corpus(place.folder, 10)
    place.write()
    assert invoke(*place.run()).exit_code == 0
    assert invoke("import", PUBLISHED, "--db", place.figures).exit_code == 0
    return place.folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "own")
    return Place(tmp_path / "own")


Case = Callable[[Place], tuple[tuple[object, ...], str, Callable[[str], object]]]
"""Prepares a fault; gives the command that meets it, what it must say, and how its advice is followed."""

CASES: dict[type[NlareportError], Case] = {}


def provokes(kind: type[NlareportError]) -> Callable[[Case], Case]:
    def remember(case: Case) -> Case:
        CASES[kind] = case
        return case

    return remember


@provokes(errors.ExperimentInvalid)
def _a_key_is_misspelt(place: Place) -> Any:
    place.content["sampling"]["sed"] = place.content["sampling"].pop("seed")
    place.write()

    def follow(said: str) -> None:
        key = re.search(r"sampling\.(\w+): is not a known key", said)
        assert key is not None
        place.content["sampling"]["seed"] = place.content["sampling"].pop(key[1])
        place.write()

    return place.run(), "sampling.sed: is not a known key", follow


@provokes(errors.CorpusUnreadable)
def _a_corpus_is_elsewhere(place: Place) -> Any:
    place.new("run.duckdb").unlink()
    shutil.rmtree(place.new("run.activations"))
    place.new("documents.jsonl").rename(place.new("texts.jsonl"))
    command = list(place.run())

    def follow(said: str) -> None:
        assert "Correct corpus.path" in said
        place.content["corpus"]["path"] = "texts.jsonl"
        place.write()

    return command, "documents.jsonl", follow


@provokes(errors.CorpusTooShort)
def _more_items_are_wanted_than_there_are(place: Place) -> Any:
    place.content["sampling"]["n_items"] = 500
    place.write()

    def follow(said: str) -> None:
        there = re.search(r"\b8\b", said)
        assert there is not None, said
        place.content["sampling"]["n_items"] = int(there[0])
        place.write()

    return place.run(), "500", follow


@provokes(errors.RunOfAnotherExperiment)
def _a_seed_is_another(place: Place) -> Any:
    place.content["sampling"]["seed"] = 4
    place.write()
    command = list(place.run())

    def follow(said: str) -> None:
        assert "--new-run" in said
        command.append("--new-run")

    return command, "sampling.seed", follow


@provokes(errors.RunFileMissing)
def _no_run_file_is_there(place: Place) -> Any:
    missing = place.new("missing.duckdb")

    def follow(said: str) -> None:
        assert '"nlareport import"' in said
        assert invoke("import", PUBLISHED, "--db", missing).exit_code == 0

    return ("query", missing, "pair_table"), "no run file stands here", follow


@provokes(errors.RunFileUnreadable)
def _a_run_file_is_a_text(place: Place) -> Any:
    command = ["query", place.experiment, "pair_table"]

    def follow(said: str) -> None:
        assert "give another path" in said
        command[1] = place.db

    return command, "is no DuckDB database, so no run file", follow


@provokes(errors.RunFileOfAnotherVersion)
def _a_run_file_is_of_tomorrow(place: Place) -> Any:
    with duckdb.connect(str(place.figures)) as connection:
        connection.execute("UPDATE run SET schema_version = 99")

    def follow(said: str) -> None:
        assert "make it again here" in said
        place.figures.unlink()
        assert invoke("import", PUBLISHED, "--db", place.figures).exit_code == 0

    return ("query", place.figures, "pair_table"), "schema version 99", follow


@provokes(errors.RunFileBusy)
def _a_run_file_is_held(place: Place) -> Any:
    holder = RunFile.open(place.db)

    def follow(said: str) -> None:
        assert "close that connection first" in said
        holder.close()

    return ("query", place.db, "pair_table"), "holds it open for writing", follow


@provokes(errors.RunFileForeign)
def _a_run_file_holds_notes(place: Place) -> Any:
    with duckdb.connect(str(place.db)) as connection:
        connection.execute("CREATE TABLE notes (text VARCHAR)")

    def follow(said: str) -> None:
        with duckdb.connect(str(place.db)) as connection:
            connection.execute(said.split("take it out with DuckDB, ")[1].partition(";")[0])

    return place.run(), "the table 'notes'", follow


@provokes(errors.RunFileForbidden)
def _a_run_file_has_a_name_that_duckdb_reads_otherwise(place: Place) -> Any:
    odd = place.db.rename(place.new("what?.duckdb"))
    place.new("run.activations").rename(place.new("what?.activations"))
    command = ["run", place.experiment, "--db", odd, "--engine", "scripted"]

    def follow(said: str) -> None:
        assert "rename the file or folder (and the .activations folder beside it)" in said
        odd.rename(place.db)
        place.new("what?.activations").rename(place.new("run.activations"))
        command[3] = place.db

    return command, "has ? in it", follow


@provokes(errors.RunFileLogRefused)
def _a_log_is_of_another_file(place: Place) -> Any:
    with duckdb.connect(str(place.figures)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("UPDATE run SET title = 'x'")
    log = place.new("published.duckdb.wal").rename(place.new("run.duckdb.wal"))

    def follow(said: str) -> None:
        assert f"{log}, belongs to another file; move that log away" in said
        log.rename(place.new("elsewhere.wal"))

    return place.run(), "belongs to another file", follow


@provokes(errors.QueryUnknown)
def _a_query_is_misspelt(place: Place) -> Any:
    command = ["query", place.db, "pair_tabel"]

    def follow(said: str) -> None:
        command[2] = said.split("did you mean ")[1].split()[0].rstrip("?")

    return command, "'pair_tabel'", follow


@provokes(errors.QueryFailed)
def _a_query_lacks_its_value(place: Place) -> Any:
    command = ["query", place.db, "matrix"]

    def follow(said: str) -> None:
        command.extend(said.split("give it with ")[1].rstrip(".\n").replace("VALUE", "all").split())

    return command, "needs a value of $subset", follow


@provokes(errors.PublishedFiguresInvalid)
def _figures_have_a_fault(place: Place) -> Any:
    figures = place.new("figures.yaml")
    content = PUBLISHED.read_text(encoding="utf-8")
    figures.write_text(re.sub(r"^title:", "titel:", content, flags=re.MULTILINE), encoding="utf-8")

    def follow(said: str) -> None:
        assert "title" in said
        figures.write_text(content, encoding="utf-8")

    return ("import", figures, "--db", place.new("new.duckdb")), "titel: is not a known key", follow


@provokes(errors.BundleInvalid)
def _a_bundle_lacks_its_description(place: Place) -> Any:
    bundle = place.new("bundle")
    assert invoke("export", place.db, "--out", bundle, "--format", "csv").exit_code == 0
    described = (bundle / "run.yaml").rename(place.new("kept.yaml"))

    def follow(said: str) -> None:
        assert "run.yaml" in said
        described.rename(bundle / "run.yaml")

    return ("import", bundle, "--db", place.new("new.duckdb")), "run.yaml", follow


@provokes(errors.NothingToCompare)
def _two_runs_share_nothing(place: Place) -> Any:
    command = ["diff", place.db, place.figures, "--format", "csv"]

    def follow(said: str) -> None:
        assert "give two runs that have one in common" in said
        command[2] = place.db

    return command, "share no pair", follow


@provokes(errors.ProseUnreadable)
def _a_page_is_elsewhere(place: Place) -> Any:
    page = place.new("page.md")

    def follow(said: str) -> None:
        page.write_text("Nothing was measured twice.", encoding="utf-8")

    return ("check", place.figures, "--prose", page), "page.md", follow


@provokes(errors.FileUnwritable)
def _a_file_stands_where_a_folder_is_needed(place: Place) -> Any:
    place.new("file").write_text("mine")
    command = ["import", PUBLISHED, "--db", place.new("file") / "new.duckdb"]

    def follow(said: str) -> None:
        assert "choose another place" in said
        command[3] = place.new("folder") / "new.duckdb"

    return command, "could not be written", follow


@provokes(errors.FolderOfOthers)
def _a_folder_holds_notes(place: Place) -> Any:
    place.new("notes").mkdir()
    (place.new("notes") / "mine.txt").write_text("mine")
    command = ["export", place.db, "--out", place.new("notes")]

    def follow(said: str) -> None:
        assert "--force" in said
        command.append("--force")

    return command, "notes", follow


@provokes(errors.RunFileTaken)
def _a_run_file_holds_other_figures(place: Place) -> Any:
    command = ["import", PUBLISHED, "--db", place.db]

    def follow(said: str) -> None:
        assert "give another path with --db" in said
        command[3] = place.new("new.duckdb")

    return command, "run.duckdb", follow


@provokes(errors.VectorsOfAnotherMaking)
def _a_run_file_is_gone_and_the_seed_is_another(place: Place) -> Any:
    place.db.unlink()
    place.content["sampling"]["seed"] = 4
    place.write()
    command = list(place.run())

    def follow(said: str) -> None:
        assert "--new-run" in said
        command.append("--new-run")

    return command, "run.activations", follow


@provokes(errors.RunIncomplete)
def _a_run_has_only_begun(place: Place) -> Any:
    begun = place.new("begun.duckdb")
    create_run_file(begun, a_run(kind="computed"))
    command = ["render", begun, "--out", place.new("pages")]

    def follow(said: str) -> None:
        assert f"{begun}: names no pair yet" in said
        assert "run its experiment first" in said
        command[:] = [
            "query",
            place.db,
            "pair_table",
        ]  # where that was done; pages of one are made in test_render_pages

    return command, "names no pair yet", follow


@provokes(errors.SiteBroken)
def _a_site_has_no_configuration(place: Place) -> Any:
    command = ["site", "--config", place.new("mkdocs.yml")]

    def follow(said: str) -> None:
        command[:] = ["pairs", "list"]  # a whole site is built in tests/test_site.py

    return command, "mkdocs.yml", follow


@provokes(errors.PathUnreachable)
def _a_name_is_too_long(place: Place) -> Any:
    command = ["query", place.new("a" * 300), "pair_table"]

    def follow(said: str) -> None:
        command[1] = place.db

    return command, "cannot be reached", follow


@pytest.mark.parametrize("kind", list(CASES), ids=lambda kind: kind.__name__)
def test_a_refusal_says_what_to_do_and_that_works(
    kind: type[NlareportError], place: Place, told: list[BaseException | None]
) -> None:
    command, named, follow = CASES[kind](place)
    refused = invoke(*command)
    assert refused.exit_code == 1, refused.output
    assert type(told[-1]) is kind, refused.stderr
    said = refused.stderr.partition("nlareport: ")[2]
    assert named in said
    assert "Traceback" not in refused.output
    follow(said)
    again = invoke(*command)
    assert again.exit_code == 0, again.output


def test_pairs_that_score_otherwise_are_named_with_what_was_recorded(
    place: Place, monkeypatch: pytest.MonkeyPatch, told: list[BaseException | None]
) -> None:
    off = pair_agreement.Agreement(PairId("smollm2-L20"), 20, 0, 3, 0.1, 0.5)
    monkeypatch.setattr(pair_agreement, "verify_pairs", lambda *_: [off])
    refused = invoke("pairs", "verify", "--against", place.db, "--experiment", place.experiment)
    assert refused.exit_code == 1
    assert type(told[-1]) is errors.PairsDisagree
    assert f"smollm2-L20: scores differ from those recorded in {place.db}" in refused.stderr


def test_a_library_that_is_not_there_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "nlareport.pairs.adapters", raising=False)
    with pytest.raises(errors.ExtraMissing, match=r'The pocket pairs need PEFT. Run: pip install "peft>=0.21"'):
        import_module("nlareport.pairs.adapters")


def test_a_pocket_pair_nobody_knows_is_answered_with_those_there_are() -> None:
    with pytest.raises(errors.PairUnknown, match=r"No pocket pair is called 'smollm2-L2'; there are .*smollm2-L20"):
        pocket_pair("smollm2-L2")


def test_a_checkpoint_that_is_another_now_is_named_with_what_to_do() -> None:
    begun, found = (Making(PairId("small"), "verbalizer", "weights", digest * 64) for digest in "ab")
    with pytest.raises(errors.CheckpointChanged, match=r"run.duckdb: was begun with other checkpoints.*--new-run"):
        refuse_changed([begun], [found], Path("run.duckdb"))
    refuse_changed([begun], [begun], Path("run.duckdb"))
