"""The stage ``verbalize``: has every pair's verbalizer write an explanation of each of its activations."""

from collections.abc import Iterable
from typing import Any

from nlareport.batches import ActivationBatch
from nlareport.checks import Finding
from nlareport.experiment.experiment_file import Experiment
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Verbalizer
from nlareport.rows.item_rows import Explanation, Item
from nlareport.rows.run_rows import PairId
from nlareport.run.context import Work, item_ids, missing_batches, rows_at
from nlareport.run.first_batch_tests import find_writing_faults
from nlareport.run.missing_answers import Questions, answer_missing
from nlareport.run.stage import Stage
from nlareport.run.vector_origins import activations_of
from nlareport.stages import verbalize
from nlareport.stages.verbalize import Verbalized
from nlareport.store.run_file import RunFile


def verbalize_activations(work: Work) -> None:
    """Activations to explanations, one verbalizer at a time.

    Raises:
        RunIncomplete: an item's activation is not here.
    """

    def questions_of(pair_id: PairId, _spec: PairSpec) -> Questions[Verbalizer, ActivationBatch, Verbalized]:
        items = work.items()
        missing = set(work.run_file.item_ids_without_explanation(pair_id)) & item_ids(items)
        batches = missing_batches(items, missing, work.experiment.compute.batch_size)

        def begin() -> Iterable[ActivationBatch]:
            gold = activations_of(work, pair_id)
            return (rows_at(gold, batch) for batch in batches)

        def store(_vectors: ActivationBatch, said: Verbalized) -> int:
            # Together: a run that is killed never has an answer without its mark.
            work.run_file.append_all(said.explanations, said.marks)
            return len(said.explanations)

        title = f"verbalize {pair_id}"
        return Questions(title, "verbalizer", len(items), len(missing), begin, _answer, store, _examine)

    answer_missing(work, questions_of)


def _answer(model: Verbalizer, vectors: ActivationBatch) -> Verbalized:
    return verbalize.verbalize(vectors, model)


def _examine(model: Verbalizer, vectors: ActivationBatch, _said: Verbalized) -> list[Finding]:
    return find_writing_faults(model, vectors.vectors)


def _outstanding(work: Work) -> str | None:
    n_items, n_written = work.run_file.count(Item), _n_explanations(work.run_file, work.experiment)
    is_whole = n_items and n_written >= n_items * len(work.pairs)
    return None if is_whole else "not every item has its explanations yet"


def _stamp(run_file: RunFile, experiment: Experiment) -> dict[str, Any]:
    return {"n_explanations": _n_explanations(run_file, experiment)}


def _n_explanations(run_file: RunFile, experiment: Experiment) -> int:
    sources = {pair.pair_id for pair in experiment.pairs}
    return sum(row.source in sources for row in run_file.rows(Explanation))


VERBALIZE = Stage("verbalize", verbalize_activations, _outstanding, _stamp)
