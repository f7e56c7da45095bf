"""Rows together with where they come from, so that every figure on a page can show the query that made it."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nlareport.files.file_names import file_name
from nlareport.ports import RunReader

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Origin:
    """The query behind a figure, as a reader could run it again."""

    query: str
    sql: str
    parameters: dict[str, Any]
    n_rows: int

    @property
    def csv_name(self) -> str:
        """What the answer's file is called: the query, then its parameters' values in the order of their names."""
        values = [str(value) for _, value in sorted(self.parameters.items())]
        return f"{file_name(self.query, *values, joint='.')}.csv"


@dataclass(frozen=True, slots=True)
class Answer(Generic[Row]):
    """A query's rows and their origin; false when there is no row."""

    rows: list[Row]
    origin: Origin

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def only(self) -> Row:
        """The one row of a query that always answers with one."""
        return self.rows[0]


def ask(reader: RunReader, row_type: type[Row], query: str, **parameters: Any) -> Answer[Row]:
    """The rows of a named query with their origin."""
    rows = reader.rows(row_type, query, **parameters)
    return Answer(rows, Origin(query, reader.sql(query).strip(), parameters, len(rows)))
