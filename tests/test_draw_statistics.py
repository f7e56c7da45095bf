"""What follows from several draws of an item: spread, best of k, agreement of texts, and intervals that hold."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_runs import QWEN, a_pair, a_run, a_score, an_explanation, an_item

from nlareport.rows.cell_rows import Cell, Measure
from nlareport.rows.draw_rows import BestOfDraws, DrawSpread, TextAgreement
from nlareport.rows.item_rows import Ablation, Explanation, Item, Outlier, Resemblance, Score
from nlareport.statistics.ablation_cells import changed_cell
from nlareport.statistics.best_of_draws import expected_best, ks_up_to
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.draw_folding import fold_scores
from nlareport.statistics.drawn_scores import ItemDraws
from nlareport.statistics.run_summary import ItemRows, summarize_run
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import RunRows, store_run

PAIR = a_pair(QWEN, variance_nrm=1.0)


def items_of(n: int) -> list[Item]:
    return [replace(an_item(item_id), doc_id=f"d{item_id}") for item_id in range(n)]


def scores_of(table: list[list[float | None]]) -> list[Score]:
    """One row per item and draw, from a list of draws per item."""
    return [
        replace(
            a_score(item_id, mse_nrm=None if fve is None else 1 - fve), source=QWEN, target=QWEN, fve_nrm=fve, draw=k
        )
        for item_id, draws in enumerate(table)
        for k, fve in enumerate(draws)
    ]


def summarized(table: list[list[float | None]], n_draws: int = 200, **rows: object) -> dict[type, list]:
    items = items_of(len(table))
    draws = DocumentDraws.of(items, n_draws, 1, [PAIR])
    return {
        key: list(found)
        for key, found in summarize_run(ItemRows([PAIR], items, draws, scores_of(table), **rows)).items()
    }


@settings(max_examples=40)
@given(scored=st.lists(st.floats(-2, 1), min_size=1, max_size=5), n_unscored=st.integers(0, 3), k=st.integers(1, 8))
def test_the_best_of_k_is_the_mean_over_all_choices_of_k_draws(scored: list[float], n_unscored: int, k: int) -> None:
    n_draws = len(scored) + n_unscored
    k = min(k, n_draws)
    values = [*scored, *[None] * n_unscored]
    chosen = [[x for x in choice if x is not None] for choice in combinations(values, k)]
    expected = fmean(max(known) for known in chosen if known)
    assert expected_best(ItemDraws(sorted(scored), n_unscored), k) == pytest.approx(expected)


def test_the_best_of_one_is_the_cell_and_the_curve_never_falls() -> None:
    found = summarized([[0.1, 0.5, None], [0.3, 0.2, 0.7], [0.9, -0.4, 0.0]])
    cell = next(cell for cell in found[Cell] if cell.subset == "all")
    curve: list[BestOfDraws] = found[BestOfDraws]
    assert [row.k for row in curve] == [1, 2, 3]
    assert (curve[0].fve_nrm, curve[0].ci_low, curve[0].ci_high) == pytest.approx(
        (cell.fve_nrm, cell.ci_low, cell.ci_high)
    )
    assert curve[0].fve_nrm < curve[1].fve_nrm < curve[2].fve_nrm == pytest.approx(fmean([0.5, 0.7, 0.9]))
    assert {row.n_items for row in curve} == {3}


def test_of_many_draws_the_curve_has_every_small_k_and_then_doublings() -> None:
    assert ks_up_to(2) == [1, 2]
    assert ks_up_to(8) == list(range(1, 9))
    assert ks_up_to(40) == [*range(1, 9), 16, 32, 40]
    assert ks_up_to(32) == [*range(1, 9), 16, 32]


def test_the_spread_is_that_of_an_analysis_of_variance_done_by_hand() -> None:
    # Items 1 and 2 with two draws, item 3 with one: means 0.2, 0.6, 0.4; within 2 * 0.01 + 2 * 0.04 = 0.1 over 2.
    (row,) = summarized([[0.1, 0.3], [0.4, 0.8], [0.4, None]])[DrawSpread]
    assert (row.n_items, row.n_scores) == (3, 5)
    assert row.sd_within**2 == pytest.approx(0.05)
    # Grand mean 0.4: 2 * 0.04 + 2 * 0.04 = 0.16, over 2; draws an item (5 - 9 / 5) / 2 = 1.6.
    assert row.sd_between is not None
    assert row.sd_between**2 == pytest.approx((0.08 - 0.05) / 1.6)
    assert row.share_within == pytest.approx(0.05 / (0.05 + 0.03 / 1.6))


def test_where_draws_alone_explain_how_items_differ_the_spread_between_items_is_zero() -> None:
    (row,) = summarized([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])[DrawSpread]
    assert (row.sd_between, row.share_within) == (0.0, 1.0)


def test_the_spread_of_simulated_scores_is_the_one_they_were_made_with() -> None:
    generator = np.random.default_rng(5)
    table = 0.4 + 0.3 * generator.standard_normal((400, 1)) + 0.1 * generator.standard_normal((400, 6))
    (row,) = summarized(table.tolist())[DrawSpread]
    assert row.within_low is not None
    assert row.within_high is not None
    assert row.between_low is not None
    assert row.between_high is not None
    assert row.within_low < 0.1 < row.within_high
    assert row.between_low < 0.3 < row.between_high


def coverage(trials: int, n_items: int, n_draws: int, noise: float) -> float:
    """How often the interval of a cell holds the mean that its items and their draws were made with."""
    generator, items, hits = np.random.default_rng(11), items_of(n_items), 0
    draws = DocumentDraws.of(items, 200, 1, [PAIR])
    for _ in range(trials):
        table = generator.standard_normal((n_items, 1)) + noise * generator.standard_normal((n_items, n_draws))
        folded = fold_scores(scores_of((0.01 * table).tolist()), "mean")
        cell = summarize([PAIR], items, folded, [], draws)[0]
        assert cell.ci_low is not None
        assert cell.ci_high is not None
        hits += cell.ci_low <= 0.0 <= cell.ci_high
    return hits / trials


def test_intervals_hold_the_truth_as_often_as_they_say_where_draws_are_most_of_the_noise() -> None:
    """Two standard errors of 150 trials are 0.036; to draw among the draws once more would give 0.99."""
    assert 0.90 <= coverage(150, 40, 4, noise=9.0) <= 0.98


@pytest.mark.soak
@pytest.mark.parametrize(("n_items", "n_draws", "noise"), [(40, 2, 0.5), (40, 8, 3.0), (120, 2, 3.0), (120, 8, 0.5)])
def test_intervals_of_many_draws_hold_the_truth(n_items: int, n_draws: int, noise: float) -> None:
    assert 0.925 <= coverage(2_000, n_items, n_draws, noise) <= 0.965


def test_agreement_is_the_shared_part_of_content_words_and_chance_that_of_other_documents() -> None:
    texts = {0: ["river bank", "river market", "river bank"], 1: ["garden wall", "garden wall"], 2: ["glacier"]}
    explanations = [
        replace(an_explanation(item_id, text=text), source=QWEN, draw=k)
        for item_id, of_item in texts.items()
        for k, text in enumerate(of_item)
    ]
    (row,) = summarized([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2]], explanations=explanations)[TextAgreement]
    # Item 0: 1/3, 1 and 1/3; item 1: 1; item 2 has no second text. Nothing is shared between items 0 and 1.
    assert (row.source, row.n_items, row.chance) == (QWEN, 2, 0.0)
    assert row.jaccard == pytest.approx((5 / 9 + 1) / 2)


def test_draws_of_one_item_may_repeat_each_other_and_those_of_two_items_are_flagged() -> None:
    said = "the same words said of it over and over again"
    explanations = [
        replace(an_explanation(item_id, text=text), source=QWEN, draw=k)
        for item_id, k, text in [
            (0, 0, said),
            (0, 1, said),
            (1, 0, "another thing"),
            (1, 1, "one more"),
            (2, 0, "a third"),
        ]
    ]
    assert summarized([[0.1, 0.2]] * 3, explanations=explanations)[Outlier] == []
    explanations.append(replace(an_explanation(2, text=said), source=QWEN, draw=1))
    flagged = summarized([[0.1, 0.2]] * 3, explanations=explanations)[Outlier]
    assert [(row.item_id, row.value) for row in flagged] == [(0, 2.0), (2, 2.0)]


def test_measures_are_means_over_items_of_the_means_over_their_draws() -> None:
    rows = [
        Resemblance(item_id, QWEN, QWEN, cosine, n_nearer, 2, k)
        for item_id, k, cosine, n_nearer in [(0, 0, 0.9, 0), (0, 1, 0.7, 2), (1, 0, 0.2, 0)]
    ]
    found = {row.measure: row for row in summarized([[0.1, 0.2], [0.1], [0.1]], resemblances=rows)[Measure]}
    assert found["centred_cosine"].value == pytest.approx((0.8 + 0.2) / 2)
    assert found["identified_of_all"].value == pytest.approx((0.5 + 1) / 2)
    assert found["centred_cosine"].n_scored == 2


def test_what_a_change_costs_is_taken_from_the_draws_that_were_changed() -> None:
    scores = scores_of([[0.9, 0.1], [0.5, 0.3]])
    changed = [Ablation(item_id, QWEN, QWEN, "words_shuffled", 1.0) for item_id in (0, 1)]
    cell = changed_cell(QWEN, "words_shuffled", 0, scores, changed, {0, 1})
    assert cell.errors == {0: (pytest.approx(0.1), 1.0), 1: (pytest.approx(0.5), 1.0)}


def test_one_draw_of_every_item_has_none_of_these_tables() -> None:
    found = summarized([[0.1], [0.2], [0.3]], explanations=[replace(an_explanation(0), source=QWEN)])
    assert [found[kind] for kind in (DrawSpread, BestOfDraws, TextAgreement)] == [[], [], []]


def test_audits_find_a_spread_and_a_best_that_are_not_those_of_the_draws(tmp_path: Path) -> None:
    table: list[list[float | None]] = [[0.1, 0.5, None], [0.3, 0.2, 0.7], [0.9, -0.4, 0.0]]
    kept = (Cell, DrawSpread, BestOfDraws)
    found = [found for kind, found in summarized(table).items() if kind in kept]
    explanations: list[Explanation] = []
    store_run(
        tmp_path / "run.duckdb", RunRows.gather(a_run(), [PAIR], items_of(3), scores_of(table), explanations, *found)
    )
    names = ("audits/draw_spread_beside_its_scores", "audits/best_of_beside_its_draws")
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        assert [len(reader.frame(name)) for name in names] == [0, 0]
    with duckdb.connect(str(tmp_path / "run.duckdb")) as connection:
        connection.execute("UPDATE draw_spread SET sd_within = sd_within + 0.1")
        connection.execute("UPDATE best_of_draws SET fve_nrm = fve_nrm + 0.1 WHERE k = 2")
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        assert [len(reader.frame(name)) for name in names] == [1, 1]
