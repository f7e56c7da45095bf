"""What stands beside the cells: items graded by a target's properties, measures that need no V, effects.

A part of the score step, which stores what it returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import Effect, Measure, SubsetRange
from nlareport.rows.item_rows import Activation, Alignment, Item, Resemblance, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run.ablation import VarianceDraws
from nlareport.run.context import CellName, Work, document_of
from nlareport.statistics import additive_effects, graded_subsets, identification
from nlareport.statistics.geometry import Centred
from nlareport.statistics.resampling import variance_ratios
from nlareport.statistics.resemblance import CellResemblance


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
    cells = additive_effects.draw_cells(scores, documents, draws, seed, ratios)
    return {
        Resemblance: [row for of_cell in rows.values() for row in of_cell],
        Measure: [
            *identification.measure_cells(rows, floors, documents, draws, seed),
            *additive_effects.ceiling_fractions(cells),
        ],
        Effect: additive_effects.effects([pair.pair_id for pair in pairs], cells),
    }
