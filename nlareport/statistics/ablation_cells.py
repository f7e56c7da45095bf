"""Ablation cells: what a change to the explanations leaves of a cell's score, and the paired drop it causes.

Takes scores and the errors of changed texts, returns `AblationCell` rows. Both are taken over the same items, so the
difference is paired, and its interval is that of the items' own differences.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import AblationCell
from nlareport.rows.item_rows import Ablation, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.document_draws import Column, DocumentDraws, interval
from nlareport.statistics.geometry import fve_nrm

Drawn = Float64[np.ndarray, " draw"] | None


@dataclass(frozen=True, slots=True)
class AblatedTexts:
    """Which texts of a run were changed, and how."""

    methods: Sequence[str] = ()
    """In the order in which the report lists them."""
    item_ids: Collection[int] = ()
    """The items whose texts were to be changed."""
    readable: Mapping[PairId, Collection[int]] = field(default_factory=dict)
    """Those of them for which a source wrote a text that is read, by source."""


@dataclass(frozen=True, slots=True)
class ChangedCell:
    """One cell under one change of its texts: `mse_nrm` of the items that have it both as written and changed."""

    source: PairId
    method: str
    ordinal: int
    errors: dict[int, tuple[float, float]]
    """By item: as written, and changed."""


def summarize_ablations(
    pairs: Sequence[Pair],
    scores: Sequence[Score],
    ablations: Sequence[Ablation],
    ablated: AblatedTexts,
    draws: DocumentDraws,
) -> list[AblationCell]:
    """A row per target, source and method, in their order; `pairs` say which of them read and which write.

    Raises:
        TooFewItems: V of a target is 0.
    """
    if not ablated.methods:
        return []
    written: dict[tuple[PairId, PairId], list[Score]] = defaultdict(list)
    for score in scores:
        if score.item_id in ablated.item_ids:
            written[score.source, score.target].append(score)
    changed: dict[tuple[PairId, PairId, str], list[Ablation]] = defaultdict(list)
    for row in ablations:
        changed[row.source, row.target, row.method].append(row)
    cells = []
    sources = [pair.pair_id for pair in pairs if pair.writes]
    for target in (pair.pair_id for pair in pairs if pair.reads):
        of_target = [
            changed_cell(source, method, ordinal, written[source, target], changed[source, target, method], readable)
            for source in sources
            for readable in [ablated.readable.get(source, ())]
            for ordinal, method in enumerate(ablated.methods)
        ]
        cells += ablation_cells(target, of_target, draws)
    return cells


def changed_cell(
    source: PairId,
    method: str,
    ordinal: int,
    scores: Sequence[Score],
    ablations: Sequence[Ablation],
    readable: Collection[int],
) -> ChangedCell:
    """The cell's errors in pairs, in item order; `scores` and `ablations` are the cell's.

    An item that is scored without a text to read (not among `readable`: `unclean: penalty`) has nothing to change
    and keeps its error. Of several draws those count that were changed, and an item has the mean over them.
    """
    changed = {(row.item_id, row.draw): row.mse_nrm for row in ablations}
    draws = {draw for _, draw in changed} or {0}
    errors: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for score in sorted(scores, key=lambda score: score.item_id):
        if score.draw not in draws:
            continue
        error = changed.get((score.item_id, score.draw)) if score.item_id in readable else score.mse_nrm
        if score.mse_nrm is not None and error is not None:
            errors[score.item_id].append((score.mse_nrm, error))
    return ChangedCell(source, method, ordinal, {item_id: _mean(pairs) for item_id, pairs in errors.items()})


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return fmean(written for written, _ in pairs), fmean(changed for _, changed in pairs)


def ablation_cells(target: PairId, changed: Sequence[ChangedCell], draws: DocumentDraws) -> list[AblationCell]:
    """One row per changed cell of a target, in their order; no value without an item scored both ways.

    Raises:
        TooFewItems: V of the target is 0.
    """
    columns = [column for cell in changed for column in _columns(cell, draws)]
    drawn = draws.means(columns)
    return [_row(target, cell, drawn[2 * place], drawn[2 * place + 1], draws) for place, cell in enumerate(changed)]


def _columns(cell: ChangedCell, draws: DocumentDraws) -> tuple[Column, Column]:
    """A cell's changed errors, and their differences from those as written."""
    written, changed = _errors(cell)
    return draws.column(changed, cell.errors), draws.column(changed - written, cell.errors)


def _errors(cell: ChangedCell) -> tuple[Float64[np.ndarray, " item"], Float64[np.ndarray, " item"]]:
    """As written, and changed."""
    written, changed = np.array(list(cell.errors.values()), dtype=np.float64).reshape(-1, 2).T
    return written, changed


def _row(target: PairId, cell: ChangedCell, changed: Drawn, difference: Drawn, draws: DocumentDraws) -> AblationCell:
    """One cell; `changed` is its mean changed error on each draw, `difference` that from as written."""
    scale = draws.on_scale(target)
    fve = drop = None
    if cell.errors:
        errors, after = _errors(cell)
        fve = float(fve_nrm(after, scale.variance or 0.0).mean())
        drop = float((after - errors).mean()) / (scale.variance or 0.0)
    low, high = interval(None if changed is None else scale.fve(changed))
    drop_low, drop_high = interval(None if difference is None else scale.share(difference))
    return AblationCell(
        source=cell.source,
        target=target,
        method=cell.method,
        ordinal=cell.ordinal,
        n_scored=len(cell.errors),
        fve_nrm=fve,
        ci_low=low,
        ci_high=high,
        fve_drop=drop,
        drop_low=drop_low,
        drop_high=drop_high,
    )
