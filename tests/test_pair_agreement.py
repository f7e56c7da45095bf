"""Comparing a pair with its recorded run: a worked example, and what does not count as agreement."""

from dataclasses import replace
from pathlib import Path

import pytest

from nlareport.errors import ItemsMoved, PairNotRecorded
from nlareport.review.pair_agreement import Answers, compare, refuse_moved, refuse_unrecorded
from nlareport.rows.item_rows import Explanation, Item, Score
from nlareport.rows.run_rows import Pair, PairId

OWN, OTHER = PairId("own"), PairId("other")
PAIR = Pair(OWN, "Own", "family", "base", 2, 16, None, None, 0.5, 0.7, None, 0)
ITEMS = [Item(number, f"document {number}", 300 + number, " word", None, "prose") for number in range(40)]


def answers(errors: dict[int, float | None], text: str = "text") -> Answers:
    return Answers(
        [Explanation(number, OWN, text, text, 5, "closed", True) for number in errors],
        [
            Score(number, source, target, error if source == target == OWN else 3.9, None)
            for number, error in errors.items()
            for source, target in ((OWN, OWN), (OWN, OTHER), (OTHER, OWN), (OTHER, OTHER))
        ],
    )


def test_a_difference_is_that_of_mean_fve_nrm_under_the_recorded_variance() -> None:
    # 1 - 0.25 / 0.5 = 0.5 before; the mean error of two items is now (0.26 + 0.25) / 2, so 0.49.
    found = compare(PAIR, ITEMS[:2], answers({0: 0.25, 1: 0.25}), answers({0: 0.26, 1: 0.25}, "other words"))
    assert found.fve_nrm == pytest.approx(0.49)
    assert found.recorded_fve_nrm == pytest.approx(0.5)
    assert found.agrees
    line = "own: 2 items, fve_nrm 0.490, recorded 0.500, difference -0.010, 0 of 2 texts the same; agrees"
    assert str(found) == line


@pytest.mark.parametrize(("error", "agrees"), [(0.241, True), (0.259, True), (0.239, False), (0.261, False)])
def test_agreement_ends_at_the_tolerance_on_either_side(error: float, agrees: bool) -> None:
    found = compare(PAIR, ITEMS[:2], answers({0: 0.25, 1: 0.25}), answers(dict.fromkeys((0, 1), error)))
    assert found.agrees is agrees


@pytest.mark.parametrize(("n_silent", "agrees"), [(2, True), (3, False)])
def test_a_pair_that_falls_silent_on_more_than_a_twentieth_does_not_agree(n_silent: int, agrees: bool) -> None:
    recorded = dict.fromkeys(range(40), 0.25)
    found = compare(PAIR, ITEMS, answers(recorded), answers({**recorded, **dict.fromkeys(range(n_silent))}))
    assert (found.n_items, found.n_scored_once, found.fve_nrm) == (40, n_silent, 0.5)
    assert f"40 items, {n_silent} scored only once, fve_nrm 0.500" in str(found)
    assert found.agrees is agrees


def test_a_pair_without_any_answer_does_not_agree() -> None:
    found = compare(PAIR, ITEMS[:1], answers({0: 0.25}), answers({0: None}))
    expected = "own: 1 items, 1 scored only once, none of them scored both times, 1 of 1 texts the same; does not agree"
    assert str(found) == expected


def test_items_past_those_compared_play_no_part() -> None:
    found = compare(PAIR, ITEMS[:1], answers({0: 0.25, 1: 0.1}), answers({0: 0.25, 1: 3.0}))
    assert (found.n_items, found.fve_nrm, found.recorded_fve_nrm) == (1, 0.5, 0.5)


def test_pairs_that_were_not_measured_are_all_named() -> None:
    unmeasured = replace(PAIR, pair_id=OTHER, variance_nrm=None)
    refuse_unrecorded([PAIR, unmeasured], [OWN], Path("run.duckdb"))
    with pytest.raises(PairNotRecorded, match=r"^run\.duckdb: holds no scores of other, third; "):
        refuse_unrecorded([PAIR, unmeasured], [OWN, OTHER, PairId("third")], Path("run.duckdb"))


def test_the_first_item_at_another_place_is_named() -> None:
    drawn = [replace(item, is_outlier=True) for item in ITEMS]
    refuse_moved(ITEMS[:5], drawn, Path("run.duckdb"))
    drawn[3] = replace(drawn[3], char_end=1)
    expected = "2 of its first 5 items are not the places .* item 3 is ' word' at character 303 of document 3"
    with pytest.raises(ItemsMoved, match=expected):
        refuse_moved(ITEMS[:5], drawn[:4], Path("run.duckdb"))
