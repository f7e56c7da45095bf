"""The stage ``verbalize``: has every pair's verbalizer write explanations of each of its activations, draw by draw."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nlareport.batches import ActivationBatch, TokenDraws
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


@dataclass(frozen=True, slots=True)
class Asked:
    """Vectors to write of, and for which draw."""

    draw: int
    vectors: ActivationBatch


def verbalize_activations(work: Work) -> None:
    """Activations to explanations, one verbalizer at a time.

    Raises:
        RunIncomplete: an item's activation is not here.
    """
    n_draws = work.experiment.decoding.draws
    answer = partial(_answer, work.experiment)

    def questions_of(pair_id: PairId, _spec: PairSpec) -> Questions[Verbalizer, Asked, Verbalized]:
        items = work.items()
        batches = [(draw, batch) for draw in range(n_draws) for batch in _missing(work, pair_id, draw, items)]

        def begin() -> Iterable[Asked]:
            gold = activations_of(work, pair_id)
            return (Asked(draw, rows_at(gold, batch)) for draw, batch in batches)

        def store(_asked: Asked, said: Verbalized) -> int:
            # Together: a run that is killed never has an answer without its mark.
            work.run_file.append_all(said.explanations, said.marks)
            return len(said.explanations)

        n_total, n_missing = len(items) * n_draws, sum(len(batch) for _, batch in batches)
        return Questions(f"verbalize {pair_id}", "verbalizer", n_total, n_missing, begin, answer, store, _examine)

    answer_missing(work, questions_of)


def _missing(work: Work, source: PairId, draw: int, items: list[Item]) -> list[list[Item]]:
    """The items that a source has still to write of in one draw, in batches."""
    missing = set(work.run_file.item_ids_without_explanation(source, draw)) & item_ids(items)
    return missing_batches(items, missing, work.experiment.compute.batch_size)


def _answer(experiment: Experiment, model: Verbalizer, asked: Asked) -> Verbalized:
    return verbalize.verbalize(asked.vectors, model, asked.draw, token_draws(experiment, asked))


def token_draws(experiment: Experiment, asked: Asked) -> TokenDraws | None:
    """How the tokens of these answers are drawn; None where they are greedy.

    Each answer has its own random numbers, by the run's seed, the source, the item and the draw: so it is the same in
    any batch, and in a run that was stopped.
    """
    decoding, vectors = experiment.decoding, asked.vectors
    if decoding.is_greedy:
        return None
    names = [
        f"{experiment.sampling.seed}|tokens|{vectors.pair_id}|{item_id}|{asked.draw}"
        for item_id in vectors.item_ids.tolist()
    ]
    return TokenDraws(decoding.temperature, decoding.top_p, names)


def _examine(model: Verbalizer, asked: Asked, _said: Verbalized) -> list[Finding]:
    return find_writing_faults(model, asked.vectors.vectors)


def _outstanding(work: Work) -> str | None:
    n_items, n_written = work.run_file.count(Item), _n_explanations(work.run_file, work.experiment)
    experiment = work.experiment
    is_whole = n_items and n_written >= n_items * sum(map(experiment.n_draws, experiment.sources))
    return None if is_whole else "not every item has its explanations yet"


def _stamp(run_file: RunFile, experiment: Experiment) -> dict[str, Any]:
    # Of several draws the number too: a finished run of which more are asked for is not finished.
    n_draws = experiment.decoding.draws
    return {"n_explanations": _n_explanations(run_file, experiment), **({"draws": n_draws} if n_draws > 1 else {})}


def _n_explanations(run_file: RunFile, experiment: Experiment) -> int:
    sources = set(experiment.sources)
    return sum(row.source in sources for row in run_file.rows(Explanation))


VERBALIZE = Stage("verbalize", verbalize_activations, _outstanding, _stamp)
