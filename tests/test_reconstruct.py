import numpy as np
import pytest

from nlareport.rows.item_rows import Explanation, Finish
from nlareport.rows.run_rows import PairId
from nlareport.stages.reconstruct import reconstruct, scorable_text

TARGET = PairId("b")


def explanation(
    item_id: int,
    text: str | None,
    completion: str | None = None,
    is_clean: bool | None = True,
    finish: Finish | None = None,
):
    return Explanation(item_id, PairId("a"), text, completion, None, finish, is_clean)


class LengthReconstructor:
    """Answers each text with its length, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def reconstruct(self, explanations: list[str]) -> np.ndarray:
        self.asked.append(explanations)
        return np.array([[len(text), 1.0] for text in explanations], dtype=np.float32)


CUT = explanation(1, None, " <explanation>a wo\n", is_clean=False, finish="length")
EMPTY = explanation(1, None, "<explanation> </explanation>", is_clean=False, finish="closed")


@pytest.mark.parametrize(
    ("given", "unscored", "raw", "penalty"),
    [
        (explanation(1, "a word", "<explanation>a word</explanation>", finish="closed"), "a word", "a word", "a word"),
        (CUT, None, " <explanation>a wo\n", None),
        (
            explanation(1, None, "a word</explanation>", is_clean=False, finish="stop"),
            None,
            "a word</explanation>",
            None,
        ),
        (explanation(1, None, "", is_clean=False, finish="stop"), None, "", None),
        (EMPTY, None, "", ""),
        (explanation(1, None, None, is_clean=False, finish="length"), None, None, None),
        (explanation(1, "a wo", None, is_clean=False), None, "a wo", None),
        (explanation(1, "published", is_clean=None), "published", "published", "published"),
    ],
    ids=["clean", "cut", "unopened", "nothing said", "empty", "no answer kept", "only a text kept", "not published"],
)
def test_what_can_be_scored_follows_the_choice_for_unclean_answers(given, unscored, raw, penalty):
    assert scorable_text(given, "unscored") == unscored
    assert scorable_text(given, "raw") == raw
    assert scorable_text(given, "penalty") == penalty


def test_only_under_penalty_a_text_that_ended_with_its_budget_offers_nothing():
    row = explanation(1, "a word", "<explanation>a word</explanation> a", finish="closed")
    assert [scorable_text(row, unclean, "overrun") for unclean in ("unscored", "raw", "penalty")] == [
        "a word",
        "a word",
        None,
    ]
    assert scorable_text(EMPTY, "penalty", "empty") == ""
    assert scorable_text(CUT, "raw", "budget") == " <explanation>a wo\n"


def test_an_empty_text_is_read_as_one():
    reconstructor = LengthReconstructor()
    assert reconstruct([EMPTY], "raw", TARGET, reconstructor).vectors.tolist() == [[0.0, 1.0]]
    assert reconstructor.asked == [[""]]


def test_only_scorable_explanations_are_read_in_item_order():
    reconstructor = LengthReconstructor()
    rows = [explanation(9, "four"), explanation(2, None, "cut", is_clean=False), explanation(1, "ab")]
    batch = reconstruct(rows, "unscored", TARGET, reconstructor)
    assert reconstructor.asked == [["ab", "four"]]
    assert (batch.pair_id, batch.item_ids.tolist()) == ("b", [1, 9])
    assert batch.vectors[:, 0].tolist() == [2.0, 4.0]


def test_nothing_scorable_asks_the_reconstructor_nothing():
    reconstructor = LengthReconstructor()
    batch = reconstruct([explanation(2, None)], "unscored", TARGET, reconstructor)
    assert reconstructor.asked == []
    assert batch.item_ids.shape == (0,)
