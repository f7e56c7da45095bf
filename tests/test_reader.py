import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.tiny_runs import QWEN, a_run, a_score, a_small_run

from nlareport.errors import (
    QueryFailed,
    QueryUnknown,
    RunFileBusy,
    RunFileMissing,
    RunFileOfAnotherVersion,
    RunFileUnreadable,
)
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Item
from nlareport.rows.run_rows import Run
from nlareport.shown import printable
from nlareport.store import sql_files
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import store_run


@dataclass(frozen=True, slots=True)
class ItemId:
    item_id: int


@dataclass(frozen=True, slots=True)
class Figures:
    share: float
    n: int
    names: tuple[str, ...]
    facts: dict[str, Any]
    made: datetime
    absent: float | None


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queries") / "tiny.duckdb"
    store_run(path, a_small_run())
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[DuckDBReader]:
    with DuckDBReader.open(path) as reader:
        yield reader


@pytest.fixture
def queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of queries for one test to fill."""
    monkeypatch.setattr(sql_files, "SQL_FOLDER", tmp_path)
    monkeypatch.setattr(sql_files, "CLAIMS_FOLDER", tmp_path / "claims")
    (tmp_path / "claims").mkdir()
    (tmp_path / "audits").mkdir()
    return tmp_path


def test_a_named_query_answers_with_typed_rows(reader: DuckDBReader) -> None:
    assert reader.rows(ItemId, "items_without_explanation", source="gemma12-L32") == [ItemId(0), ItemId(1), ItemId(2)]


def test_values_arrive_as_the_fields_say(reader: DuckDBReader, queries: Path) -> None:
    (queries / "figures.sql").write_text(
        "-- Figures.\nSELECT 0.5 AS share, CAST(count(*) AS HUGEINT) AS n, ['a', 'b'] AS names, "
        "'{\"x\": [1]}'::JSON AS facts, TIMESTAMP '2026-03-01 12:00:00' AS made, NULL AS absent FROM item"
    )
    (figures,) = reader.rows(Figures, "figures")
    assert figures == Figures(0.5, 3, ("a", "b"), {"x": [1]}, datetime(2026, 3, 1, 12, tzinfo=UTC), None)
    assert type(figures.share) is float


def test_columns_and_fields_that_disagree_are_both_named(reader: DuckDBReader, queries: Path) -> None:
    (queries / "two.sql").write_text("-- Two.\nSELECT 1 AS itemid, 2 AS more")
    complaint = r"Query two: .* fields of ItemId disagree \(only in the query: itemid, more; only in the row: item_id\)"
    with pytest.raises(QueryFailed, match=complaint):
        reader.rows(ItemId, "two")


def test_an_unread_answer_does_not_block_the_next_question(reader: DuckDBReader) -> None:
    reader.frame("SELECT * FROM item")
    assert reader.rows(ItemId, "items_without_alignment", pair_id=QWEN) == []
    assert reader.frame("SELECT count(*) AS n FROM score")["n"].to_list() == [3]


def test_a_misspelt_query_gets_the_nearest_names(reader: DuckDBReader) -> None:
    with pytest.raises(
        QueryUnknown, match="No query is called 'item_without_alignment'; did you mean items_without_alignment"
    ):
        reader.rows(ItemId, "item_without_alignment")
    with pytest.raises(QueryUnknown, match="No query is called 'zzzz'; see \"nlareport query --list\""):
        reader.frame("zzzz")


def test_the_schema_is_no_query(reader: DuckDBReader) -> None:
    assert not [name for name in reader.query_names() if name.startswith("schema") or name.isdigit()]
    with pytest.raises(QueryUnknown, match="'schema/1'"):
        reader.sql("schema/1")


def test_every_query_says_what_its_answer_is() -> None:
    for name, purpose in DuckDBReader.query_names().items():
        assert re.fullmatch(r"[A-Z][^\n]*\.", purpose), f"{name}.sql does not begin with a sentence"
        assert sql_files.query_text(name).startswith("-- "), f"{name}.sql has no head"


def test_every_head_names_a_row_type_that_exists() -> None:
    for name in DuckDBReader.query_names():
        for module, row_type in re.findall(r"^-- Rows: ([\w.]+)\.([A-Z]\w+)", sql_files.query_text(name), re.MULTILINE):
            assert hasattr(import_module(f"nlareport.{module}"), row_type), f"{name}.sql: no {module}.{row_type}"


def test_audits_are_named_by_their_folder(queries: Path, reader: DuckDBReader) -> None:
    (queries / "audits" / "no_orphans.sql").write_text("-- Scores of items that are not there.\nSELECT 1 AS a")
    assert reader.query_names() == {"audits/no_orphans": "Scores of items that are not there."}
    assert reader.frame("audits/no_orphans")["a"].to_list() == [1]


def test_free_sql_takes_parameters_and_gives_a_frame(reader: DuckDBReader) -> None:
    frame = reader.frame("SELECT item_id, mse_nrm FROM score WHERE item_id >= $low ORDER BY item_id", low=1)
    assert frame.to_dicts() == [{"item_id": 1, "mse_nrm": None}, {"item_id": 2, "mse_nrm": 1 / 3}]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO claim VALUES ('a', 'b', 'c', true, '{}')",
        "DELETE FROM score",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY score TO '/tmp/nlareport-must-not-be.csv'",
        "ATTACH '/tmp/nlareport-must-not-be.duckdb'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD '/tmp/some.duckdb_extension'",
        "SELEC 1",
        "SELECT * FROM path",
        # Variables of Python, by the names they have where the query is run.
        "SELECT * FROM self",
        "SELECT * FROM relation",
        "SELECT * FROM statements",
        "SELECT getenv('HOME')",
        "SELECT * FROM enable_logging(storage = 'file', storage_path = '/tmp/nlareport-must-not-be')",
        "SELECT * FROM duckdb_extensions()",
        "SELECT * FROM glob('*')",
        "SELECT * FROM 'pyproject.toml'",
        "SELECT * FROM read_duckdb('data/pocket.duckdb')",
        "CREATE TEMP TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "PREPARE p AS SELECT 1",
        "PRAGMA database_list",
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "-- nothing",
        "SELECT\t'\x1b[2J\u202e' FROM",
    ],
)
def test_sql_that_writes_or_reaches_out_is_refused_on_one_line(reader: DuckDBReader, statement: str) -> None:
    with pytest.raises(QueryFailed, match=r"DuckDB refused it|write one SELECT statement") as refusal:
        reader.frame(statement)
    assert str(refusal.value) == printable(str(refusal.value))
    assert len(str(refusal.value).splitlines()) == 1
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(
    "question",
    ["DESCRIBE score", "SUMMARIZE score", "SHOW TABLES", "EXPLAIN SELECT 1", "FROM item", "VALUES (1)", "TABLE item"],
)
def test_whatever_asks_is_answered(reader: DuckDBReader, question: str) -> None:
    assert reader.frame(question).height > 0


def test_a_pivot_is_a_question(reader: DuckDBReader) -> None:
    assert QWEN in reader.frame("PIVOT score ON source USING count(*) GROUP BY target").columns


def test_an_answer_without_end_is_refused_and_not_collected(
    reader: DuckDBReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlareport.store.reader.LARGEST_ANSWER", 1000)
    assert reader.frame("SELECT * FROM range(1000)").height == 1000
    with pytest.raises(QueryFailed, match="gives over 1,000 rows; ask for fewer with LIMIT"):
        reader.frame("SELECT * FROM range(1000000000000)")


def test_nothing_of_this_machine_is_told_but_the_path_that_was_given(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:canary@127.0.0.1:1")
    monkeypatch.setenv("HOME", "/canary")
    with DuckDBReader.open(path) as reader:
        settings = str(reader.frame("SELECT * FROM duckdb_settings()").rows())
        secrets = reader.frame("SELECT * FROM duckdb_secrets()")
    assert "canary" not in settings
    assert secrets.is_empty()


def test_parameters_a_query_does_not_know_are_refused(reader: DuckDBReader) -> None:
    with pytest.raises(QueryFailed, match=r"items_without_alignment: needs a value of \$pair_id; give it with --param"):
        reader.rows(ItemId, "items_without_alignment", pair=QWEN)
    with pytest.raises(QueryFailed, match=r"SELECT \$missing: needs a value of \$missing; give it with --param"):
        reader.frame("SELECT $missing")


def test_two_readers_may_look_at_once(path: Path) -> None:
    with DuckDBReader.open(path) as one, DuckDBReader.open(path) as other:
        assert one.frame("SELECT * FROM item").equals(other.frame("SELECT * FROM item"))


def test_a_writer_answers_queries_on_what_it_committed(tmp_path: Path) -> None:
    with RunFile.create_or_open(tmp_path / "a.duckdb", a_run()) as run_file:
        reader = run_file.reader()
        run_file.append([a_score(4)])
        assert reader.frame("SELECT item_id FROM score")["item_id"].to_list() == [4]


def test_reading_a_file_this_process_writes_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with (
        RunFile.create_or_open(path, a_run()),
        pytest.raises(RunFileBusy, match="this process already holds it open for writing"),
    ):
        DuckDBReader.open(path)


def test_reading_a_file_another_process_writes_says_who(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    RunFile.create_or_open(path, a_run()).close()
    program = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(RunFileBusy, match=f"process {holder.pid} holds it open"):
            DuckDBReader.open(path)
        holder.stdin.close()


def test_files_that_are_no_run_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFileMissing, match="no run file stands here"):
        DuckDBReader.open(tmp_path / "none.duckdb")
    (tmp_path / "garbage.duckdb").write_bytes(b"?" * 9000)
    with pytest.raises(RunFileUnreadable, match="is no DuckDB database, so no run file; give another path"):
        DuckDBReader.open(tmp_path / "garbage.duckdb")
    (tmp_path / "empty.duckdb").touch()
    with pytest.raises(RunFileUnreadable, match=r"is empty \(0 bytes\), so no run file"):
        DuckDBReader.open(tmp_path / "empty.duckdb")
    with pytest.raises(RunFileUnreadable, match="is a folder; give the path of a run file"):
        DuckDBReader.open(tmp_path)


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.duckdb"
    RunFile.create_or_open(path, a_run()).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE run SET schema_version = 0")
    with pytest.raises(RunFileOfAnotherVersion, match="use the nlareport that wrote it, or make it again here"):
        DuckDBReader.open(path)


def test_table_rows_can_be_asked_for_as_such(reader: DuckDBReader, queries: Path) -> None:
    for row_type in (Run, Item, Cell):
        (queries / "all.sql").write_text(f"-- All.\nSELECT * FROM {row_type.__name__.lower()} ORDER BY ALL")
        assert all(type(row) is row_type for row in reader.rows(row_type, "all"))
