"""What stands beside the cells: items graded by a target's properties, measures that need no V, effects.

A part of the score step, which stores what it returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.geometry import Centred
from nlareport.measure_rows import Activation, Effect, Measure, Resemblance, SubsetRange
from nlareport.resampling import variance_ratios
from nlareport.rows import Alignment, Item, Pair, PairId, Score
from nlareport.stages import grade, identify, relate
from nlareport.stages.resemble import CellResemblance
from nlareport.steps.ablations import VarianceDraws
from nlareport.steps.work import CellName, Work, document_of


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
        atypicalities = grade.atypicalities(gold, centred[target])
        places = alignments.get(target, ())
        properties: dict[str, dict[int, float]] = {
            "context": {row.item_id: float(row.token_index) for row in places},
            "norm": {row.item_id: row.activation_norm for row in places},
            "atypical": {row.item_id: row.atypicality for row in atypicalities},
        }
        found.activations.extend(atypicalities)
        found.members[target] = {}
        for prefix, values in properties.items():
            for subset in grade.ranges(target, prefix, np.array(list(values.values()), dtype=np.float64)):
                found.ranges.append(subset)
                found.members[target][subset.subset] = grade.members(subset, values)
    return found


def measure_cells(
    work: Work,
    pairs: Sequence[Pair],
    items: Sequence[Item],
    scores: Sequence[Score],
    resemblances: Mapping[CellName, CellResemblance],
    variance_draws: VarianceDraws | None,
) -> dict[type, Sequence[object]]:
    """The rows of `resemblance`, `measure` and `effect`, by row type."""
    draws, seed = work.experiment.scoring.bootstrap_draws, work.experiment.sampling.seed
    # The same documents under the same numbers as everywhere in the run, so that all statistics share their draws.
    documents = document_of(items)
    rows = {key: found.rows for key, found in resemblances.items()}
    floors = {key: found.others_cosine for key, found in resemblances.items()}
    ratios = variance_ratios({pair.pair_id: pair.variance_nrm for pair in pairs}, variance_draws)
    cells = relate.draw_cells(scores, documents, draws, seed, ratios)
    return {
        Resemblance: [row for of_cell in rows.values() for row in of_cell],
        Measure: [
            *identify.measure_cells(rows, floors, documents, draws, seed),
            *relate.ceiling_fractions(cells),
        ],
        Effect: relate.effects([pair.pair_id for pair in pairs], cells),
    }
