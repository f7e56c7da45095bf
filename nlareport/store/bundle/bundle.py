"""A run as a folder anyone can read and write: `run.yaml` and its tables as Parquet, CSV or JSONL.

What goes out comes back in with the same rows. A bundle made by hand may hold as little as scores: what follows from
its rows is computed (`computed_tables`), what does not stays NULL.
"""

from pathlib import Path

from nlareport.errors import BundleInvalid
from nlareport.files.written_folders import Terms, written_folder
from nlareport.rows.run_rows import Pair, Run
from nlareport.store.bundle.added_rows import store_given
from nlareport.store.bundle.assembly import NEEDED, GivenRun, GivenTables, given_run
from nlareport.store.bundle.bundle_formats import BundleFormat
from nlareport.store.bundle.bundle_tables import BUNDLED, Faults, files_of, read_table, write_table
from nlareport.store.bundle.item_ids import ItemNumbers
from nlareport.store.bundle.run_yaml import read_run_yaml, run_yaml
from nlareport.store.published.published_run import import_published
from nlareport.store.reader import DuckDBReader
from nlareport.store.row_tables import column_types, rows_of
from nlareport.store.run_places import parts_of_run
from nlareport.store.whole_run import RunRows


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
    return store_given(db, given)


def bundle_rows(folder: Path) -> RunRows:
    """The rows of a bundle, with every table that follows from them.

    Raises:
        BundleInvalid: a file or column is missing, or the tables contradict each other; every fault is listed.
    """
    return read_bundle(folder).whole()


def read_bundle(folder: Path) -> GivenRun:
    """What a bundle states, its derived tables as far as they are given.

    Raises:
        BundleInvalid: a file or column is missing, or the tables contradict each other; every fault is listed.
    """
    faults, numbers = Faults(), ItemNumbers()
    described = read_run_yaml(folder, faults)
    tables = {row_type: read_table(folder, row_type, numbers, faults) for row_type in BUNDLED}
    if not any(files_of(folder, row_type) for row_type in NEEDED):
        faults.add(
            folder, "holds no scores.parquet, scores.csv or scores.jsonl, and no explanations; a bundle needs one."
        )
    if numbers.is_mixed:
        faults.add(folder, "item_id is a text in one table and a number in another; use the same ids in all of them.")
    if not described:
        raise BundleInvalid("\n".join(faults.told()))
    found = {row_type: table for row_type, table in tables.items() if table}
    return given_run(GivenTables(described, folder.resolve().name, "run.yaml", found, numbers.texts), faults)
