"""Items to outlier flags: vectors far longer than their like, and explanations said twice.

Enter alignments (for the norms) and explanations; leaves a flag per item. Attention-sink vectors score near 1 at home
and far below 0 abroad, always under the same words; the report shows the matrix with and without them (Known traps in
PROTOCOL.md). Nothing is dropped here.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from nlareport.rows import Alignment, Explanation, Item, PairId

NORM_FACTOR = 4.0
"""A norm above this many times its pair's median is an outlier."""

SHINGLE_WORDS = 5
"""Explanations are compared as sets of runs of this many words; a shorter one is a single run."""

NEAR_DUPLICATE_JACCARD = 0.9
"""Shared runs over all runs, from which on two explanations say the same."""

_WORD = re.compile(r"\w+")


def flag_outliers(
    items: Sequence[Item],
    alignments: Mapping[PairId, Sequence[Alignment]],
    explanations: Mapping[PairId, Sequence[Explanation]],
) -> dict[int, bool]:
    """Whether each item is an outlier in some pair, by item_id.

    Either its activation is longer than 4 times the pair's median, or its explanation nearly repeats another item's
    of the same source; then both are flagged. Case, punctuation and spacing do not count.
    """
    flagged: set[int] = set()
    for rows in alignments.values():
        norms = np.array([row.activation_norm for row in rows])
        if len(norms):
            limit = NORM_FACTOR * float(np.median(norms))
            flagged.update(row.item_id for row in rows if row.activation_norm > limit)
    for written in explanations.values():
        texts = [(explanation.item_id, explanation.text) for explanation in written if explanation.text]
        repeated = near_duplicates([text for _, text in texts])
        flagged.update(item_id for (item_id, _), is_repeated in zip(texts, repeated, strict=True) if is_repeated)
    return {item.item_id: item.item_id in flagged for item in items}


def near_duplicates(texts: Sequence[str]) -> list[bool]:
    """Whether each text nearly repeats another: the Jaccard index of their 5-word runs is at least 0.9.

    Exact, not sampled. Equal texts are counted first, so a verbalizer that always says the same stays cheap.
    """
    words = [tuple(_WORD.findall(text.casefold())) for text in texts]
    times = Counter(words)
    distinct = list(times)
    matched = _matched(_shingle_sets(distinct))
    repeated = {text for index, text in enumerate(distinct) if times[text] > 1 or index in matched}
    return [text in repeated for text in words]


@dataclass(frozen=True, slots=True)
class _ShingleSets:
    """Every text's shingles as numbers, sorted, one text after the other."""

    shingles: Int64[np.ndarray, " entry"]
    first: Int64[np.ndarray, " boundary"]
    """Where each text starts; one more at the end."""

    def of(self, text: int) -> Int64[np.ndarray, " entry"]:
        """One text's shingles."""
        return self.shingles[self.first[text] : self.first[text + 1]]


def _shingle_sets(texts: Sequence[tuple[str, ...]]) -> _ShingleSets:
    """The set of 5-word runs of each text."""
    number: dict[str, int] = {}
    flat: list[int] = []
    for text in texts:
        flat += [number.setdefault(word, len(number) + 1) for word in text]
        # 0 stands for no word: a text of fewer than five is one run, equal only to the same text.
        flat += [0] * (SHINGLE_WORDS - len(text))
    lengths = np.array([max(len(text), SHINGLE_WORDS) for text in texts], dtype=np.int64)
    runs = lengths - SHINGLE_WORDS + 1
    text_of_run = np.repeat(np.arange(len(texts)), runs)
    # A run may not reach into the next text: skip each text's last four words as starts.
    starts = np.arange(runs.sum()) + text_of_run * (SHINGLE_WORDS - 1)
    _, shingle = np.unique(_run_hashes(np.array(flat, dtype=np.uint64), starts), return_inverse=True)
    n_shingles = int(shingle.max(initial=0)) + 1
    entries = np.unique(text_of_run * n_shingles + shingle)
    sizes = np.bincount(entries // n_shingles, minlength=len(texts))
    return _ShingleSets(entries % n_shingles, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def _run_hashes(words: UInt64[np.ndarray, " word"], starts: Int64[np.ndarray, " run"]) -> UInt64[np.ndarray, " run"]:
    """64-bit numbers, different for different runs of words but for a chance of about runs² / 2**64."""
    multipliers = np.asarray(np.random.PCG64(SHINGLE_WORDS).random_raw(SHINGLE_WORDS)) | np.uint64(1)
    hashes = np.zeros(len(starts), dtype=np.uint64)
    for offset, multiplier in enumerate(multipliers):
        hashes += words[starts + offset] * multiplier
    return hashes


def _matched(sets: _ShingleSets) -> set[int]:
    """The texts that have a near-duplicate among the others.

    Two sets with a Jaccard index of at least t share one of the rarest `size - ceil(t * size) + 1` elements of each
    (the prefix filter of Bayardo, Ma and Srikant, 2007), so only texts that meet there are compared.
    """
    matched: set[int] = set()
    unmatched_with: dict[int, set[int]] = defaultdict(set)
    matched_with: dict[int, list[int]] = defaultdict(list)
    prefixes = _shared_prefixes(sets)

    def mark(text: int) -> None:
        matched.add(text)
        for shingle in prefixes[text]:
            unmatched_with[shingle].discard(text)
            matched_with[shingle].append(text)

    for text, prefix in prefixes.items():
        met = sorted(set().union(*(unmatched_with[shingle] for shingle in prefix)))
        twins = [other for other in met if _is_near(sets, text, other)]
        for twin in twins:
            mark(twin)
        # Among those already matched one twin is enough; a crowd of repeats then costs one comparison each.
        if twins or any(_is_near(sets, text, other) for shingle in prefix for other in matched_with[shingle]):
            mark(text)
        else:
            for shingle in prefix:
                unmatched_with[shingle].add(text)
    return matched


def _shared_prefixes(sets: _ShingleSets) -> dict[int, list[int]]:
    """Per text, those of its rarest shingles that another text has too; texts without any are left out."""
    sizes = np.diff(sets.first)
    text = np.repeat(np.arange(len(sizes)), sizes)
    frequency = np.bincount(sets.shingles) if len(sets.shingles) else np.zeros(0, dtype=np.int64)
    order = np.lexsort((sets.shingles, frequency[sets.shingles], text))
    rank = np.arange(len(order)) - sets.first[text]
    # A hair below the limit: 0.9 * 10 must not be rounded up to 10.
    longest = sizes - np.ceil(NEAR_DUPLICATE_JACCARD * sizes - 1e-9) + 1
    ordered = sets.shingles[order]
    kept = (rank < longest[text]) & (frequency[ordered] > 1)
    prefixes: dict[int, list[int]] = defaultdict(list)
    for owner, shingle in zip(text[kept].tolist(), ordered[kept].tolist(), strict=True):
        prefixes[owner].append(shingle)
    return dict(prefixes)


def _is_near(sets: _ShingleSets, one: int, other: int) -> bool:
    first, second = sets.of(one), sets.of(other)
    # Sets of too different a size cannot be near; most candidates end here.
    if min(len(first), len(second)) < math.floor(NEAR_DUPLICATE_JACCARD * max(len(first), len(second))):
        return False
    n_shared = len(np.intersect1d(first, second, assume_unique=True))
    return n_shared >= NEAR_DUPLICATE_JACCARD * (len(first) + len(second) - n_shared) - 1e-9
