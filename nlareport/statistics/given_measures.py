"""Figures of a cell from scores as they came from elsewhere: mean cosine, centred cosine, fve_meannorm, with intervals.

Takes `GivenScore` rows, returns `Measure` rows. The scores of an item's draws count as their mean.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from nlareport.rows.cell_rows import CellKey, Measure
from nlareport.rows.given_rows import GivenScore
from nlareport.rows.measures import MeasureName
from nlareport.statistics.document_draws import Column, DocumentDraws

AVERAGED: tuple[MeasureName, ...] = ("cosine", "centred_cosine", "fve_meannorm")
"""The definitions whose mean over a cell is a figure of its own."""


def given_measures(
    scores: Sequence[GivenScore], draws: DocumentDraws, known: Collection[tuple[CellKey, MeasureName]] = ()
) -> list[Measure]:
    """One row per cell and definition, in the order in which they come; those in `known` have none."""
    values: dict[tuple[CellKey, MeasureName], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = {str(name): name for name in AVERAGED}
    for score in scores:
        key = CellKey(score.source, score.target)
        if score.definition in names and (key, names[score.definition]) not in known:
            values[key, names[score.definition]][score.item_id].append(score.value)
    columns = [
        Column(np.array([np.mean(drawn) for drawn in by_item.values()]), draws.documents_of(by_item))
        for by_item in values.values()
    ]
    ends = draws.intervals(columns)
    return [
        Measure(*key, name, float(column.values.mean()), low, high, None, len(column.values))
        for (key, name), column, (low, high) in zip(values, columns, ends, strict=True)
    ]
