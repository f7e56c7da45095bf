import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_runs import (
    GEMMA,
    QWEN,
    a_null_score,
    a_pair,
    a_run,
    a_score,
    a_small_run,
    an_alignment,
    an_explanation,
    an_item,
    any_rows,
    make_older,
)

from nlareport.errors import (
    FileUnwritable,
    RowRefused,
    RunFileBusy,
    RunFileMissing,
    RunFileOfAnotherVersion,
    RunFileUnreadable,
)
from nlareport.files.scratch_folders import HOST
from nlareport.rows.cell_rows import Cell
from nlareport.rows.declaration import TABLES
from nlareport.rows.item_rows import AnswerMark, Explanation, Item, NullScore, Score
from nlareport.rows.run_rows import Claim, Pair, Run
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.reader import DuckDBReader
from nlareport.store.row_tables import column_types
from nlareport.store.run_file import RunFile, create_run_file
from nlareport.store.whole_run import RunRows, read_run, store_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "tiny.duckdb"


def test_a_new_file_holds_its_run_and_the_duckdb_version(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        stored = run_file.run()
    assert stored == a_run(environment={**a_run().environment, "duckdb": duckdb.__version__})


def test_an_existing_file_keeps_its_own_run(path: Path) -> None:
    RunFile.create_or_open(path, a_run()).close()
    with RunFile.create_or_open(path, a_run(run_id="other")) as run_file:
        assert run_file.run().run_id == "tiny"


def test_a_file_can_be_read_by_the_duckdb_of_the_browser(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append([a_score(0)])
    with duckdb.connect(str(path), read_only=True) as connection:
        tags = connection.execute("SELECT tags['storage_version'] FROM duckdb_databases() WHERE path IS NOT NULL")
        assert tags.fetchall() == [("v1.4.0+",)]


def test_every_table_has_a_row_type_with_its_columns_and_key(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        reader = run_file.reader()
        tables = reader.frame("SELECT table_name FROM duckdb_tables()")["table_name"].to_list()
        assert sorted(tables) == sorted(declared.name for declared in TABLES.values())
        for row_type, declared in TABLES.items():
            columns = reader.frame(
                "SELECT column_name, is_nullable, comment FROM duckdb_columns() WHERE table_name = $name "
                "ORDER BY column_index",
                name=declared.name,
            )
            may_be_none = [optional for _, optional in column_types(row_type).values()]
            assert columns["is_nullable"].to_list() == may_be_none, row_type.__name__
            assert columns["column_name"].to_list() == list(column_types(row_type))
            assert columns["comment"].null_count() == 0, f"{row_type.__name__}: a column lacks its comment"
            constraint = reader.frame(
                "SELECT constraint_column_names AS names FROM duckdb_constraints() "
                "WHERE table_name = $name AND constraint_type = 'PRIMARY KEY'",
                name=declared.name,
            )
            assert tuple(constraint["names"][0]) == declared.key
            assert "item_id" not in declared.key[:-1], f"{row_type.__name__}: its index takes three times the room"


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_rows_come_back_as_they_went_in(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("run") / "tiny.duckdb"
    with RunFile.create_or_open(path, a_run()) as run_file:
        for row_type in [kind for kind in TABLES if kind is not Run]:
            rows = data.draw(any_rows(row_type), label=row_type.__name__)
            run_file.append(rows)
            assert run_file.rows(row_type) == rows
            assert run_file.count(row_type) == len(rows)


def test_a_time_of_another_zone_is_the_same_moment(path: Path) -> None:
    eastern = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    with RunFile.create_or_open(path, a_run(created_at=eastern)) as run_file:
        assert run_file.run().created_at == eastern
        assert run_file.run().created_at.utcoffset() == timedelta(0)


def test_rows_of_a_table_come_ordered_by_key(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append([an_item(5), an_item(2), an_item(9)])
        assert [item.item_id for item in run_file.rows(Item)] == [2, 5, 9]


def test_a_refused_row_takes_the_whole_transaction_with_it(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append([a_null_score(1)])
        with pytest.raises(RowRefused, match=r"nothing was stored: .*[Dd]uplicate key"):
            run_file.append_all([a_score(1), a_score(2)], [a_null_score(1)])
        assert run_file.count(Score) == 0
        run_file.append([a_score(1)])
        assert run_file.count(Score) == 1


def test_an_error_of_the_caller_undoes_its_transaction_and_passes_through(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        with pytest.raises(OSError, match="unplugged"), run_file.transaction():  # noqa: PT012
            run_file.append([a_score(1)])
            raise OSError("unplugged")
        assert run_file.count(Score) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(path: Path, value: float) -> None:
    cell = Cell(QWEN, QWEN, "all", 1, 0, 0.5, value, 0.6, None, None, None, None, None, None)
    with RunFile.create_or_open(path, a_run()) as run_file:
        with pytest.raises(RowRefused, match=r"cell.ci_low: a value is NaN or infinite; hand in None"):
            run_file.append([cell])
        assert run_file.count(Cell) == 0


def test_rows_of_two_types_in_one_group_are_refused(path: Path) -> None:
    with (
        RunFile.create_or_open(path, a_run()) as run_file,
        pytest.raises(RowRefused, match="Score rows were expected, Item came among them"),
    ):
        run_file.append([a_score(1), an_item(1)])


def test_put_fills_in_what_was_computed_later(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append_all([a_pair(QWEN), a_pair(GEMMA, ordinal=1)], [an_item(k) for k in range(3)])
        flagged = [replace(item, is_outlier=item.item_id == 1) for item in run_file.rows(Item)]
        run_file.put([replace(a_pair(QWEN), variance_nrm=0.73, mean_norm=0.52)], flagged)
        assert {pair.pair_id: pair.variance_nrm for pair in run_file.rows(Pair)} == {QWEN: 0.73, GEMMA: None}
        assert [item.is_outlier for item in run_file.rows(Item)] == [False, True, False]


def test_replace_leaves_only_the_new_rows_even_under_the_same_keys(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append_all([a_score(k) for k in range(4)], [a_null_score(0)])
        run_file.replace({Score: [a_score(2, mse_nrm=0.25), a_score(9)], NullScore: []})
        assert [(score.item_id, score.mse_nrm) for score in run_file.rows(Score)] == [(2, 0.25), (9, 0.5)]
        assert run_file.count(NullScore) == 0


def test_a_refused_replacement_leaves_the_table_as_it_was(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append([a_score(0)])
        with pytest.raises(RowRefused, match=r"[Dd]uplicate key"):
            run_file.replace({Score: [a_score(5), a_score(5)]})
        assert run_file.rows(Score) == [a_score(0)]


def test_resuming_asks_only_for_what_is_missing(path: Path) -> None:
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append_all(
            [an_item(k) for k in range(4)],
            [an_alignment(0), an_alignment(1), an_alignment(2, GEMMA)],
            [an_explanation(3)],
            [a_score(1, QWEN, GEMMA), a_score(2, QWEN, GEMMA, mse_nrm=None)],
        )
        assert run_file.item_ids_without_alignment(QWEN) == [2, 3]
        assert run_file.item_ids_without_alignment(GEMMA) == [0, 1, 3]
        assert run_file.item_ids_without_explanation(QWEN) == [0, 1, 2]


def test_json_comes_back_as_a_dictionary(path: Path) -> None:
    claim = Claim("c", "text", "matrix", False, {"n": 3, "share": 0.5, "names": ["ä", None], "none": None})
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append([claim])
        assert run_file.rows(Claim) == [claim]


def test_an_empty_text_is_not_a_missing_one(path: Path) -> None:
    rows = [an_explanation(0, text=""), an_explanation(1, text=None)]
    with RunFile.create_or_open(path, a_run()) as run_file:
        run_file.append(rows)
        assert run_file.rows(Explanation) == rows


def test_a_missing_file_is_not_opened(path: Path) -> None:
    with pytest.raises(RunFileMissing, match=r'tiny.duckdb: no run file stands here; make one with "nlareport run"'):
        RunFile.open(path)


def test_garbage_is_called_what_it_is_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "garbage.duckdb"
    path.write_bytes(b"no database" * 999)
    with pytest.raises(RunFileUnreadable, match="is no DuckDB database, so no run file; give another path"):
        RunFile.create_or_open(path, a_run())
    assert path.read_bytes() == b"no database" * 999


def test_another_database_is_not_taken_for_a_run_file(tmp_path: Path) -> None:
    path = tmp_path / "sales.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE sales (amount INTEGER)")
    with pytest.raises(RunFileUnreadable, match="a DuckDB file without a run in it"):
        RunFile.create_or_open(path, a_run())


def test_a_file_of_another_schema_version_is_refused(path: Path) -> None:
    RunFile.create_or_open(path, a_run()).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE run SET schema_version = 99")
    known = f"this nlareport reads versions 1 to {SCHEMA_VERSION}"
    with pytest.raises(RunFileOfAnotherVersion, match=f"schema version 99, {known}"):
        RunFile.open(path)


def test_a_file_from_before_ablations_is_read_as_one_without_any_and_stays_as_it_was(path: Path) -> None:
    store_run(path, a_small_run())
    make_older(path)
    before = path.read_bytes()
    with DuckDBReader.open(path) as reader:
        assert reader.frame("ablations").is_empty()
        assert reader.frame("SELECT * FROM ablation").is_empty()
        assert reader.frame("SELECT count(*) AS n FROM score")["n"].to_list() == [3]
        assert reader.frame("SELECT count(*) AS n FROM additive_fit")["n"].to_list() == [len(a_small_run().of(Pair))]
    assert read_run(path).of(Score) == a_small_run().of(Score)
    assert read_run(path).of(AnswerMark) == []
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnwritable, match="could not be written"):
        RunFile.create_or_open(tmp_path / "file" / "tiny.duckdb", a_run())


HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_another_process_holds_is_busy(path: Path) -> None:
    RunFile.create_or_open(path, a_run()).close()
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunFileBusy, match=f"process {holder.pid} holds it open for writing; wait until it is done"):
            RunFile.open(path)
        holder.stdin.close()
    RunFile.open(path).close()


DYING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.tiny_runs import a_run, a_score
from nlareport.store import run_file as store_file
from nlareport.store.run_file import RunFile

die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "schema":
    store_file.create_tables = die
elif sys.argv[3] == "link":
    store_file.os.link = die
with RunFile.create_or_open(Path(sys.argv[1]), a_run()) as run_file:
    run_file.append([a_score(1)])
    with run_file.transaction():
        run_file.append([a_score(2)])
        die()
"""


def run_until_killed(path: Path, moment: str) -> None:
    command = [sys.executable, "-c", DYING, str(path), str(Path(__file__).parent), moment]
    assert subprocess.run(command, check=False).returncode == -9


@pytest.mark.parametrize("moment", ["schema", "link"])
def test_a_process_killed_while_making_the_file_leaves_none(path: Path, moment: str) -> None:
    run_until_killed(path, moment)
    assert not path.exists()
    with RunFile.create_or_open(path, a_run()) as run_file:
        assert run_file.count(Score) == 0


def test_a_process_killed_while_writing_leaves_every_finished_write(path: Path) -> None:
    run_until_killed(path, "append")
    with RunFile.open(path) as run_file:
        assert run_file.rows(Score) == [a_score(1)]


def test_the_log_of_a_file_that_is_gone_does_not_enter_the_new_one(path: Path) -> None:
    run_until_killed(path, "append")
    path.unlink()
    with RunFile.create_or_open(path, a_run()) as run_file:
        assert run_file.count(Score) == 0
    assert path.with_name("tiny.duckdb.wal.former-1").stat().st_size


def test_a_file_another_process_finished_first_is_kept(path: Path) -> None:
    RunFile.create_or_open(path, a_run(run_id="first")).close()
    create_run_file(path, a_run(run_id="second"))
    with RunFile.open(path) as run_file:
        assert run_file.run().run_id == "first"
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.duckdb"]


def test_a_whole_run_is_stored_once_and_read_back(path: Path) -> None:
    rows = a_small_run()
    assert store_run(path, rows)
    assert not store_run(path, rows)
    stored = read_run(path)
    pairs = sorted(rows.of(Pair), key=lambda pair: pair.pair_id)
    assert replace(stored, run=rows.run) == RunRows.gather(rows.run, pairs, *rows.groups()[1:])
    assert isinstance(stored, RunRows)


def test_what_was_killed_after_another_finished_is_cleared_when_the_file_is_opened_again(path: Path) -> None:
    RunFile.create_or_open(path, a_run()).close()
    left = path.with_name(f".tiny.duckdb.nlareport-{HOST}-999999999-00000000")
    left.mkdir()
    (left / "tiny.duckdb").write_bytes(b"half")
    RunFile.open(path).close()
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.duckdb"]
