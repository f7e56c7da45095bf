import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.batches import ActivationBatch
from nlareport.errors import CheckpointDrift, TooFewItems
from nlareport.rows.item_rows import Explanation, Mark, Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.resampling import derangement
from nlareport.statistics.scores import measure_pair, null_scores, score_cell

SOURCE, TARGET = PairId("a"), PairId("b")


def batch(rows: object, item_ids: list[int] | None = None) -> ActivationBatch:
    vectors = np.array(rows, dtype=np.float32)
    return ActivationBatch(TARGET, np.arange(len(vectors)) if item_ids is None else np.array(item_ids), vectors)


def clean(*item_ids: int) -> list[Explanation]:
    return [Explanation(item_id, SOURCE, "a word", None, 3, "closed", True) for item_id in item_ids]


GOLD = batch([[1, 0], [0, 2], [3, 0], [0, 4]])
"""Two right angles: V = 0.5, |mu| = sqrt(0.5)."""


def test_a_pair_is_measured_by_its_v_and_mean_norm():
    geometry = measure_pair(GOLD)
    assert geometry.variance_nrm == pytest.approx(0.5)
    assert geometry.mean_norm == pytest.approx(0.5**0.5)


def test_worked_scores_of_a_cell():
    reconstruction = batch([[0, 9], [5, 0], [-1, 0]], item_ids=[3, 1, 0])
    scores = score_cell(SOURCE, TARGET, GOLD, reconstruction, clean(0, 1, 3), 0.5, "unscored")
    assert scores == [
        Score(0, SOURCE, TARGET, 4.0, -7.0),
        Score(1, SOURCE, TARGET, 2.0, -3.0),
        Score(2, SOURCE, TARGET, None, None, "no explanation was written"),
        Score(3, SOURCE, TARGET, 0.0, 1.0),
    ]


@pytest.mark.parametrize("bad", [[0, 0], [float("nan"), 1], [float("inf"), 1]])
@pytest.mark.parametrize("unclean", ["unscored", "raw", "penalty"])
def test_a_reconstruction_without_direction_becomes_an_unscored_row(bad, unclean):
    reconstruction = batch([[1, 0], bad, [1, 0], [0, 1]])
    scores = score_cell(SOURCE, TARGET, GOLD, reconstruction, clean(0, 1, 2, 3), 0.5, unclean)
    assert [score.mse_nrm for score in scores] == [0.0, None, 0.0, 0.0]
    assert scores[1].unscored_reason == "the reconstruction of b has no direction: it is zero or not finite"


UNREAD = [
    Explanation(0, SOURCE, None, "<explanation>a", 300, "length", False),
    Explanation(1, SOURCE, None, "no", 2, "stop", False),
    Explanation(2, SOURCE, None, "<explanation></explanation>", 4, "closed", False),
]
NOTHING = batch(np.zeros((0, 0)))


def test_an_answer_that_offers_no_text_is_unscored_with_the_reason_of_its_mark():
    marks: dict[int, Mark] = {0: "misspelt_tag", 1: "no_tag", 2: "empty"}
    scores = score_cell(SOURCE, TARGET, GOLD, NOTHING, UNREAD, 0.5, "unscored", marks)
    assert [score.unscored_reason for score in scores] == [
        "not clean: a tag of the answer is misspelt",
        "not clean: the answer holds no explanation tag",
        "not clean: nothing stands between the tags",
        "no explanation was written",
    ]
    assert all(score.mse_nrm is None and score.fve_nrm is None for score in scores)


def test_an_answer_without_a_mark_is_unscored_for_how_it_ended():
    clean_but_empty = Explanation(2, SOURCE, None, "<explanation></explanation>", 4, "closed", True)
    scores = score_cell(SOURCE, TARGET, GOLD, NOTHING, [*UNREAD[:2], clean_but_empty], 0.5, "unscored")
    assert [score.unscored_reason for score in scores] == [
        "not clean: the token budget ran out before the closing tag",
        "not clean: the answer ended without the closing tag",
        "the explanation is empty",
        "no explanation was written",
    ]


def test_under_penalty_an_answer_that_offers_no_text_costs_2():
    scores = score_cell(SOURCE, TARGET, GOLD, NOTHING, UNREAD, 0.5, "penalty", {0: "budget", 1: "no_tag", 3: "overrun"})
    assert [score.mse_nrm for score in scores] == [2.0, 2.0, 2.0, None]
    assert [score.fve_nrm for score in scores] == [-3.0, -3.0, -3.0, None]
    assert [score.unscored_reason for score in scores] == [None, None, None, "no explanation was written"]


@pytest.mark.parametrize("read", [GOLD, batch([[1, 0], [0, 2], [0, 0], [0, 4]])], ids=["well", "without direction"])
def test_only_under_penalty_a_budget_used_up_behind_the_closing_tag_costs_2(read):
    """Also where the text was read: training gave such an answer no more than one without tags."""
    marks: dict[int, Mark] = {2: "overrun"}
    expected = score_cell(SOURCE, TARGET, GOLD, read, clean(0, 1, 2, 3), 0.5, "unscored")
    assert score_cell(SOURCE, TARGET, GOLD, read, clean(0, 1, 2, 3), 0.5, "unscored", marks) == expected
    assert score_cell(SOURCE, TARGET, GOLD, read, clean(0, 1, 2, 3), 0.5, "raw", marks) == expected
    expected[2] = Score(2, SOURCE, TARGET, 2.0, -3.0)
    assert score_cell(SOURCE, TARGET, GOLD, read, clean(0, 1, 2, 3), 0.5, "penalty", marks) == expected


def test_under_penalty_an_empty_pair_of_tags_is_scored_by_what_was_read_of_it():
    scores = score_cell(SOURCE, TARGET, GOLD, batch([[1, 0]], [2]), UNREAD, 0.5, "penalty", {2: "empty"})
    assert [score.mse_nrm for score in scores] == [2.0, 2.0, 0.0, None]


def test_a_lost_reconstruction_is_unscored_and_says_whose_it_was():
    scores = score_cell(SOURCE, TARGET, GOLD, batch([[1, 0]]), clean(0, 1, 2, 3), 0.5, "penalty")
    assert [score.unscored_reason for score in scores] == [None, *["b returned no reconstruction"] * 3]


def test_a_reconstruction_of_another_width_is_refused():
    sentence = (
        r"^Pair b: its reconstructor returns vectors of width 3, its activations have width 2\. "
        r"Check d_model and the checkpoint of each\.$"
    )
    with pytest.raises(CheckpointDrift, match=sentence):
        score_cell(SOURCE, TARGET, GOLD, batch(np.ones((4, 3))), clean(0), 0.5, "unscored")


def test_a_target_without_variance_is_refused():
    with pytest.raises(TooFewItems, match=r"^Pair b: V is 0: all golds point the same way"):
        score_cell(SOURCE, TARGET, GOLD, GOLD, clean(0, 1, 2, 3), 0.0, "unscored")


def test_a_perfect_but_shuffled_reconstructor_scores_about_minus_1():
    gold = batch(np.random.default_rng(1).standard_normal((1500, 12)) + 0.5)
    nulls = null_scores(SOURCE, TARGET, gold, gold, np.arange(1500), permutations=2, seed=1)
    assert len(nulls) == 3000
    assert {null.permutation for null in nulls} == {0, 1}
    variance = measure_pair(gold).variance_nrm
    null_fve = 1 - np.mean([null.mse_nrm for null in nulls]) / variance
    assert null_fve == pytest.approx(-1, abs=0.05)


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_nulls_do_not_depend_on_row_order(gold_order, reconstruction_order):
    vectors = np.random.default_rng(2).standard_normal((8, 3))
    documents = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    expected = null_scores(SOURCE, TARGET, batch(vectors), batch(vectors + 1), documents, 2, seed=3)
    shuffled = null_scores(
        SOURCE,
        TARGET,
        batch(vectors[gold_order], list(gold_order)),
        batch((vectors + 1)[reconstruction_order], list(reconstruction_order)),
        documents[gold_order],
        2,
        seed=3,
    )
    assert sorted(shuffled, key=lambda null: (null.permutation, null.item_id)) == expected


def test_nulls_are_errors_against_the_golds_that_a_derangement_gives():
    vectors = np.random.default_rng(5).standard_normal((9, 3))
    documents = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3])
    nulls = null_scores(SOURCE, TARGET, batch(vectors), batch(vectors + 1), documents, permutations=3, seed=11)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (vectors, vectors + 1)]
    for null in nulls:
        partner = derangement(documents, 11, null.permutation)[null.item_id]
        error = ((unit[0][partner] - unit[1][null.item_id]) ** 2).sum()
        assert null.mse_nrm == pytest.approx(error, abs=1e-5)
    assert {(null.source, null.target) for null in nulls} == {(SOURCE, TARGET)}
    assert [(null.permutation, null.item_id) for null in nulls] == [(p, n) for p in range(3) for n in range(9)]


def test_null_permutations_of_a_run_differ_and_so_do_those_of_another_seed():
    vectors = np.random.default_rng(6).standard_normal((30, 4))

    def errors(seed: int) -> list[tuple[float, ...]]:
        nulls = null_scores(SOURCE, TARGET, batch(vectors), batch(vectors), np.arange(30) // 2, 4, seed)
        return [tuple(null.mse_nrm for null in nulls if null.permutation == p) for p in range(4)]

    assert len(set(errors(1) + errors(2))) == 8


def test_every_cell_is_shuffled_by_the_same_exchange():
    vectors = np.random.default_rng(7).standard_normal((6, 3))
    here = null_scores(SOURCE, TARGET, batch(vectors), batch(vectors), np.arange(6), 2, seed=3)
    there = null_scores(TARGET, SOURCE, batch(vectors), batch(vectors), np.arange(6), 2, seed=3)
    assert [null.mse_nrm for null in here] == [null.mse_nrm for null in there]
    assert {(null.source, null.target) for null in there} == {(TARGET, SOURCE)}


def test_an_unscored_item_has_no_null_and_does_not_move_the_others():
    vectors = np.random.default_rng(4).standard_normal((6, 3))
    whole = null_scores(SOURCE, TARGET, batch(vectors), batch(vectors), np.arange(6), 1, seed=3)
    part = null_scores(SOURCE, TARGET, batch(vectors), batch(vectors[:4]), np.arange(6), 1, seed=3)
    assert part == whole[:4]


def test_items_of_one_document_have_no_null():
    assert null_scores(SOURCE, TARGET, GOLD, GOLD, np.zeros(4, dtype=np.int64), 1, seed=1) == []
