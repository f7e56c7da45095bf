"""The draws of made-up items 0, 1, 2, …, for statistics that are tried without a run."""

from collections.abc import Mapping, Sequence

import numpy as np

from nlareport.rows.run_rows import PairId
from nlareport.statistics.document_draws import DocumentDraws, VarianceScale


def draws_of(
    documents: Sequence[int], n_draws: int, seed: int, scales: Mapping[PairId, VarianceScale] | None = None
) -> DocumentDraws:
    """Draws of items whose documents are these, numbered from 0."""
    codes = np.array(documents, dtype=np.int64)
    return DocumentDraws(codes, n_draws, seed, {number: number for number in range(len(codes))}, scales or {})
