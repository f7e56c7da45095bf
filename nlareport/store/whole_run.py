"""A run as one value: every row of every table, read from a run file at once or stored as one.

What imports hand over and exports start from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from nlareport.errors import RunFileTaken
from nlareport.ports import Row
from nlareport.rows.cell_rows import Cell, Effect
from nlareport.rows.declaration import TABLES
from nlareport.rows.run_rows import Pair, Run
from nlareport.shown import shown
from nlareport.store.derived_rows import derive_rows
from nlareport.store.row_tables import sort_key
from nlareport.store.run_file import RunFile, create_run_file


@dataclass(frozen=True, slots=True)
class RunRows:
    """A run and all its rows, table by table, each ordered by primary key once read from a file."""

    run: Run
    tables: Mapping[type, Sequence[object]]
    """The rows of every table but `run`, in the order of `TABLES`."""

    @classmethod
    def gather(cls, run: Run, *groups: Sequence[object]) -> "RunRows":
        """The run with groups of rows, each of one type; a table of which nothing is given is empty."""
        given = {type(rows[0]): list(rows) for rows in groups if rows}
        return cls(run, {row_type: given.get(row_type, []) for row_type in TABLES if row_type is not Run})

    def of(self, row_type: type[Row]) -> list[Row]:
        """The rows of one type."""
        return list(cast(Sequence[Row], self.tables[row_type]))

    def with_tables(self, tables: Mapping[type, Sequence[object]]) -> "RunRows":
        """The same run with other rows in the tables given."""
        return RunRows(self.run, {**self.tables, **tables})

    def with_derived_rows(self) -> "RunRows":
        """The same run with the ceiling fractions and effects that it does not state and that its cells give."""
        cells, effects = derive_rows(self.of(Pair), self.of(Cell), self.of(Effect))
        return self.with_tables({Cell: cells, Effect: effects})

    def groups(self) -> list[Sequence[object]]:
        """The rows of every table but `run`."""
        return list(self.tables.values())


def read_run(path: Path) -> RunRows:
    """Everything a run file holds; an older one stays as it is.

    Raises:
        RunFileMissing: nothing stands at the path.
        RunFileUnreadable: it is no run file, or is damaged.
        RunFileOfAnotherVersion: it was written under another schema version.
        RunFileBusy: another process holds it.
    """
    with RunFile.open_to_read(path) as stored:
        groups = [cast(Sequence[object], stored.rows(row_type)) for row_type in TABLES if row_type is not Run]
        return RunRows.gather(stored.run(), *groups)


def store_run(path: Path, rows: RunRows) -> bool:
    """Makes a run file of the rows; True when it was made, False when it held them already.

    Raises:
        RunFileTaken: a run file with other content stands there; it is left as it is.
        RunFileUnreadable: something that is no run file stands there.
        RowRefused: a row breaks a constraint of its table.
        FileUnwritable: it cannot be made here.
    """
    if not path.exists():
        create_run_file(path, rows.run, *rows.groups())
        return True
    stored = read_run(path)
    if holds_run(stored, rows):
        return False
    raise RunFileTaken(
        f"{path}: already holds run {shown(stored.run.run_id)} ({stored.run.kind}) with other content, which stays "
        "as it is; give another path with --db."
    )


def holds_run(stored: RunRows, wanted: RunRows) -> bool:
    """Whether a stored run is the one wanted, and has all its rows."""
    groups = zip(stored.groups(), wanted.groups(), strict=True)
    return _same_run(wanted.run, stored.run) and all(_holds(have, of_type) for have, of_type in groups)


def _same_run(wanted: Run, stored: Run) -> bool:
    """Whether both say the same, whenever and by whichever version they were imported."""
    told_alike = all(
        getattr(wanted, name) == getattr(stored, name)
        for name in ("run_id", "title", "series_name", "series_number", "kind", "experiment_yaml", "seed")
    )
    facts = {key: fact for key, fact in wanted.environment.items() if key != "duckdb"}
    return told_alike and all(key in stored.environment and stored.environment[key] == facts[key] for key in facts)


def _holds(stored: Sequence[object], wanted: Sequence[object]) -> bool:
    """Whether every wanted row is stored; what an import left open may have been computed since."""
    by_key = {sort_key(row): row for row in stored}
    return all(
        sort_key(row) in by_key
        and all(
            getattr(row, column.name) in (None, getattr(by_key[sort_key(row)], column.name))
            for column in fields(row)  # type: ignore[arg-type]
        )
        for row in wanted
    )
