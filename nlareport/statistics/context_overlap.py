"""Counts the words of explanations that stand in the context, and by chance in another document's: are they made up?

Takes explanations and items, returns one `ContextOverlap` row per explanation and one `TextSummary` per source. Words
are content words (`nlareport.statistics.text_words`), each counted once a text. A word that does not stand in the
context need not be wrong: it may name the topic, or stand further up than the context that the run holds.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from nlareport.rows.item_rows import Explanation, Item
from nlareport.rows.run_rows import PairId
from nlareport.rows.text_rows import ContextOverlap, TextSummary
from nlareport.statistics.document_draws import Column, DocumentDraws, interval
from nlareport.statistics.resampling import can_derange, derangement
from nlareport.statistics.text_signs import written_text
from nlareport.statistics.text_words import content_words

Drawn = Float64[np.ndarray, " draw"] | None
"""A mean on every draw of documents; None where it has no interval."""


def compare_with_contexts(
    explanations: Sequence[Explanation], items: Sequence[Item], draws: DocumentDraws
) -> list[ContextOverlap]:
    """One row per explanation that has a content word and whose item has a context.

    The other context is that of an item of another document, drawn by a seeded derangement as for the nulls of scores:
    one exchange among the items that have a context, the same for all sources and draws.
    """
    keys = {item.item_id: _keys(item.context) for item in items if item.context}
    others = _others(sorted(keys), draws)
    rows = []
    for row in explanations:
        words = _keys(row.text) if row.text is not None and row.item_id in keys else frozenset()
        if not words:
            continue
        other = others.get(row.item_id)
        elsewhere = None if other is None else len(words & keys[other])
        found = len(words & keys[row.item_id])
        rows.append(ContextOverlap(row.source, row.item_id, len(words), found, elsewhere, other, row.draw))
    return rows


def summarize_texts(
    sources: Sequence[PairId],
    explanations: Sequence[Explanation],
    overlaps: Sequence[ContextOverlap],
    draws: DocumentDraws,
) -> list[TextSummary]:
    """One row per source that wrote anything, in the order given."""
    n_texts = Counter(row.source for row in explanations if written_text(row) is not None)
    by_source: dict[PairId, list[ContextOverlap]] = defaultdict(list)
    for row in overlaps:
        by_source[row.source].append(row)
    writing = [source for source in sources if n_texts[source]]
    shares = [_shares(by_source[source], draws) for source in writing]
    drawn = iter(draws.means([column for both in shares for column in both]))
    return [
        _summary(source, n_texts[source], *both, next(drawn), next(drawn))
        for source, both in zip(writing, shares, strict=True)
    ]


def _shares(rows: Sequence[ContextOverlap], draws: DocumentDraws) -> tuple[Column, Column]:
    """What share of each explanation's words stands in its item's context, and in another document's."""
    found = {row: row.n_found / row.n_words for row in rows}
    elsewhere = {row: row.n_found_elsewhere / row.n_words for row in rows if row.n_found_elsewhere is not None}
    both = [
        draws.column(np.array(list(shares.values()), dtype=np.float64), [row.item_id for row in shares])
        for shares in (found, elsewhere)
    ]
    return both[0], both[1]


def _summary(
    source: PairId, n_texts: int, found: Column, elsewhere: Column, found_drawn: Drawn, elsewhere_drawn: Drawn
) -> TextSummary:
    found_low, found_high = interval(found_drawn)
    elsewhere_low, elsewhere_high = interval(elsewhere_drawn)
    excess = None if found_drawn is None or elsewhere_drawn is None else found_drawn - elsewhere_drawn
    excess_low, excess_high = interval(excess)
    return TextSummary(
        source=source,
        n_texts=n_texts,
        n_compared=len(found.values),
        share_found=_mean(found),
        found_low=found_low,
        found_high=found_high,
        share_elsewhere=_mean(elsewhere),
        elsewhere_low=elsewhere_low,
        elsewhere_high=elsewhere_high,
        excess_low=excess_low,
        excess_high=excess_high,
    )


def _mean(column: Column) -> float | None:
    return float(column.values.mean()) if len(column.values) else None


def _others(item_ids: Sequence[int], draws: DocumentDraws) -> Mapping[int, int]:
    """The item of another document whose context each item is held against; none where there is no such exchange."""
    documents = draws.documents_of(item_ids)
    if not can_derange(documents):
        return {}
    partners = derangement(documents, draws.seed)
    return {item_id: item_ids[partner] for item_id, partner in zip(item_ids, partners.tolist(), strict=True)}


def _keys(text: str) -> frozenset[str]:
    return frozenset(word.key for word in content_words(text))
