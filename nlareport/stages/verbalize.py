"""Verbalizes activations: what a source's verbalizer says of each vector, and whether the answer is clean.

Takes an `ActivationBatch`, returns `Explanation` rows and the marks of those whose form is odd.
"""

from dataclasses import dataclass, replace
from typing import Literal

from nlareport.batches import ActivationBatch, Completion, TokenDraws
from nlareport.checkpoints.answers import judge_answer
from nlareport.ports import Verbalizer
from nlareport.rows.item_rows import AnswerMark, Explanation
from nlareport.rows.run_rows import PairId


@dataclass(frozen=True, slots=True)
class Verbalized:
    """What a verbalizer said, and what is odd about its form."""

    explanations: list[Explanation]
    marks: list[AnswerMark]
    """At most one of each answer."""


def verbalize(
    batch: ActivationBatch, verbalizer: Verbalizer, draw: int = 0, draws: TokenDraws | None = None
) -> Verbalized:
    """One explanation per row of the batch, in order, with the marks of those answers that have one.

    `draw` is the number that the rows get; with `draws` they are drawn, without they are greedy.

    Clean means that the first opening tag and its closing tag were found within the token budget, and something
    between them.
    """
    completions = verbalizer.verbalize(batch.vectors, draws) if draws else verbalizer.verbalize(batch.vectors)
    answers = [
        _judged(_unjudged(int(item_id), batch.pair_id, draw, completion), completion.finish)
        for item_id, completion in zip(batch.item_ids, completions, strict=True)
    ]
    return _together(answers)


def judge_again(explanations: list[Explanation], max_new_tokens: int) -> Verbalized:
    """Explanations that an earlier rule judged, judged again by their answers; those that kept none stay as they are.

    An earlier version did not keep whether a closed answer ended by itself: here it did so when it is shorter than
    the token budget.
    """
    answers = []
    for row in explanations:
        if row.completion is None:
            continue
        is_used_up = row.n_tokens is not None and row.n_tokens >= max_new_tokens
        is_cut = row.finish == "length" or (row.finish != "stop" and is_used_up)
        answers.append(_judged(row, "length" if is_cut else "stop"))
    return _together(answers)


def _unjudged(item_id: int, source: PairId, draw: int, said: Completion) -> Explanation:
    # Half a surrogate pair is no text and cannot be stored; a whole one is the character it stands for.
    answer = said.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return Explanation(
        item_id, source, text=None, completion=answer, n_tokens=said.n_tokens, finish=None, is_clean=None, draw=draw
    )


def _judged(row: Explanation, ended_by: Literal["stop", "length"]) -> tuple[Explanation, AnswerMark | None]:
    found = judge_answer(row.completion or "", ended_by)
    finish = "closed" if found.is_closed else ended_by
    mark = None if found.mark is None else AnswerMark(row.source, row.item_id, found.mark, row.draw)
    return replace(row, text=found.text, finish=finish, is_clean=found.is_clean), mark


def _together(answers: list[tuple[Explanation, AnswerMark | None]]) -> Verbalized:
    return Verbalized([row for row, _ in answers], [mark for _, mark in answers if mark is not None])
