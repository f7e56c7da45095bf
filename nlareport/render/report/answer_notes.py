"""Words what pages say about the form of answers: a note for each, and a letter for the sample browser.

Takes how an answer was judged (the view `judged_answer`); returns text. Why an answer is not clean is worded in
`checkpoints.answers`.
"""

from dataclasses import dataclass

from nlareport.checkpoints.answers import MARK_WORDS
from nlareport.claims.answer_marks import ShownMark, counted
from nlareport.rows.run_rows import PairId

CLEAN, UNJUDGED = "c", "-"
LETTERS: dict[ShownMark, str] = {
    "no_tag": "t", "misspelt_tag": "m", "unopened_tag": "o", "unclosed_tag": "s", "budget": "l", "empty": "e",
    "overrun": "v", "unknown": "u",
}  # fmt: skip
CLEAN_LETTERS = CLEAN + LETTERS["overrun"]
"""All letters but these and `UNJUDGED` are of answers that are not clean."""


@dataclass(frozen=True, slots=True)
class DecodeFinish:
    """How one source's decodes ended (``decode_finish``)."""

    source: PairId
    source_label: str
    n_decodes: int
    n_clean: int
    n_overrun: int
    """Among the clean."""
    n_out_of_budget: int
    n_without_tag: int
    """Without the closing tag, or for a reason that is not known."""
    n_unopened: int
    n_misspelt: int
    n_no_tag: int
    n_empty: int
    median_tokens: float | None
    most_tokens: int | None


@dataclass(frozen=True, slots=True)
class MarkCount:
    """How many answers are odd in one way (``answer_marks``)."""

    mark: ShownMark
    n_answers: int

    @property
    def text(self) -> str:
        """The number and what it counts."""
        return counted({self.mark: self.n_answers})


def answer_note(is_clean: bool | None, mark: ShownMark | None) -> str | None:
    """What stands beside an answer, as a sentence; None where nobody judged it."""
    if is_clean is None:
        return None
    if mark is None:
        return "Clean."
    words = "nothing says why" if mark == "unknown" else MARK_WORDS[mark]
    return f"{'Clean, but' if is_clean else 'Not clean:'} {words}."


def answer_letter(is_clean: bool | None, mark: ShownMark | None) -> str:
    """The same in one letter."""
    if is_clean is None:
        return UNJUDGED
    return CLEAN if mark is None else LETTERS[mark]


def letter_notes() -> dict[str, str]:
    """The note that each letter stands for; of `UNJUDGED` there is none."""
    notes = {letter: answer_note(mark == "overrun", mark) for mark, letter in LETTERS.items()}
    return {letter: note for letter, note in [*notes.items(), (CLEAN, answer_note(True, None))] if note is not None}
