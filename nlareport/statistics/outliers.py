"""Outliers: activations far longer than their pair's median, and explanations that nearly repeat each other.

Takes alignments (for the norms) and explanations, returns `Outlier` rows, one per reason for a flag. Attention-sink
vectors score near 1 with their own reconstructor and far below 0 with others, always under the same words; the report
shows the matrix with and without them (Known traps in PROTOCOL.md). Nothing is dropped here.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Int64, UInt64

from nlareport.rows.item_rows import Alignment, Explanation, Outlier
from nlareport.rows.run_rows import PairId

NORM_FACTOR = 4.0
"""A norm above this many times its pair's median is an outlier."""

SHINGLE_WORDS = 5
"""Explanations are compared as sets of runs of this many words; a shorter one is a single run."""

NEAR_DUPLICATE_JACCARD = 0.9
"""Shared runs over all runs; two explanations at or above it count as the same."""

_WORD = re.compile(r"\w+")


def find_outliers(
    alignments: Mapping[PairId, Sequence[Alignment]], explanations: Mapping[PairId, Sequence[Explanation]]
) -> list[Outlier]:
    """Every reason to flag an item, pair by pair; an item without a row is no outlier.

    Either its activation is longer than 4 times the pair's median, or its explanation nearly repeats another item's
    of the same source; then both are flagged. Case, punctuation and spacing do not count. Both in one pair are an
    attention sink's signature, and a reason of its own.
    """
    found: list[Outlier] = []
    for pair_id in dict.fromkeys([*alignments, *explanations]):
        long = _long_norms(alignments.get(pair_id, []))
        repeated = _repeated(explanations.get(pair_id, []))
        found += [Outlier(item_id, pair_id, "norm", ratio) for item_id, ratio in long.items()]
        found += [Outlier(item_id, pair_id, "near_duplicate", times) for item_id, times in repeated.items()]
        found += [Outlier(item_id, pair_id, "sink", ratio) for item_id, ratio in long.items() if item_id in repeated]
    return found


def _long_norms(alignments: Sequence[Alignment]) -> dict[int, float]:
    """By item, the norm over the pair's median, where it is above the limit."""
    if not alignments:
        return {}
    median = float(np.median([row.activation_norm for row in alignments]))
    return {
        row.item_id: row.activation_norm / median
        for row in alignments
        if median > 0 and row.activation_norm > NORM_FACTOR * median
    }


def _repeated(explanations: Sequence[Explanation]) -> dict[int, float]:
    """By item, how many items were explained in nearly the same words, where another one was."""
    texts = [(row.item_id, row.text) for row in explanations if row.text]
    times = near_duplicates([text for _, text in texts], [item_id for item_id, _ in texts])
    found: dict[int, float] = {}
    for (item_id, _), n in zip(texts, times, strict=True):
        if n > 1:
            found[item_id] = max(float(n), found.get(item_id, 0.0))
    return found


def near_duplicates(texts: Sequence[str], item_ids: Sequence[int] | None = None) -> list[int]:
    """Of how many items something like each text was said, its own included: 1 where of no other.

    Two texts are near when the Jaccard index of their 5-word runs is at least 0.9; a chain of near ones counts as one
    group. Exact, not sampled. Equal texts are compared once, so a verbalizer that always says the same stays cheap.
    The draws of one item may repeat each other: they are one item. Without `item_ids` every text is of an item of its
    own.
    """
    words = [tuple(_WORD.findall(text.casefold())) for text in texts]
    distinct = list(dict.fromkeys(words))
    group_of = dict(zip(distinct, _groups(_shingle_sets(distinct)), strict=True))
    items: dict[int, set[int]] = defaultdict(set)
    for text, item_id in zip(words, range(len(texts)) if item_ids is None else item_ids, strict=True):
        items[group_of[text]].add(item_id)
    return [len(items[group_of[text]]) for text in words]


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


def _groups(sets: _ShingleSets) -> list[int]:
    """A number for each text, shared by those that a chain of near-duplicates joins.

    Two sets with a Jaccard index of at least t share one of the rarest `size - ceil(t * size) + 1` elements of each
    (the prefix filter of Bayardo, Ma and Srikant, 2007), so only texts that meet there are compared; and with each
    group that a text meets only until one of it is near, so a crowd of repeats costs one comparison each.
    """
    group_of = list(range(len(sets.first) - 1))
    members = {text: [text] for text in group_of}
    prefixes = _shared_prefixes(sets)
    # By shingle and group, the texts so far.
    seen_with: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))

    def join(one: int, other: int) -> None:
        smaller, larger = sorted((one, other), key=lambda group: len(members[group]))
        for moved in members[smaller]:
            group_of[moved] = larger
            for shingle in prefixes[moved]:
                seen_with[shingle][larger] += seen_with[shingle].pop(smaller, [])
        members[larger] += members.pop(smaller)

    for text, prefix in prefixes.items():
        met: dict[int, list[list[int]]] = defaultdict(list)
        for shingle in prefix:
            for group, others in seen_with[shingle].items():
                met[group].append(others)
        near = [group for group, others in met.items() if _is_near_any(sets, text, others)]
        for shingle in prefix:
            seen_with[shingle][text].append(text)
        for group in near:
            join(group_of[text], group)
    return group_of


def _is_near_any(sets: _ShingleSets, text: int, others: Sequence[Sequence[int]]) -> bool:
    """Whether a text is near one of these, which may be named more than once."""
    compared: set[int] = set()
    for other in chain.from_iterable(others):
        if other not in compared:
            if _is_near(sets, text, other):
                return True
            compared.add(other)
    return False


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
