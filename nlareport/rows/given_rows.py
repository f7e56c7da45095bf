"""The table of scores as they came from elsewhere, under their own definitions.

What the columns mean to SQL users is said in the schema with ``COMMENT ON``; what absence means, here.
"""

from dataclasses import dataclass

from nlareport.rows.declaration import table
from nlareport.rows.run_rows import PairId


@table(key=("source", "target", "draw", "definition", "item_id"), bundle="given_scores")
@dataclass(frozen=True, slots=True)
class GivenScore:
    """One score of an item that was something else than `mse_nrm` or `fve_nrm` where it comes from."""

    item_id: int
    source: PairId
    target: PairId
    definition: str
    """A name of `statistics/score_definitions.py`."""
    value: float
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""
