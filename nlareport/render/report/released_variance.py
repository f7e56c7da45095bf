"""Reads the matrix under V of the releases, next to V of the run's own items, and says which V the scores use.

Takes a reader, the run's head and its pairs; returns rows and a sentence.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from nlareport.ports import RunReader
from nlareport.render.origins import Answer, ask
from nlareport.render.report.query_rows import RunHead
from nlareport.rows.run_rows import Pair, PairId


@dataclass(frozen=True, slots=True)
class VarianceRow:
    """One cell under both V (``released_variance``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    variance_nrm: float
    """V of the target over this run's items."""
    sidecar_variance_nrm: float
    """V of the target as its release states it."""
    fve_nrm: float
    ci_low: float | None
    ci_high: float | None
    released_fve_nrm: float
    released_low: float | None
    """None where the run's interval is not known to hold V fixed."""
    released_high: float | None
    ceiling_fraction: float | None
    released_ceiling_fraction: float | None
    """None where the diagonal, under that V, is not above 0."""


@dataclass(frozen=True, slots=True)
class Variances:
    """What the page says of V."""

    whose: str
    """A sentence: whose V the matrix is under."""
    cells: Answer[VarianceRow]
    without_release: list[str]
    """Labels of pairs, some of whose V is not known, so that no cell of theirs is carried to the other."""

    @property
    def has_intervals(self) -> bool:
        """Whether any interval could be carried along."""
        return any(row.released_low is not None for row in self.cells.rows)


def read_variances(reader: RunReader, head: RunHead, pairs: Sequence[Pair]) -> Variances:
    """The cells under both V, as far as the run's pairs state both."""
    without = [pair.label for pair in pairs if pair.variance_nrm is None or not pair.sidecar_variance_nrm]
    return Variances(whose(head, pairs), ask(reader, VarianceRow, "released_variance"), without)


def whose(head: RunHead, pairs: Sequence[Pair]) -> str:
    """Whose V the matrix is under, in a sentence."""
    if head.kind == "computed":
        return "Every score uses V of this run's own items, not the V that a release states."
    what = "published figures" if head.kind == "published" else "imported scores"
    if any(pair.variance_nrm is None for pair in pairs):
        return (
            f"The {what} do not state V over their items for every pair, nor whether their scores use it or the V that "
            "a release states."
        )
    if json.loads(head.environment).get("computed_at_import", {}).get("fve_nrm") == "computed":
        return (
            "Every fve_nrm was computed at import from mse_nrm and V of its target, given in §1 as the bundle states "
            "it; whether that V is of these very items, as it should be, the bundle does not say."
        )
    return f"The {what} state V of every pair, given in §1; they do not say whether their scores use it."
