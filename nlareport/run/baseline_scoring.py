"""Baselines: what answers other than explanations score on every cell, and how a linear map gains from more items.

Part of the scoring step. Everything but the plain text is arithmetic of activations in n×n Gram matrices, so that its
cost hardly depends on d_model.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nlareport.rows.cell_rows import Baseline, CellKey, LearningCurve
from nlareport.rows.item_rows import Item, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run.context import Work, scored_items
from nlareport.run.context_reading import plain_errors
from nlareport.statistics import ridge
from nlareport.statistics.baselines import Answers, estimate, nearest_of_others, neighbour_errors
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.geometry import Centred, Gram, best_constant_mse, gram

Errors = Float64[np.ndarray, " item"]
AnswersOf = Callable[[PairId, PairId, str, Errors], Answers]


@dataclass(frozen=True, slots=True)
class _Measured:
    """What all baselines of a run are made from; arrays hold one row per item, in the items' order."""

    pairs: list[Pair]
    draws: DocumentDraws
    centred: Mapping[PairId, Centred]
    grams: Mapping[PairId, Gram]

    @property
    def sources(self) -> list[Pair]:
        """What writes."""
        return [pair for pair in self.pairs if pair.writes]

    @property
    def targets(self) -> list[Pair]:
        """What reads and has its activations here."""
        return [pair for pair in self.pairs if pair.reads and pair.pair_id in self.grams]

    @property
    def seen_sources(self) -> list[Pair]:
        """What writes of activations that are here, which a map can start from."""
        return [pair for pair in self.sources if pair.pair_id in self.grams]


def score_baselines(
    work: Work,
    pairs: list[Pair],
    items: list[Item],
    scores: list[Score],
    centred: Mapping[PairId, Centred],
    draws: DocumentDraws,
) -> tuple[list[Baseline], list[LearningCurve]]:
    """Every baseline of every cell, on exactly the items the cell scored, and the linear map's learning curve.

    Maps and look-ups draw on all items, scored or not: they need no explanation.

    Raises:
        TooFewItems: a pair's V is 0.
        ZeroVector: the mean direction of a pair's activations has norm 0.
    """
    grams = {pair_id: gram(gold) for pair_id, gold in centred.items()}
    measured = _Measured(pairs, draws, centred, grams)
    scored = scored_items(pairs, scores)
    is_scored = {cell: np.array([item.item_id in known for item in items]) for cell, known in scored.items()}

    def answers(source: PairId, target: PairId, method: str, errors: Errors) -> Answers:
        return Answers(source, target, method, errors, is_scored[CellKey(source, target)])

    plain = plain_errors(work, items)
    columns = [*_constants(measured, answers), *_neighbours(measured, answers)]
    columns += [
        answers(source.pair_id, target.pair_id, f"last_{n_words}_words", plain[target.pair_id, n_words])
        for n_words in work.experiment.plain_words
        for source in measured.sources
        for target in measured.targets
    ]
    curve = list(_ridge(measured, answers))
    baselines, points = _rows(columns, curve, draws)
    kept, stored = work.kept, work.run_file
    baselines = [*kept.among(stored.rows(Baseline)), *kept.others(baselines)] if kept.sources else baselines
    return baselines, [*kept.among(stored.rows(LearningCurve)), *kept.others(points)] if kept.sources else points


def _rows(
    columns: list[Answers], curve: list[tuple[int, bool, Answers]], draws: DocumentDraws
) -> tuple[list[Baseline], list[LearningCurve]]:
    """All figures at once, so that the documents are drawn once."""
    found = estimate([*columns, *(answer for _, _, answer in curve)], draws)
    plain, fitted = found[: len(columns)], found[len(columns) :]
    baselines = [
        Baseline(answer.source, answer.target, answer.method, *figures)
        for answer, figures in zip(columns, plain, strict=True)
    ]
    points = []
    for (n_items, is_last, answer), figures in zip(curve, fitted, strict=True):
        points.append(LearningCurve(answer.source, answer.target, answer.method, n_items, *figures))
        if is_last:
            baselines.append(Baseline(answer.source, answer.target, answer.method, *figures))
    return baselines, points


def _constants(measured: _Measured, answers: AnswersOf) -> Iterator[Answers]:
    """The mean direction for every item."""
    for target in measured.targets:
        errors = best_constant_mse(measured.centred[target.pair_id])
        for source in measured.sources:
            yield answers(source.pair_id, target.pair_id, "best_constant", errors)


def _neighbours(measured: _Measured, answers: AnswersOf) -> Iterator[Answers]:
    """The activation at the item of another document that the source's activation finds most alike."""
    if measured.draws.documents.max(initial=0) == 0:
        return
    for source in measured.seen_sources:
        nearest = nearest_of_others(measured.grams[source.pair_id], measured.draws.documents)
        for target in measured.targets:
            errors = neighbour_errors(measured.grams[target.pair_id], nearest)
            yield answers(source.pair_id, target.pair_id, "nearest_neighbour", errors)


def _ridge(measured: _Measured, answers: AnswersOf) -> Iterator[tuple[int, bool, Answers]]:
    """The linear map between two pairs at every size of training, with the items it saw and whether that is all.

    From a pair to itself the map is the identity and says nothing.
    """
    sizes = ridge.training_sizes(measured.draws.documents)
    for source in measured.seen_sources:
        targets = [pair.pair_id for pair in measured.targets if pair is not source]
        for size in sizes:
            parts = ridge.folds(measured.draws.documents, size, measured.draws.seed)
            target_grams = [measured.grams[target] for target in targets]
            fit = ridge.fit_ridge(measured.grams[source.pair_id], target_grams, parts)
            for target, errors in zip(targets, fit.errors, strict=True):
                yield fit.n_items, size == sizes[-1], answers(source.pair_id, target, "ridge", errors)
