"""The context every stage gets (`Work`), and how stages select rows, items and vectors from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.engines import Engines
from nlareport.errors import RunIncomplete
from nlareport.experiment.experiment_file import Experiment
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Executor, Progress, in_batches
from nlareport.rows.cell_rows import CellKey
from nlareport.rows.item_rows import AnswerMark, Explanation, Item, Mark, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run.kept_cells import NOTHING_KEPT, KeptCells
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore

HasItem = TypeVar("HasItem", Item, Explanation)


@dataclass(frozen=True, slots=True)
class Writing:
    """What one source wrote of the items in one draw."""

    source: PairId
    draw: int
    explanations: list[Explanation] = field(default_factory=list)
    """In item order."""
    marks: dict[int, Mark] = field(default_factory=dict)
    """What is odd about its answers, by item."""


@dataclass(frozen=True)
class Work:
    """What every stage gets: the experiment, where results go, what computes, who watches."""

    experiment: Experiment
    reference: PairSpec
    """The pair in whose tokenization positions are drawn; it need not be one of those measured."""
    folder: Path
    """Where the experiment file's relative paths start."""
    run_file: RunFile
    activations: ActivationStore
    engines: Engines
    executor: Executor
    progress: Progress
    kept: KeptCells = NOTHING_KEPT
    """Cells that are not computed again, and pairs that are not opened."""

    @cached_property
    def pairs(self) -> list[tuple[PairId, PairSpec]]:
        """What has a base model, and so activations, in the experiment's order; without pairs that are elsewhere."""
        pairs = [(PairId(pair.pair_id), pair) for pair in self.experiment.pairs]
        return [(pair_id, pair) for pair_id, pair in pairs if pair_id not in self.kept.elsewhere]

    def unscore(self) -> None:
        """Marks the run as not scored: vectors that its scores rest on are about to be recomputed."""
        run = self.run_file.run()
        if "scored" in run.environment:
            kept = {name: fact for name, fact in run.environment.items() if name != "scored"}
            self.run_file.put([replace(run, environment=kept)])

    def items(self) -> list[Item]:
        """The run's items so far."""
        return self.run_file.rows(Item)

    def writings(self) -> list[Writing]:
        """What every source wrote in every draw: source by source in the pairs' order, also where it wrote nothing."""
        found = {
            (source, draw): Writing(source, draw)
            for source in self.experiment.sources
            for draw in range(self.experiment.n_draws(source))
        }
        for row in self.run_file.rows(Explanation):
            if (writing := found.get((row.source, row.draw))) is not None:
                writing.explanations.append(row)
        for mark in self.run_file.rows(AnswerMark):
            if (writing := found.get((mark.source, mark.draw))) is not None:
                writing.marks[mark.item_id] = mark.mark
        return list(found.values())


def missing_batches(rows: Sequence[HasItem], missing: set[int], size: int) -> list[list[HasItem]]:
    """The missing rows in batches cut at the same places in every call, so that a resumed run computes the same."""
    batches = ([row for row in batch if row.item_id in missing] for batch in in_batches(rows, size))
    return [batch for batch in batches if batch]


def item_ids(items: Iterable[HasItem]) -> set[int]:
    """The items' numbers."""
    return {item.item_id for item in items}


def rows_at(batch: ActivationBatch, items: Sequence[HasItem]) -> ActivationBatch:
    """The batch's rows of these items, in their order.

    Raises:
        RunIncomplete: an item has no row.
    """
    places = {item_id: place for place, item_id in enumerate(batch.item_ids.tolist())}
    n_missing = len(item_ids(items) - places.keys())
    if n_missing:
        raise RunIncomplete(
            f"Pair {batch.pair_id}: the activations of {n_missing} items are not here; run without --only first."
        )
    chosen = [places[item.item_id] for item in items]
    return replace(batch, item_ids=batch.item_ids[chosen], vectors=batch.vectors[chosen])


def among(batch: ActivationBatch, chosen: set[int]) -> ActivationBatch:
    """The batch's rows of these items, in the batch's order."""
    is_chosen = np.array([item_id in chosen for item_id in batch.item_ids.tolist()], dtype=bool)
    return replace(batch, item_ids=batch.item_ids[is_chosen], vectors=batch.vectors[is_chosen])


def scored_items(pairs: Iterable[Pair], scores: Iterable[Score]) -> dict[CellKey, set[int]]:
    """The items with an error, of every cell; a cell without one is there too."""
    names = [pair.pair_id for pair in pairs]
    scored: dict[CellKey, set[int]] = {CellKey(source, target): set() for source in names for target in names}
    for row in scores:
        if row.mse_nrm is not None:
            scored[CellKey(row.source, row.target)].add(row.item_id)
    return scored
