"""Agreement of an item's explanations as texts: the mean Jaccard index of their content words, pair by pair.

The Jaccard index of two sets (Jaccard 1912, New Phytologist 11, 37-50) is what they share over what either holds.
Chance is the same between explanations of items of different documents: words that a source always uses agree there.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from nlareport.rows.draw_rows import TextAgreement
from nlareport.rows.item_rows import Explanation
from nlareport.rows.run_rows import PairId
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.resampling import can_derange, derangement
from nlareport.statistics.text_words import content_words

WordSets = list[frozenset[str]]


def agreement_of_texts(
    sources: Sequence[PairId], explanations: Sequence[Explanation], draws: DocumentDraws
) -> list[TextAgreement]:
    """One row per source that wrote of some item more than once, in the order given."""
    if all(row.draw == 0 for row in explanations):
        return []
    texts: dict[PairId, dict[int, WordSets]] = {source: defaultdict(list) for source in sources}
    for row in explanations:
        if row.text and (words := frozenset(word.key for word in content_words(row.text))):
            texts[row.source][row.item_id].append(words)
    several = {
        source: {item_id: items[item_id] for item_id in sorted(items) if len(items[item_id]) > 1}
        for source, items in texts.items()
    }
    return [_row(source, items, draws) for source, items in several.items() if items]


def _row(source: PairId, items: Mapping[int, WordSets], draws: DocumentDraws) -> TextAgreement:
    column = draws.column(np.array([_within(sets) for sets in items.values()]), items)
    ((low, high),) = draws.intervals([column])
    return TextAgreement(source, len(items), float(column.values.mean()), low, high, _chance(items, draws))


def _within(sets: WordSets) -> float:
    """The mean over all pairs of a list."""
    rows, columns = np.triu_indices(len(sets), k=1)
    return float(_jaccard(sets, sets)[rows, columns].mean())


def _chance(items: Mapping[int, WordSets], draws: DocumentDraws) -> float | None:
    documents = draws.documents_of(items)
    if not can_derange(documents):
        return None
    of_items = list(items.values())
    partners = derangement(documents, draws.seed).tolist()
    return float(np.mean([_jaccard(of_items[k], of_items[other]).mean() for k, other in enumerate(partners)]))


def _jaccard(first: WordSets, second: WordSets) -> Float64[np.ndarray, "first second"]:
    """The index of every set of one list with every set of the other."""
    place = {word: number for number, word in enumerate(frozenset().union(*first, *second))}
    one, other = (_incidence(sets, place) for sets in (first, second))
    shared = one @ other.T
    either: Float64[np.ndarray, "first second"] = one.sum(axis=1)[:, np.newaxis] + other.sum(axis=1) - shared
    indices: Float64[np.ndarray, "first second"] = shared / either
    return indices


def _incidence(sets: WordSets, place: Mapping[str, int]) -> Float64[np.ndarray, "set word"]:
    found = np.zeros((len(sets), len(place)))
    for number, words in enumerate(sets):
        found[number, [place[word] for word in words]] = 1.0
    return found
