"""Differences between two values of a tag, cell by cell: does a pair read one kind of item better than another?

Takes scores and the subsets of tags, returns `TagDifference` rows. Where documents hold items of both values, the
difference is paired: taken within each document, then averaged over documents, so that what documents differ in
otherwise cancels out. Where they do not, it is the difference of the two subsets' cells, drawn together.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nlareport.ports import in_batches
from nlareport.rows.cell_rows import CellKey
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import PairId
from nlareport.rows.tag_rows import TagDifference
from nlareport.statistics.document_draws import Column, DocumentDraws, interval
from nlareport.statistics.tag_subsets import TagSubset

MOST_COMPARED = 6
"""Values of one tag of which each is compared with each: those that the most items have."""
SHARED_SHARE = 0.5
"""Of the documents with the rarer value: from where on a difference is paired. Of fewer documents too much is left
out."""
FEWEST_SHARED = 2
COMPARED_AT_ONCE = 200
"""Differences: 10,000 draws of both sides of each are 32 MB."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two values of a tag in one cell, ready to be drawn."""

    key: CellKey
    first: TagSubset
    second: TagSubset
    n_documents: int
    columns: tuple[Column, ...]
    """Paired: the differences within documents. Else the scores with the first value, and those with the second."""

    def row(self, drawn: Sequence[Float64[np.ndarray, " draw"] | None], draws: DocumentDraws) -> TagDifference:
        """The difference with its interval; `drawn` are the means of its columns on every draw."""
        means = [means for means in drawn if means is not None]
        difference = None
        if len(means) == len(self.columns):
            difference = draws.on_scale(self.key.target).rescale_difference(means[0] - sum(means[1:]))
        low, high = interval(difference)
        values = [float(column.values.mean()) for column in self.columns]
        return TagDifference(
            source=self.key.source,
            target=self.key.target,
            name=self.first.name,
            value=self.first.value,
            other_value=self.second.value,
            n_documents=self.n_documents,
            is_paired=len(self.columns) == 1,
            difference=values[0] - sum(values[1:]),
            ci_low=low,
            ci_high=high,
        )


def compare_values(
    pair_ids: Sequence[PairId], subsets: Sequence[TagSubset], scores: Iterable[Score], draws: DocumentDraws
) -> list[TagDifference]:
    """Every cell that has scores with two values of a tag, in the pairs' order, tag by tag.

    Of a tag with many values the most frequent are compared, each with each. Equal rows in any order, with equal draws,
    give equal differences.
    """
    two_values = [pair for _, of_tag in groupby(subsets, lambda subset: subset.name) for pair in _two_of(list(of_tag))]
    if not two_values:
        return []
    scored: dict[CellKey, list[tuple[int, float]]] = defaultdict(list)
    for score in scores:
        if score.fve_nrm is not None:
            scored[CellKey(score.source, score.target)].append((score.item_id, score.fve_nrm))
    keys = [CellKey(source, target) for source in pair_ids for target in pair_ids]
    cells = {key: _CellScores.of(scored[key], draws) for key in keys if key in scored}
    found: list[TagDifference] = []
    wanted = [(key, first, second) for first, second in two_values for key in cells]
    for some in in_batches(wanted, COMPARED_AT_ONCE):
        comparisons = [made for key, *two in some if (made := cells[key].compare(key, *two)) is not None]
        drawn = iter(draws.means([column for made in comparisons for column in made.columns]))
        found += [made.row([next(drawn) for _ in made.columns], draws) for made in comparisons]
    return found


def _two_of(of_tag: Sequence[TagSubset]) -> list[tuple[TagSubset, TagSubset]]:
    frequent = sorted(of_tag, key=lambda subset: (-len(subset.item_ids), subset.value))[:MOST_COMPARED]
    return list(combinations([subset for subset in of_tag if subset in frequent], 2))


@dataclass(frozen=True, slots=True)
class _CellScores:
    """The scores of one cell in item order."""

    item_ids: Int64[np.ndarray, " score"]
    values: Float64[np.ndarray, " score"]
    documents: Int64[np.ndarray, " score"]

    @classmethod
    def of(cls, scored: list[tuple[int, float]], draws: DocumentDraws) -> "_CellScores":
        """In item order: floating-point sums depend on it."""
        ordered = sorted(scored)
        item_ids = np.array([item_id for item_id, _ in ordered], dtype=np.int64)
        return cls(item_ids, np.array([fve for _, fve in ordered]), draws.documents_of(item_ids.tolist()))

    def compare(self, key: CellKey, first: TagSubset, second: TagSubset) -> _Comparison | None:
        """The two values' items; None where one of them has no score here."""
        with_first, with_second = self._among(first), self._among(second)
        if not (with_first.any() and with_second.any()):
            return None
        n_places = int(self.documents.max()) + 1
        counts = [np.bincount(self.documents[chosen], minlength=n_places) for chosen in (with_first, with_second)]
        held = [count > 0 for count in counts]
        shared, either = held[0] & held[1], held[0] | held[1]
        n_shared = int(shared.sum())
        if n_shared >= max(FEWEST_SHARED, SHARED_SHARE * min(int(docs.sum()) for docs in held)):
            means = [
                np.bincount(self.documents[chosen], self.values[chosen], n_places)[shared] / count[shared]
                for chosen, count in zip((with_first, with_second), counts, strict=True)
            ]
            within = Column(means[0] - means[1], np.flatnonzero(shared))
            return _Comparison(key, first, second, n_shared, (within,))
        apart = tuple(Column(self.values[chosen], self.documents[chosen]) for chosen in (with_first, with_second))
        return _Comparison(key, first, second, int(either.sum()), apart)

    def _among(self, subset: TagSubset) -> Bool[np.ndarray, " score"]:
        members: Bool[np.ndarray, " score"] = np.isin(self.item_ids, sorted(subset.item_ids))
        return members
