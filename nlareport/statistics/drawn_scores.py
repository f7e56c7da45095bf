"""The scores of every draw of an item, cell by cell: what spread and best-of-k are made from.

Takes `Score` rows of all draws; returns each item's scores by cell. A draw without a score is counted, not filled in.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nlareport.rows.cell_rows import CellKey
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId


@dataclass(frozen=True, slots=True)
class ItemDraws:
    """What the draws of one item score in one cell."""

    fve: list[float] = field(default_factory=list)
    """Of those that are scored, the lowest first."""
    n_unscored: int = 0

    @property
    def n_draws(self) -> int:
        """How many draws there are of the item."""
        return len(self.fve) + self.n_unscored


DrawnScores = Mapping[CellKey, Mapping[int, ItemDraws]]
"""By cell and item, in order of item; only items with a scored draw."""


def scores_by_draw(scores: Sequence[Score], variances: Mapping[PairId, float | None]) -> DrawnScores:
    """The scores of every cell; none where no item has a second draw.

    `variances` hold V by target, for rows that state an error alone; one whose V is not known either is unscored here.
    """
    if all(row.draw == 0 for row in scores):
        return {}
    found: dict[CellKey, dict[int, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for row in scores:
        found[CellKey(row.source, row.target)][row.item_id].append(_fve(row, variances.get(row.target)))
    return {
        key: {item_id: draws for item_id in sorted(items) if (draws := _item_draws(items[item_id])).fve}
        for key, items in found.items()
    }


def _item_draws(values: Sequence[float | None]) -> ItemDraws:
    known = sorted(value for value in values if value is not None)
    return ItemDraws(known, len(values) - len(known))


def _fve(score: Score, variance: float | None) -> float | None:
    if score.fve_nrm is not None or score.mse_nrm is None or not variance:
        return score.fve_nrm
    return 1.0 - score.mse_nrm / variance
