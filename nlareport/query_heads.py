"""Reads the comment at the head of a query's file: what it answers, its parameters and its row type.

Takes the text of an SQL file; returns its parts. Knows no database.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueryHead:
    """A query's file in its parts."""

    name: str
    purpose: str
    parameters: str
    rows: str
    sql: str
    """The statement, without the head."""

    @property
    def first_sentence(self) -> str:
        """What the query's answer is."""
        return re.split(r"(?<=\.) (?=[A-Z])", self.purpose, maxsplit=1)[0]


def query_head(name: str, text: str) -> QueryHead:
    """The parts of a query's file: purpose, parameters and rows as its head says, then the statement."""
    lines = text.strip().splitlines()
    n_head = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    head = "\n".join(line.removeprefix("--").strip() for line in lines[:n_head])
    purpose, _, rest = head.partition("\nParameters:")
    parameters, _, rows = rest.partition("\nRows:")
    purpose, parameters, rows = (" ".join(part.split()) for part in (purpose, parameters, rows))
    return QueryHead(name, purpose, parameters, rows, "\n".join(lines[n_head:]).strip())
