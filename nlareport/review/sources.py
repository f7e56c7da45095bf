"""Opens what a user names as a run: a run file, published figures or a bundle.

Takes a path, returns a reader, or makes a run file of what is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from nlareport.claims.reading import read_claims
from nlareport.review.import_summary import import_summary
from nlareport.rows.run_rows import Claim
from nlareport.store.bundle.bundle import import_run
from nlareport.store.maps.mapped_tables import import_mapped
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile

FIGURES_ENDINGS = (".yaml", ".yml")


Done = Literal["imported from", "holds more, added from", "already holds"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    what: Done
    summary: list[str]
    """What a bundle's rows gave, and what is not among them; empty for published figures."""


def import_figures(path: Path, db: Path, map_name: str | None = None) -> Imported:
    """Makes a run file of published figures, a bundle or results in another layout, with its claims.

    `map_name` is a map of the layout, of a file or built in.

    Raises:
        NlareportError: the source has faults, or the run file holds something else.
    """
    stood_there = db.exists()
    was_made = import_run(path, db) if map_name is None else import_mapped(path, db, map_name)
    with RunFile.open(db) as run_file:
        # An import killed between its rows and its claims has none yet.
        if was_made or not run_file.count(Claim):
            run_file.replace({Claim: read_claims(run_file.reader())})
        what: Done = "already holds" if not was_made else "holds more, added from" if stood_there else "imported from"
        return Imported(what, import_summary(run_file.reader()))


@contextmanager
def open_run(source: Path) -> Iterator[DuckDBReader]:
    """A run file to read, or published figures (YAML) or a bundle (a folder) as the run file they make.

    Raises:
        NlareportError: the file is missing, damaged, or holds something else.
    """
    with TemporaryDirectory() as scratch:
        db = source
        if source.suffix in FIGURES_ENDINGS or (source / "run.yaml").is_file():
            db = Path(scratch) / "imported.duckdb"
            import_figures(source, db)
        with DuckDBReader.open(db) as reader:
            yield reader
