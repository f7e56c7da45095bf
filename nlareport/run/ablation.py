"""The stage ``ablate``: has reconstructors read explanations that were changed on purpose, and scores what was lost.

It does nothing unless the experiment lists `ablations`. Of several draws the first alone is changed: what a change
costs is the difference of one text as written and changed, and more draws of it would cost as many readings again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nlareport.batches import ActivationBatch
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Reconstructor, Tokenizer
from nlareport.rows.ablation_methods import AblationMethod
from nlareport.rows.item_rows import Ablation, Explanation, Item
from nlareport.rows.run_rows import PairId
from nlareport.run.context import Work, Writing, item_ids, missing_batches, rows_at
from nlareport.run.missing_answers import READING_BATCHES, Questions, QuestionsOf, answer_missing, count_missing
from nlareport.run.stage import Stage
from nlareport.run.vector_origins import activations_of, reconstructions_of
from nlareport.stages import ablate, reconstruct
from nlareport.statistics.ablation_cells import AblatedTexts

Batch = tuple[PairId, AblationMethod, list[Explanation]]
Texts = dict[PairId, dict[int, str]]
FIRST_DRAW = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """Explanations of one source that are to be changed in one way, with what their readings are scored against."""

    source: PairId
    method: AblationMethod
    gold: ActivationBatch
    written: ActivationBatch
    """What the target made of them as they were written: a text that a change leaves alone is not read again."""
    tokenizer: Tokenizer
    """The target's, which cuts texts to a number of tokens."""


def ablate_explanations(work: Work) -> None:
    """Readable explanations, changed in every way the experiment lists, to errors; one reconstructor at a time.

    Raises:
        RunIncomplete: an explanation's activation is not here.
        CheckpointDrift: a reconstructor's vectors and the activations differ in width.
    """
    if work.experiment.ablations:
        answer_missing(work, _questions(work))


def _questions(work: Work) -> QuestionsOf:
    first, seed = _first_draw(work), work.experiment.sampling.seed
    texts = _texts(work, first)
    n_each = sum(len(of_source) for of_source in texts.values()) * len(work.experiment.ablations)
    todo = _find_missing(work, first, texts)

    def questions_of(target: PairId, spec: PairSpec) -> Questions[Reconstructor, Changes, list[Ablation]]:
        def begin() -> Iterable[Changes]:
            gold, tokenizer = activations_of(work, target), work.engines.base_model.tokenizer(spec)
            asked = {source for source, _, _ in todo[target]}
            written = {row.source: reconstructions_of(work, row, target) for row in first if row.source in asked}
            return (
                Changes(source, method, rows_at(gold, batch), written[source], tokenizer)
                for source, method, batch in todo[target]
            )

        def answer(model: Reconstructor, asked: Changes) -> list[Ablation]:
            of_source, vectors = texts[asked.source], (asked.gold, asked.written)
            return ablate.ablate(of_source, asked.source, asked.method, *vectors, seed, asked.tokenizer, model)

        def store(_asked: Changes, rows: list[Ablation]) -> int:
            work.run_file.append(rows)
            return len(rows)

        n_missing = sum(len(batch) for _, _, batch in todo[target])
        return Questions(f"ablate {target}", "reconstructor", n_each, n_missing, begin, answer, store)

    return questions_of


def find_ablated(work: Work, items: Sequence[Item]) -> AblatedTexts:
    """Which texts the experiment has changed, and how."""
    if not work.experiment.ablations:
        return AblatedTexts()
    texts = _texts(work, _first_draw(work))
    return AblatedTexts(work.experiment.ablations, item_ids(_ablated_items(work, items)), texts)


def _first_draw(work: Work) -> list[Writing]:
    return [written for written in work.writings() if written.draw == FIRST_DRAW]


def _find_missing(work: Work, first: list[Writing], texts: Texts) -> dict[PairId, list[Batch]]:
    """The changed texts that each target's reconstructor has not read."""
    stored: dict[tuple[PairId, PairId, str], set[int]] = defaultdict(set)
    for row in work.run_file.rows(Ablation):
        stored[row.source, row.target, row.method].add(row.item_id)
    size = work.experiment.compute.batch_size * READING_BATCHES
    readable = {
        written.source: [row for row in written.explanations if row.item_id in texts[written.source]]
        for written in first
    }
    return {
        target: [
            (source, method, batch)
            for source in texts
            for method in work.experiment.ablations
            for batch in missing_batches(readable[source], texts[source].keys() - stored[source, target, method], size)
        ]
        for target, _ in work.pairs
    }


def _ablated_items(work: Work, items: Sequence[Item]) -> Sequence[Item]:
    """The run's first items, as many as the experiment's `ablation_items` says."""
    return items[: work.experiment.ablation_items]


def _texts(work: Work, first: list[Writing]) -> Texts:
    """What each source wrote of the items to ablate, by item, where there is something to read."""
    chosen = item_ids(_ablated_items(work, work.items()))
    texts, unclean = {}, work.experiment.scoring.unclean
    for written in first:
        offered = {
            row.item_id: reconstruct.scorable_text(row, unclean, written.marks.get(row.item_id))
            for row in written.explanations
            if row.item_id in chosen
        }
        texts[written.source] = {item_id: text for item_id, text in offered.items() if text is not None}
    return texts


def _outstanding(work: Work) -> str | None:
    if not work.experiment.ablations:
        return None
    n_missing = count_missing(work, _questions(work))
    return f"{n_missing} changed explanations have not been read yet" if n_missing else None


ABLATE = Stage("ablate", ablate_explanations, _outstanding, keys=("ablations", "ablation_items"))
