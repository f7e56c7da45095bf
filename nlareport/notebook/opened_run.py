"""Opens a run for Python: its tables and the answers of named queries as polars frames.

Takes the path of a run file, of published figures or of a bundle; nothing of it is changed.
"""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from nlareport.notebook.shown_matrix import Matrix, read_matrix
from nlareport.review.sources import open_run
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Explanation, Item, Score


class OpenRun:
    """A run open for reading, until `close` or the end of a ``with`` block."""

    def __init__(self, path: str | Path) -> None:
        self._stack = ExitStack()
        self._reader = self._stack.enter_context(open_run(Path(path)))
        self.path = Path(path)

    def cells(self) -> pl.DataFrame:
        """Every cell over every subset of items: the table ``cell``, a row per source, target and subset."""
        return self._reader.table(Cell)

    def scores(self) -> pl.DataFrame:
        """The table ``score``, a row per source, target, draw and item."""
        return self._reader.table(Score)

    def items(self) -> pl.DataFrame:
        """The table ``item``, a row per item; empty where only scores were imported."""
        return self._reader.table(Item)

    def explanations(self) -> pl.DataFrame:
        """The table ``explanation``, a row per source, draw and item."""
        return self._reader.table(Explanation)

    def query(self, name: str, **parameters: Any) -> pl.DataFrame:
        """The answer of a named query (``nlareport query --list``), or of one SELECT statement given in its place.

        Raises:
            QueryUnknown: a single word that names no query.
            QueryFailed: DuckDB refused it, a parameter is missing, or the answer is too large for memory.
        """
        return self._reader.frame(name, **parameters)

    def matrix(self, subset: str = "all") -> Matrix:
        """The matrix over one subset of items, such as ``prose``; a notebook shows it as a heatmap."""
        return read_matrix(self._reader, self.cells().filter(pl.col("subset") == subset), subset)

    def close(self) -> None:
        """Closes the run; a second time does nothing."""
        self._stack.close()

    def __enter__(self) -> "OpenRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<OpenRun {str(self.path)!r}>"


def open_(path: str | Path) -> OpenRun:
    """A run file, published figures (YAML) or a bundle's folder, open for reading.

    Raises:
        NlareportError: the path holds none of them, or something is wrong with it; the message says what next.
    """
    return OpenRun(path)
