import csv
import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import duckdb
import pytest
from support.tiny_runs import a_run, a_small_run, make_older

from nlareport.files.file_names import file_name
from nlareport.ports import PublicCopy
from nlareport.rows.run_rows import Pair
from nlareport.store import public_copy
from nlareport.store.bundle.bundle import export_bundle, import_bundle
from nlareport.store.public_copy import write_public_copy
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import RunRows, read_run, store_run


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "tiny.duckdb"
    store_run(path, a_small_run())
    return path


def copied(run_file: Path, folder: Path) -> PublicCopy:
    with DuckDBReader.open(run_file) as reader:
        return write_public_copy(reader, folder)


def browser_database(copy: PublicCopy) -> duckdb.DuckDBPyConnection:
    """What the console makes of a copy's statements and tables, in an engine that has JSON all the same."""
    connection = duckdb.connect()
    connection.execute(copy.schema)
    connection.execute(copy.without_texts)
    return connection


def test_the_same_run_file_gives_the_same_bytes(run_file: Path, tmp_path: Path) -> None:
    first, second = copied(run_file, tmp_path / "a"), copied(run_file, tmp_path / "b")
    assert first.tables == second.tables
    assert first.environment_facts == second.environment_facts
    assert [path.name for path in sorted((tmp_path / "a").iterdir())] == [
        "tiny-csv.zip",
        "tiny-parquet.zip",
        "tiny.duckdb",
    ]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_run_file_is_handed_out_as_it_is(run_file: Path, tmp_path: Path) -> None:
    copy = copied(run_file, tmp_path)
    assert copy.run_file is not None
    assert copy.run_file.read_bytes() == run_file.read_bytes()


def test_rows_that_a_stopped_writer_left_in_its_log_are_in_the_copy(run_file: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped.duckdb"
    stopped.write_bytes(run_file.read_bytes())
    connection = duckdb.connect(str(stopped), config={"checkpoint_threshold": "1GB"})
    connection.execute("UPDATE run SET title = 'stopped'")
    log = stopped.with_name("stopped.duckdb.wal").read_bytes()
    left = stopped.read_bytes()
    connection.close()
    stopped.write_bytes(left)
    stopped.with_name("stopped.duckdb.wal").write_bytes(log)
    copy = copied(stopped, tmp_path / "out")
    assert copy.run_file is not None
    assert read_run(copy.run_file).run.title == "stopped"


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_archive_holds_the_bundle_that_export_writes(kind: str, run_file: Path, tmp_path: Path) -> None:
    copied(run_file, tmp_path / "copy")
    exported = export_bundle(run_file, tmp_path / "out", kind)  # type: ignore[arg-type]
    with zipfile.ZipFile(tmp_path / "copy" / f"tiny-{kind}.zip") as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        held = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        archive.extractall(tmp_path)
    assert held == {f"tiny-{kind}/{path.name}": path.read_bytes() for path in exported}
    import_bundle(tmp_path / f"tiny-{kind}", tmp_path / "again.duckdb")
    again, before = read_run(tmp_path / "again.duckdb"), read_run(run_file)
    assert again.groups() == before.groups()


def test_the_console_gets_every_table_that_has_rows_but_no_texts(run_file: Path, tmp_path: Path) -> None:
    copy = copied(run_file, tmp_path)
    assert {"run", "pair", "item", "explanation", "score", "claim"} <= set(copy.tables)
    assert "baseline" not in copy.tables
    rows = list(csv.reader(io.StringIO(gzip.decompress(copy.tables["explanation"]).decode())))
    assert rows[0] == ["item_id", "source", "n_tokens", "finish", "is_clean", "draw"]
    assert len(rows) == 4
    assert "context" not in gzip.decompress(copy.tables["item"]).decode().splitlines()[0]


def test_tables_of_the_console_take_the_rows_that_come_for_them(run_file: Path, tmp_path: Path) -> None:
    copy = copied(run_file, tmp_path)
    with browser_database(copy) as connection:
        for name, packed in copy.tables.items():
            (tmp_path / "table.csv").write_bytes(gzip.decompress(packed))
            connection.execute(
                f"COPY {name} FROM '{tmp_path}/table.csv' (HEADER true, AUTO_DETECT false, NULL '', "
                "DELIMITER ',', QUOTE '\"', ESCAPE '\"', ALLOW_QUOTED_NULLS false)"
            )
        assert connection.sql("SELECT mse_nrm FROM score ORDER BY item_id").fetchall() == [(0.5,), (None,), (1 / 3,)]
        assert connection.sql("SELECT created_at FROM run").fetchall()[0][0].isoformat() == "2026-03-01T12:30:15.000250"


def test_stand_ins_write_json_as_the_extension_does(run_file: Path, tmp_path: Path) -> None:
    values = """'n', 3, 'name', 'a "b" \\', 'none', NULL, 'range', [5e-1, 125e-2], 'words', ['x', 'y'], 'share', 1e-1"""
    ((expected,),) = duckdb.sql(f"SELECT CAST(json_object({values}) AS VARCHAR)").fetchall()
    with browser_database(copied(run_file, tmp_path)) as connection:
        ((written,),) = connection.sql(f"SELECT main.json_object({values})").fetchall()
    assert json.loads(written) == json.loads(expected)


def test_a_query_says_what_it_needs(run_file: Path, tmp_path: Path) -> None:
    queries = {query.name: query for query in copied(run_file, tmp_path).queries}
    assert queries["matrix"].parameters == ["subset"]
    assert not queries["matrix"].needs_texts
    assert queries["sample_explanations"].needs_texts
    assert queries["environment_facts"].needs_json
    assert not queries["claim_targets"].needs_json
    assert "audits/score_without_value_or_reason" in queries


def test_what_no_host_would_take_is_left_out_and_named(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = os.path.getsize(run_file)
    monkeypatch.setattr(public_copy, "LARGEST_FILE", size - 1)
    copy = copied(run_file, tmp_path)
    assert copy.run_file is None
    assert copy.left_out == {"tiny.duckdb": size}
    assert not (tmp_path / "tiny.duckdb").exists()
    assert len(copy.bundles) == 2


def test_a_run_named_like_a_path_stays_in_its_folder(tmp_path: Path) -> None:
    rows = a_small_run()
    store_run(tmp_path / "run.duckdb", RunRows.gather(a_run(run_id="../up/and away"), rows.of(Pair)))
    copy = copied(tmp_path / "run.duckdb", tmp_path / "out")
    assert copy.run_file == tmp_path / "out" / f"{file_name('../up/and away')}.duckdb"
    assert copy.run_file.parent.resolve() == tmp_path / "out"


def test_an_older_run_file_is_copied_too(run_file: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.duckdb"
    older.write_bytes(run_file.read_bytes())
    make_older(older)
    copy = copied(older, tmp_path / "out")
    assert "score" in copy.tables
    assert "ablation" not in copy.tables


@pytest.mark.parametrize("version", [1, 4, None])
def test_a_run_file_of_any_version_is_shown_by_views(version: int | None, run_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.duckdb"
    path.write_bytes(run_file.read_bytes())
    if version is not None:
        make_older(path, version)
    copy = copied(path, tmp_path / "out")
    assert copy.run_file is not None
    with duckdb.connect() as connection:
        connection.execute(copy.schema)
        connection.execute(f"ATTACH '{copy.run_file}' AS run (READ_ONLY)")
        connection.execute(copy.views_of_run)
        assert connection.sql("SELECT item_id, text, draw FROM explanation ORDER BY item_id").fetchall() == [
            (0, "", 0), (1, None, 0), (2, '"a",\nb', 0),
        ]  # fmt: skip
        assert connection.sql("SELECT count(*) FROM judged_answer").fetchall() == [(3,)]
        assert connection.sql("SELECT count(*) FROM cell").fetchall() == [(0,)]
    assert copy.completed == ["cell", "effect"]
