"""Says where a run's files are: the run file behind a link that names it, and the folder of its vectors."""

from pathlib import Path

from nlareport.files.disk_faults import disk_faults

RUN_FILE_ENDING = ".duckdb"
VECTORS_ENDING = ".activations"


def run_file_path(db: Path) -> Path:
    """The run file a path names: behind a link the file it leads to, whether or not that is there yet."""
    return db.resolve() if db.is_symlink() else db


def vectors_folder(db: Path) -> Path:
    """The folder next to a run file: ``run.activations`` for ``run.duckdb``.

    A run file of another ending keeps its whole name, ``run.db.activations`` for ``run.db``, so that no two share one.
    """
    db = run_file_path(db)
    if db.suffix == RUN_FILE_ENDING:
        return db.with_suffix(VECTORS_ENDING)
    # Without an ending, the whole name alone would be that of its namesake that ends in .duckdb.
    return db.with_name(f"{db.name}{VECTORS_ENDING}" if db.suffix else f"{db.name}.run{VECTORS_ENDING}")


def former_vectors_folder(db: Path) -> Path:
    """Where versions before schema 5 kept the vectors of a run file of any ending."""
    return run_file_path(db).with_suffix(VECTORS_ENDING)


def parts_of_run(db: Path) -> tuple[Path, ...]:
    """A run file with all that belongs to it: its write-ahead log and its vectors, wherever they were ever kept."""
    file = run_file_path(db)
    return file, file.with_name(f"{file.name}.wal"), vectors_folder(db), former_vectors_folder(db)


def take_former_folder(db: Path) -> None:
    """Gives the vectors of a run file that does not end in ``.duckdb`` their present name.

    Versions before schema 5 kept them under the name of its namesake that does; where there is such a run file, they
    are left to it.

    Raises:
        FileUnwritable: the disk forbids it.
    """
    former, folder = former_vectors_folder(db), vectors_folder(db)
    if former == folder or folder.exists() or not former.is_dir() or former.with_suffix(RUN_FILE_ENDING).exists():
        return
    with disk_faults(folder):
        former.rename(folder)
