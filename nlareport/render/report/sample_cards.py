"""Reads the sample cards: chosen items with their context, every source's explanation and the scores of all cells."""

from dataclasses import dataclass

from markupsafe import Markup

from nlareport.ports import RunReader
from nlareport.render.marked_words import held_spans
from nlareport.render.origins import Answer, ask
from nlareport.render.readable import readable, readable_end
from nlareport.render.report.draw_tables import TextsOfItem, read_texts
from nlareport.render.report.query_rows import SampleCard, SampleExplanation, SampleScore
from nlareport.render.report.text_looks import read_text_looks
from nlareport.render.shared_phrases import share_phrases
from nlareport.rows.run_rows import PairId

KINDS = {
    "best": "no item was scored in every cell",
    "typical": "no item was scored in every cell",
    "lost in translation": "no item without a digit in its token has a diagonal mean above 0.7 and a cross-model score",
    "digits": "no scored item has a digit in its token",
}
"""The cards in their order, each with why it may be missing."""


@dataclass(frozen=True, slots=True)
class MarkedContext:
    """A context cut before the item's token, which is its tail; both readable."""

    before: str
    token: str
    """Empty when the context does not end with the token; then nothing is marked."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything one card shows."""

    card: SampleCard
    context: MarkedContext | None
    """None when the run file holds no text."""
    explanations: Answer[SampleExplanation]
    scores: Answer[SampleScore]
    marked: dict[PairId, Markup]
    """Every known explanation by source: phrases that another source shares marked, words of the context underlined."""
    n_shared_phrases: int
    draws: TextsOfItem
    """The draws of the item by source; empty where each source wrote of it once."""

    @property
    def anchor(self) -> str:
        """The card's permalink id; an item may be chosen for two cards."""
        return f"item-{self.card.item_id}-{self.card.kind.replace(' ', '-')}"

    @property
    def unscored_reasons(self) -> list[str]:
        """Why cells of this item have no score, each reason once."""
        return sorted({score.unscored_reason for score in self.scores.rows if score.unscored_reason is not None})

    @property
    def scores_by_source(self) -> list[list[SampleScore]]:
        """The scores as rows of a matrix."""
        return rows_by_source(self.scores.rows)

    @property
    def has_texts(self) -> bool:
        """Whether any source's explanation or answer is known."""
        return any(row.text is not None or row.completion is not None for row in self.explanations.rows)


@dataclass(frozen=True, slots=True)
class Samples:
    """The cards of a run, and why those that are missing are."""

    chosen: Answer[SampleCard]
    cards: list[Sample]
    missing: list[tuple[str, str]]


def read_samples(reader: RunReader) -> Samples:
    """The run's sample cards."""
    marks_words = read_text_looks(reader).marks_words
    chosen = ask(reader, SampleCard, "sample_cards")
    cards = [_read_sample(reader, card, marks_words) for card in chosen.rows]
    shown = {card.kind for card in chosen.rows}
    return Samples(chosen, cards, [(kind, reason) for kind, reason in KINDS.items() if kind not in shown])


def _read_sample(reader: RunReader, card: SampleCard, marks_words: bool) -> Sample:
    explanations = ask(reader, SampleExplanation, "sample_explanations", item_id=card.item_id)
    texts = {row.source: readable(row.text) for row in explanations.rows if row.text is not None}
    context = card.context if marks_words else None
    shared = share_phrases(list(texts.values()), [held_spans(text, context) for text in texts.values()])
    return Sample(
        card=card,
        context=mark_token(card.context, card.token),
        explanations=explanations,
        scores=ask(reader, SampleScore, "sample_scores", item_id=card.item_id),
        marked=dict(zip(texts, shared.marked, strict=True)),
        n_shared_phrases=shared.n_phrases,
        draws=read_texts(reader, card.item_id, card.item_id).get(card.item_id, {}),
    )


def mark_token(context: str | None, token: str) -> MarkedContext | None:
    """The context with its tail set apart where that tail is the item's token."""
    if context is None:
        return None
    marked = next((tail for tail in (token, token.strip()) if tail and context.endswith(tail)), "")
    return MarkedContext(readable_end(context[: len(context) - len(marked)]), readable(marked))


def rows_by_source(scores: list[SampleScore]) -> list[list[SampleScore]]:
    """Scores in query order, cut where the source changes."""
    rows: list[list[SampleScore]] = []
    for score in scores:
        if not rows or rows[-1][0].source != score.source:
            rows.append([])
        rows[-1].append(score)
    return rows
