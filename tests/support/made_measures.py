"""Makes up rows for what accompanies the cells of `made_runs`, consistent with its scores, so that no audit objects."""

from statistics import mean

import numpy as np

from nlareport.rows.cell_rows import Cell, CellKey, Effect, Measure, SubsetRange
from nlareport.rows.item_rows import Activation, Alignment, Explanation, Item, Outlier, Resemblance, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.additive_effects import effects
from nlareport.statistics.context_overlap import compare_with_contexts, summarize_texts
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.graded_subsets import members, ranges
from nlareport.statistics.text_signs import find_text_signs

N_OTHERS = 119


def measure_rows(
    items: list[Item], pairs: list[Pair], alignments: list[Alignment], scores: list[Score], cells: list[Cell]
) -> list[list[object]]:
    """Groups of rows: outliers, activations, ranges with their cells, resemblances, measures, effects."""
    activations = [Activation(item.item_id, pair.pair_id, _atypicality(item, pair)) for item in items for pair in pairs]
    graded_ranges, graded_cells = [], []
    for target in pairs:
        properties = {
            "context": {r.item_id: float(r.token_index) for r in alignments if r.pair_id == target.pair_id},
            "norm": {r.item_id: r.activation_norm for r in alignments if r.pair_id == target.pair_id},
            "atypical": {r.item_id: r.atypicality for r in activations if r.pair_id == target.pair_id},
        }
        for prefix, values in properties.items():
            for subset in ranges(target.pair_id, prefix, np.array(list(values.values()))):
                graded_ranges.append(subset)
                graded_cells += _cells(subset, members(subset, values), pairs, scores)
    resemblances = [
        Resemblance(row.item_id, row.source, row.target, max(-1.0, row.fve_nrm), row.item_id % 3, N_OTHERS)
        for row in scores
        if row.fve_nrm is not None
    ]
    return [
        _outliers(items, pairs), activations, graded_ranges, graded_cells, resemblances,
        _measures(resemblances, cells), _effects(pairs, cells),
    ]  # fmt: skip


def look_rows(items: list[Item], pairs: list[Pair], explanations: list[Explanation]) -> list[list[object]]:
    """Groups of rows: signs of texts, words of contexts, summaries by source."""
    draws = DocumentDraws.of(items, n_draws=100, seed=7)
    overlaps = compare_with_contexts(explanations, items, draws)
    signs = find_text_signs(explanations, {item.item_id: item.context or "" for item in items})
    return [signs, overlaps, summarize_texts([pair.pair_id for pair in pairs], explanations, overlaps, draws)]


def _atypicality(item: Item, pair: Pair) -> float:
    return 0.01 * (1 + (item.item_id * 7) % 23) + 0.001 * pair.ordinal


def _outliers(items: list[Item], pairs: list[Pair]) -> list[Outlier]:
    first = pairs[0].pair_id
    flagged = [item.item_id for item in items if item.is_outlier]
    return [Outlier(n, pair.pair_id, "norm", 23.5 - pair.ordinal) for n in flagged for pair in pairs] + [
        Outlier(n, first, reason, value) for n in flagged for reason, value in (("near_duplicate", 2.0), ("sink", 23.5))
    ]


def _cells(subset: SubsetRange, chosen: frozenset[int], pairs: list[Pair], scores: list[Score]) -> list[Cell]:
    found = []
    fve: dict[PairId, float] = {}
    for source in sorted(pairs, key=lambda pair: pair.pair_id != subset.target):
        values = [
            row.fve_nrm
            for row in scores
            if (row.source, row.target) == (source.pair_id, subset.target)
            and row.item_id in chosen
            and row.fve_nrm is not None
        ]
        fve[source.pair_id] = mean(values)
        found.append(
            Cell(
                source.pair_id, subset.target, subset.subset, len(values), len(chosen) - len(values),
                mean(values), mean(values) - 0.06, mean(values) + 0.05, None, None, None, None, None,
                mean(values) / fve[subset.target] if fve[subset.target] > 0 else None,
            )
        )  # fmt: skip
    return found


def _measures(resemblances: list[Resemblance], cells: list[Cell]) -> list[Measure]:
    found = []
    for cell in cells:
        if cell.subset != "all":
            continue
        rows = [row for row in resemblances if (row.source, row.target) == (cell.source, cell.target)]
        values = {
            "centred_cosine": (mean(row.centred_cosine for row in rows), -0.012),
            "identified_of_2": (mean((row.n_others - row.n_nearer) / row.n_others for row in rows), 0.5),
            "identified_of_10": (0.91, 0.1),
            "identified_of_all": (mean(row.n_nearer == 0 for row in rows), 1 / (N_OTHERS + 1)),
        }
        if cell.source != cell.target and cell.ceiling_fraction is not None:
            values["ceiling_fraction"] = (cell.ceiling_fraction, None)
        found += [
            Measure(cell.source, cell.target, name, value, value - 0.04, value + 0.03, chance, len(rows))
            for name, (value, chance) in values.items()
        ]
    return found


def _effects(pairs: list[Pair], cells: list[Cell]) -> list[Effect]:
    values = {CellKey(cell.source, cell.target): cell.fve_nrm for cell in cells if cell.subset == "all"}
    fitted = effects([pair.pair_id for pair in pairs], values)
    return [Effect(row.pair_id, row.role, row.effect, row.effect - 0.021, row.effect + 0.019) for row in fitted]
