"""The one writer of a run file: makes it, appends rows to it, and says what is still missing from it.

Takes rows as dataclasses, returns rows as dataclasses. While a `RunFile` is open no other process can open the file.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from nlareport.files.atomic_files import whole_file
from nlareport.files.scratch_folders import clear_left_over
from nlareport.ports import Row
from nlareport.rows.declaration import TABLES
from nlareport.rows.run_rows import PairId, Run
from nlareport.store import sql_files
from nlareport.store.connections import connect, make_at, refuse_unusable_name
from nlareport.store.migrations import create_tables
from nlareport.store.reader import DuckDBReader
from nlareport.store.refusals import reading, writing
from nlareport.store.row_tables import column_types, frame_of, rows_of

BLOCK_SIZE = 16_384
"""Bytes. The smallest DuckDB knows: a published run file travels to readers' browsers and is mostly small tables."""


class RunFile:
    """A run file open for writing. Use as a context manager, or close it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._in_transaction = False
        self.path = path

    @classmethod
    def create_or_open(cls, path: Path, run: Run, *groups: Sequence[object]) -> "RunFile":
        """The run file at a path, made with this run and rows in it when there is none; an existing one keeps its own.

        Raises:
            RunFileUnreadable: what stands there is no run file, or is damaged.
            RunFileForeign: it holds something that nlareport did not put there.
            RunFileOfAnotherVersion: it was written under another schema version.
            RunFileBusy: another process holds it.
            FileUnwritable: it cannot be made here.
        """
        if not path.exists():
            create_run_file(path, run, *groups)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "RunFile":
        """The run file that stands at a path.

        Raises:
            RunFileMissing: nothing stands there.
            RunFileUnreadable: what stands there is no run file, or is damaged.
            RunFileForeign: it holds something that nlareport did not put there.
            RunFileOfAnotherVersion: it was written under another schema version.
            RunFileBusy: another process holds it.
        """
        connection = connect(path, read_only=False)
        clear_left_over(Path(os.path.realpath(path)))
        return cls(connection, path)

    @classmethod
    def open_to_read(cls, path: Path) -> "RunFile":
        """The same, but nothing can be written: neither what an older file lacks, nor a log that is still next to it.

        Raises:
            RunFileMissing: nothing stands there; and so on, as `open`.
        """
        return cls(connect(path, read_only=True), path)

    def close(self) -> None:
        """Settles everything into the file and closes it; a second time does nothing."""
        self._connection.close()

    def __enter__(self) -> "RunFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reader(self) -> DuckDBReader:
        """Named queries on the file while it is open here; it sees what was committed."""
        return DuckDBReader(self._connection.cursor(), self.path)

    def run(self) -> Run:
        """The file's one run."""
        return self.rows(Run)[0]

    def rows(self, row_type: type[Row]) -> list[Row]:
        """Every row of a table, ordered by primary key."""
        columns = ", ".join(f'"{name}"' for name in _columns(row_type))
        keys = ", ".join(TABLES[row_type].key)
        records = self._fetch(f"SELECT {columns} FROM {TABLES[row_type].name} ORDER BY {keys}")
        return rows_of(row_type, _columns(row_type), records)

    def count(self, row_type: type) -> int:
        """How many rows a table holds."""
        return int(self._fetch(f"SELECT count(*) FROM {TABLES[row_type].name}")[0][0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within are stored together, or, when an error leaves it, none of them. May be nested.

        Raises:
            RowRefused: a row breaks a constraint of its table.
            RunFileUnwritable: the disk forbids it.
        """
        if self._in_transaction:
            yield
            return
        self._execute("BEGIN")
        self._in_transaction = True
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # a failed COMMIT has already rolled back
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._in_transaction = False

    def append(self, rows: Sequence[object]) -> None:
        """Adds rows of one type to their table; a key that is there already is refused.

        Raises:
            RowRefused: a row breaks a constraint of its table; then none is stored.
            RunFileUnwritable: the disk forbids it.
        """
        self.append_all(rows)

    def append_all(self, *groups: Sequence[object]) -> None:
        """Adds several groups, each of one type, in one transaction; an empty group adds nothing.

        Raises:
            RowRefused: a row breaks a constraint of its table; then none is stored.
            RunFileUnwritable: the disk forbids it.
        """
        with self.transaction():
            for rows in groups:
                self._insert("INSERT", rows)

    def put(self, *groups: Sequence[object]) -> None:
        """Adds rows, each taking the place of the one with its key where there is one; one transaction.

        So a pair's variance or an item's outlier flag is written: `put([replace(pair, variance_nrm=v)])`.

        Raises:
            RowRefused: a row breaks a constraint of its table; then none is stored.
            RunFileUnwritable: the disk forbids it.
        """
        with self.transaction():
            for rows in groups:
                self._insert("INSERT OR REPLACE", rows)

    def replace(self, tables: Mapping[type, Sequence[object]]) -> None:
        """Empties each table and fills it with the rows given, in one transaction.

        Raises:
            RowRefused: a row breaks a constraint of its table; then everything stays as it was.
            RunFileUnwritable: the disk forbids it.
        """
        with self.transaction():
            for row_type, rows in tables.items():
                self._execute(f"DELETE FROM {TABLES[row_type].name}")
                self._insert("INSERT", rows)

    def item_ids_without_alignment(self, pair_id: PairId) -> list[int]:
        """Items whose place and norm in this pair's tokenization are not stored, in order."""
        return self._item_ids("items_without_alignment", pair_id=pair_id)

    def item_ids_without_explanation(self, source: PairId, draw: int = 0) -> list[int]:
        """Items this source's verbalizer has not been asked about in this draw, in order."""
        return self._item_ids("items_without_draw", source=source, draw=draw)

    def _item_ids(self, query: str, **parameters: Any) -> list[int]:
        return [record[0] for record in self._fetch(sql_files.query_text(query), parameters)]

    def _fetch(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with reading(self.path):
            return self._connection.execute(statement, parameters).fetchall()

    def _execute(self, statement: str) -> None:
        with writing(self.path):
            self._connection.execute(statement)

    def _insert(self, verb: str, rows: Sequence[object]) -> None:
        if not rows:
            return
        frame = frame_of(type(rows[0]), rows)
        self._connection.register("incoming_rows", frame)
        self._execute(f"{verb} INTO {TABLES[type(rows[0])].name} BY NAME SELECT * FROM incoming_rows")
        # Only after success: in a refused transaction nothing more may be said, and the next frame takes its name.
        self._connection.unregister("incoming_rows")


def create_run_file(path: Path, run: Run, *groups: Sequence[object]) -> None:
    """Makes a run file holding the run and the groups of rows; the path shows a whole file or none.

    Raises:
        RowRefused: a row breaks a constraint of its table.
        FileUnwritable: it cannot be made here.
    """
    refuse_unusable_name(path)
    # A link is followed here, and only here: the file is to stand where the link leads.
    place = Path(os.path.realpath(path))
    whole = replace(run, environment={**run.environment, "duckdb": duckdb.__version__})
    with writing(path), whole_file(place, replaces=False) as aside:
        _fill(aside, path, whole, groups)
        if not place.exists():
            _set_aside_log(place)


def _fill(aside: Path, path: Path, run: Run, groups: Sequence[Sequence[object]]) -> None:
    """Makes the file at `aside`; errors speak of `path`, which it will be."""
    connection = make_at(aside, BLOCK_SIZE)
    try:
        run_file = RunFile(connection, path)
        with run_file.transaction():
            create_tables(connection)
            run_file.append_all([run], *groups)
        connection.execute("CHECKPOINT run_file")
    finally:
        connection.close()


def _set_aside_log(path: Path) -> None:
    """Gives the write-ahead log of a file that is gone another name; DuckDB would play it into the new one."""
    log = path.with_name(f"{path.name}.wal")
    numbers = itertools.count(1)
    with suppress(FileNotFoundError):
        kept = next(name for number in numbers if not (name := log.with_name(f"{log.name}.former-{number}")).exists())
        log.rename(kept)


def _columns(row_type: type) -> list[str]:
    return list(column_types(row_type))
