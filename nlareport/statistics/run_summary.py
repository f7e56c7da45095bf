"""Summarizes a run: every table that follows from rows of single items, for computed and imported runs alike.

Takes the rows of a run (`ItemRows`), returns the rows of tables with one per cell, pair or subset. To derive one more
table from rows, add a function to `SUMMARIES`; a table whose rows nothing gives stays empty.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from nlareport.ports import Row
from nlareport.rows.cell_rows import AblationCell, Cell, CellKey, Effect, Measure, SubsetRange
from nlareport.rows.draw_rows import BestOfDraws, DrawSpread, TextAgreement
from nlareport.rows.given_rows import GivenScore
from nlareport.rows.item_rows import (
    Ablation,
    Activation,
    Alignment,
    Explanation,
    Item,
    NullScore,
    Outlier,
    PlainReading,
    Resemblance,
    Score,
    Tag,
)
from nlareport.rows.run_rows import Pair, Reducer
from nlareport.rows.tag_rows import TagDifference
from nlareport.rows.text_rows import ContextOverlap, TextSign, TextSummary
from nlareport.statistics.ablation_cells import AblatedTexts, summarize_ablations
from nlareport.statistics.additive_effects import cross_model_cells, effects
from nlareport.statistics.best_of_draws import best_of_draws
from nlareport.statistics.ceiling_fractions import ceiling_measures
from nlareport.statistics.cells import summarize
from nlareport.statistics.context_overlap import compare_with_contexts, summarize_texts
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.draw_folding import fold_null_scores, fold_scores
from nlareport.statistics.draw_spread import spread_of_draws
from nlareport.statistics.drawn_cells import DrawnCells, draw_cells
from nlareport.statistics.drawn_scores import DrawnScores, scores_by_draw
from nlareport.statistics.given_measures import given_measures
from nlareport.statistics.graded_subsets import Grades, grade_items
from nlareport.statistics.identification import measure_cells
from nlareport.statistics.outliers import find_outliers
from nlareport.statistics.tag_differences import compare_values
from nlareport.statistics.tag_subsets import TagSubset, tag_subsets
from nlareport.statistics.text_agreement import agreement_of_texts
from nlareport.statistics.text_signs import find_text_signs

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class ItemRows:
    """The rows of single items that a run has, and what its intervals are drawn from."""

    pairs: Sequence[Pair]
    """In order, each with its V where that is known."""
    items: Sequence[Item]
    draws: DocumentDraws
    """Those of `items`."""
    scores: Sequence[Score] = ()
    """Of every draw of an explanation."""
    null_scores: Sequence[NullScore] = ()
    resemblances: Sequence[Resemblance] = ()
    explanations: Sequence[Explanation] = ()
    alignments: Sequence[Alignment] = ()
    activations: Sequence[Activation] = ()
    given_scores: Sequence[GivenScore] = ()
    """Scores as they came from elsewhere."""
    ablations: Sequence[Ablation] = ()
    plain_readings: Sequence[PlainReading] = ()
    tags: Sequence[Tag] = ()
    ablated: AblatedTexts = field(default_factory=AblatedTexts)
    others_cosines: Mapping[CellKey, float | None] = field(default_factory=dict)
    """Mean centred cosine of a cell's reconstructions with the golds of all other documents; none where not known."""
    reducer: Reducer = "mean"
    are_judged: bool = False
    """Whether the items come with their flags, or with nothing to judge them by: then they are not judged here."""

    @cached_property
    def outliers(self) -> list[Outlier]:
        """The reasons for which items are flagged."""
        if self.are_judged:
            return []
        # Of texts without a model, such as labels, many may be alike and their items as good as any.
        models = {pair.pair_id for pair in self.pairs if pair.has_model}
        written = [row for row in self.explanations if row.source in models]
        return find_outliers(group(self.alignments, lambda row: row.pair_id), group(written, lambda row: row.source))

    @cached_property
    def judged_items(self) -> list[Item]:
        """The items, each judged an outlier or not."""
        if self.are_judged:
            return list(self.items)
        flagged = {row.item_id for row in self.outliers}
        return [replace(item, is_outlier=item.item_id in flagged) for item in self.items]

    @cached_property
    def item_scores(self) -> list[Score]:
        """One score per item and cell, over its draws."""
        return fold_scores(self.scores, self.reducer)

    @cached_property
    def drawn_scores(self) -> DrawnScores:
        """The scores of every draw, cell by cell; none where no item has a second draw."""
        return scores_by_draw(self.scores, {pair.pair_id: pair.variance_nrm for pair in self.pairs})

    @cached_property
    def grades(self) -> Grades:
        """The items in quarters, target by target."""
        return grade_items([pair.pair_id for pair in self.pairs if pair.reads], self.alignments, self.activations)

    @cached_property
    def tag_subsets(self) -> list[TagSubset]:
        """The items by what their tags say."""
        return tag_subsets(self.tags)

    @cached_property
    def drawn_cells(self) -> DrawnCells:
        """The matrix over all items on every draw of documents."""
        return draw_cells(self.item_scores, self.draws)


def summarize_run(rows: ItemRows) -> dict[type, Sequence[object]]:
    """The rows of every table that follows from a run's rows, by row type.

    Raises:
        TooFewItems: changed texts are to be compared and V of a target is 0.
    """
    return {row_type: found for summary in SUMMARIES for row_type, found in summary(rows).items()}


def summarize_tags(rows: ItemRows) -> dict[type, Sequence[object]]:
    """Those of these rows that depend on the tags of items."""
    return {**_cells(rows), **_tag_differences(rows)}


def _items(rows: ItemRows) -> dict[type, Sequence[object]]:
    return {Item: rows.judged_items, Outlier: rows.outliers}


def _cells(rows: ItemRows) -> dict[type, Sequence[object]]:
    nulls = fold_null_scores(rows.null_scores, rows.reducer)
    subsets = rows.grades.members, rows.tag_subsets
    cells = summarize(rows.pairs, rows.judged_items, rows.item_scores, nulls, rows.draws, *subsets)
    return {Cell: cells, SubsetRange: rows.grades.ranges}


def _measures(rows: ItemRows) -> dict[type, Sequence[object]]:
    resemblances = group(rows.resemblances, lambda row: CellKey(row.source, row.target))
    measures = measure_cells(resemblances, rows.others_cosines, rows.draws)
    stated = {(CellKey(row.source, row.target), row.measure) for row in measures}
    # A cell with errors has its own fve_meannorm.
    with_errors = {CellKey(score.source, score.target) for score in rows.scores if score.mse_nrm is not None}
    stated |= {(key, "fve_meannorm") for key in with_errors}
    measures += given_measures(rows.given_scores, rows.draws, stated)
    return {Measure: [*measures, *ceiling_measures(rows.drawn_cells)]}


def _effects(rows: ItemRows) -> dict[type, Sequence[object]]:
    cells = rows.drawn_cells
    crossing = cross_model_cells(rows.pairs, cells.values)
    return {Effect: effects([pair.pair_id for pair in rows.pairs], crossing, cells.drawn)}


def _ablation_cells(rows: ItemRows) -> dict[type, Sequence[object]]:
    return {AblationCell: summarize_ablations(rows.pairs, rows.scores, rows.ablations, rows.ablated, rows.draws)}


def _texts(rows: ItemRows) -> dict[type, Sequence[object]]:
    contexts = {item.item_id: item.context for item in rows.items if item.context}
    overlaps = compare_with_contexts(rows.explanations, rows.items, rows.draws)
    sources = [pair.pair_id for pair in rows.pairs]
    return {
        TextSign: find_text_signs(rows.explanations, contexts),
        ContextOverlap: overlaps,
        TextSummary: summarize_texts(sources, rows.explanations, overlaps, rows.draws),
    }


def _tag_differences(rows: ItemRows) -> dict[type, Sequence[object]]:
    pair_ids = [pair.pair_id for pair in rows.pairs]
    return {TagDifference: compare_values(pair_ids, rows.tag_subsets, rows.item_scores, rows.draws)}


def _draws(rows: ItemRows) -> dict[type, Sequence[object]]:
    scores, sources = rows.drawn_scores, [pair.pair_id for pair in rows.pairs]
    return {
        DrawSpread: spread_of_draws(scores, rows.draws),
        BestOfDraws: best_of_draws(scores, rows.draws),
        TextAgreement: agreement_of_texts(sources, rows.explanations, rows.draws),
    }


SUMMARIES: tuple[Callable[[ItemRows], Mapping[type, Sequence[object]]], ...] = (
    _items,
    _cells,
    _measures,
    _effects,
    _ablation_cells,
    _texts,
    _tag_differences,
    _draws,
)


def group(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """The rows by a key of theirs, in the order they come."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
