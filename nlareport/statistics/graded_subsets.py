"""Graded subsets: quarters of the items by left context, norm or atypicality, equal values kept together.

Takes golds, or rows with a number per item, returns `Activation` and `SubsetRange` rows. The range alone says which
items a subset holds, so that anyone can rebuild it from the run file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import SubsetRange
from nlareport.rows.item_rows import Activation, Alignment
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import Centred, best_constant_mse

N_GROUPS = 4


@dataclass(frozen=True, slots=True)
class Grades:
    """Each target's items in quarters, by the places and the activations it has there."""

    ranges: list[SubsetRange] = field(default_factory=list)
    members: dict[PairId, dict[str, frozenset[int]]] = field(default_factory=dict)
    """The items of each range, by target and subset."""


def atypicalities(gold: ActivationBatch, centred: Centred) -> list[Activation]:
    """1 - cos of every gold to their mean direction, in the batch's order; `centred` is the batch about its mean.

    Raises:
        ZeroVector: the mean has norm 0.
    """
    # Half the squared distance, not 1 - cos: where all share a direction, a cosine near 1 has lost its digits.
    values = best_constant_mse(centred) / 2.0
    return [
        Activation(item_id, gold.pair_id, value)
        for item_id, value in zip(gold.item_ids.tolist(), values.tolist(), strict=True)
    ]


def ranges(target: PairId, prefix: str, values: Float[np.ndarray, " item"]) -> list[SubsetRange]:
    """Up to four ranges, named `{prefix}_1` for the smallest values to `{prefix}_4`; one without items is left out.

    A range ends at the value that a quarter, half or three quarters of the items reach, however many share it.
    """
    if not len(values):
        return []
    shares = np.arange(1, N_GROUPS) / N_GROUPS
    borders = np.quantile(values, shares, method="inverted_cdf")
    group = np.searchsorted(borders, values, side="left")
    found = []
    for place in range(N_GROUPS):
        chosen = values[group == place]
        if len(chosen):
            found.append(
                SubsetRange(target, f"{prefix}_{place + 1}", float(chosen.min()), float(chosen.max()), len(chosen))
            )
    return found


def members(subset: SubsetRange, values: Mapping[int, float]) -> frozenset[int]:
    """The items whose value lies in the range."""
    return frozenset(item_id for item_id, value in values.items() if subset.low <= value <= subset.high)


def grade_items(
    targets: Sequence[PairId], alignments: Sequence[Alignment], activations: Sequence[Activation]
) -> Grades:
    """Quarters of the items by left context, by norm and by atypicality, for every target, as far as they are known."""
    found = Grades()
    for target in targets:
        places = [row for row in alignments if row.pair_id == target]
        properties: dict[str, dict[int, float]] = {
            "context": {row.item_id: float(row.token_index) for row in places},
            "norm": {row.item_id: row.activation_norm for row in places},
            "atypical": {row.item_id: row.atypicality for row in activations if row.pair_id == target},
        }
        found.members[target] = {}
        for prefix, values in properties.items():
            for subset in ranges(target, prefix, np.array(list(values.values()), dtype=np.float64)):
                found.ranges.append(subset)
                found.members[target][subset.subset] = members(subset, values)
    return found
