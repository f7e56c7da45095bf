"""Scores that came from elsewhere and are not what their name says are refused by the name they should have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.score_doubts import doubts, rounding_step

A = PairId("a")
COSINES = [0.81, 0.84, 0.875, 0.9, 0.93, 0.97]


def scores(mse: list[float], fve: list[float] | None = None) -> list[Score]:
    given_fve = fve or [None] * len(mse)
    return [Score(number, A, A, *both) for number, both in enumerate(zip(mse, given_fve, strict=True))]


ERRORS = [2 * (1 - cosine) for cosine in COSINES]


@pytest.mark.parametrize(
    ("mse", "fve", "variance", "said"),
    [
        ([error / 3584 for error in ERRORS], None, 0.7335, 'map that says "definition: mse_per_dimension"'),
        (ERRORS, [(1 + c) / 2 for c in COSINES], 0.7335, 'map that says "definition: half_one_plus_cosine"'),
        (ERRORS, [(1 + c) / 2 for c in COSINES], None, "½(1 + cos) in every row"),
        (ERRORS, [1 - e / (0.5 + e) for e in ERRORS], 0.7335, "another denominator from row to row (0.56 to 0.88)"),
        (ERRORS, [1 - e / (0.5 + e) for e in ERRORS], None, "another denominator from row to row"),
        (ERRORS, [1 - e / 0.5 for e in ERRORS], 0.7335, "has the denominator 0.5, its variance_nrm is 0.7335; correct"),
        (ERRORS, [1 - e / 2 for e in ERRORS], None, "has the denominator 2, and V of directions is at most 1"),
    ],
)
def test_a_score_under_a_wrong_name_is_told_by_its_right_one(
    mse: list[float], fve: list[float] | None, variance: float | None, said: str
) -> None:
    (doubt,) = doubts(scores(mse, fve), {A: variance})
    assert said in doubt


@given(
    st.lists(st.floats(0.01, 2.5), min_size=1, max_size=20),
    st.floats(0.02, 0.99),
    st.integers(2, 8),
    st.integers(2, 8),
)
def test_rounding_raises_no_doubt(errors: list[float], variance: float, mse_digits: int, fve_digits: int) -> None:
    rounded = scores(
        [round(error, mse_digits) for error in errors], [round(1 - error / variance, fve_digits) for error in errors]
    )
    assert doubts(rounded, {A: variance}) == []


def test_errors_without_fve_and_fve_without_errors_raise_none() -> None:
    assert doubts(scores(ERRORS), {A: 0.7}) == []
    assert doubts([Score(1, A, A, None, 0.9)], {A: None}) == []
    assert doubts([], {}) == []


def test_the_rounding_step_is_the_last_decimal_of_any_value() -> None:
    assert rounding_step([0.5, 0.123, 2.0]) == pytest.approx(0.001)
    assert rounding_step([1.0, 3.0]) == 0.01
    assert rounding_step([]) == 0.01
