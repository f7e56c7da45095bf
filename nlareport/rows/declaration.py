"""Declares the tables of a run file, each once, at its row type: `@table(key=..., bundle=...)` above the dataclass.

A table's name, primary key, file in a bundle and place among the tables come from there, and its columns are the
fields; what reads, writes, exports and imports rows asks `TABLES`. The SQL of a table is in store/sql/schema/.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

RowType = TypeVar("RowType", bound=type)


@dataclass(frozen=True, slots=True)
class Table:
    """What a run file knows of one of its tables beyond its columns."""

    name: str
    """The name of the row type in snake case, so `null_score` for `NullScore`."""
    key: tuple[str, ...]
    """Columns of the primary key, by which rows are ordered. It ends in the item where there is one: an index whose
    keys begin alike for thousands of rows takes a third of the room."""
    bundle: str | None
    """Name of the file in a bundle, without its ending. None for what `run.yaml` says."""


TABLES: dict[type, Table] = {}
"""Every row type of a run file with its table, in the order of their declaration, in which tables are filled."""


def table(*, key: tuple[str, ...], bundle: str | None = None) -> Callable[[RowType], RowType]:
    """Declares a dataclass to be the row type of a table."""

    def declare(row_type: RowType) -> RowType:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", row_type.__name__).lower()
        TABLES[row_type] = Table(name, key, bundle)
        return row_type

    return declare
