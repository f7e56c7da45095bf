import random
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Item, NullScore, Score, Stratum
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.cells import SUBSETS
from nlareport.statistics.cells import summarize as summarize_drawn
from nlareport.statistics.document_draws import DocumentDraws, VarianceScale
from nlareport.statistics.geometry import variance_nrm
from nlareport.statistics.resampling import bootstrap_columns, percentile_interval

A, B = PairId("a"), PairId("b")
STRATA: list[Stratum] = ["digits", "punctuation", "prose"]


def pair(pair_id: PairId, ordinal: int, variance: float | None = 0.5, mean_norm: float | None = 0.5**0.5) -> Pair:
    return Pair(pair_id, pair_id, "family", "base", 1, 4, None, None, variance, mean_norm, None, ordinal)


PAIRS = [pair(A, 0), pair(B, 1)]


def item(item_id: int, *, document: int | None = None, stratum: Stratum = "prose", is_outlier: bool | None = False):
    return Item(item_id, f"d{item_id if document is None else document}", 9, "x", None, stratum, is_outlier)


def score(item_id: int, mse: float | None, source: PairId = A, target: PairId = A, variance: float = 0.5) -> Score:
    if mse is None:
        return Score(item_id, source, target, None, None, "no explanation was written")
    return Score(item_id, source, target, mse, 1 - mse / variance)


def summarize(
    pairs: list[Pair],
    items: list[Item],
    scores: list[Score],
    nulls: list[NullScore],
    draws: int,
    seed: int,
    variance_draws: dict[PairId, np.ndarray] | None = None,
    graded: dict[PairId, dict[str, Collection[int]]] | None = None,
) -> list[Cell]:
    """The cells, with intervals from draws of these items alone."""
    drawn = DocumentDraws.of(items, draws, seed, pairs)
    scales = {row.pair_id: VarianceScale(row.variance_nrm, (variance_draws or {}).get(row.pair_id)) for row in pairs}
    return summarize_drawn(pairs, items, scores, nulls, replace(drawn, scales=scales), graded)


def means_of(values: list[float], documents: list[int], draws: int, seed: int, n_documents: int) -> np.ndarray:
    """The mean of values on every draw of documents, drawn without a run."""
    return bootstrap_columns([(np.array(values), np.array(documents))], n_documents, draws, seed)[:, 0]


def cell(cells: list[Cell], source: PairId = A, target: PairId = A, subset: str = "all") -> Cell:
    (found,) = [row for row in cells if (row.source, row.target, row.subset) == (source, target, subset)]
    return found


def test_a_worked_cell():
    items = [item(n) for n in range(4)]
    scores = [score(0, 0.1), score(1, 0.2), score(2, 0.6), score(3, None)]
    nulls = [NullScore(n, A, A, 0, mse) for n, mse in enumerate([0.9, 1.0, 1.1])]
    found = cell(summarize(PAIRS, items, scores, nulls, draws=200, seed=1))
    assert (found.n_scored, found.n_unscored) == (3, 1)
    # fve_nrm of the items: 0.8, 0.6, -0.2
    assert found.fve_nrm == pytest.approx(0.4)
    assert found.median == pytest.approx(0.6)
    assert found.trimmed_mean == pytest.approx(0.4)
    assert found.share_below_zero == pytest.approx(1 / 3)
    assert found.fve_meannorm == pytest.approx(1 - 0.3 / (2 * (1 - 0.5**0.5)))
    assert found.null_fve == pytest.approx(-1)
    assert found.ceiling_fraction == 1.0


errors = st.lists(st.floats(0, 4), min_size=2, max_size=25)


@given(errors, st.floats(0.03, 0.95))
def test_a_cell_is_one_minus_mean_mse_over_v_and_the_mean_of_its_items(mse, variance):
    items = [item(n) for n in range(len(mse))]
    scores = [score(n, value, variance=variance) for n, value in enumerate(mse)]
    found = cell(summarize([pair(A, 0, variance)], items, scores, [], draws=100, seed=1))
    assert found.fve_nrm == pytest.approx(1 - np.mean(mse) / variance, abs=1e-9)
    assert found.fve_nrm == pytest.approx(np.mean([row.fve_nrm for row in scores]), abs=1e-9)
    assert found.trimmed_mean == pytest.approx(trim_mean([row.fve_nrm for row in scores], 0.1), abs=1e-9)


@given(errors)
def test_unscored_items_do_not_move_fve_nrm(mse):
    scores = [score(n, value) for n, value in enumerate(mse)]
    unscored = [score(n + len(mse), None) for n in range(5)]
    items = [item(n) for n in range(len(mse) + 5)]
    with_them = cell(summarize(PAIRS, items, scores + unscored, [], draws=100, seed=1))
    without = cell(summarize(PAIRS, items, scores, [], draws=100, seed=1))
    assert replace(with_them, n_unscored=0) == without
    assert with_them.n_unscored == 5


def run_of(n_items: int) -> tuple[list[Item], list[Score], list[NullScore]]:
    """Two items per document, all strata, a few outliers and unscored items, all four cells."""
    rng = random.Random(1)
    items = [
        item(n, document=n // 2, stratum=rng.choice(STRATA), is_outlier=rng.random() < 0.1) for n in range(n_items)
    ]
    keys = [(n, source, target) for n in range(n_items) for source in (A, B) for target in (A, B)]
    scores = [score(n, rng.random() if rng.random() < 0.9 else None, s, t) for n, s, t in keys]
    nulls = [NullScore(n, s, t, p, 1 + rng.random()) for n, s, t in keys for p in range(2)]
    return items, scores, nulls


def test_cells_do_not_depend_on_row_order_and_repeat_for_a_seed():
    items, scores, nulls = run_of(40)
    cells = summarize(PAIRS, items, scores, nulls, draws=100, seed=7)
    shuffled = [random.Random(2).sample(rows, len(rows)) for rows in (PAIRS, items, scores, nulls)]
    assert summarize(*shuffled, draws=100, seed=7) == cells
    assert summarize(PAIRS, items, scores, nulls, draws=100, seed=8) != cells


def test_cells_come_in_the_pairs_order_with_every_subset():
    cells = summarize([pair(A, 1), pair(B, 0)], *run_of(20), draws=100, seed=1)
    keys = [(source, target, subset) for source in (B, A) for target in (B, A) for subset in SUBSETS]
    assert [(row.source, row.target, row.subset) for row in cells] == keys


def test_subsets_hold_the_items_they_are_named_for():
    items = [
        item(0, stratum="digits"),
        item(1, stratum="prose"),
        item(2, stratum="prose", is_outlier=True),
        item(3, stratum="prose", is_outlier=None),
        item(4, stratum="punctuation"),
        item(5, stratum="punctuation"),
    ]
    cells = summarize(PAIRS, items, [score(n, 0.1 * n) for n in range(6)], [], draws=100, seed=1)
    counts = {subset: cell(cells, subset=subset).n_scored for subset in SUBSETS}
    assert counts == {"all": 6, "without_outliers": 4, "digits": 1, "punctuation": 2, "prose": 3}


def test_a_subset_without_a_score_is_a_row_without_values():
    found = cell(summarize(PAIRS, [item(0), item(1)], [score(0, 0.1), score(1, None)], [], 100, 1), subset="digits")
    assert (found.n_scored, found.n_unscored) == (0, 0)
    values = [found.fve_nrm, found.ci_low, found.ci_high, found.fve_meannorm, found.median, found.trimmed_mean]
    assert [*values, found.share_below_zero, found.null_fve, found.ceiling_fraction] == [None] * 9


def test_items_of_one_document_have_no_interval():
    items = [item(n, document=n // 3) for n in range(6)]
    one = cell(summarize(PAIRS, items, [score(n, 0.1 * n) for n in range(3)], [], draws=100, seed=1))
    assert one.fve_nrm is not None
    assert (one.ci_low, one.ci_high) == (None, None)
    two = cell(summarize(PAIRS, items, [score(n, 0.1 * n) for n in range(6)], [], draws=100, seed=1))
    assert two.ci_low < two.fve_nrm < two.ci_high


def test_the_interval_is_the_bootstrap_over_documents_of_the_items_fve_nrm():
    items, scores, nulls = run_of(40)
    found = cell(summarize(PAIRS, items, scores, nulls, draws=300, seed=5), A, B)
    mine = [row for row in scores if (row.source, row.target) == (A, B) and row.fve_nrm is not None]
    means = means_of([row.fve_nrm for row in mine], [row.item_id // 2 for row in mine], 300, 5, n_documents=20)
    low, high = percentile_interval(means)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))


def test_a_ceiling_fraction_is_the_cell_over_its_targets_diagonal():
    items = [item(0), item(1)]
    scores = [score(n, mse, s, t) for n in (0, 1) for s, t, mse in [(A, A, 0.1), (B, A, 0.3), (A, B, 0.2), (B, B, 0.6)]]
    cells = summarize(PAIRS, items, scores, [], draws=100, seed=1)
    assert cell(cells, B, A).ceiling_fraction == pytest.approx(0.4 / 0.8)
    # The diagonal of b is -0.2: a share of less than nothing is no share.
    assert cell(cells, A, B).ceiling_fraction is None
    alone = summarize(PAIRS, items, [score(n, 0.3, B, A) for n in (0, 1)], [], draws=100, seed=1)
    assert cell(alone, B, A).ceiling_fraction is None


def test_a_bundle_with_fve_nrm_alone_has_a_cell_without_what_needs_v():
    scores = [Score(n, A, A, None, fve) for n, fve in enumerate([0.2, 0.6])]
    nulls = [NullScore(0, A, A, 0, 1.0)]
    found = cell(summarize([pair(A, 0, None, None)], [item(0), item(1)], scores, nulls, draws=100, seed=1))
    assert found.fve_nrm == pytest.approx(0.4)
    assert found.ci_low == pytest.approx(0.2)
    assert (found.fve_meannorm, found.null_fve) == (None, None)


def test_a_bundle_with_mse_nrm_alone_gets_fve_nrm_where_v_is_known():
    scores = [Score(n, A, A, mse, None) for n, mse in enumerate([0.1, 0.2])]
    items = [item(0), item(1)]
    assert cell(summarize(PAIRS, items, scores, [], 100, 1)).fve_nrm == pytest.approx(0.7)
    without = cell(summarize([pair(A, 0, None)], items, scores, [], 100, 1))
    assert (without.n_scored, without.fve_nrm, without.median) == (2, None, None)
    assert without.fve_meannorm == pytest.approx(1 - 0.15 / (2 * (1 - 0.5**0.5)))


def test_nulls_of_items_outside_a_subset_do_not_move_its_null():
    items = [item(0, stratum="digits"), item(1)]
    nulls = [NullScore(0, A, A, 0, 1.0), NullScore(1, A, A, 0, 3.0)]
    cells = summarize(PAIRS, items, [score(0, 0.1), score(1, 0.1)], nulls, draws=100, seed=1)
    assert cell(cells).null_fve == pytest.approx(-3)
    assert cell(cells, subset="digits").null_fve == pytest.approx(-1)


def test_a_resampled_v_moves_intervals_and_not_values():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((30, 6)) + 1.0
    items = [item(n, document=n // 2) for n in range(30)]
    order = rng.permutation(30)
    variance = variance_nrm(vectors)
    a = pair(A, 0, variance)
    turned = DocumentDraws.of(items, 200, 4, [a], {A: ActivationBatch(A, order, vectors[order])})
    straight = DocumentDraws.of(items[::-1], 200, 4, [a], {A: ActivationBatch(A, np.arange(30), vectors)})
    draws = turned.on_scale(A).drawn
    assert draws == pytest.approx(straight.on_scale(A).drawn)
    assert draws.min() < variance < draws.max()
    scores = [score(n, mse, variance=variance) for n, mse in enumerate(rng.random(30))]
    fixed = cell(summarize([pair(A, 0, variance)], items, scores, [], draws=200, seed=4))
    drawn = cell(summarize([pair(A, 0, variance)], items, scores, [], draws=200, seed=4, variance_draws={A: draws}))
    assert (drawn.ci_low, drawn.ci_high) != (fixed.ci_low, fixed.ci_high)
    assert replace(drawn, ci_low=fixed.ci_low, ci_high=fixed.ci_high) == fixed


def test_intervals_follow_the_v_draws_of_the_target_and_not_of_the_source():
    items = [item(n) for n in range(12)]
    pairs = [pair(A, 0, 0.5), pair(B, 1, 0.25)]
    scores = [
        score(n, 0.1 + 0.02 * n, s, t, 0.5 if t == A else 0.25) for n in range(12) for s in (A, B) for t in (A, B)
    ]

    def intervals(variance_draws: dict[PairId, np.ndarray]) -> dict[tuple[PairId, PairId], tuple[float, float]]:
        cells = summarize(pairs, items, scores, [], draws=200, seed=3, variance_draws=variance_draws)
        return {(row.source, row.target): (row.ci_low, row.ci_high) for row in cells if row.subset == "all"}

    fixed = intervals({})
    # Twice the variance in every draw: errors are half as large a share of it.
    doubled = intervals({A: np.full(200, 1.0)})
    for source in (A, B):
        low, high = fixed[source, A]
        assert doubled[source, A] == pytest.approx((1 - (1 - low) / 2, 1 - (1 - high) / 2))
        assert doubled[source, B] == fixed[source, B]


def test_a_draw_without_variance_is_left_out_of_the_interval():
    items, scores = [item(n) for n in range(6)], [score(n, 0.1 * n) for n in range(6)]
    some = np.where(np.arange(200) < 100, 0.5, np.nan)
    found = cell(summarize(PAIRS, items, scores, [], draws=200, seed=3, variance_draws={A: some}))
    means = means_of([row.fve_nrm for row in scores], list(range(6)), 200, 3, n_documents=6)
    assert (found.ci_low, found.ci_high) == pytest.approx(percentile_interval(means[:100]))


def test_graded_subsets_belong_to_their_target_alone_and_come_last():
    items = [item(n) for n in range(5)]
    scores = [score(n, 0.1 * (n + 1), A, t) for n in range(5) for t in (A, B)]
    graded = {B: {"short": {4, 1}, "none": []}}
    cells = summarize(PAIRS, items, scores, [], draws=100, seed=1, graded=graded)
    assert [row.subset for row in cells if row.target == A] == list(SUBSETS)
    assert [row.subset for row in cells if row.target == B] == [*SUBSETS, "short", "none"]
    short = cell(cells, A, B, "short")
    # mse 0.5 and 0.2 of items 4 and 1: fve 0 and 0.6.
    assert (short.n_scored, short.fve_nrm) == (2, pytest.approx(0.3))
    assert cell(cells, A, B, "none").n_scored == 0


def test_a_run_without_items_has_no_cells():
    assert summarize(PAIRS, [], [], [], draws=100, seed=1) == []


def test_a_tenth_of_the_items_is_cut_from_either_end_before_the_trimmed_mean():
    fve = [-50.0, -1.0, *[0.2] * 17, 0.6, 0.9, 900.0]
    scores = [Score(n, A, A, None, value) for n, value in enumerate(fve)]
    items = [item(n) for n in range(22)]
    # Two of 22 go at either end.
    assert cell(summarize(PAIRS, items, scores, [], 100, 1)).trimmed_mean == pytest.approx((17 * 0.2 + 0.6) / 18)


def test_half_known_scores_are_filled_in_item_by_item_and_whole_ones_stay_as_they_were_stated():
    # The last was rounded by whoever stated it.
    scores = [Score(0, A, A, 0.1, None), Score(1, A, A, None, 0.4), Score(2, A, A, 0.26, 0.5)]
    found = cell(summarize(PAIRS, [item(n) for n in range(4)], scores, [], 100, 1))
    # V is 0.5: fve 0.8, 0.4, 0.5 and mse 0.1, 0.3, 0.26.
    assert (found.n_scored, found.n_unscored) == (3, 0)
    assert found.fve_nrm == pytest.approx(1.7 / 3)
    assert found.median == pytest.approx(0.5)
    assert found.fve_meannorm == pytest.approx(1 - (0.66 / 3) / (2 * (1 - 0.5**0.5)))


def test_a_score_of_0_is_not_below_0():
    scores = [Score(n, A, A, None, fve) for n, fve in enumerate([0.0, -0.1, 0.5, 0.2])]
    assert cell(summarize(PAIRS, [item(n) for n in range(4)], scores, [], 100, 1)).share_below_zero == 0.25


def test_a_ceiling_of_0_is_no_ceiling():
    items = [item(0), item(1)]
    scores = [score(n, mse, s, A) for n in (0, 1) for s, mse in [(A, 0.5), (B, 0.25)]]
    cells = summarize(PAIRS, items, scores, [], draws=100, seed=1)
    assert cell(cells, A, A).fve_nrm == 0.0
    assert cell(cells, B, A).ceiling_fraction is None


def test_golds_of_one_direction_have_no_fraction_about_their_best_guess():
    scores = [score(n, 0.1) for n in range(2)]
    cells = summarize([pair(A, 0, mean_norm=1 - 1e-13)], [item(0), item(1)], scores, [], draws=100, seed=1)
    assert cell(cells).fve_meannorm is None
    assert cell(cells).fve_nrm == pytest.approx(0.8)


def test_a_subset_in_one_document_has_no_interval_beside_one_that_has():
    items = [item(0, document=0, stratum="digits"), item(1, document=0, stratum="digits"), item(2, document=1)]
    cells = summarize(PAIRS, items, [score(n, 0.1 * n) for n in range(3)], [], draws=200, seed=1)
    assert cell(cells).ci_low is not None
    assert cell(cells, subset="digits").fve_nrm == pytest.approx(0.9)
    assert cell(cells, subset="digits").ci_low is None


def test_documents_without_a_score_are_drawn_too():
    items = [item(n) for n in range(3)]
    scores = [score(0, 0.1), score(1, 0.4), score(2, None)]
    found = cell(summarize(PAIRS, items, scores, [], draws=300, seed=9))
    means = means_of([0.8, 0.2], [0, 1], 300, 9, n_documents=3)
    assert np.isnan(means).any()
    assert (found.ci_low, found.ci_high) == pytest.approx(percentile_interval(means))


def test_a_cell_stands_on_its_targets_v_and_mean_norm_and_not_on_its_sources():
    pairs = [pair(A, 0, 0.5, 0.6), pair(B, 1, 0.2, 0.9)]
    items = [item(0), item(1)]
    scores = [Score(n, s, t, 0.1, None) for n in (0, 1) for s in (A, B) for t in (A, B)]
    nulls = [NullScore(n, s, t, 0, 0.4) for n in (0, 1) for s in (A, B) for t in (A, B)]
    cells = summarize(pairs, items, scores, nulls, draws=100, seed=1)
    for source in (A, B):
        to_a, to_b = cell(cells, source, A), cell(cells, source, B)
        assert (to_a.fve_nrm, to_b.fve_nrm) == pytest.approx((1 - 0.1 / 0.5, 1 - 0.1 / 0.2))
        assert (to_a.null_fve, to_b.null_fve) == pytest.approx((1 - 0.4 / 0.5, 1 - 0.4 / 0.2))
        assert (to_a.fve_meannorm, to_b.fve_meannorm) == pytest.approx((1 - 0.1 / 0.8, 1 - 0.1 / 0.2))


def test_the_ceiling_of_a_subset_is_the_diagonal_over_that_subset():
    items = [item(0, stratum="digits"), item(1)]
    scores = [score(n, mse, s, A) for n, s, mse in [(0, A, 0.1), (1, A, 0.3), (0, B, 0.2), (1, B, 0.2)]]
    cells = summarize(PAIRS, items, scores, [], draws=100, seed=1)
    # Diagonals: 0.6 over both, 0.8 over the digits, 0.4 over the prose.
    found = {subset: cell(cells, B, A, subset).ceiling_fraction for subset in ("all", "digits", "prose")}
    assert found == pytest.approx({"all": 0.6 / 0.6, "digits": 0.6 / 0.8, "prose": 0.6 / 0.4})
