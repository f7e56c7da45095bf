"""The row types of the report's named queries: one frozen dataclass per query.

Absence is always None; what it means is said at the field or in the query's head.
"""

import json
from dataclasses import dataclass

from nlareport.claims.answer_marks import ShownMark
from nlareport.render.report.answer_notes import answer_note
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Finish
from nlareport.rows.run_rows import PairId, RunKind


@dataclass(frozen=True, slots=True)
class RunHead:
    """The run row, its environment still JSON text (query ``report_run``)."""

    run_id: str
    title: str
    series_name: str | None
    series_number: int | None
    kind: RunKind
    experiment_yaml: str | None
    nlareport_version: str
    schema_version: int
    seed: int | None
    created_at: str
    environment: str

    @property
    def has_given_vectors(self) -> bool:
        """Whether its vectors were given, and read from no text."""
        return bool(json.loads(self.environment).get("vectors") == "given")


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was measured (``report_counts``)."""

    n_pairs: int
    n_families: int
    n_outliers: int | None
    """None when items were not judged."""
    n_items: int | None
    n_documents: int | None
    n_texts: int
    """Explanations the file holds, judged or not."""
    n_decodes: int | None
    n_clean: int | None
    null_low: float | None
    null_high: float | None
    nulls_per_cell: bool
    """False when only their range is known, or nothing."""


@dataclass(frozen=True, slots=True)
class HeroCell:
    """One of the cells a reader looks for first (``hero_cells``)."""

    figure: str
    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    fve_nrm: float
    ci_low: float | None
    ci_high: float | None
    ceiling_fraction: float | None


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One cell of the matrix, measured or not (``matrix``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    relation: str
    """same-model, cross-version, same-family, cross-family or text (the view ``cell_kind``)."""
    fve_nrm: float | None
    ci_low: float | None
    ci_high: float | None
    ceiling_fraction: float | None
    null_fve: float | None
    n_scored: int | None
    n_unscored: int | None
    ceiling: float | None

    @property
    def is_diagonal(self) -> bool:
        """Whether source and target are one pair."""
        return self.source == self.target


@dataclass(frozen=True, slots=True)
class TargetCeiling:
    """How close other models' texts come to one target's ceiling (``target_ceilings``)."""

    target: PairId
    target_label: str
    ceiling: float
    lowest: float
    highest: float
    mean_fraction: float


@dataclass(frozen=True, slots=True)
class SourceEffect:
    """One pair as writer and as reader (``source_effects``)."""

    pair_id: PairId
    label: str
    mean_as_source: float | None
    """None for a pair that does not write."""
    mean_as_target: float | None
    source_effect: float | None
    """None where the cross-model cells are too few to tell."""
    source_low: float | None
    """None where only figures are known."""
    source_high: float | None
    target_effect: float | None
    target_low: float | None
    target_high: float | None


@dataclass(frozen=True, slots=True)
class SubsetRow:
    """One cell over every subset of items (``subsets``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    fve_all: float | None
    all_low: float | None
    all_high: float | None
    fve_without_outliers: float | None
    without_outliers_low: float | None
    without_outliers_high: float | None
    fve_prose: float | None
    prose_low: float | None
    prose_high: float | None
    fve_punctuation: float | None
    punctuation_low: float | None
    punctuation_high: float | None
    fve_digits: float | None
    digits_low: float | None
    digits_high: float | None


@dataclass(frozen=True, slots=True)
class SubsetSize:
    """How many items a subset holds (``subset_sizes``)."""

    subset: str
    n_items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCell(Cell):
    """A cell with all its columns and its pairs' labels (``tails``)."""

    source_label: str
    target_label: str
    is_diagonal: bool


@dataclass(frozen=True, slots=True)
class SampleCard:
    """One item chosen for a card (``sample_cards``)."""

    kind: str
    rule: str
    item_id: int
    doc_id: str
    token: str
    context: str | None
    is_outlier: bool | None
    mean_fve: float | None
    mean_diagonal: float | None
    mean_crossing: float | None


@dataclass(frozen=True, slots=True)
class SampleExplanation:
    """What one source wrote of a sample item (``sample_explanations``)."""

    source: PairId
    source_label: str
    base_model: str | None
    block_index: int | None
    """None for a source of texts."""
    text: str | None
    completion: str | None
    is_clean: bool | None
    finish: Finish | None
    mark: ShownMark | None
    own_fve_nrm: float | None
    reads: bool
    """Whether it has a reconstructor of its own."""

    @property
    def note(self) -> str | None:
        """What is said of its form."""
        return answer_note(self.is_clean, self.mark)


@dataclass(frozen=True, slots=True)
class SampleScore:
    """A sample item's score in one cell (``sample_scores``)."""

    source: PairId
    target: PairId
    source_label: str
    target_label: str
    is_diagonal: bool
    fve_nrm: float | None
    unscored_reason: str | None


@dataclass(frozen=True, slots=True)
class ExplanationFacts:
    """One source's explanations as texts (``explanation_facts``); shares are from 0 to 1."""

    source: str
    source_label: str
    n_explanations: int
    n_distinct: int
    share_distinct: float
    median_words: float
    share_quoting: float
    share_ending_on_word: float
    """Whose last quoted span ends in the item's word."""
    share_holding_item: float
    """Whose last quoted span holds the item's token or word anywhere."""


@dataclass(frozen=True, slots=True)
class UnscoredReason:
    """One reason for which scores are missing (``unscored_reasons``)."""

    reason: str
    n_scores: int
    n_items: int


@dataclass(frozen=True, slots=True)
class AlignmentExtremes:
    """One pair's alignment and norms over all items (``alignment_extremes``)."""

    pair_id: PairId
    label: str
    n_items: int
    mean_char_error: float
    worst_char_error: int
    lowest_left_context: int
    least_left_context: int
    n_below_minimum: int
    median_norm: float
    largest_norm: float
    largest_over_median: float | None


@dataclass(frozen=True, slots=True)
class SkippedDocuments:
    """Documents that gave no item for one reason (``skipped_documents``)."""

    reason: str
    n_documents: int
