"""Cells that a run has without the vectors behind them: kept as they are when pairs are added to a published run file.

Takes a run's environment and its rows; says which cells are kept, and hands out their rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from nlareport.experiment.experiment_file import Experiment
from nlareport.rows.run_rows import PairId

RECORD = "kept_cells"
"""The key of `run.environment`."""


@runtime_checkable
class OfACell(Protocol):
    """A row of one cell."""

    @property
    def source(self) -> PairId:
        """What wrote."""
        ...

    @property
    def target(self) -> PairId:
        """What read."""
        ...


CellRow = TypeVar("CellRow", bound=OfACell)


@dataclass(frozen=True, slots=True)
class KeptCells:
    """The cells between pairs that the run had when it came here without its vectors; none for a run begun here."""

    sources: frozenset[PairId] = frozenset()
    targets: frozenset[PairId] = frozenset()
    elsewhere: frozenset[PairId] = frozenset()
    """Pairs whose checkpoints are not on this machine: they are not opened, and read nothing that is new."""

    def holds(self, source: PairId, target: PairId) -> bool:
        """Whether a cell is kept as it is."""
        return source in self.sources and target in self.targets

    def among(self, rows: Iterable[CellRow]) -> list[CellRow]:
        """The rows of kept cells."""
        return [row for row in rows if self.holds(row.source, row.target)]

    def others(self, rows: Iterable[CellRow]) -> list[CellRow]:
        """The rows of cells that are computed here."""
        return [row for row in rows if not self.holds(row.source, row.target)]

    def record(self) -> dict[str, Any]:
        """What a run's environment says of it."""
        if not self.sources:
            return {}
        names = {"sources": self.sources, "targets": self.targets, "elsewhere": self.elsewhere}
        return {RECORD: {name: sorted(pairs) for name, pairs in names.items()}}

    def left_out(self, experiment: Experiment) -> str | None:
        """Which cells are missing and what would bring them, in a sentence; None where all are there."""
        new = [source for source in experiment.sources if source not in self.sources]
        readers = [target for target in experiment.targets if target in self.elsewhere]
        if not new or not readers:
            return None
        return (
            f"texts of {', '.join(new)} are not read by {', '.join(readers)}: that takes their base models and "
            "reconstructors, which are not on this machine; fetch those and run again"
        )


NOTHING_KEPT = KeptCells()


def recorded_cells(environment: Mapping[str, Any]) -> KeptCells:
    """Those that a run's environment names."""
    said = environment.get(RECORD) or {}
    return KeptCells(**{name: frozenset(PairId(pair) for pair in pairs) for name, pairs in said.items()})
