"""Says of an imported run where its figures come from: computed here from rows of items, or stated by its bundle.

Takes the run's head; returns sentences and facts for the page.
"""

import json
from dataclasses import dataclass

from nlareport.figure_text import count
from nlareport.render.report.protocol_strip import Fact
from nlareport.render.report.query_rows import RunHead


@dataclass(frozen=True, slots=True)
class ImportedFigures:
    """What the run recorded when it was imported."""

    draws: int | None
    """Of documents, for each interval. None where nothing was computed: the bundle had every table."""
    seed: int | None
    stated: list[str]
    """Tables in which some figures are the bundle's own."""

    @property
    def whence(self) -> str:
        """A sentence on all figures."""
        if self.draws is None:
            return "The rows were imported from a bundle."
        if not self.stated:
            return "The scores were measured elsewhere; the figures were computed from them when they were imported."
        return (
            "The scores were measured elsewhere; the figures were computed from them when they were imported, but for "
            f"those of {', '.join(self.stated)} that the bundle states itself."
        )

    @property
    def facts(self) -> list[Fact]:
        """What the protocol strip says of it."""
        if self.draws is None:
            return []
        drawn = f"95% percentile bootstrap over documents, {count(self.draws)} draws, seed {self.seed}, V fixed"
        return [Fact("Intervals", f"{drawn}; computed at import")]


def read_imported_figures(head: RunHead) -> ImportedFigures:
    """What is known of it; all open for a run that was not imported, or by an earlier version."""
    record = json.loads(head.environment).get("computed_at_import")
    record = record if isinstance(record, dict) else {}
    draws, seed, stated = (record.get(key) for key in ("bootstrap_draws", "bootstrap_seed", "stated"))
    names = [name.replace("_", " ") for name in stated if isinstance(name, str)] if isinstance(stated, list) else []
    is_whole = isinstance(draws, int) and isinstance(seed, int)
    return ImportedFigures(draws if is_whole else None, seed if is_whole else None, names)
