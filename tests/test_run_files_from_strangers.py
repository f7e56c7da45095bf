"""Run files as strangers may send them: with code in them, with another file's log, or no run files at all."""

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
import pytest
from support.tiny_runs import a_run, a_small_run, make_older

from nlareport.errors import (
    FileUnwritable,
    NlareportError,
    RunFileBusy,
    RunFileForbidden,
    RunFileForeign,
    RunFileLogRefused,
    RunFileMissing,
    RunFileOfAnotherVersion,
    RunFileUnreadable,
    RunFileUnwritable,
)
from nlareport.store.connections import connect
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import store_run

Opening = Callable[[Path], object]

OPENINGS: dict[str, Opening] = {"reading": DuckDBReader.open, "writing": RunFile.open}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("strangers") / "sound.duckdb"
    store_run(path, a_small_run())
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "run.duckdb"))


@pytest.fixture(params=list(OPENINGS))
def opening(request: pytest.FixtureRequest) -> Opening:
    return OPENINGS[request.param]


def change(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


FOREIGN = {
    "a view that reads a file": ("CREATE VIEW run_2 AS SELECT * FROM read_text('{secret}')", "the view 'run_2'"),
    "a view in place of a table": (
        "CREATE TABLE was AS FROM claim; DROP TABLE claim; CREATE VIEW claim AS FROM was",
        "the view 'claim', the table 'was'",
    ),
    "our view with another query": (
        "CREATE OR REPLACE VIEW additive_fit AS SELECT 'a' AS pair_id, 1.0 AS mean_as_source, 1.0 AS mean_as_target, "
        "content AS source_effect, 1.0 AS target_effect FROM read_text('{secret}')",
        "the view 'additive_fit'",
    ),
    "a macro in place of an operator": ('CREATE MACRO "+"(a, b) AS 42', "the macro '\\+'"),
    "a macro in place of an aggregate": ("CREATE MACRO avg(x) AS 42", "the macro 'avg'"),
    "a macro in place of what lists tables": (
        "CREATE MACRO duckdb_tables() AS TABLE SELECT 'run' AS table_name",
        "the macro 'duckdb_tables'",
    ),
    "a macro in place of what names the database": (
        "CREATE MACRO current_database() AS 'system'",
        "the macro 'current_database'",
    ),
    "a sequence": ("CREATE SEQUENCE counting", "the sequence 'counting'"),
    "a type": ("CREATE TYPE mood AS ENUM ('good')", "the type 'mood'"),
    "a type in place of JSON": ("CREATE TYPE json AS ENUM ('good')", "the type 'json'"),
    "a schema": (
        "CREATE SCHEMA extra; CREATE TABLE extra.run (a INTEGER)",
        "the schema 'extra', the table 'extra.run'",
    ),
    "a table of notes": ("CREATE TABLE notes (a INTEGER)", "the table 'notes'"),
    "a column": ("ALTER TABLE cell ADD COLUMN mine DOUBLE", "the column 'cell.mine'"),
    "a default": ("ALTER TABLE cell ALTER COLUMN median SET DEFAULT random()", "the default 'cell.median'"),
    "an index": ("CREATE INDEX quick ON cell (median + 1)", "the index 'quick'"),
    "a computed column": (
        "DROP TABLE claim; CREATE TABLE claim (claim_id VARCHAR PRIMARY KEY, text VARCHAR NOT NULL, query VARCHAR "
        "NOT NULL, holds BOOLEAN NOT NULL, figures JSON AS (json_object('a', text)))",
        "the default 'claim.figures', the generated column 'claim.figures'",
    ),
    "a check": (
        "DROP TABLE claim; CREATE TABLE claim (claim_id VARCHAR PRIMARY KEY, text VARCHAR NOT NULL, query VARCHAR "
        "NOT NULL, holds BOOLEAN NOT NULL CHECK (error(text) IS NULL), figures JSON NOT NULL)",
        "the check 'claim'",
    ),
    "a column of another type": ("ALTER TABLE cell ALTER COLUMN median TYPE VARCHAR", "the column 'cell.median'"),
}


@pytest.mark.parametrize("case", list(FOREIGN))
def test_whatever_is_not_ours_is_named_and_never_run(case: str, copy: Path, tmp_path: Path, opening: Opening) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    statement, named = FOREIGN[case]
    change(copy, *statement.format(secret=secret).split("; "))
    before = copy.read_bytes()
    with pytest.raises(RunFileForeign, match=rf"holds {named}, which nlareport did not put there") as refusal:
        opening(copy)
    assert "canary" not in str(refusal.value)
    assert copy.read_bytes() == before


ADDED = [
    "CREATE VIEW x AS SELECT 1",
    'CREATE TABLE "a.b ""c" (a INTEGER)',
    "CREATE TYPE x AS ENUM ('a')",
    "CREATE INDEX x ON cell (median)",
    "CREATE SCHEMA x",
    "ALTER TABLE cell ALTER COLUMN median SET DEFAULT 1",
]
MENDED = [
    "a sequence",
    "a schema",
    "a table of notes",
    "a column",
    "a default",
    "an index",
    "a type in place of JSON",
    "a macro in place of an operator",
    "a macro in place of an aggregate",
    "a view that reads a file",
]


@pytest.mark.parametrize("statement", [*ADDED, *(FOREIGN[case][0] for case in MENDED)])
def test_what_was_added_is_taken_out_by_the_statements_the_refusals_give(statement: str, copy: Path) -> None:
    change(copy, *statement.format(secret="x").split("; "))
    for _ in range(3):
        try:
            DuckDBReader.open(copy).close()
        except RunFileForeign as refusal:
            change(copy, str(refusal).split("take it out with DuckDB, ")[1].split("; if the file")[0])
    with DuckDBReader.open(copy) as reader:
        assert len(reader.frame("SELECT run_id FROM run")) == 1


@pytest.mark.parametrize("case", sorted(set(FOREIGN) - set(MENDED) - {"a view in place of a table"}))
def test_nobody_is_told_to_drop_what_stands_in_place_of_ours(case: str, copy: Path) -> None:
    change(copy, *FOREIGN[case][0].format(secret="/dev/null").split("; "))
    with pytest.raises(RunFileForeign, match=r"put back a copy of the file as nlareport wrote it|DROP (MACRO|TYPE)"):
        DuckDBReader.open(copy)


def test_a_table_replaced_by_a_view_that_reads_files_never_reads_them(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    with duckdb.connect(str(copy)) as connection:
        columns = [record[0] for record in connection.execute("DESCRIBE run").fetchall()]
        body = ", ".join(
            f"(SELECT content FROM read_text('{tmp_path}/secret.txt')) AS title" if column == "title" else column
            for column in columns
        )
        connection.execute("CREATE TABLE run_was AS FROM run; DROP TABLE run")
        connection.execute(f"CREATE VIEW run AS SELECT {body} FROM run_was")
    for opening in OPENINGS.values():
        with pytest.raises(RunFileForeign, match="the view 'run', the table 'run_was'"):
            opening(copy)


def test_an_older_file_is_examined_too(copy: Path, opening: Opening) -> None:
    make_older(copy)
    change(copy, "CREATE VIEW additive_fit AS SELECT 1 AS pair_id")
    with pytest.raises(RunFileForeign, match="the view 'additive_fit'"):
        opening(copy)


def test_a_file_open_for_writing_reaches_no_other_file(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    with (
        connect(copy, read_only=False) as connection,
        pytest.raises(duckdb.PermissionException, match="disabled by configuration"),
    ):
        connection.execute(f"SELECT * FROM read_text('{tmp_path}/secret.txt')")


def test_a_missing_table_or_column_is_named(copy: Path, opening: Opening) -> None:
    change(copy, "DROP TABLE claim", "ALTER TABLE baseline DROP COLUMN ci_low")
    with pytest.raises(
        RunFileUnreadable, match=r"is no whole run file, baseline.ci_low, claim.claim_id, claim.figures"
    ):
        opening(copy)


def _log_of(path: Path, statement: str) -> bytes:
    """What DuckDB writes beside a file before it settles a statement in it."""
    change(path, "PRAGMA disable_checkpoint_on_shutdown", statement)
    log = path.with_name(f"{path.name}.wal")
    content = log.read_bytes()
    log.unlink()
    return content


def test_a_log_that_brings_something_foreign_is_not_played_into_the_file(
    copy: Path, sound: Path, opening: Opening
) -> None:
    log = copy.with_name("run.duckdb.wal")
    log.write_bytes(_log_of(Path(shutil.copy(sound, copy.with_name("other.duckdb"))), "CREATE VIEW v AS SELECT 1"))
    with pytest.raises(RunFileForeign, match="the view 'v'"):
        opening(copy)
    log.unlink()
    opening(copy)


@pytest.mark.parametrize("kind", ["of another file", "damaged", "a folder", "a pipe", "a link to a device"])
def test_a_log_that_does_not_fit_is_told_and_moved_away_as_said(kind: str, copy: Path, opening: Opening) -> None:
    log = copy.with_name("run.duckdb.wal")
    if kind == "of another file":
        other = copy.with_name("other.duckdb")
        change(other, "CREATE TABLE a (b INTEGER)")
        log.write_bytes(_log_of(other, "CREATE TABLE c (d INTEGER)"))
    elif kind == "damaged":
        content = bytearray(_log_of(copy, "CREATE TABLE a AS SELECT 7 AS b"))
        content[len(content) // 2] ^= 1
        log.write_bytes(content)
    elif kind == "a folder":
        log.mkdir()
    elif kind == "a pipe":
        log = copy.with_name("run.duckdb.wal.recovery")
        os.mkfifo(log)
    else:
        log.symlink_to("/dev/zero")
    before = copy.read_bytes()
    with pytest.raises(
        RunFileLogRefused,
        match=r"run.duckdb.wal\S*, (belongs to another file|cannot be read|is no file).*move (that log|it) away",
    ):
        opening(copy)
    assert copy.read_bytes() == before
    log.rename(copy.with_name("moved.wal"))
    opening(copy)


def _checksum(block: bytes) -> int:
    """DuckDB's, of a file's first block."""
    result = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        result ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return result


def with_storage_version(path: Path, version: int) -> None:
    content = bytearray(path.read_bytes())
    content[12:20] = struct.pack("<Q", version)
    content[:8] = struct.pack("<Q", _checksum(bytes(content[8:4096])))
    path.write_bytes(content)


def _encrypt(path: Path) -> None:
    path.unlink()
    with duckdb.connect() as connection:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute(f"ATTACH '{path}' AS e (ENCRYPTION_KEY 'k')")
        connection.execute("CREATE TABLE e.run (run_id VARCHAR)")


def _as_sqlite(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE run (schema_version INTEGER)")
    connection.close()


NOT_READ: dict[str, tuple[Callable[[Path], object], type[NlareportError], str]] = {
    "of a newer DuckDB": (
        lambda path: with_storage_version(path, 1500),
        RunFileOfAnotherVersion,
        "written by a DuckDB whose files the .* here does not read; open it with the nlareport that",
    ),
    "of an older DuckDB": (
        lambda path: with_storage_version(path, 30),
        RunFileOfAnotherVersion,
        "written by a DuckDB whose files",
    ),
    "encrypted": (_encrypt, RunFileUnreadable, "is encrypted, .*ask for a copy without"),
    "empty": (lambda path: path.write_bytes(b""), RunFileUnreadable, r"empty \(0 bytes\), so no run file"),
    "a text": (
        lambda path: path.write_text("run" * 99),
        RunFileUnreadable,
        "no DuckDB database, so no run file; give another path",
    ),
    "in no encoding": (lambda path: path.write_bytes(b"\xff" * 99), RunFileUnreadable, "no DuckDB database"),
    "a SQLite database": (_as_sqlite, RunFileUnreadable, "is a SQLite database, so no run file"),
    "a Parquet file": (
        lambda path: pl.DataFrame({"schema_version": [4]}).write_parquet(path),
        RunFileUnreadable,
        "is a Parquet file, so no run file",
    ),
    "a folder": (
        lambda path: (path.unlink(), path.mkdir()),
        RunFileUnreadable,
        r"is a folder; .*run\.duckdb/run\.duckdb",
    ),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), RunFileUnreadable, "no file but a pipe or device"),
    "a link to a device": (
        lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
        RunFileUnreadable,
        "pipe or device",
    ),
    "a link to nothing": (
        lambda path: (path.unlink(), path.symlink_to("gone")),
        RunFileMissing,
        "no run file stands here",
    ),
    "a link to itself": (lambda path: (path.unlink(), path.symlink_to(path)), RunFileUnreadable, "symbolic link"),
    "cut in its head": (lambda path: os.truncate(path, 5000), RunFileUnreadable, "is damaged .*put back a copy of it"),
    "cut in two": (
        lambda path: os.truncate(path, path.stat().st_size // 2),
        RunFileUnreadable,
        "is damaged .*put back a copy of it",
    ),
    "with a flipped bit in its head": (
        lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
        RunFileUnreadable,
        "is damaged .*put back a copy of it",
    ),
}


@pytest.mark.parametrize("case", list(NOT_READ))
def test_each_fault_of_a_file_has_its_own_advice_and_leaves_the_file_alone(
    case: str, copy: Path, opening: Opening
) -> None:
    damage, error, sentence = NOT_READ[case]
    damage(copy)
    before = copy.read_bytes() if copy.is_file() else None
    with pytest.raises(error, match=sentence) as refusal:
        opening(copy)
    assert len(str(refusal.value).splitlines()) == 1
    assert before is None or copy.read_bytes() == before


@contextmanager
def as_another_user() -> Iterator[None]:
    """Root may do everything; within, this process may do what a stranger may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared(sound: Path) -> Iterator[Path]:
    """A copy of a run file in a folder that other users can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(shutil.copy(sound, Path(folder) / "run.duckdb"))
        yield path
        Path(folder).chmod(0o755)


def test_a_file_without_permission_to_read_is_called_that(shared: Path) -> None:
    shared.chmod(0o000)
    for opening in OPENINGS.values():
        with (
            as_another_user(),
            pytest.raises(RunFileForbidden, match=r"may not be opened by you .*nothing is wrong with"),
        ):
            opening(shared)


def test_a_read_only_file_is_read_and_its_copy_written(shared: Path, tmp_path: Path) -> None:
    shared.chmod(0o444)
    shared.parent.chmod(0o555)
    with as_another_user():
        with DuckDBReader.open(shared) as reader:
            assert reader.frame("SELECT count(*) AS n FROM run")["n"].to_list() == [1]
        with pytest.raises(RunFileUnwritable, match="may not be written by you; give a path in a folder of your own"):
            RunFile.open(shared)
    own = Path(shutil.copy(shared, tmp_path / "own.duckdb"))
    own.chmod(0o644)
    RunFile.open(own).close()


def test_a_folder_that_may_not_be_written_is_said_so(shared: Path) -> None:
    shared.parent.chmod(0o555)
    with as_another_user(), pytest.raises(FileUnwritable, match="choose a folder you may write to"):
        RunFile.create_or_open(shared.with_name("new.duckdb"), a_run())
    assert [path.name for path in shared.parent.iterdir()] == ["run.duckdb"]


def test_a_sound_file_whose_path_duckdb_takes_amiss_is_read_once_renamed(copy: Path, opening: Opening) -> None:
    for name in ("what?.duckdb", "a\\b.duckdb"):
        odd = copy.rename(copy.with_name(name))
        with pytest.raises(RunFileForbidden, match=r"path has [?\\] in it; rename the file"):
            opening(odd)
        odd.rename(copy)
        opening(copy)


@pytest.mark.parametrize(
    "name", ["a b", "ü", "a'b", 'a"b', "a#b", "a%20b", "*", "[1]", "md:x", "~x", ":memory:", "temp"]
)
def test_names_that_mean_something_elsewhere_are_names_here(name: str, copy: Path) -> None:
    odd = copy.rename(copy.with_name(name))
    with DuckDBReader.open(odd) as reader:
        assert reader.frame("SELECT count(*) AS n FROM run")["n"].to_list() == [1]
    RunFile.open(odd).close()


def test_too_many_open_files_are_told_as_that(copy: Path) -> None:
    program = (
        "import resource, sys, os; from pathlib import Path; from nlareport.store.reader import DuckDBReader; "
        "from nlareport.errors import NlareportError; n = int(sys.argv[2]); "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))"
        "\ntry: DuckDBReader.open(Path(sys.argv[1]))\nexcept NlareportError as error: print(error)"
    )
    said = [
        subprocess.run([sys.executable, "-c", program, copy, str(n)], capture_output=True, text=True, check=True).stdout
        for n in (3, 4)
    ]
    for sentence in said:
        assert sentence == "" or "too many files are open here; close some" in sentence
    assert any(said)


def test_a_reader_elsewhere_keeps_a_writer_out_and_is_named_as_a_reader(copy: Path) -> None:
    program = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(copy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        DuckDBReader.open(copy).close()
        with pytest.raises(RunFileBusy, match=f"process {holder.pid} is reading it; wait until it is done"):
            RunFile.open(copy)
        holder.stdin.close()
    RunFile.open(copy).close()


def test_damage_that_shows_only_when_rows_are_read_is_called_damage(copy: Path) -> None:
    content = bytearray(copy.read_bytes())
    for place in range(12_288, len(content), 4096):  # beyond the heads, which DuckDB reads at once
        content[place + 64] ^= 255
    copy.write_bytes(content)
    with pytest.raises(RunFileUnreadable, match=r"is damaged .*put back a copy of it"):
        _read_all(copy)


def _read_all(path: Path) -> None:
    with DuckDBReader.open(path) as reader:
        for table in ("run", "pair", "item", "explanation", "score", "cell", "claim"):
            reader.frame(f"SELECT * FROM {table}")
