"""What commands print, whatever strangers wrote and whatever stands at the other end of the line."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_runs import a_run, a_small_run

from nlareport import publish
from nlareport.cli import cli
from nlareport.errors import QueryFailed
from nlareport.render.text_tables import written
from nlareport.shown import printable
from nlareport.store.run_file import create_run_file
from nlareport.store.whole_run import store_run
from nlareport.terminal import EXIT_OUR_FAULT, TRACEBACK_VARIABLE, ProgressLine

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\u202eevil\u2066\u200b\ud800"


def invoke(*arguments: object, **options: str) -> Result:
    return CliRunner(**options).invoke(cli, [str(argument) for argument in arguments])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("terminal") / "run.duckdb"
    store_run(path, a_small_run())
    return path


# Each cell of a table -----------------------------------------------------------------------------------------------


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.none(), min_size=1, max_size=4),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)
def test_whatever_a_table_holds_is_safe_to_look_at(texts: list[str | None], name: str) -> None:
    frame = pl.DataFrame({name: texts})
    for format_ in ("table", "md"):
        table = written(frame, format_)
        assert table == printable(table)


@given(st.lists(st.text(st.sampled_from("|\n\r\\a\x1b"), max_size=6), min_size=1, max_size=4))
def test_a_row_of_a_markdown_table_is_one_line_with_its_own_cells(texts: list[str]) -> None:
    lines = written(pl.DataFrame({"a": texts, "b": texts}), "md").splitlines()
    assert len(lines) == 2 + len(texts)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}


def test_a_huge_value_is_cut_in_a_table_and_whole_in_data(run_file: Path) -> None:
    sql = "SELECT repeat('z', 1000000) AS long"
    assert len(invoke("query", run_file, sql).stdout) < 1000
    assert len(invoke("query", run_file, sql, "--format", "csv").stdout) > 1_000_000


def test_data_reaches_a_pipe_exactly(run_file: Path) -> None:
    sql = "SELECT chr(27) || '[2J' || chr(8238) || '=1+1' AS a"
    assert invoke("query", run_file, sql, "--format", "csv").stdout == "a\n\x1b[2J\u202e=1+1\n"
    assert "\u202e=1+1" in invoke("query", run_file, sql, "--format", "json").stdout
    assert "\\x1b[2J\\u202e=1+1" in invoke("query", run_file, sql).stdout


def on_a_terminal(*arguments: object, **variables: str) -> str:
    """What the command writes to a real terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nlareport", *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **variables}, close_fds=True
    ) as process:
        os.close(theirs)
        parts: list[bytes] = []
        while select.select([ours], [], [], 60)[0]:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            parts.append(part)
        process.wait(timeout=60)
    os.close(ours)
    return b"".join(parts).decode()


def test_data_shown_on_a_terminal_moves_no_cursor(run_file: Path) -> None:
    sql = "SELECT chr(27) || '[2J' || chr(155) || '31m' || chr(8238) AS a"
    for format_ in ("csv", "json"):
        shown = on_a_terminal("query", run_file, sql, "--format", format_)
        assert "2J" in shown
        assert not re.search("[\x1b\x9b\u202e]", shown)


# Sentences ----------------------------------------------------------------------------------------------------------


def test_an_error_that_quotes_a_stranger_is_safe_to_look_at(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise QueryFailed(f"Query {ESCAPES}: refused")

    monkeypatch.setattr(publish, "publish_run", refuse)
    said = invoke("render", run_file, "--out", "pages").stderr
    assert said == printable(said)
    assert "\\x1b[2J" in said


def test_a_title_and_an_id_of_a_stranger_are_safe_to_look_at(tmp_path: Path) -> None:
    create_run_file(tmp_path / "a.duckdb", a_run(title="\x1b[2J\u202etitle", run_id="\x1b]0;x\x07"))
    for format_ in ("table", "md"):
        said = invoke("query", tmp_path / "a.duckdb", "SELECT run_id, title FROM run", "--format", format_).stdout
        assert said == printable(said)
        assert "\\x1b[2J\\u202etitle" in said


@pytest.mark.parametrize("charset", ["cp1252", "ascii", "latin-1", "cp437"])
def test_a_stream_that_knows_few_characters_gets_what_it_can_show(charset: str, run_file: Path) -> None:
    result = invoke("query", run_file, "SELECT '≥ 中 é' AS a", charset=charset)
    assert result.exit_code == 0
    shown = result.stdout_bytes.decode(charset)
    assert "\\u4e2d" in shown
    assert "\\u250c" not in shown  # lines of a table are drawn with what there is
    assert invoke("--help", charset=charset).exit_code == 0


@pytest.mark.parametrize("redirection", ["> /dev/full", "| head -c 1 > /dev/null", ">&-", "2>&-", "> /dev/full 2>&1"])
def test_an_end_of_output_is_a_sentence_or_silence(redirection: str, run_file: Path) -> None:
    sql = "SELECT repeat('x', 100) FROM range(2000)"
    line = f'{sys.executable} -m nlareport query {run_file} "{sql}" --format csv {redirection}'
    ended = subprocess.run(["bash", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said = ended.stderr.splitlines()
    assert len(said) <= 1, ended.stderr
    assert all(line.startswith("nlareport: the output could not be written") for line in said)
    if redirection == "> /dev/full":
        assert (len(said), ended.returncode) == (1, 1)


# Signals ------------------------------------------------------------------------------------------------------------

ENDLESS = "SELECT count(*) FROM range(100000000000) a, range(1000000) b WHERE a.range % 7 = b.range % 3"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_question_without_end_is_stopped_in_one_sentence(name: str, run_file: Path) -> None:
    command = [sys.executable, "-m", "nlareport", "query", str(run_file), ENDLESS]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_signals
    ) as process:
        _wait_for_work(process.pid)
        process.send_signal(getattr(signal, name))
        try:
            out, said = process.communicate(timeout=60)
        finally:
            process.kill()
    # Python itself ends by SIGINT when the interrupt met certain C code on its way, whoever answered it.
    assert process.returncode in (1, -signal.SIGINT)
    assert out == ""
    assert said == "nlareport: stopped before it was done; give the same command again.\n"


def _hear_signals() -> None:
    """Tests in the background of a script ignore Ctrl-C, and under nohup a hang-up; their children would too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _wait_for_work(pid: int) -> None:
    """Returns once the process has loaded DuckDB; until it is another program it shows what this one has loaded."""
    until = time.monotonic() + 60
    status = Path(f"/proc/{pid}")
    while ENDLESS not in (status / "cmdline").read_text() or "duckdb" not in (status / "maps").read_text():
        assert time.monotonic() < until, "the command never began"
        time.sleep(0.05)
    time.sleep(0.5)


def test_a_stop_while_the_command_line_is_still_loaded_is_a_sentence() -> None:
    program = (
        "import sys, nlareport.__main__ as start\n"
        "class Stop:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'nlareport.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop()); start.main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "nlareport: stopped before it began.\n")


# What nobody foresaw ------------------------------------------------------------------------------------------------


def _fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Result:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(publish, "publish_run", fail)
    return invoke("render", "run.duckdb", "--out", "pages")


def test_a_fault_of_our_own_is_called_that_and_its_traceback_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = _fail_with(KeyError(f"{ESCAPES}\nsecond line"), monkeypatch)
    assert result.exit_code == EXIT_OUR_FAULT
    (line,) = result.stderr.splitlines()
    assert line.startswith("nlareport: this is a fault of nlareport itself (KeyError: ")
    assert line == printable(line)
    (kept,) = tmp_path.glob("nlareport-*.txt")
    assert str(kept) in line
    assert "in fail" in kept.read_text(encoding="utf-8")


def test_a_traceback_that_cannot_be_kept_is_shown_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    result = _fail_with(ValueError("odd"), monkeypatch)
    assert f"set {TRACEBACK_VARIABLE}=1 and give the same command again" in result.stderr
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    assert isinstance(_fail_with(ValueError("odd"), monkeypatch).exception, ValueError)


def test_too_little_memory_is_no_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    result = _fail_with(MemoryError(), monkeypatch)
    assert (result.exit_code, result.stderr) == (
        1,
        "nlareport: there was not enough memory; close other programs, or use a machine with more.\n",
    )


# Arguments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("render", "", "--out", "x"), ("render", "x", "--out", ""), ("run", "x", "--db", ""), ("diff", "", "x")],
)
def test_an_empty_path_is_wrong_usage_and_never_this_folder(arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "is empty; give the path of a file or folder" in result.stderr


def test_a_path_the_system_says_nothing_about_is_told() -> None:
    result = invoke("query", "a" * 300, "matrix")
    assert result.exit_code == 1
    assert "cannot be reached (File name too long)" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NLAREPORT_QUERY_FORMAT", "xml"), ("NLAREPORT_SERVE_PORT", "http"), ("NLAREPORT_RUN_LIMIT", "0")],
)
def test_a_wrong_value_from_the_environment_is_said_to_come_from_there(variable: str, value: str) -> None:
    command = variable.split("_")[1].lower()
    arguments = {"query": ["x"], "serve": [], "run": ["x", "--db", "y"]}[command]
    result = CliRunner().invoke(cli, [command, *arguments], env={variable: value})
    assert result.exit_code == 2
    assert f"It comes from the environment variable {variable}." in result.stderr
    wrong = {"query": "--format", "serve": "--port", "run": "--limit"}[command]
    assert "environment" not in invoke(command, *arguments, wrong, value).stderr


def test_a_link_to_a_run_file_stands_for_the_file(run_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.duckdb"
    link.symlink_to(run_file)
    assert invoke("query", link, "SELECT run_id FROM run", "--format", "csv").exit_code == 0
    dangling = tmp_path / "dangling.duckdb"
    dangling.symlink_to(tmp_path / "real" / "p.duckdb")
    published = Path("data/published/18-cross-family.yaml").resolve()
    assert invoke("import", published, "--db", dangling).exit_code == 0
    assert (tmp_path / "real" / "p.duckdb").is_file()
    assert dangling.is_symlink()


# Progress -----------------------------------------------------------------------------------------------------------


def test_a_log_has_lines_and_no_colours_whatever_is_forced(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "COLUMNS": "10", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    with ProgressLine() as progress:
        progress.stage(f"extract {ESCAPES} [/x]", 2, 0)
        progress.advance(2)
    said = capfd.readouterr().err
    assert said == printable(said)
    assert said.splitlines()[-1].endswith("[/x]: 2 of 2")


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"COLUMNS": "10"}, {"NO_COLOR": "1"}, {"LINES": "1"}])
def test_a_bar_on_any_terminal_shows_a_name_as_it_is(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with os.fdopen(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with ProgressLine() as progress:
            progress.stage("extract [bold][/x]\x1b[2J", 2, 0)
            progress.advance(2)
        stderr.flush()
        said = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "\x1b[2J" not in said
    assert ("\x1b" in said) == ("TERM" not in variables)
