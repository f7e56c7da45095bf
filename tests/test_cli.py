"""The command line as a newcomer meets it: help, exit codes, and one sentence for every kind of bad input."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import duckdb
import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from safetensors.numpy import load_file, save_file
from support.scripted_runs import scripted_content, write_corpus, write_experiment

from nlareport.cli import cli
from nlareport.run.pipeline import stage_names
from nlareport.store.migrations import SCHEMA_VERSION

PUBLISHED = Path("data/published/18-cross-family.yaml").resolve()


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    """The one line on stderr of a command that must end with exit code 1 and nothing on stdout."""
    result = invoke(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("nlareport: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    write_corpus(tmp_path, 10)
    return write_experiment(tmp_path, scripted_content(4))


@pytest.fixture
def tiny(tmp_path: Path, tiny_pairs: dict) -> dict:
    """Experiment content on a copy of a tiny Qwen2 pair that a test may damage."""
    write_corpus(tmp_path, 10)
    spec = tiny_pairs["qwen2"].pair_spec.model_dump(mode="json")
    for key in ("base_model", "verbalizer", "reconstructor"):
        shutil.copytree(spec[key], tmp_path / key)
        spec[key] = str(tmp_path / key)
    content = scripted_content(4)
    content.update(pairs=[spec], scoring={"bootstrap_draws": 200, "unclean": "raw"})
    content["decoding"]["max_new_tokens"] = 4
    content["sampling"]["reference_pair"] = spec["pair_id"]
    return content


def test_help_imports_no_torch() -> None:
    check = (
        "import sys; from nlareport.cli import cli; cli(['--help'], standalone_mode=False); "
        "assert 'numpy' not in sys.modules; "
        "cli(['run', '--help'], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, check=False).returncode == 0


def test_only_offers_every_stage() -> None:
    assert f"[{'|'.join(stage_names())}]" in invoke("run", "--help").stdout


@pytest.mark.parametrize("name", [*cli.commands, "pairs list", "pairs build", "pairs verify", "pairs train"])
def test_every_command_shows_a_worked_example(name: str) -> None:
    result = invoke(*name.split(), "--help")
    assert result.exit_code == 0
    assert name == "pairs" or "Example: nlareport" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "x.yaml"),
        ("render", "x"),
        ("nonsense",),
        ("run", "x", "--db", "y", "--only", "z"),
        ("query", "x"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_a_run_says_what_it_holds(scripted: Path, tmp_path: Path) -> None:
    result = invoke("run", scripted, "--db", tmp_path / "run.duckdb", "--engine", "scripted")
    assert result.exit_code == 0
    assert result.stdout.endswith("run.duckdb: 4 items, 8 explanations, 16 scores\n")
    assert "extract small: 4 of 4" in result.stderr
    again = invoke("run", scripted, "--db", tmp_path / "run.duckdb", "--engine", "scripted")
    assert again.stdout.endswith("run.duckdb: 4 items, 8 explanations, 16 scores; nothing was missing\n")


def test_options_come_from_the_environment_too(scripted: Path, tmp_path: Path) -> None:
    environment = {"NLAREPORT_RUN_ENGINE": "scripted", "NLAREPORT_RUN_DB": str(tmp_path / "run.duckdb")}
    result = CliRunner().invoke(cli, ["run", str(scripted)], env=environment)
    assert result.exit_code == 0
    assert (tmp_path / "run.duckdb").exists()


def test_published_figures_become_a_page(tmp_path: Path) -> None:
    assert "imported from" in invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb").stdout
    assert "already holds" in invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb").stdout
    result = invoke("render", tmp_path / "p.duckdb", "--out", tmp_path / "pages")
    assert result.stdout == f"Open {tmp_path / 'pages' / 'index.html'}\n"
    assert (tmp_path / "pages" / "index.html").exists()


def test_lists_in_an_answer_are_json_in_csv(tmp_path: Path) -> None:
    invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb")
    sql = "SELECT 1 AS n, [0.5, NULL] AS two, CAST(NULL AS INTEGER[]) AS absent"
    answer = invoke("query", tmp_path / "p.duckdb", sql, "--format", "csv")
    assert answer.stdout == 'n,two,absent\n1,"[0.5, null]",\n'


def test_a_named_query_answers_in_every_format(tmp_path: Path) -> None:
    invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb")
    query = ("query", tmp_path / "p.duckdb", "matrix", "--param", "subset=all", "--format")
    assert invoke(*query, "csv").stdout.splitlines()[0].startswith("source,target,")
    assert len(invoke(*query, "csv").stdout.splitlines()) == 17
    assert len(yaml.safe_load(invoke(*query, "json").stdout)) == 16
    assert invoke(*query, "md").stdout.startswith("| source")
    assert "0.748" in invoke(*query, "table").stdout


def test_every_option_has_a_variable_spelled_as_the_option_is(tmp_path: Path) -> None:
    invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb")
    environment = {"NLAREPORT_QUERY_FORMAT": "csv", "NLAREPORT_QUERY_PARAM": "subset=all"}
    result = CliRunner().invoke(cli, ["query", str(tmp_path / "p.duckdb"), "matrix"], env=environment)
    assert result.stdout.splitlines()[0].startswith("source,target,")


def test_serve_shows_the_report_on_this_machine_alone(tmp_path: Path) -> None:
    invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb")
    command = [sys.executable, "-u", "-m", "nlareport", "serve", str(tmp_path / "p.duckdb"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("Open ").strip()
        with urlopen(address) as answer:
            page = answer.read().decode()
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
    assert address.startswith("http://127.0.0.1:")
    assert "0.748" in page


def test_unknown_keys_and_wrong_values_are_listed_together(scripted: Path, tmp_path: Path) -> None:
    content = scripted_content(4)
    content["sampling"]["sed"] = 1
    content["pairs"][0]["d_model"] = "wide"
    path = write_experiment(tmp_path, content)
    result = invoke("run", path, "--db", tmp_path / "run.duckdb")
    assert result.exit_code == 1
    assert f"{path}: sampling.sed: is not a known key" in result.stderr
    assert "pairs.0.d_model" in result.stderr
    assert not (tmp_path / "run.duckdb").exists()


def test_a_pair_may_not_take_the_name_of_a_folder_of_the_run(scripted: Path, tmp_path: Path) -> None:
    content = scripted_content(4)
    content["pairs"][1]["pair_id"] = "documents"
    line = refusal("run", write_experiment(tmp_path, content), "--db", tmp_path / "run.duckdb")
    assert "documents is a folder that every run has; choose another pair_id" in line


def test_a_missing_checkpoint_file_is_named(tiny: dict, tmp_path: Path) -> None:
    (tmp_path / "verbalizer" / "nla_meta.yaml").unlink()
    line = refusal("run", write_experiment(tmp_path, tiny), "--db", tmp_path / "run.duckdb")
    assert "verbalizer/nla_meta.yaml: cannot be read" in line


def test_a_sidecar_that_disagrees_with_the_tokenizer_stops_the_run_and_keeps_what_was_computed(
    tiny: dict, tmp_path: Path
) -> None:
    command = ["run", write_experiment(tmp_path, tiny), "--db", tmp_path / "run.duckdb"]
    assert invoke(*command, "--only", "sample").exit_code == 0
    assert invoke(*command, "--only", "extract").exit_code == 0
    sidecar = tmp_path / "verbalizer" / "nla_meta.yaml"
    content = yaml.safe_load(sidecar.read_text(encoding="utf-8"))
    content["tokens"]["injection_token_id"] += 1
    sidecar.write_text(yaml.safe_dump(content), encoding="utf-8")
    line = refusal(*command)
    assert "the injection char tokenizes to" in line
    kept = invoke("query", tmp_path / "run.duckdb", "SELECT count(*) AS n FROM alignment", "--format", "csv")
    assert kept.stdout == "n\n4\n"


def test_a_value_head_with_a_nan_is_refused(tiny: dict, tmp_path: Path) -> None:
    command = ["run", write_experiment(tmp_path, tiny), "--db", tmp_path / "run.duckdb"]
    for stage in ("sample", "extract", "verbalize"):
        assert invoke(*command, "--only", stage).exit_code == 0
    head = tmp_path / "reconstructor" / "value_head.safetensors"
    weights = load_file(head)
    weights["weight"] = weights["weight"].copy()
    weights["weight"][0, 0] = np.nan
    save_file(weights, head)
    line = refusal(*command)
    assert "value_head.safetensors" in line
    kept = invoke("query", tmp_path / "run.duckdb", "SELECT count(*) AS n FROM explanation", "--format", "csv")
    assert kept.stdout == "n\n4\n"


def test_an_answer_without_a_closing_tag_becomes_an_unscored_row(tiny: dict, tmp_path: Path) -> None:
    tiny["scoring"]["unclean"] = "unscored"
    invoke("run", write_experiment(tmp_path, tiny), "--db", tmp_path / "run.duckdb")
    sql = "SELECT DISTINCT mse_nrm, unscored_reason FROM score"
    rows = invoke("query", tmp_path / "run.duckdb", sql, "--format", "csv").stdout.splitlines()
    assert len(rows) == 2
    assert "tag" in rows[1]


def test_a_document_without_a_position_is_counted_with_its_reason(scripted: Path, tmp_path: Path) -> None:
    content = scripted_content(5)
    invoke("run", write_experiment(tmp_path, content), "--db", tmp_path / "run.duckdb", "--engine", "scripted")
    rows = invoke("query", tmp_path / "run.duckdb", "skipped_documents", "--format", "csv").stdout.splitlines()
    assert len(rows) == 2


def test_a_run_file_of_another_schema_version_is_refused(tmp_path: Path) -> None:
    invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb")
    with duckdb.connect(str(tmp_path / "p.duckdb")) as connection:
        connection.execute("UPDATE run SET schema_version = 99")
    line = refusal("render", tmp_path / "p.duckdb", "--out", tmp_path / "pages")
    assert f"schema version 99, this nlareport reads versions 1 to {SCHEMA_VERSION}" in line


def test_a_run_file_open_elsewhere_is_refused(tmp_path: Path) -> None:
    invoke("import", PUBLISHED, "--db", tmp_path / "p.duckdb")
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path / "p.duckdb")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        line = refusal("render", tmp_path / "p.duckdb", "--out", tmp_path / "pages")
        holder.kill()
    assert "p.duckdb" in line


@pytest.mark.parametrize("command", ["render", "export"])
def test_a_missing_run_file_is_named(command: str, tmp_path: Path) -> None:
    assert "nowhere.duckdb" in refusal(command, tmp_path / "nowhere.duckdb", "--out", tmp_path / "out")


def test_an_unknown_pocket_pair_is_answered_with_those_there_are() -> None:
    assert "smollm2-L20, gemma270-L6" in refusal("pairs", "build", "smollm3")
    assert invoke("pairs", "list").stdout.startswith("smollm2-L10")
