import numpy as np
import pytest

from nlareport.batches import ActivationBatch, Completion
from nlareport.rows import PairId
from nlareport.stages.verbalize import verbalize


class FixedVerbalizer:
    def __init__(self, *completions: Completion) -> None:
        self.completions = list(completions)

    def verbalize(self, vectors: np.ndarray) -> list[Completion]:
        return self.completions


@pytest.mark.parametrize(
    ("completion", "text", "finish", "is_clean"),
    [
        (Completion("<explanation> a word </explanation>", 9, "stop"), "a word", "closed", True),
        (Completion("<explanation>a</explanation> and on", 9, "length"), "a", "closed", True),
        (Completion("<explanation> a word and", 300, "length"), None, "length", False),
        (Completion("I cannot.", 4, "stop"), None, "stop", False),
        (Completion("<explanation> </explanation>", 4, "stop"), None, "closed", True),
    ],
    ids=["clean", "clean before the budget ran out", "cut", "no tags", "empty"],
)
def test_an_answer_is_clean_when_the_closing_tag_was_found(completion, text, finish, is_clean):
    batch = ActivationBatch(PairId("a"), np.array([5]), np.ones((1, 2), dtype=np.float32))
    (explanation,) = verbalize(batch, FixedVerbalizer(completion))
    assert (explanation.item_id, explanation.source) == (5, "a")
    assert (explanation.text, explanation.finish, explanation.is_clean) == (text, finish, is_clean)
    assert (explanation.completion, explanation.n_tokens) == (completion.text, completion.n_tokens)


def test_a_verbalizer_that_loses_an_answer_is_noticed():
    batch = ActivationBatch(PairId("a"), np.array([5, 6]), np.ones((2, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="shorter"):
        verbalize(batch, FixedVerbalizer(Completion("x", 1, "stop")))


@pytest.mark.parametrize(
    ("said", "kept"),
    [("a \ud800 b", "a \ufffd b"), ("\ud83d\ude00", "😀"), ("\ude00\ud83d", "\ufffd\ufffd"), ("é\x00", "é\x00")],
)
def test_an_answer_is_kept_as_text_that_can_be_stored(said, kept):
    batch = ActivationBatch(PairId("a"), np.array([0]), np.ones((1, 2), dtype=np.float32))
    completion = Completion(f"<explanation>{said}</explanation>", 5, "stop")
    (explanation,) = verbalize(batch, FixedVerbalizer(completion))
    assert (explanation.text, explanation.completion) == (kept, f"<explanation>{kept}</explanation>")
