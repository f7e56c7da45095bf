"""Self-test of a model that reads: one text must give one vector, alone, batched with a longer one, and a second time.

Takes what was read first, its vectors and the function that reads, returns findings.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from nlareport.checks import Finding
from nlareport.statistics.reading_tolerance import (
    READING,
    Bounds,
    distance_over_variance,
    number_finding,
    rows_with_direction,
)

Read = TypeVar("Read", str, list[int])
"""A text, or token ids."""

REPEATED = Bounds(0.0, inf)
"""Nothing may differ; what does is no more wrong than the rounding that the other test measures."""


def read_again(
    inputs: Sequence[Read],
    vectors: Float[np.ndarray, "item d_model"],
    read: Callable[[list[Read]], Float[np.ndarray, "item d_model"]],
    dtype: str,
) -> list[Finding]:
    """What the shortest input gives alone, against the same in its batch, with a longer one, and alone once more.

    Nothing is found where no vector has a direction.
    """
    if not (places := rows_with_direction(vectors)):
        return []
    shortest = min(places, key=lambda place: len(inputs[place]))
    longer = _longer(places, [len(one) for one in inputs], shortest)
    alone, once_more = read([inputs[shortest]]), read([inputs[shortest]])
    # With a longer one, so that there is padding in whichever batch it was read first.
    others = [vectors[[shortest]], read([inputs[shortest], inputs[longer]])[:1]]
    return [
        number_finding(
            "alone_equals_batch",
            max(distance_over_variance(alone, other, vectors[places]) for other in others),
            READING[dtype],
            "The shortest text of the first batch, read alone, against the same text in that batch and beside one "
            "twice as long: their squared distance as a share of V of that batch.",
        ),
        number_finding(
            "repeated",
            float(np.abs(alone.astype(np.float64) - once_more).max()),
            REPEATED,
            "That text read alone a second time: the largest difference between any two numbers.",
        ),
    ]


def _longer(places: Sequence[int], lengths: Sequence[int], shortest: int) -> int:
    """The shortest that is twice as long as the very shortest, so that padding costs little; else the longest."""
    ordered = sorted(places, key=lambda place: lengths[place])
    return next((place for place in ordered if lengths[place] >= 2 * lengths[shortest]), ordered[-1])
