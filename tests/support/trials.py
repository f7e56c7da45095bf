"""Simulates many measurements with a known truth, through the functions that a run uses.

Takes what an item's score is like and how many documents there are, returns intervals, verdicts and shares of trials.
Trials are computed in batches that share drawn documents, as the cells of a run do; every batch has its own seed, so
that no single set of draws decides a result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from nlareport.batches import ActivationBatch
from nlareport.checks import Replication
from nlareport.comparison import CellDifference, SharedItems
from nlareport.review.cell_differences import Measured, compare_cells
from nlareport.review.replication import replications
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Explanation, Item, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.resampling import bootstrap_ratios, percentile_interval
from nlareport.statistics.scores import measure_pair, score_cell

TRUTH = 0.6
"""Every cell's true fve_nrm."""
SPREAD = 0.2
"""Standard deviation of an item's fve_nrm, as on the pocket run, where the law does not say otherwise."""
VARIANCE = 0.5
AT_ONCE = 50
"""Trials of one batch."""
TARGET = PairId("target")

Law = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Numbers with mean 0."""


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def student(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with 3 degrees of freedom: heavy on both sides; variance 1."""
    return rng.standard_t(3, shape) / 3**0.5


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Log-normal errors: most items a little better than the mean, some far worse; variance 1, skewness −6.2."""
    deviation = (np.e * (np.e - 1)) ** 0.5
    return (np.exp(0.5) - np.exp(rng.standard_normal(shape))) / deviation


def sinks(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal, but 4 items in 1,000 lie 30 spreads lower: fve_nrm near −5.4, like attention sinks read abroad."""
    return rng.standard_normal(shape) - 30 * ((rng.random(shape) < 0.004) - 0.004)


@dataclass(frozen=True, slots=True)
class Design:
    """What is measured: documents, items of each, and how their scores vary."""

    n_documents: int
    items_per_document: int = 1
    law: Law = normal
    shared: float = 0.0
    """Part of the variance that the items of a document have in common: their intraclass correlation."""

    def draw(self, rng: np.random.Generator, trials: int) -> np.ndarray:
        """Deviations from the truth, item by trial, of variance SPREAD² where the law has variance 1."""
        of_document = np.repeat(self.law(rng, (self.n_documents, trials)), self.items_per_document, axis=0)
        of_item = self.law(rng, of_document.shape)
        return SPREAD * (self.shared**0.5 * of_document + (1 - self.shared) ** 0.5 * of_item)

    def documents(self) -> np.ndarray:
        return np.repeat(np.arange(self.n_documents), self.items_per_document)

    def error(self) -> float:
        """The true standard error of a mean over all items."""
        return SPREAD * (self.shared / self.n_documents + (1 - self.shared) / len(self.documents())) ** 0.5


def batches(trials: int) -> range:
    """Seeds, one a batch."""
    return range(trials // AT_ONCE)


def pair(pair_id: PairId, ordinal: int, variance: float = VARIANCE, mean_norm: float = 0.7) -> Pair:
    return Pair(pair_id, pair_id, "family", "base", 1, 4, None, None, variance, mean_norm, None, ordinal)


def items_of(documents: np.ndarray) -> list[Item]:
    return [
        Item(number, f"d:{document}", number, "x", None, "prose", None)
        for number, document in enumerate(documents.tolist())
    ]


def summarized(fve: np.ndarray, documents: np.ndarray, draws: int, seed: int) -> list[Cell]:
    """The cell of every column of scores, as a run states it: one source each, all read by one target."""
    sources = [PairId(f"source{number}") for number in range(fve.shape[1])]
    scores = [
        Score(number, source, TARGET, (1 - value) * VARIANCE, value)
        for source, column in zip(sources, fve.T.tolist(), strict=True)
        for number, value in enumerate(column)
    ]
    pairs = [pair(pair_id, ordinal) for ordinal, pair_id in enumerate([TARGET, *sources])]
    items = items_of(documents)
    cells = summarize(pairs, items, scores, [], DocumentDraws.of(items, draws, seed, pairs))
    return [cell for cell in cells if cell.subset == "all"]


def cell_trials(design: Design, trials: int, draws: int) -> list[Cell]:
    """Cells whose truth is TRUTH."""
    cells = []
    for seed in batches(trials):
        fve = TRUTH + design.draw(np.random.default_rng(seed), AT_ONCE)
        cells += summarized(fve, design.documents(), draws, seed)
    return cells


def mean_trials(design: Design, trials: int, draws: int, over_items: bool = False) -> list[tuple[float, float]]:
    """Intervals of means about TRUTH by the draws and percentiles `summarize` uses, without rows: for many items.

    `over_items` draws items instead of documents, to see what the wrong unit does.
    """
    per_unit = 1 if over_items else design.items_per_document
    intervals = []
    for seed in batches(trials):
        fve = TRUTH + design.draw(np.random.default_rng(seed), AT_ONCE)
        sums = fve.reshape(-1, per_unit, AT_ONCE).sum(axis=1)
        drawn = bootstrap_ratios(sums, np.full(sums.shape, float(per_unit)), draws, seed)
        intervals += [percentile_interval(means) for means in drawn.T]
    return intervals


def share_covering(intervals: Sequence[tuple[float | None, float | None]], truth: float = TRUTH) -> float:
    """How many of the intervals hold the truth."""
    return float(np.mean([low <= truth <= high for low, high in intervals if low is not None and high is not None]))


def cell_coverage(cells: Sequence[Cell], truth: float = TRUTH) -> float:
    """How often a cell's interval holds its truth."""
    return share_covering([(cell.ci_low, cell.ci_high) for cell in cells], truth)


def paired_trials(design: Design, difference: float, trials: int, draws: int) -> list[CellDifference]:
    """Cells of two runs on the same items, B truly `difference` above A.

    Items differ among themselves far more than a run moves them: what they share must not widen the interval.
    """
    n_pairs = round(AT_ONCE**0.5) + 1
    pairs = [pair(PairId(f"pair{number}"), number) for number in range(n_pairs)]
    keys = list(product([row.pair_id for row in pairs], repeat=2))[:AT_ONCE]
    documents = design.documents()
    places = range(len(documents))
    shared = SharedItems(
        "place",
        pl.DataFrame(
            {"item_a": places, "item_b": places, "document": documents, "doc_id": "d", "char_end": places,
             "token": "x", "context": None}
        ),
    )  # fmt: skip
    cells = []
    for seed in batches(trials):
        rng = np.random.default_rng(seed)
        a = TRUTH + 2 * SPREAD * rng.standard_normal((len(documents), AT_ONCE))
        runs = [_measured(pairs, keys, fve) for fve in (a, a + difference + design.draw(rng, AT_ONCE))]
        found, _ = compare_cells(*runs, shared, [], draws, seed)
        cells += found[: len(keys)]
    return cells


def _measured(pairs: list[Pair], keys: list[tuple[PairId, PairId]], fve: np.ndarray) -> Measured:
    n_items = len(fve)
    scores = pl.DataFrame(
        {
            "item_id": np.tile(np.arange(n_items), len(keys)),
            "source": [source for source, _ in keys for _ in range(n_items)],
            "target": [target for _, target in keys for _ in range(n_items)],
            "fve_nrm": fve.T.ravel(),
        }
    )
    means = fve.mean(axis=0).tolist()
    cells = [
        Cell(source, target, "all", n_items, 0, mean, *[None] * 8)
        for (source, target), mean in zip(keys, means, strict=True)
    ]
    return Measured(pairs, cells, scores, pl.DataFrame(), n_items)


def unpaired_trials(design: Design, difference: float, trials: int, draws: int) -> list[CellDifference]:
    """Cells of two runs that share no item, B truly `difference` above A: each with its own interval only."""
    cells = []
    for seed in batches(trials):
        rng = np.random.default_rng(seed)
        runs = [
            summarized(truth + design.draw(rng, AT_ONCE), design.documents(), draws, 2 * seed + side)
            for side, truth in enumerate((TRUTH, TRUTH + difference))
        ]
        cells += [_unpaired(a, b) for a, b in zip(*runs, strict=True)]
    return cells


def _unpaired(a: Cell, b: Cell) -> CellDifference:
    values = (a.fve_nrm, a.ci_low, a.ci_high, b.fve_nrm, b.ci_low, b.ci_high)
    moved = (b.fve_nrm or 0.0) - (a.fve_nrm or 0.0)
    return CellDifference(a.source, a.target, "", "", *values, None, None, moved, None, None, 0, 0, 0)


def verdicts(cells: Sequence[CellDifference], tolerance: float, n_items: int) -> list[Replication]:
    """What a check says of each cell."""
    return replications(cells, {(cell.source, cell.target): n_items for cell in cells}, tolerance)


def vector_trials(n_documents: int, trials: int, draws: int) -> tuple[list[Cell], list[Cell], float]:
    """Cells of whole vectors with V measured on the trial's own items: V held fixed, V drawn too, and the truth.

    The truth is that of 400,000 items. Directions are spread unevenly, so that V differs from sample to sample.
    """
    fixed, drawn = [], []
    documents = np.arange(n_documents)
    items = items_of(documents)
    texts = [Explanation(number, TARGET, "text", None, 1, "closed", is_clean=True) for number in documents.tolist()]
    for seed in range(trials):
        golds, answers = (ActivationBatch(TARGET, documents, rows) for rows in _vectors(seed, n_documents))
        measured = measure_pair(golds)
        scores = score_cell(TARGET, TARGET, golds, answers, texts, measured.variance_nrm, "unscored")
        pairs = [pair(TARGET, 0, measured.variance_nrm, measured.mean_norm)]
        fixed += summarize(pairs, items, scores, [], DocumentDraws.of(items, draws, seed, pairs))[:1]
        with_v = DocumentDraws.of(items, draws, seed, pairs, {TARGET: golds})
        drawn += summarize(pairs, items, scores, [], with_v)[:1]
    golds, answers = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in _vectors(-1, 400_000))
    truth = 1 - float(((golds - answers) ** 2).sum(axis=1).mean() / (1 - (golds.mean(axis=0) ** 2).sum()))
    return fixed, drawn, truth


def _vectors(seed: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Golds about a common direction, some farther from it than others, and reconstructions of them."""
    rng = np.random.default_rng(seed + 1)
    golds = np.ones(8) + np.exp(0.5 * rng.standard_normal((n_items, 1))) * rng.standard_normal((n_items, 8))
    return golds, golds + 0.6 * rng.standard_normal(golds.shape)
