"""Commands that write folders, among files of others: none of those is touched, and one that is in the way is named."""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_runs import PAIRS, run_row
from test_written_folders import Tree, put, tree

from nlareport.cli import cli
from nlareport.errors import FolderOfOthers
from nlareport.files.written_folders import MANIFEST
from nlareport.render.site.reference import write_reference
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Run
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import create_run_file


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def a_run_file(path: Path, run_id: str = "pocket") -> Path:
    """A run of cells alone: the smallest that all commands take."""
    run = run_row()
    cells = [
        Cell(source.pair_id, target.pair_id, "all", 4, 0, 0.5, 0.4, 0.6, *[None] * 6)
        for source in PAIRS
        for target in PAIRS
    ]
    named = Run(**{name: getattr(run, name) for name in run.__slots__} | {"run_id": run_id, "kind": "imported"})
    create_run_file(path, named, PAIRS, cells)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_run_file(tmp_path_factory.mktemp("run") / "run.duckdb")


def in_one_sentence(result: Result) -> str:
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("nlareport: ")
    assert result.stderr.count("\n") == 1
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def beside_a_run(run: Path, folder: Path) -> Tree:
    """A user's folder: the run with its vectors, and files under the names that a report gives its own."""
    for name in ("data/raw/gpu-weeks.bin", "assets/logo.svg", "downloads/thesis.pdf", "items/list.txt"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("precious")
    shutil.copy(run, folder / "data/run.duckdb")
    (folder / "data/run.activations").mkdir()
    (folder / "data/run.activations/part").write_text("vectors")
    return tree(folder)


@pytest.mark.parametrize("command", ["render", "export", "diff"])
def test_a_folder_of_others_is_refused_and_with_force_written_beside(
    command: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = beside_a_run(run, tmp_path)
    monkeypatch.chdir(tmp_path)
    runs = ["data/run.duckdb"] * (2 if command == "diff" else 1)
    said = in_one_sentence(invoke(command, *runs, "--out", "."))
    assert "is not empty" in said
    assert "--out NEW" in said
    assert "--force" in said
    assert tree(tmp_path) == before
    assert invoke(command, *runs, "--out", ".", "--force").exit_code == 0
    after = tree(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)
    # What was written is known: the next call needs no leave, and takes nothing of a user's away.
    assert invoke(command, *runs, "--out", ".").exit_code == 0
    assert tree(tmp_path) == after


@pytest.mark.parametrize(
    ("command", "name", "kind"),
    [
        ("render", "index.html", "file"),
        *(("diff", "index.html", kind) for kind in ("file", "folder", "link to file", "link to nothing")),
        *(("export", "scores.csv", kind) for kind in ("file", "folder", "link to file", "link to nothing")),
    ],
)
def test_what_stands_in_the_way_is_named_and_stays(
    command: str, name: str, kind: str, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("elsewhere")
    assert put(tmp_path / "out" / name, kind, tmp_path)
    before = tree(tmp_path)
    options = ["--format", "csv"] if command == "export" else []
    runs = [run] * (2 if command == "diff" else 1)
    said = in_one_sentence(invoke(command, *runs, "--out", tmp_path / "out", "--force", *options))
    assert f"what is at '{name}' is not as nlareport wrote it" in said
    assert tree(tmp_path) == before


def test_a_strangers_scores_in_another_format_stay(run: Path, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("mine")
    assert invoke("export", run, "--out", tmp_path, "--force", "--format", "jsonl").exit_code == 0
    assert invoke("export", run, "--out", tmp_path, "--format", "parquet").exit_code == 0
    assert (tmp_path / "scores.csv").read_text() == "mine"
    assert not (tmp_path / "scores.jsonl").exists()


def test_the_copy_in_a_report_is_read_but_never_replaced(run: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    assert invoke("render", run, "--out", report).exit_code == 0
    copy = report / "downloads/pocket.duckdb"
    before = tree(tmp_path)
    for command in (["export", copy], ["diff", copy, run]):
        said = in_one_sentence(invoke(*command, "--out", report, "--force"))
        assert "pocket.duckdb: is being read, and would be replaced, removed" in said
        assert tree(tmp_path) == before
    assert invoke("render", copy, "--out", report).exit_code == 0
    assert tree(tmp_path) == before


NAMES = st.sampled_from(
    ["run.yaml", "scores.csv", "scores.parquet", "cells.csv", "notes.txt", "data/a", "pairs.csv", "claims.csv", "data"]
)
KINDS = st.sampled_from(["file", "folder", "link to file", "link to folder", "link to nothing"])


@settings(max_examples=15, deadline=None)
@given(
    strangers=st.dictionaries(NAMES, KINDS, min_size=1, max_size=4),
    force=st.booleans(),
    format_=st.sampled_from(["csv", "parquet"]),
)
def test_a_bundle_among_whatever_else_touches_nothing_of_it(
    strangers: dict[str, str], force: bool, format_: str, run: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("strangers")
    (root / "file").write_text("elsewhere")
    (root / "folder").mkdir()
    (root / "folder/a").write_text("elsewhere")
    theirs = [name for name, kind in strangers.items() if put(root / "out" / name, kind, root)]
    before = tree(root)
    result = invoke("export", run, "--out", root / "out", "--format", format_, *["--force"][: int(force)])
    after = tree(root)
    assert {name: content for name, content in after.items() if name in before} == before
    if result.exit_code == 0:
        assert force or not theirs
        assert f"out/scores.{format_}" in after
    else:
        in_one_sentence(result)
        assert after == before


HOSTILE_IDS = ["../../x", "Engine", "y" * 300, "notes"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of runs with hostile names, its folders full of a user's own files, built by the command."""
    root = tmp_path_factory.mktemp("site")
    for number, run_id in enumerate(HOSTILE_IDS):
        a_run_file(root / f"{number}.duckdb", run_id)
    for name in ("x/keep", "project/docs/reports/my notes/n.txt", "project/public/CNAME"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("mine")
    (root / "project/docs/index.md").write_text("# Home")
    config = {
        "site_name": "strangers",
        "docs_dir": "docs",
        "site_dir": "public",
        "theme": {"name": "material", "font": False},
        "plugins": [],
        "extra": {
            "reference": "reference",
            "runs": [f"../{number}.duckdb" for number in range(len(HOSTILE_IDS))],
            "comparisons": [["../0.duckdb", "../1.duckdb"]],
        },
    }
    (root / "project/mkdocs.yml").write_text(yaml.safe_dump(config))
    result = invoke("site", "--config", root / "project/mkdocs.yml")
    assert result.exit_code == 0, result.output
    return root


def test_names_of_strangers_stay_within_the_site(project: Path) -> None:
    assert sorted(os.listdir(project)) == sorted([f"{n}.duckdb" for n in range(len(HOSTILE_IDS))] + ["project", "x"])
    assert sorted(os.listdir(project / "project")) == ["docs", "mkdocs.yml", "public", "reference"]
    reports = project / "project/public/reports"
    folders = [path.name for path in reports.iterdir()]
    assert len({name.casefold() for name in folders}) == len(HOSTILE_IDS) + len(["engine", "comparisons", "my notes"])
    assert len([name for name in folders if (reports / name / "index.html").exists()]) == len(HOSTILE_IDS)
    assert {"notes", "engine", "comparisons"} <= set(folders)


def test_the_site_takes_away_only_reports_it_no_longer_names(project: Path) -> None:
    config = yaml.safe_load((project / "project/mkdocs.yml").read_text())
    config["extra"] |= {"runs": ["../3.duckdb"], "comparisons": []}
    (project / "project/mkdocs.yml").write_text(yaml.safe_dump(config))
    assert invoke("site", "--config", project / "project/mkdocs.yml").exit_code == 0
    for built in ("docs", "public"):
        left = set(os.listdir(project / "project" / built / "reports")) - {MANIFEST}
        assert left == {"notes", "engine", "my notes"}
    assert (project / "project/docs/reports/my notes/n.txt").read_text() == "mine"
    assert (project / "project/public/CNAME").read_text() == "mine"
    assert (project / "x/keep").read_text() == "mine"


def test_a_page_of_a_users_own_in_the_sites_way_is_named_and_stays(project: Path) -> None:
    place = project / "project/public/404.html"
    former = place.read_bytes()
    place.write_text("mine")
    said = in_one_sentence(invoke("site", "--config", project / "project/mkdocs.yml"))
    assert "what is at '404.html' is not as nlareport wrote it" in said
    assert "Move it away, or give an empty or new folder with another site_dir." in said
    assert place.read_text() == "mine"
    place.write_bytes(former)


def test_two_runs_of_one_name_are_refused(project: Path) -> None:
    shutil.copy(project / "3.duckdb", project / "again.duckdb")
    config = yaml.safe_load((project / "project/mkdocs.yml").read_text())
    config["extra"]["runs"] = ["../3.duckdb", "../again.duckdb"]
    (project / "project/again.yml").write_text(yaml.safe_dump(config))
    said = in_one_sentence(invoke("site", "--config", project / "project/again.yml"))
    assert "another run of the site has the run_id 'notes'" in said


@pytest.mark.parametrize("kind", ["file", "link to file"])
def test_a_page_of_a_users_own_is_no_reference_page(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("elsewhere")
    assert put(tmp_path / "docs/commands.md", kind, tmp_path)
    before = tree(tmp_path)
    with (
        DuckDBReader.empty() as reader,
        pytest.raises(FolderOfOthers, match=r"commands\.md: is no page that nlareport made.*move it away"),
    ):
        write_reference(tmp_path / "docs", reader, DuckDBReader.query_names(), cli)
    assert tree(tmp_path) == before
