"""The tables about explanations as texts: signs of a text that went wrong, and its words that stand in the context.

One frozen dataclass per table, fields in column order. How the signs are told: `nlareport.statistics.text_signs`.
"""

from dataclasses import dataclass
from typing import Literal

from nlareport.rows.declaration import table
from nlareport.rows.run_rows import PairId

Sign = Literal[
    "cjk", "other_script", "loop", "empty", "tagless", "cut", "tag", "special_token", "draft", "unseen"
]  # fmt: skip
"""What a text may show, in the order of the page: letters of Chinese, Japanese or Korean; letters of another script
that is not Latin; the same words again and again; no text; no explanation tag; broken off; a tag left over inside; a
special token, or pieces of a tokenizer; thoughts before the answer; characters that cannot be seen."""


@table(key=("source", "draw", "sign", "item_id"), bundle="text_signs")
@dataclass(frozen=True, slots=True)
class TextSign:
    """One sign that an explanation went wrong; an explanation without a row shows none."""

    source: PairId
    item_id: int
    sign: Sign
    in_context: bool | None = None
    """Whether the item's context shows it too, so that the text may be right. None where the context is not known, and
    for signs that no context has: `empty`, `tagless`, `cut`."""
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


@table(key=("source", "draw", "item_id"), bundle="context_overlaps")
@dataclass(frozen=True, slots=True)
class ContextOverlap:
    """How many content words of an explanation stand in the item's context, and in the context of another document."""

    source: PairId
    item_id: int
    n_words: int
    """Different content words of the explanation; there is no row without any, or without a context."""
    n_found: int
    """Those that the item's context holds."""
    n_found_elsewhere: int | None = None
    """Those that the other item's context holds: chance. None when one document holds more than half of the items."""
    other_item_id: int | None = None
    """The item of another document whose context was drawn."""
    draw: int = 0
    """Which of the explanations drawn for the item it is, from 0."""


@table(key=("source",), bundle="text_summaries")
@dataclass(frozen=True, slots=True)
class TextSummary:
    """What a source's explanations are like as texts; a run whose texts were not looked at has no row."""

    source: PairId
    n_texts: int
    """Explanations that were looked at for signs, of every draw."""
    n_compared: int
    """Those whose words were compared with contexts."""
    share_found: float | None = None
    """Mean share of an explanation's content words that stand in its item's context. None when none was compared."""
    found_low: float | None = None
    """95% percentile bootstrap over documents. None with fewer than two documents."""
    found_high: float | None = None
    share_elsewhere: float | None = None
    """The same for the context of another document. None when none could be drawn."""
    elsewhere_low: float | None = None
    elsewhere_high: float | None = None
    excess_low: float | None = None
    """95% interval of `share_found` minus `share_elsewhere`, draw by draw of documents."""
    excess_high: float | None = None
