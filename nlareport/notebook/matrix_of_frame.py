"""Makes a matrix of a frame in memory: scores of single items to cells with intervals, by the code of an import.

Takes a polars or pandas frame, returns a `Matrix`. Nothing is written but a scratch file.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from pydantic import ValidationError

from nlareport.errors import BundleInvalid
from nlareport.files.yaml_files import validation_faults
from nlareport.notebook.shown_matrix import Matrix, read_matrix
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Item, Score
from nlareport.store.bundle.assembly import GivenRun, GivenTables, given_run
from nlareport.store.bundle.bundle_tables import Faults, TableFile, checked_table
from nlareport.store.bundle.item_ids import ItemNumbers
from nlareport.store.bundle.run_yaml import BundleRun
from nlareport.store.bundle.table_values import UnfitValue, column_of, typed_column
from nlareport.store.reader import DuckDBReader
from nlareport.store.row_tables import frame_schema
from nlareport.store.whole_run import store_run

NAME = Path("frame")
"""What faults are reported under."""
NEEDED = ("item_id", "source", "target")


def matrix(
    frame: Any,
    variances: Mapping[str, float] | None = None,
    *,
    title: str = "Matrix",
    draws: int = 10_000,
    seed: int = 0,
) -> Matrix:
    """Cells with 95% intervals over documents, one row per source, target and subset of items.

    `frame` is a polars or pandas frame with a row per item and cell: ``item_id`` (a number or a text), ``source``,
    ``target``, one of ``mse_nrm`` (0 to 4) and ``fve_nrm``, and, if there are such, ``doc_id`` and ``draw``; other
    columns are not looked at. Items of one document are drawn together; without ``doc_id`` each is its own document.
    `variances` is V by target: without it cells need ``fve_nrm``. `draws` and `seed` are those of the bootstrap.

    Raises:
        BundleInvalid: a column is missing, a value is out of its range, or rows contradict each other; every fault is
            listed.
    """
    faults = Faults()
    given = _given(pl.DataFrame(frame), dict(variances or {}), title, {"draws": draws, "seed": seed}, faults)
    with TemporaryDirectory() as scratch:
        db = Path(scratch) / "matrix.duckdb"
        store_run(db, given.whole())
        with DuckDBReader.open(db) as reader:
            return read_matrix(reader, reader.table(Cell))


def _given(
    frame: pl.DataFrame, variances: dict[str, float], title: str, bootstrap: dict[str, int], faults: Faults
) -> GivenRun:
    lacking = [name for name in NEEDED if name not in frame.columns]
    if lacking:
        raise BundleInvalid(f"{NAME}: column {', '.join(lacking)} is missing; add it.")
    numbers = ItemNumbers()
    try:
        columns = _typed(frame, numbers)
    except UnfitValue as error:
        raise BundleInvalid(f"{NAME}: {error}.") from error
    scores = pl.DataFrame([column for name, column in columns.items() if name != "doc_id"])
    tables: dict[type, TableFile] = {Score: checked_table(NAME, Score, scores, faults)}
    if "doc_id" in columns:
        items = pl.DataFrame([columns["item_id"], columns["doc_id"]]).unique(maintain_order=True)
        if items["item_id"].is_duplicated().any():
            faults.add(NAME, "an item has two values of doc_id; give each item one document.")
        tables[Item] = checked_table(NAME, Item, items, faults)
    names = dict.fromkeys([*scores["source"].drop_nulls(), *scores["target"].drop_nulls()])
    for stranger in sorted(variances.keys() - names.keys()):
        faults.add(NAME, f"variances names {stranger!r}, which is no source or target; correct its spelling.")
    described = _described(list(names), variances, title, bootstrap)
    return given_run(GivenTables(described, "matrix", "the frame", tables, numbers.texts), faults)


def _typed(frame: pl.DataFrame, numbers: ItemNumbers) -> dict[str, pl.Series]:
    """The columns that are looked at, each of its table's type; a NaN of pandas is no value."""
    schema = {**frame_schema(Score), "doc_id": pl.String()}
    columns = {}
    for name in [name for name in schema if name in frame.columns]:
        column = frame[name].fill_nan(None) if frame[name].dtype.is_float() else frame[name]
        if name == "item_id":
            column = column_of(name, numbers.numbered(column.to_list()), schema[name])
        columns[name] = typed_column(column, schema[name])
    return columns


def _described(names: list[str], variances: Mapping[str, float], title: str, bootstrap: dict[str, int]) -> BundleRun:
    """The run that the frame is of; of its pairs nothing is known but their names and V."""
    pairs = [
        {"pair_id": name, "family": name, "base_model": name, "block_index": 0, "d_model": 1}
        | {"variance_nrm": variances.get(name)}
        for name in names
    ]
    try:
        return BundleRun.model_validate({"title": title, "pairs": pairs, "bootstrap": bootstrap})
    except ValidationError as error:
        raise BundleInvalid("\n".join(validation_faults(error, NAME))) from error
