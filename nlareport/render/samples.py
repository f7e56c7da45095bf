"""The sample cards: chosen items with their context, every source's explanation and the scores of all cells."""

from dataclasses import dataclass

from nlareport.ports import RunReader
from nlareport.render.answers import Answer, ask
from nlareport.render.contexts import SampleCard, SampleExplanation, SampleScore

KINDS = {
    "best": "no item was scored in every cell",
    "typical": "no item was scored in every cell",
    "lost in translation": "no item without a digit in its token has a diagonal mean above 0.7 and a cross-model score",
    "digits": "no scored item has a digit in its token",
}
"""The cards in their order, each with why it may be missing."""


@dataclass(frozen=True, slots=True)
class MarkedContext:
    """A context cut before the item's token, which is its tail."""

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
    chosen = ask(reader, SampleCard, "sample_cards")
    cards = [
        Sample(
            card=card,
            context=mark_token(card.context, card.token),
            explanations=ask(reader, SampleExplanation, "sample_explanations", item_id=card.item_id),
            scores=ask(reader, SampleScore, "sample_scores", item_id=card.item_id),
        )
        for card in chosen.rows
    ]
    shown = {card.kind for card in chosen.rows}
    return Samples(chosen, cards, [(kind, reason) for kind, reason in KINDS.items() if kind not in shown])


def mark_token(context: str | None, token: str) -> MarkedContext | None:
    """The context with its tail set apart where that tail is the item's token."""
    if context is None:
        return None
    if token and context.endswith(token):
        return MarkedContext(context[: -len(token)], token)
    bare = token.strip()
    if bare and context.endswith(bare):
        return MarkedContext(context[: -len(bare)], bare)
    return MarkedContext(context, "")


def rows_by_source(scores: list[SampleScore]) -> list[list[SampleScore]]:
    """Scores in query order, cut where the source changes."""
    rows: list[list[SampleScore]] = []
    for score in scores:
        if not rows or rows[-1][0].source != score.source:
            rows.append([])
        rows[-1].append(score)
    return rows
