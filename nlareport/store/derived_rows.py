"""Ceiling fractions and additive effects of runs that come without them: published figures, bundles, older run files.

Both follow from the cells alone. A run that is scored here stores them, with intervals; for any other they are worked
out once, where it enters: at import, or when a file of an earlier version is opened.
"""

from collections.abc import Sequence
from typing import cast

import duckdb

from nlareport.ports import Row
from nlareport.rows.cell_rows import Cell, Effect
from nlareport.rows.declaration import TABLES
from nlareport.rows.run_rows import Pair
from nlareport.statistics.additive_effects import effects_of_cells
from nlareport.statistics.ceiling_fractions import with_ceiling_fractions
from nlareport.store.row_tables import column_types, rows_of

DERIVED = (Cell, Effect)
"""Row types of the tables to which something may be added."""


def derive_rows(
    pairs: Sequence[Pair], cells: Sequence[Cell], effects: Sequence[Effect]
) -> tuple[list[Cell], list[Effect]]:
    """The cells, each with a ceiling fraction where they allow one, and the effects; what is stated stays as it is."""
    return with_ceiling_fractions(cells), list(effects) or effects_of_cells(pairs, cells)


def store_derived_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Adds what the run in a database of this schema version lacks of them."""
    pairs, cells, effects = _read(connection, Pair), _read(connection, Cell), _read(connection, Effect)
    completed, fitted = derive_rows(pairs, cells, effects)
    for before, cell in zip(cells, completed, strict=True):
        if cell != before:
            connection.execute(
                "UPDATE cell SET ceiling_fraction = ? WHERE source = ? AND target = ? AND subset = ?",
                [cell.ceiling_fraction, cell.source, cell.target, cell.subset],
            )
    for row in fitted if not effects else ():
        connection.execute(
            "INSERT INTO effect (pair_id, role, effect) VALUES (?, ?, ?)", [row.pair_id, row.role, row.effect]
        )


def _read(connection: duckdb.DuckDBPyConnection, row_type: type[Row]) -> list[Row]:
    columns = list(column_types(cast(type, row_type)))
    records = connection.execute(f"SELECT {', '.join(columns)} FROM {TABLES[row_type].name}").fetchall()
    return rows_of(row_type, columns, records)
