"""The stage ``reconstruct``: has every pair's reconstructor read the explanations of every pair back into vectors."""

from collections.abc import Iterable
from functools import cache

from nlareport.batches import ActivationBatch
from nlareport.checks import Finding
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Reconstructor
from nlareport.rows.item_rows import Explanation
from nlareport.rows.run_rows import PairId
from nlareport.run.context import Work, missing_batches
from nlareport.run.first_batch_tests import find_reading_faults
from nlareport.run.missing_answers import READING_BATCHES, Questions, QuestionsOf, answer_missing, count_missing
from nlareport.run.stage import Stage
from nlareport.run.vector_origins import ReconstructionKeeper, reconstructed_ids
from nlareport.stages.reconstruct import reconstruct, scorable_text

Batch = tuple[PairId, list[Explanation]]
"""Who wrote these explanations, and they."""


def reconstruct_activations(work: Work) -> None:
    """Explanations to reconstructions: every source's texts, read by one target's reconstructor at a time."""
    answer_missing(work, _questions(work))


def _questions(work: Work) -> QuestionsOf:
    unclean, dtype = work.experiment.scoring.unclean, work.experiment.compute.dtype

    def questions_of(target: PairId, _spec: PairSpec) -> Questions[Reconstructor, Batch, ActivationBatch]:
        n_total, todo = _find_missing(work, target)
        # Made once the run has recorded the checkpoint: vectors say what they rest on.
        keeper = cache(lambda: ReconstructionKeeper(work))

        def begin() -> Iterable[Batch]:
            work.unscore()
            return todo

        def answer(model: Reconstructor, batch: Batch) -> ActivationBatch:
            return reconstruct(batch[1], unclean, target, model)

        def examine(model: Reconstructor, batch: Batch, found: ActivationBatch) -> list[Finding]:
            ordered = sorted(batch[1], key=lambda row: row.item_id)
            texts = [text for row in ordered if (text := scorable_text(row, unclean)) is not None]
            return find_reading_faults(model, texts, found.vectors, model.reconstruct, dtype)

        def store(batch: Batch, found: ActivationBatch) -> int:
            source, explanations = batch
            keeper().keep(source, explanations, found)
            return len(explanations)

        n_missing = sum(len(batch) for _, batch in todo)
        title = f"reconstruct {target}"
        return Questions(title, "reconstructor", n_total, n_missing, begin, answer, store, examine)

    return questions_of


def _find_missing(work: Work, target: PairId) -> tuple[int, list[Batch]]:
    """How many explanations a target's reconstructor is to read in all, and those it has not read, in batches."""
    size, unclean = work.experiment.compute.batch_size * READING_BATCHES, work.experiment.scoring.unclean
    todo: list[Batch] = []
    n_total = 0
    for source, _ in work.pairs:
        readable = [row for row in work.explanations(source) if scorable_text(row, unclean) is not None]
        n_total += len(readable)
        missing = {row.item_id for row in readable} - reconstructed_ids(work, source, target)
        todo += [(source, batch) for batch in missing_batches(readable, missing, size)]
    return n_total, todo


def _outstanding(work: Work) -> str | None:
    n_missing = count_missing(work, _questions(work))
    return f"{n_missing} explanations have not been reconstructed yet" if n_missing else None


RECONSTRUCT = Stage("reconstruct", reconstruct_activations, _outstanding)
