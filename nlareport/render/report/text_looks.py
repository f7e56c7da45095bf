"""Reads how the texts look: signs of explanations that went wrong, and how many of their words stand in the context.

What a text shows is found by `nlareport.statistics.text_signs`; here each sign gets its words.
"""

from dataclasses import dataclass

from nlareport.ports import RunReader
from nlareport.render.origins import Answer, ask
from nlareport.render.report.query_rows import ExplanationFacts
from nlareport.rows.run_rows import PairId
from nlareport.rows.text_rows import Sign

SIGN_HEADS: dict[Sign, str] = {
    "cjk": "CJK",
    "other_script": "Other script",
    "loop": "Loops",
    "empty": "Empty",
    "tagless": "No tag",
    "cut": "Cut off",
    "tag": "Leftover tag",
    "special_token": "Special token",
    "draft": "Draft",
    "unseen": "Unseen",
}
"""Each sign in a word or two, in the order of the page."""

SIGN_MEANINGS: dict[Sign, str] = {
    "cjk": "at least a fifth of the letters are Chinese, Japanese or Korean",
    "other_script": "at least a fifth of the letters are of a script that is neither these nor Latin",
    "loop": "at least a third of the sequences of four words stood in the text before",
    "empty": "no visible character",
    "tagless": "the answer has no explanation tag that opens",
    "cut": "the token budget ran out, the closing tag is missing, or the last word is the beginning of one",
    "tag": "a tag of answer or prompt stands inside",
    "special_token": "a special token such as <|im_end|>, or pieces of a tokenizer",
    "draft": "thoughts between tags such as <think>",
    "unseen": "a character that takes no room, turns the direction of others or was not decoded",
}
"""Each sign as the rest of a sentence."""


@dataclass(frozen=True, slots=True)
class SourceTexts:
    """One source's explanations and their words (``text_summaries``)."""

    source: PairId
    source_label: str
    n_texts: int
    n_compared: int
    share_found: float | None
    """None where no text was compared with a context."""
    found_low: float | None
    found_high: float | None
    share_elsewhere: float | None
    """None where no other document's context could be drawn."""
    elsewhere_low: float | None
    elsewhere_high: float | None


@dataclass(frozen=True, slots=True)
class SignCount:
    """How many of a source's explanations show one sign (``text_signs``)."""

    source: PairId
    source_label: str
    sign: Sign
    n_texts: int
    n_found: int
    share: float
    n_in_context: int
    """Those whose context shows it too."""


@dataclass(frozen=True, slots=True)
class TextLooks:
    """How the texts of a run look."""

    facts: Answer[ExplanationFacts]
    summaries: Answer[SourceTexts]
    signs: Answer[SignCount]

    @property
    def heads(self) -> dict[Sign, str]:
        """Each sign in a word or two."""
        return SIGN_HEADS

    @property
    def meanings(self) -> dict[Sign, str]:
        """Each sign as the rest of a sentence."""
        return SIGN_MEANINGS

    @property
    def shown(self) -> list[Sign]:
        """The signs that any text shows, in the order of the page."""
        found = {row.sign for row in self.signs.rows}
        return [sign for sign in SIGN_HEADS if sign in found]

    @property
    def marks_words(self) -> bool:
        """Whether words that stand in the context are underlined: those of an older run were not compared."""
        return any(row.n_compared for row in self.summaries.rows)

    def counts(self, source: PairId) -> list[SignCount]:
        """One source's counts, in the order of `shown`; none for a source that was not looked at."""
        of_source = {row.sign: row for row in self.signs.rows if row.source == source}
        return [of_source[sign] for sign in self.shown if sign in of_source]


def read_text_looks(reader: RunReader) -> TextLooks:
    """How the run's texts look."""
    return TextLooks(
        ask(reader, ExplanationFacts, "explanation_facts"),
        ask(reader, SourceTexts, "text_summaries"),
        ask(reader, SignCount, "text_signs"),
    )
