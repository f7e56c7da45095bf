"""Measures of the cells: items graded by a target's properties, identification, ceiling fractions, additive effects.

Part of the scoring step, which stores what this returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import CellKey, Effect, Measure, SubsetRange
from nlareport.rows.item_rows import Activation, Alignment, Resemblance, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics import graded_subsets, identification
from nlareport.statistics.additive_effects import effects
from nlareport.statistics.ceiling_fractions import ceiling_measures
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.drawn_cells import draw_cells
from nlareport.statistics.geometry import Centred
from nlareport.statistics.identification import CellResemblance


@dataclass(frozen=True, slots=True)
class Grades:
    """Each target's items in quarters, by the places and the activations it has there."""

    activations: list[Activation] = field(default_factory=list)
    ranges: list[SubsetRange] = field(default_factory=list)
    members: dict[PairId, dict[str, frozenset[int]]] = field(default_factory=dict)
    """The items of each range, by target and subset."""


def grade_items(
    golds: Mapping[PairId, ActivationBatch],
    centred: Mapping[PairId, Centred],
    alignments: Mapping[PairId, Sequence[Alignment]],
) -> Grades:
    """Quarters of the items by left context, by norm and by atypicality, for every target.

    Raises:
        ZeroVector: the mean direction of a target's activations has norm 0.
    """
    found = Grades()
    for target, gold in golds.items():
        atypicalities = graded_subsets.atypicalities(gold, centred[target])
        places = alignments.get(target, ())
        properties: dict[str, dict[int, float]] = {
            "context": {row.item_id: float(row.token_index) for row in places},
            "norm": {row.item_id: row.activation_norm for row in places},
            "atypical": {row.item_id: row.atypicality for row in atypicalities},
        }
        found.activations.extend(atypicalities)
        found.members[target] = {}
        for prefix, values in properties.items():
            for subset in graded_subsets.ranges(target, prefix, np.array(list(values.values()), dtype=np.float64)):
                found.ranges.append(subset)
                found.members[target][subset.subset] = graded_subsets.members(subset, values)
    return found


def measure_cells(
    pairs: Sequence[Pair],
    scores: Sequence[Score],
    resemblances: Mapping[CellKey, CellResemblance],
    draws: DocumentDraws,
) -> dict[type, Sequence[object]]:
    """The rows of `resemblance`, `measure` and `effect`, by row type."""
    rows = {key: found.rows for key, found in resemblances.items()}
    floors = {key: found.others_cosine for key, found in resemblances.items()}
    cells = draw_cells(scores, draws)
    return {
        Resemblance: [row for of_cell in rows.values() for row in of_cell],
        Measure: [*identification.measure_cells(rows, floors, draws), *ceiling_measures(cells)],
        Effect: effects([pair.pair_id for pair in pairs], cells.values, cells.drawn),
    }
