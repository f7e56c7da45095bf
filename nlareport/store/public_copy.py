"""Writes the copies of a run that readers can download: the run file, its bundles as archives, a console's tables.

Takes an open run file, returns files and tables. The same run file gives the same bytes: DuckDB never writes a file
twice alike, so the run file is copied as it is, and what the console loads is CSV.
"""

import gzip
import os
import re
import shutil
import zipfile
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from nlareport.files.file_names import file_name
from nlareport.ports import NamedQuery, PublicCopy
from nlareport.rows.declaration import TABLES
from nlareport.rows.item_rows import Explanation, Item
from nlareport.rows.run_rows import Run
from nlareport.store import sql_files
from nlareport.store.bundle.bundle import bundle_description
from nlareport.store.bundle.bundle_formats import BundleFormat, table_bytes
from nlareport.store.connections import connect, in_memory, logs_of
from nlareport.store.derived_rows import DERIVED
from nlareport.store.migrations import OLDER, create_tables, views_of_older
from nlareport.store.reader import DuckDBReader
from nlareport.store.refusals import writing

LARGEST_FILE = 95_000_000
"""Bytes. Hosts of static pages, and git, refuse single files of 100 MB."""

TEXTS: dict[type, list[str]] = {Item: ["context"], Explanation: ["text", "completion"]}
"""The columns a console does without at first: nearly all of a run file's bytes."""

COMPLETED = [TABLES[row_type].name for row_type in DERIVED]

PACKING: dict[BundleFormat, int] = {"parquet": zipfile.ZIP_STORED, "csv": zipfile.ZIP_DEFLATED}
"""Formats that are handed out, with how an archive packs them; Parquet is packed already."""


def write_public_copy(reader: DuckDBReader, folder: Path) -> PublicCopy:
    """The run's copies, those that are files written into `folder`."""
    (run_id,) = reader.table(Run)["run_id"]
    stem = file_name(run_id)
    left_out: dict[str, int] = {}
    folder.mkdir(parents=True, exist_ok=True)
    run_file = _if_publishable(_copy_run_file(reader.path, folder / f"{stem}.duckdb"), left_out)
    archives, tables = _write_bundles(reader, folder, stem)
    bundles = [path for path in archives if _if_publishable(path, left_out)]
    return PublicCopy(
        run_file=run_file,
        bundles=bundles,
        left_out=left_out,
        # With stand-ins for what queries need of JSON.
        schema=f"{_plain_schema()}\n{sql_files.console_text('stand_ins')}",
        views_of_run=_views_of_run(reader),
        completed=COMPLETED,
        without_texts=sql_files.console_text("without_texts"),
        tables=tables,
        environment_facts=_packed(reader.frame("environment_facts")),
        queries=_named_queries(),
    )


def _copy_run_file(source: Path, copy: Path) -> Path:
    shutil.copyfile(source, copy)
    if logs := logs_of(source):
        # A writer was stopped before it settled its last rows; what stands in its log belongs into the copy.
        with TemporaryDirectory(dir=copy.parent) as scratch, writing(source):
            settled = Path(scratch) / "run.duckdb"
            shutil.copyfile(source, settled)
            for log in logs:
                shutil.copyfile(log, Path(f"{settled}{log.name.removeprefix(Path(os.path.realpath(source)).name)}"))
            with closing(connect(settled, read_only=False)) as connection:
                connection.execute("CHECKPOINT")
            shutil.copyfile(settled, copy)
    return copy


def _write_bundles(reader: DuckDBReader, folder: Path, stem: str) -> tuple[list[Path], dict[str, bytes]]:
    """The run's bundles as one zip a format, and its tables as a console loads them; each table is read once."""
    paths = {kind: folder / f"{stem}-{kind}.zip" for kind in PACKING}
    tables = {}
    with ExitStack() as stack:
        archives = {kind: stack.enter_context(zipfile.ZipFile(path, "w")) for kind, path in paths.items()}
        for kind, archive in archives.items():
            archive.writestr(_entry(paths[kind], "run.yaml", kind), bundle_description(reader))
        for row_type, declared in TABLES.items():
            frame = reader.table(row_type)
            if not frame.is_empty():
                tables[declared.name] = _packed(frame.drop(TEXTS.get(row_type, [])))
            # A bundle says in run.yaml what the run and its pairs are.
            for kind, archive in archives.items() if declared.bundle else ():
                entry = _entry(paths[kind], f"{declared.bundle}.{kind}", kind)
                # Neither format nests JSON.
                archive.writestr(entry, table_bytes(frame, kind, set()))
    return list(paths.values()), tables


def _entry(archive: Path, name: str, kind: BundleFormat) -> zipfile.ZipInfo:
    """Where a file stands in an archive; it carries no time, and no trace of the system this runs on."""
    entry = zipfile.ZipInfo(f"{archive.stem}/{name}")
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    entry.compress_type = PACKING[kind]
    return entry


def _if_publishable(path: Path, left_out: dict[str, int]) -> Path | None:
    size = path.stat().st_size
    if size <= LARGEST_FILE:
        return path
    path.unlink()
    left_out[path.name] = size
    return None


def _packed(frame: pl.DataFrame) -> bytes:
    return gzip.compress(table_bytes(frame, "csv", set()), compresslevel=6, mtime=0)


def _plain_schema() -> str:
    """The tables and views of a run file for an engine without the JSON extension, and without keys."""
    with closing(in_memory()) as connection:
        create_tables(connection)
        statements = connection.execute(sql_files.console_text("plain_schema")).fetchall()
    return "\n".join(statement for (statement,) in statements)


def _views_of_run(reader: DuckDBReader) -> str:
    """What shows the rows of the reader's file in the tables of this version, once it is attached as `run`."""
    stored = reader.frame(sql_files.console_text("stored_columns"), older=OLDER, completed=COMPLETED).rows()
    with closing(in_memory()) as connection:
        create_tables(connection)
        connection.execute("ATTACH ':memory:' AS run")
        for table, columns in stored:
            connection.execute(f"CREATE TABLE run.main.{table} ({columns})")
        return ";\n".join(views_of_older(connection, "run"))


def _named_queries() -> list[NamedQuery]:
    """Every query of the store, each with what it needs."""
    with closing(in_memory()) as connection:
        connection.execute(_plain_schema())
        connection.execute(sql_files.console_text("without_texts"))
        names = sql_files.query_names() + sql_files.query_names("audits")
        return [_named_query(connection, name) for name in names]


def _named_query(without_texts: duckdb.DuckDBPyConnection, name: str) -> NamedQuery:
    text = sql_files.query_text(name)
    (statement,) = without_texts.extract_statements(text)
    try:
        without_texts.execute(f"EXPLAIN {text}", dict.fromkeys(statement.named_parameters) or None)
        needs_texts = False
    except duckdb.BinderException:
        needs_texts = True
    return NamedQuery(
        name=name,
        purpose=sql_files.query_purpose(name),
        sql=text.strip(),
        parameters=sorted(statement.named_parameters),
        needs_texts=needs_texts,
        # The console stands in for json_object and ->>.
        needs_json=bool(re.search(r"\b(from_json|to_json|json_(?!object\b)\w+)\(", text)),
    )
