"""The stage ``reconstruct``: has every pair's reconstructor read the explanations of every pair back into vectors."""

from collections.abc import Iterable
from functools import cache

from nlareport.batches import ActivationBatch
from nlareport.checks import Finding
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Reconstructor
from nlareport.rows.run_rows import PairId
from nlareport.run.context import Work, Writing, missing_batches
from nlareport.run.first_batch_tests import find_reading_faults
from nlareport.run.missing_answers import READING_BATCHES, Questions, QuestionsOf, answer_missing, count_missing
from nlareport.run.stage import Stage
from nlareport.run.vector_origins import ReconstructionKeeper, reconstructed_ids
from nlareport.stages.reconstruct import reconstruct, scorable_text


def reconstruct_activations(work: Work) -> None:
    """Explanations to reconstructions: every source's texts, read by one target's reconstructor at a time."""
    answer_missing(work, _questions(work))


def _questions(work: Work) -> QuestionsOf:
    unclean, dtype, writings = work.experiment.scoring.unclean, work.experiment.compute.dtype, work.writings()

    def questions_of(target: PairId, _spec: PairSpec) -> Questions[Reconstructor, Writing, ActivationBatch]:
        n_total, todo = _find_missing(work, writings, target)
        # Made once the run has recorded the checkpoint: vectors say what they rest on.
        keeper = cache(lambda: ReconstructionKeeper(work))

        def begin() -> Iterable[Writing]:
            work.unscore()
            return todo

        def answer(model: Reconstructor, batch: Writing) -> ActivationBatch:
            return reconstruct(batch.explanations, unclean, target, model)

        def examine(model: Reconstructor, batch: Writing, found: ActivationBatch) -> list[Finding]:
            ordered = sorted(batch.explanations, key=lambda row: row.item_id)
            texts = [text for row in ordered if (text := scorable_text(row, unclean)) is not None]
            return find_reading_faults(model, texts, found.vectors, model.reconstruct, dtype)

        def store(batch: Writing, found: ActivationBatch) -> int:
            keeper().keep(batch, found)
            return len(batch.explanations)

        n_missing = sum(len(batch.explanations) for batch in todo)
        title = f"reconstruct {target}"
        return Questions(title, "reconstructor", n_total, n_missing, begin, answer, store, examine)

    return questions_of


def _find_missing(work: Work, writings: list[Writing], target: PairId) -> tuple[int, list[Writing]]:
    """How many explanations a target's reconstructor is to read in all, and those it has not read, in batches."""
    size, unclean = work.experiment.compute.batch_size * READING_BATCHES, work.experiment.scoring.unclean
    todo: list[Writing] = []
    n_total = 0
    for written in writings:
        if work.kept.holds(written.source, target):
            continue
        readable = [row for row in written.explanations if scorable_text(row, unclean) is not None]
        n_total += len(readable)
        missing = {row.item_id for row in readable} - reconstructed_ids(work, written, target)
        batches = missing_batches(readable, missing, size)
        todo += [Writing(written.source, written.draw, batch) for batch in batches]
    return n_total, todo


def _outstanding(work: Work) -> str | None:
    n_missing = count_missing(work, _questions(work))
    return f"{n_missing} explanations have not been reconstructed yet" if n_missing else None


RECONSTRUCT = Stage("reconstruct", reconstruct_activations, _outstanding)
