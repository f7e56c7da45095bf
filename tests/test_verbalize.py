from dataclasses import replace

import numpy as np
import pytest

from nlareport.batches import ActivationBatch, Completion
from nlareport.rows.item_rows import AnswerMark, Explanation, Finish
from nlareport.rows.run_rows import PairId
from nlareport.stages.verbalize import Verbalized, judge_again, verbalize


class FixedVerbalizer:
    def __init__(self, *completions: Completion) -> None:
        self.completions = list(completions)

    def verbalize(self, vectors: np.ndarray) -> list[Completion]:
        return self.completions


def said(*completions: Completion) -> Verbalized:
    batch = ActivationBatch(PairId("a"), np.arange(5, 5 + len(completions)), np.ones((len(completions), 2)))
    return verbalize(batch, FixedVerbalizer(*completions))


@pytest.mark.parametrize(
    ("completion", "text", "finish", "mark"),
    [
        (Completion("<explanation> a word </explanation>", 9, "stop"), "a word", "closed", None),
        (Completion("<explanation>a</explanation> and on", 9, "length"), "a", "closed", "overrun"),
        (Completion("<explanation> a word and", 300, "length"), None, "length", "budget"),
        (Completion("<explanation> a word and", 30, "stop"), None, "stop", "unclosed_tag"),
        (Completion("I cannot.", 4, "stop"), None, "stop", "no_tag"),
        (Completion("a word</explanation>", 4, "stop"), None, "stop", "unopened_tag"),
        (Completion("<explanation >a word</explanation> and", 300, "length"), None, "length", "misspelt_tag"),
        (Completion("<explanation> </explanation>", 4, "stop"), None, "closed", "empty"),
    ],
)
def test_an_answer_is_clean_when_a_text_stands_between_its_tags_and_odd_ones_are_marked(completion, text, finish, mark):
    found = said(completion)
    (explanation,) = found.explanations
    assert (explanation.item_id, explanation.source) == (5, "a")
    assert (explanation.text, explanation.finish, explanation.is_clean) == (text, finish, text is not None)
    assert (explanation.completion, explanation.n_tokens) == (completion.text, completion.n_tokens)
    assert found.marks == ([] if mark is None else [AnswerMark(PairId("a"), 5, mark)])


def test_each_mark_is_that_of_its_own_answer():
    clean, empty = Completion("<explanation>b</explanation>", 4, "stop"), Completion("", 1, "stop")
    found = said(clean, empty, clean, empty)
    assert [row.item_id for row in found.explanations] == [5, 6, 7, 8]
    assert [(row.item_id, row.mark) for row in found.marks] == [(6, "no_tag"), (8, "no_tag")]


def older(completion: str | None, text: str | None, n_tokens: int | None, finish: Finish | None, is_clean: bool | None):
    return Explanation(3, PairId("b"), text, completion, n_tokens, finish, is_clean)


@pytest.mark.parametrize(
    ("stored", "text", "finish", "mark"),
    [
        (older("<explanation>a</explanation>", "a", 8, "closed", True), "a", "closed", None),
        (older("<explanation>a</explanation>", "a", 9, "closed", True), "a", "closed", "overrun"),
        (older("<explanation>a</explanation>", "a", None, "closed", True), "a", "closed", None),
        (older("<explanation></explanation>", None, 4, "closed", True), None, "closed", "empty"),
        (older("a</explanation>", "a", 4, "closed", True), None, "stop", "unopened_tag"),
        (older("a</explanation> b", "a", 9, "closed", True), None, "length", "unopened_tag"),
        (older("<explanation>a", None, 9, "length", False), None, "length", "budget"),
        # The last token of the budget was the one that ended it.
        (older("<explanation>a", None, 9, "stop", False), None, "stop", "unclosed_tag"),
        (older("a", None, 3, "length", False), None, "length", "budget"),
    ],
)
def test_an_answer_that_an_earlier_rule_judged_is_judged_by_what_it_says(stored, text, finish, mark):
    found = judge_again([stored], max_new_tokens=9)
    assert found.explanations == [replace(stored, text=text, finish=finish, is_clean=text is not None)]
    assert [row.mark for row in found.marks] == ([] if mark is None else [mark])
    assert [(row.source, row.item_id) for row in found.marks] == [("b", 3)] * len(found.marks)


def test_an_explanation_without_its_answer_is_not_judged_again():
    assert judge_again([older(None, "a", 9, "closed", True)], 9) == Verbalized([], [])


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
    (explanation,) = verbalize(batch, FixedVerbalizer(completion)).explanations
    assert (explanation.text, explanation.completion) == (kept, f"<explanation>{kept}</explanation>")
