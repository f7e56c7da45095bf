import numpy as np
import pytest

from nlareport.rows import Explanation, PairId
from nlareport.stages.reconstruct import reconstruct, scorable_text

TARGET = PairId("b")


def explanation(item_id: int, text: str | None, completion: str | None = None, is_clean: bool | None = True):
    return Explanation(item_id, PairId("a"), text, completion, None, None, is_clean)


class LengthReconstructor:
    """Answers each text with its length, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def reconstruct(self, explanations: list[str]) -> np.ndarray:
        self.asked.append(explanations)
        return np.array([[len(text), 1.0] for text in explanations], dtype=np.float32)


@pytest.mark.parametrize(
    ("given", "unscored", "raw"),
    [
        (explanation(1, "a word", "<explanation>a word</explanation>"), "a word", "a word"),
        (explanation(1, None, "<explanation>a wo", is_clean=False), None, "<explanation>a wo"),
        (explanation(1, None, "  ", is_clean=False), None, None),
        (explanation(1, None, "<explanation></explanation>"), None, None),
        (explanation(1, "published", is_clean=None), "published", "published"),
    ],
    ids=["clean", "cut", "blank", "empty", "cleanness not published"],
)
def test_what_can_be_scored_follows_the_choice_for_unclean_answers(given, unscored, raw):
    assert scorable_text(given, "unscored") == unscored
    assert scorable_text(given, "penalty") == unscored
    assert scorable_text(given, "raw") == raw


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
