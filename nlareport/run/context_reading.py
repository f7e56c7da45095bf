"""The step that has reconstructors read the plain text before each item, where the experiment asks for it.

It does nothing unless the experiment lists `plain_words`. Answers are stored batch by batch like those of any step
that opens a model; what they come to is worked out with the scores.
"""

import numpy as np
from jaxtyping import Float64

from nlareport.experiment import PairSpec
from nlareport.rows.item_rows import Item, PlainReading
from nlareport.rows.run_rows import PairId
from nlareport.run.context import Work, rows_at, unfinished
from nlareport.run.models import READING_BATCHES
from nlareport.run.recorded_checkpoints import opened_reconstructor
from nlareport.run.vector_origins import activations_of
from nlareport.stages import context_words

Batch = tuple[int, list[Item]]
"""How many words are read, before which items."""


def read_plain_words(work: Work) -> None:
    """The last words before every item, in every number the experiment lists, to errors; one reconstructor at a time.

    Raises:
        RunIncomplete: an item's activation is not here.
        CheckpointDrift: a reconstructor's vectors and the activations differ in width.
    """
    if not work.experiment.plain_words:
        return
    for target, spec in work.pairs:
        n_total, todo = _outstanding(work, target)
        work.progress.stage(f"read plain text {target}", n_total, n_total - sum(len(batch) for _, batch in todo))
        if todo:
            _read_batches(work, target, spec, todo)


def n_unread(work: Work) -> int:
    """How many plain texts have not been read yet; 0 when the experiment asks for none."""
    return sum(len(batch) for target, _ in work.pairs for _, batch in _outstanding(work, target)[1])


def plain_errors(work: Work, items: list[Item]) -> dict[tuple[PairId, int], Float64[np.ndarray, " item"]]:
    """`mse_nrm` of every item's reading by target and number of words; NaN where it has none."""
    place = {item.item_id: number for number, item in enumerate(items)}
    found = {
        (target, n_words): np.full(len(items), np.nan)
        for target, _ in work.pairs
        for n_words in work.experiment.plain_words
    }
    for row in work.run_file.rows(PlainReading):
        if row.mse_nrm is not None and (row.target, row.n_words) in found:
            found[row.target, row.n_words][place[row.item_id]] = row.mse_nrm
    return found


def _outstanding(work: Work, target: PairId) -> tuple[int, list[Batch]]:
    """How many texts a target's reconstructor is to read in all, and those it has not read."""
    items = work.items()
    stored = {(row.n_words, row.item_id) for row in work.run_file.rows(PlainReading) if row.target == target}
    size = work.experiment.compute.batch_size * READING_BATCHES
    todo: list[Batch] = []
    for n_words in work.experiment.plain_words:
        missing = {item.item_id for item in items if (n_words, item.item_id) not in stored}
        todo += [(n_words, batch) for batch in unfinished(items, missing, size)]
    return len(items) * len(work.experiment.plain_words), todo


def _read_batches(work: Work, target: PairId, spec: PairSpec, todo: list[Batch]) -> None:
    gold = activations_of(work, target)
    with opened_reconstructor(work, spec) as reconstructor:
        for n_words, batch in todo:
            contexts = {item.item_id: item.context or "" for item in batch}
            rows = context_words.read_plain(contexts, n_words, rows_at(gold, batch), reconstructor)
            work.run_file.append(rows)
            work.progress.advance(len(rows))
