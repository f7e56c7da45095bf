"""A run as a folder anyone can read and write: `run.yaml` and its tables as Parquet, CSV or JSONL.

What goes out comes back in with the same rows. A bundle made by hand may hold as little as scores: what follows from
its rows is computed (`computed_tables`), what does not stays NULL.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nlareport.errors import BundleInvalid
from nlareport.files.written_folders import Terms, written_folder
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Item, Score, stratum_of
from nlareport.rows.run_rows import Document, Pair, PairId, Run
from nlareport.shown import listed
from nlareport.store.bundle.bundle_formats import BundleFormat
from nlareport.store.bundle.bundle_tables import BUNDLED, Faults, TableFile, read_table, write_table
from nlareport.store.bundle.computed_tables import Bootstrap, compute_tables
from nlareport.store.bundle.run_yaml import BundleRun, pair_ids, read_run_yaml, run_yaml
from nlareport.store.published.published_run import document_of, import_published
from nlareport.store.reader import DuckDBReader
from nlareport.store.row_tables import column_types, rows_of
from nlareport.store.run_places import parts_of_run
from nlareport.store.whole_run import RunRows, store_run


def export_bundle(run_path: Path, out_dir: Path, bundle_format: BundleFormat, *, is_shared: bool = False) -> list[Path]:
    """Writes a run file's bundle and gives the files written; the same run gives the same bytes.

    A former bundle there gives way to it. With `is_shared` the folder may hold files of others, which stay.

    Raises:
        RunFileMissing: nothing stands at the path.
        RunFileUnreadable: it is no run file, or is damaged.
        RunFileOfAnotherVersion: it was written under another schema version.
        RunFileBusy: a writer holds it.
        FolderOfOthers: the folder holds files that nlareport did not write.
        FileUnwritable: the folder cannot be written.
    """
    terms = Terms("bundle", is_shared=is_shared, reads=parts_of_run(run_path), is_settled=True)
    with DuckDBReader.open(run_path) as reader, written_folder(out_dir, terms) as place:
        description = place.file("run.yaml")
        description.write_text(bundle_description(reader), encoding="utf-8", newline="\n")
        tables = [write_table(place.staged, row_type, reader.table(row_type), bundle_format) for row_type in BUNDLED]
    return [out_dir / path.name for path in (description, *tables)]


def bundle_description(reader: DuckDBReader) -> str:
    """The text of a run file's `run.yaml`."""
    (run,) = rows_of(Run, list(column_types(Run)), reader.table(Run).rows())
    return run_yaml(run, rows_of(Pair, list(column_types(Pair)), reader.table(Pair).rows()))


def import_run(path: Path, db: Path) -> bool:
    """Makes a run file of a bundle's folder or of a published-figures file; False when it held them already.

    Raises:
        BundleInvalid: the folder is no sound bundle; every fault is listed.
        PublishedFiguresInvalid: the figures file is missing or has faults; every fault is listed.
        RunFileTaken: a run file with other content stands at `db`.
        RunFileUnreadable: something that is no run file stands at `db`.
        FileUnwritable: the run file cannot be made there.
    """
    return import_bundle(path, db) if path.is_dir() else import_published(path, db)


def import_bundle(folder: Path, db: Path) -> bool:
    """Makes a run file of a bundle; True when it was made, False when it held the bundle's rows already.

    Raises:
        BundleInvalid: a file or column is missing, or the tables contradict each other; every fault is listed.
        RunFileTaken: a run file with other content stands at `db`.
        RunFileUnreadable: something that is no run file stands at `db`.
        FileUnwritable: the run file cannot be made there.
    """
    given = read_bundle(folder)
    return store_run(db, given.whole(), given.rows)


def bundle_rows(folder: Path) -> RunRows:
    """The rows of a bundle, with every table that follows from them.

    Raises:
        BundleInvalid: a file or column is missing, or the tables contradict each other; every fault is listed.
    """
    return read_bundle(folder).whole()


@dataclass(frozen=True, slots=True)
class GivenRun:
    """A run as its bundle states it."""

    rows: RunRows
    bootstrap: Bootstrap
    """How its intervals are drawn, where they are computed here."""
    is_to_compute: bool
    """False where the bundle is whole: an exported one has a file for every table, and published figures state all
    that is known."""

    def whole(self) -> RunRows:
        """The run with every table that follows from its rows."""
        return compute_tables(self.rows, self.bootstrap) if self.is_to_compute else self.rows.with_derived_rows()


def read_bundle(folder: Path) -> GivenRun:
    """What a bundle states, its derived tables as far as they are given.

    Raises:
        BundleInvalid: a file or column is missing, or the tables contradict each other; every fault is listed.
    """
    faults = Faults()
    described = read_run_yaml(folder, faults)
    tables = {row_type: read_table(folder, row_type, faults) for row_type in BUNDLED}
    if not any((folder / f"scores.{ending}").exists() for ending in ("parquet", "csv", "jsonl")):
        faults.add(folder, "holds no scores.parquet, scores.csv or scores.jsonl; a bundle needs one.")
    _check_scores(tables[Score], faults)
    if described:
        _check_pairs(tables, pair_ids(described), faults)
    _check_items(tables, faults)
    if faults.lines or not described:
        raise BundleInvalid("\n".join(faults.told()))
    found = {row_type: table for row_type, table in tables.items() if table}
    is_whole = found.keys() == tables.keys() or (described.kind == "computed" and Cell in found)
    rows = _assembled(folder, described, found)
    return GivenRun(rows, described.drawn(), not is_whole and described.kind != "published")


def _assembled(folder: Path, described: BundleRun, tables: dict[type, TableFile]) -> RunRows:
    frames = {row_type: table.frame for row_type, table in tables.items()}
    if Item in tables:
        frames[Item] = _with_derived_columns(tables[Item].frame)
    groups: list[list[Any]] = [rows_of(row_type, frame.columns, frame.rows()) for row_type, frame in frames.items()]
    if Document not in tables:
        doc_ids: list[str] = frames[Item]["doc_id"].unique(maintain_order=True).to_list() if Item in frames else []
        groups.append([document_of(doc_id) for doc_id in doc_ids])
    return RunRows.gather(described.row(folder), described.pair_rows(), *groups)


def _with_derived_columns(items: pl.DataFrame) -> pl.DataFrame:
    """Items with a stratum each, and each its own document where none is named."""
    strata = pl.Series("stratum", [stratum_of(token) for token in items["token"]], dtype=pl.String)
    return items.with_columns(
        pl.col("doc_id").fill_null(pl.format("item:{}", "item_id")), pl.col("stratum").fill_null(strata)
    )


def _check_scores(scores: TableFile | None, faults: Faults) -> None:
    if scores is None:
        return
    if not {"mse_nrm", "fve_nrm"} & set(scores.columns):
        faults.add(scores.path, "has neither mse_nrm nor fve_nrm; add one of them.")


def _check_pairs(tables: dict[type, TableFile | None], known: list[PairId], faults: Faults) -> None:
    for table in filter(None, tables.values()):
        for name in {"source", "target", "pair_id"} & set(table.columns):
            strangers = sorted(set(table.frame[name].drop_nulls()) - set(known))
            if strangers:
                faults.add(table.path, f"{name} says {listed(strangers)}; run.yaml lists no such pair.")


def _check_items(tables: dict[type, TableFile | None], faults: Faults) -> None:
    """Where items are given, every other table must speak of those items only."""
    items = tables[Item]
    if items is None:
        return
    known = set(items.frame["item_id"])
    for table in filter(None, tables.values()):
        if "item_id" in table.columns:
            strangers = sorted(set(table.frame["item_id"].drop_nulls()) - known)
            if strangers:
                faults.add(table.path, f"{len(strangers)} items are not in {items.path.name}, such as {strangers[0]}.")
