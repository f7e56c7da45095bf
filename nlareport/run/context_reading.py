"""The stage ``read_plain``: has reconstructors read the last words of plain text before each item.

It does nothing unless the experiment lists `plain_words`. The scores of these readings become baselines.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nlareport.batches import ActivationBatch
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Reconstructor
from nlareport.rows.item_rows import Item, PlainReading
from nlareport.rows.run_rows import PairId
from nlareport.run.context import Work, missing_batches, rows_at
from nlareport.run.missing_answers import READING_BATCHES, Questions, QuestionsOf, answer_missing, count_missing
from nlareport.run.stage import Stage
from nlareport.run.vector_origins import activations_of
from nlareport.stages import context_words


@dataclass(frozen=True, slots=True)
class Contexts:
    """Plain texts to read, each cut to its last words, with the activations they are scored against."""

    n_words: int
    contexts: dict[int, str]
    gold: ActivationBatch


def read_plain_words(work: Work) -> None:
    """The last words before every item, in every number the experiment lists, to errors; one reconstructor at a time.

    Raises:
        RunIncomplete: an item's activation is not here.
        CheckpointDrift: a reconstructor's vectors and the activations differ in width.
    """
    if work.experiment.plain_words:
        answer_missing(work, _questions(work))


def _questions(work: Work) -> QuestionsOf:
    def questions_of(target: PairId, _spec: PairSpec) -> Questions[Reconstructor, Contexts, list[PlainReading]]:
        n_total, todo = _find_missing(work, target)

        def begin() -> Iterable[Contexts]:
            gold = activations_of(work, target)
            return (
                Contexts(n_words, {item.item_id: item.context or "" for item in batch}, rows_at(gold, batch))
                for n_words, batch in todo
            )

        def store(_contexts: Contexts, rows: list[PlainReading]) -> int:
            work.run_file.append(rows)
            return len(rows)

        n_missing = sum(len(batch) for _, batch in todo)
        return Questions(f"read plain text {target}", "reconstructor", n_total, n_missing, begin, _answer, store)

    return questions_of


def _answer(model: Reconstructor, asked: Contexts) -> list[PlainReading]:
    return context_words.read_plain(asked.contexts, asked.n_words, asked.gold, model)


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


def _find_missing(work: Work, target: PairId) -> tuple[int, list[tuple[int, list[Item]]]]:
    """How many texts a target's reconstructor is to read in all, and those it has not read, by number of words."""
    items = work.items()
    stored = {(row.n_words, row.item_id) for row in work.run_file.rows(PlainReading) if row.target == target}
    size = work.experiment.compute.batch_size * READING_BATCHES
    todo: list[tuple[int, list[Item]]] = []
    for n_words in work.experiment.plain_words:
        missing = {item.item_id for item in items if (n_words, item.item_id) not in stored}
        todo += [(n_words, batch) for batch in missing_batches(items, missing, size)]
    return len(items) * len(work.experiment.plain_words), todo


def _outstanding(work: Work) -> str | None:
    n_missing = count_missing(work, _questions(work))
    return f"{n_missing} plain texts have not been read yet" if n_missing else None


READ_PLAIN = Stage("read_plain", read_plain_words, _outstanding, keys=("plain_words",))
