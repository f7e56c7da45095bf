"""Finds the SQL files of named queries: one query a file, its name the query's name.

They are in the folder ``sql``, audits in a folder of it; those that check a claim are in ``nlareport/claims``, where
``ID.sql`` is the query ``claim_ID``. The head of each file is a comment: purpose, parameters, row type. The schema is
`migrations.py`'s business.
"""

import difflib
from importlib.resources import files
from importlib.resources.abc import Traversable

from nlareport.errors import QueryUnknown
from nlareport.query_heads import query_head

SQL_FOLDER = files("nlareport.store") / "sql"
CLAIMS_FOLDER = files("nlareport.claims")
CLAIM_PREFIX = "claim_"
"""How the names of queries that check a claim begin."""

CATALOG = (SQL_FOLDER / "opening" / "catalog.sql").read_text(encoding="utf-8")
"""The query that lists what a database file brings along; not among the named ones, which trust the file."""


def console_text(name: str) -> str:
    """Statements that prepare the database of a browser's console."""
    return (SQL_FOLDER / "console" / f"{name}.sql").read_text(encoding="utf-8")


def query_names(folder: str | None = None) -> list[str]:
    """Names of the queries in alphabetical order; those of a folder such as `audits` as `audits/name`."""
    if folder:
        return [f"{folder}/{stem}" for stem in _stems(SQL_FOLDER / folder)]
    return sorted(_stems(SQL_FOLDER) + [f"{CLAIM_PREFIX}{stem}" for stem in _stems(CLAIMS_FOLDER)])


def query_text(name: str) -> str:
    """The text of a query.

    Raises:
        QueryUnknown: no query has this name; the nearest names are given.
    """
    known = query_names() + query_names("audits")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else 'see "nlareport query --list".'
        raise QueryUnknown(f"No query is called {name!r}; {hint}")
    return query_file(name).read_text(encoding="utf-8")


def query_file(name: str) -> Traversable:
    """Where the text of a query is kept."""
    if name.startswith(CLAIM_PREFIX):
        return CLAIMS_FOLDER / f"{name.removeprefix(CLAIM_PREFIX)}.sql"
    return SQL_FOLDER / f"{name}.sql"


def query_purpose(name: str) -> str:
    """The first sentence of a query's head: what its answer is.

    Raises:
        QueryUnknown: no query has this name.
    """
    return query_head(name, query_text(name)).first_sentence


def _stems(folder: Traversable) -> list[str]:
    return sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
