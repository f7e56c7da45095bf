"""Scores and shuffled nulls: how near each reconstruction is to its gold, and to the gold of another document.

Takes the target's gold activations and its reconstructions, returns `Score` and `NullScore` rows. An item that cannot
be scored becomes a row that says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

from nlareport.batches import UNREAD, ActivationBatch
from nlareport.checkpoints.answers import unclean_words
from nlareport.errors import CheckpointDrift, TooFewItems
from nlareport.rows.item_rows import Explanation, Mark, NullScore, Score
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import fve_nrm, mean_norm, mse_nrm, variance_nrm
from nlareport.statistics.resampling import can_derange, derangement

PENALTY_MSE_NRM = 2.0
"""What an answer that offers no text costs under `unclean: penalty`: the error of a random direction."""

NO_MARKS: Mapping[int, Mark] = MappingProxyType({})
"""For a source whose answers are all in order, or whose run file is older than marks."""


@dataclass(frozen=True, slots=True)
class PairGeometry:
    """How one pair's activations are spread over the run's items."""

    variance_nrm: float
    """V, in [0, 1]."""
    mean_norm: float
    """|mu|, in [0, 1]."""


def measure_pair(gold: ActivationBatch) -> PairGeometry:
    """V and |mu| of a pair's activations at all of the run's items.

    Raises:
        TooFewItems: the batch is empty.
        ZeroVector: an activation has norm 0.
    """
    return PairGeometry(variance_nrm=variance_nrm(gold.vectors), mean_norm=mean_norm(gold.vectors))


def score_cell(
    source: PairId,
    target: PairId,
    gold: ActivationBatch,
    reconstruction: ActivationBatch,
    explanations: Sequence[Explanation],
    variance: float,
    unclean: Literal["unscored", "raw", "penalty"],
    marks: Mapping[int, Mark] = NO_MARKS,
) -> list[Score]:
    """One score per item of `gold`, in its order; `variance` is the target's V, `marks` are the source's by item.

    An item is scored where its reconstruction has a direction. The rest are unscored with a reason, except that under
    `penalty` an answer that offered no text costs 2.0, as does one whose budget ran out after its closing tag.

    Raises:
        CheckpointDrift: reconstructions and golds differ in width.
        TooFewItems: V is 0.
        ZeroVector: a gold has norm 0.
    """
    gold_rows, reconstruction_rows = _directed_rows(target, gold, reconstruction)
    errors = mse_nrm(gold.vectors[gold_rows], _chosen(reconstruction, reconstruction_rows, gold))
    error_of = dict(zip(gold.item_ids[gold_rows].tolist(), errors.tolist(), strict=True))
    written = {explanation.item_id: explanation for explanation in explanations}
    returned = set(reconstruction.item_ids.tolist())
    unread = set(reconstruction.item_ids[_is_unread(reconstruction)].tolist())
    scores = []
    for item_id in gold.item_ids.tolist():
        error, reason, mark = error_of.get(item_id), None, marks.get(item_id)
        if error is None:
            reason = _unscored_reason(written.get(item_id), mark, target, item_id in returned, item_id in unread)
        if unclean == "penalty" and _is_penalised(written.get(item_id), mark, item_id in returned):
            error, reason = PENALTY_MSE_NRM, None
        fve = None if error is None else _fve_nrm_of(target, error, variance)
        scores.append(Score(item_id, source, target, mse_nrm=error, fve_nrm=fve, unscored_reason=reason))
    return scores


def _fve_nrm_of(target: PairId, error: float, variance: float) -> float:
    """One item's score; where there is none, the pair is named whose activations are all alike."""
    try:
        return float(fve_nrm(np.array([error]), variance)[0])
    except TooFewItems as flat:
        raise TooFewItems(f"Pair {target}: {flat}") from flat


def null_scores(
    source: PairId,
    target: PairId,
    gold: ActivationBatch,
    reconstruction: ActivationBatch,
    document_index: Int[np.ndarray, " item"],
    permutations: int,
    seed: int,
) -> list[NullScore]:
    """The same reconstructions against golds of other documents: `permutations` rows per reconstruction.

    `document_index` gives the document of each row of `gold`. Golds are exchanged among all items by a seeded
    derangement, the same for every cell, also among items that a cell leaves unscored. No rows when one document
    holds more than half of the items: then there is no such exchange.

    Raises:
        CheckpointDrift: reconstructions and golds differ in width.
        ZeroVector: a gold has norm 0.
    """
    if not can_derange(document_index):
        return []
    gold_rows, reconstruction_rows = _directed_rows(target, gold, reconstruction)
    item_ids = gold.item_ids[gold_rows].tolist()
    answers = _chosen(reconstruction, reconstruction_rows, gold)
    # In item order, so that the exchange does not depend on the order rows were stored in.
    order = np.argsort(gold.item_ids)
    rows = []
    for permutation in range(permutations):
        partner = np.empty(len(order), dtype=np.int64)
        partner[order] = order[derangement(document_index[order], seed, permutation)]
        errors = mse_nrm(gold.vectors[partner[gold_rows]], answers)
        rows += [
            NullScore(item_id, source, target, permutation, error)
            for item_id, error in zip(item_ids, errors.tolist(), strict=True)
        ]
    return rows


def _directed_rows(
    target: PairId, gold: ActivationBatch, reconstruction: ActivationBatch
) -> tuple[Int64[np.ndarray, " scored"], Int64[np.ndarray, " scored"]]:
    """Rows of gold and of reconstruction that belong together, where the reconstruction has a direction."""
    if len(reconstruction.item_ids) and reconstruction.vectors.shape[1] != gold.vectors.shape[1]:
        raise CheckpointDrift(
            f"Pair {target}: its reconstructor returns vectors of width {reconstruction.vectors.shape[1]}, its "
            f"activations have width {gold.vectors.shape[1]}. Check d_model and the checkpoint of each."
        )
    row_of = {item_id: row for row, item_id in enumerate(reconstruction.item_ids.tolist())}
    pairs = [
        (gold_row, row_of[item_id])
        for gold_row, item_id in enumerate(gold.item_ids.tolist())
        if item_id in row_of and _has_direction(reconstruction.vectors[row_of[item_id]])
    ]
    rows = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
    return rows[:, 0], rows[:, 1]


def _chosen(
    reconstruction: ActivationBatch, rows: Int64[np.ndarray, " scored"], gold: ActivationBatch
) -> Float[np.ndarray, "scored d_model"]:
    """The reconstructions in these rows; an empty batch has no width of its own and takes the golds'."""
    return reconstruction.vectors[rows] if len(rows) else np.zeros((0, gold.vectors.shape[1]))


def _has_direction(vector: Float[np.ndarray, " d_model"]) -> bool:
    return bool(np.isfinite(vector).all() and vector.any())


def _is_penalised(explanation: Explanation | None, mark: Mark | None, was_returned: bool) -> bool:
    """Whether the verbalizer answered, but with nothing that training would have read."""
    if explanation is None:
        return False
    return mark == "overrun" or (not was_returned and explanation.is_clean is False)


def _is_unread(reconstruction: ActivationBatch) -> Bool[np.ndarray, " item"]:
    if reconstruction.vectors.shape[1] == 0:
        return np.zeros(len(reconstruction.item_ids), dtype=bool)
    return np.asarray((reconstruction.vectors == UNREAD).all(axis=1))


def _unscored_reason(
    explanation: Explanation | None, mark: Mark | None, target: PairId, was_returned: bool, is_unread: bool
) -> str:
    """Why an item without an error has none, in words for the report."""
    if is_unread:
        return f"{target} cannot read the explanation: it is longer than its context, or holds a token it does not know"
    if was_returned:
        return f"the reconstruction of {target} has no direction: it is zero or not finite"
    if explanation is None:
        return "no explanation was written"
    if explanation.is_clean is False:
        return f"not clean: {unclean_words(mark, explanation.finish)}"
    if explanation.text is None and explanation.completion is None:
        return "no text was given"
    if not explanation.text:
        return "the explanation is empty"
    return f"{target} returned no reconstruction"
