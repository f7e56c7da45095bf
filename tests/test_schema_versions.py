"""Run files of every earlier schema version: read as they are, and brought to this version when they are written to."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from support.made_runs import write_computed_run
from support.tiny_runs import QWEN, SCHEMAS, a_score, a_small_run, make_older

from nlareport.errors import RunFileForeign
from nlareport.publish import publish_run
from nlareport.rows.declaration import TABLES
from nlareport.rows.item_rows import Score
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import read_run, store_run

EARLIER = range(1, SCHEMA_VERSION)
PARAMETERS = {"subset": "all", "pair_id": QWEN, "source": QWEN, "item_id": 0, "first": 0, "last": 2, "draw": 0}


@pytest.fixture(params=[*EARLIER, "6_first"], ids=lambda version: f"version {version}")
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "run.duckdb"
    store_run(path, a_small_run())
    make_older(path, request.param)
    return path


def catalog(path: Path) -> list[tuple[object, ...]]:
    """Every column and check of the file itself, and its views."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM duckdb_columns() UNION ALL "
            "SELECT table_name, NULL, constraint_text, NULL, NULL FROM duckdb_constraints() "
            "WHERE constraint_type <> 'PRIMARY KEY' UNION ALL "  # whose columns once had another order
            "SELECT view_name, NULL, sql, NULL, NULL FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        ).fetchall()


def test_there_is_a_fixture_of_every_earlier_version() -> None:
    assert {f"{version}" for version in EARLIER} <= {path.stem for path in SCHEMAS.iterdir()}


def test_an_older_file_answers_every_query_and_stays_byte_by_byte_as_it_is(older: Path) -> None:
    before = older.read_bytes()
    with RunFile.open_to_read(older) as run_file, run_file.reader() as reader:
        for name in reader.query_names():
            reader.frame(name, **{key: value for key, value in PARAMETERS.items() if f"${key}" in reader.sql(name)})
        for row_type in TABLES:
            assert len(reader.table(row_type)) == len(run_file.rows(row_type))
    assert older.read_bytes() == before


def test_an_older_file_is_read_as_it_would_be_once_written_to(older: Path) -> None:
    read = read_run(older)
    assert read.of(Score) == a_small_run().of(Score)
    with DuckDBReader.open(older) as reader:
        dictionary = reader.frame("SELECT table_name, column_name, data_type FROM duckdb_columns() ORDER BY ALL")
    RunFile.open(older).close()
    assert read_run(older).tables == read.tables
    with DuckDBReader.open(older) as reader:
        assert set(reader.frame("SELECT table_name, column_name, data_type FROM duckdb_columns()").rows()) <= set(
            dictionary.rows()
        )


def test_an_older_file_becomes_one_of_this_version_when_it_is_written_to(older: Path, tmp_path: Path) -> None:
    store_run(tmp_path / "new.duckdb", a_small_run())
    for _ in range(2):
        with RunFile.open(older) as run_file:
            assert run_file.run().schema_version == SCHEMA_VERSION
            run_file.put([a_score(1)])
            assert run_file.rows(Score)[1] == a_score(1)
    assert catalog(older) == catalog(tmp_path / "new.duckdb")


DYING = """
import os, signal, sys
from pathlib import Path
from nlareport.store import connections, migrations
from nlareport.store.run_file import RunFile

def die(*_): os.kill(os.getpid(), signal.SIGKILL)

whole, brought = migrations.migrations, connections.migrate
def begun(**versions):
    yield from whole(**versions)
    die()
def done(connection, version):
    brought(connection, version)
    die()
if sys.argv[2] == "on the way":
    migrations.migrations = lambda **versions: begun(**versions) if "after" in versions else whole(**versions)
else:
    connections.migrate = done
RunFile.open(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("older", [1, EARLIER[-1]], indirect=True)
@pytest.mark.parametrize("moment", ["on the way", "just after"])
def test_a_process_killed_while_it_brings_a_file_to_this_version_loses_nothing(older: Path, moment: str) -> None:
    before = read_run(older)
    killed = subprocess.run([sys.executable, "-c", DYING, str(older), moment], check=False)
    assert killed.returncode == -9
    after = read_run(older)
    assert after.tables == before.tables
    expected = SCHEMA_VERSION if moment == "just after" else before.run.schema_version
    assert after.run.schema_version == expected
    RunFile.open(older).close()
    assert read_run(older).tables == before.tables


def test_a_file_that_says_an_earlier_version_than_its_tables_are_of_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.duckdb"
    store_run(path, a_small_run())
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE run SET schema_version = 1")
    with pytest.raises(RunFileForeign, match="which nlareport did not put there"):
        RunFile.open(path)


def test_the_report_of_an_older_file_is_written(tmp_path: Path) -> None:
    path = write_computed_run(tmp_path / "run.duckdb", n_items=40)
    make_older(path, EARLIER[-1])
    before = path.read_bytes()
    assert "smollm2-L20" in publish_run(path, tmp_path / "report").read_text(encoding="utf-8")
    assert path.read_bytes() == before


ROOT = Path(__file__).parents[1]
USING_THE_COLUMN = """
import sys
from dataclasses import replace
from pathlib import Path
from nlareport.rows.cell_rows import Cell
from nlareport.store.bundle.bundle import export_bundle, import_bundle
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import read_run

db, folder = Path(sys.argv[1]), Path(sys.argv[2])
before = db.read_bytes()
print([cell.spread for cell in read_run(db).of(Cell)], db.read_bytes() == before)
with RunFile.open(db) as run_file:
    run_file.put([replace(cell, spread=0.25) for cell in run_file.rows(Cell)])
export_bundle(db, folder / "bundle", "csv")
import_bundle(folder / "bundle", folder / "again.duckdb")
print([cell.spread for cell in read_run(folder / "again.duckdb").of(Cell)])
"""


def test_a_column_is_added_by_a_field_and_a_migration_as_the_page_for_contributors_says(tmp_path: Path) -> None:
    store_run(tmp_path / "run.duckdb", a_small_run())
    page = (ROOT / "site/pages/extending.md").read_text(encoding="utf-8")
    field, migration = (
        re.findall(rf"^```{language}\n(.*?)^```", page.partition("## A column")[2], re.MULTILINE | re.DOTALL)[0]
        for language in ("python", "sql")
    )
    copy = tmp_path / "copy" / "nlareport"
    shutil.copytree(ROOT / "nlareport", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "store/sql/schema" / f"{SCHEMA_VERSION + 1}.sql").write_text(migration, encoding="utf-8")
    rows = copy / "rows/cell_rows.py"
    before, start, after = rows.read_text(encoding="utf-8").partition("class Cell:\n")
    fields, end, rest = after.partition("\n\n\n")
    rows.write_text(f"{before}{start}{fields}\n{field}{end}{rest}", encoding="utf-8")
    command = [sys.executable, "-c", USING_THE_COLUMN, str(tmp_path / "run.duckdb"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(copy.parent)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True)
    assert found.stdout.splitlines() == ["[None] True", "[0.25]"]
