from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from support.drawn_documents import draws_of

from nlareport.errors import TooFewItems
from nlareport.rows.cell_rows import AblationCell
from nlareport.rows.item_rows import Ablation, Item, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.ablation_cells import ChangedCell, ablation_cells, changed_cell
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws, VarianceScale

A = PairId("a")
V = 0.5
DRAWS, SEED = 400, 5


def score(item_id: int, mse: float | None) -> Score:
    fve = None if mse is None else 1 - mse / V
    return Score(item_id, A, A, mse, fve, None if mse is not None else "not clean")


def draws(documents: list[int], variance_draws: np.ndarray | None = None) -> DocumentDraws:
    return draws_of(documents, DRAWS, SEED, {A: VarianceScale(V, variance_draws)})


def cell(written: list[float | None], changed: list[float | None], documents: list[int], **more: Any) -> AblationCell:
    """The cell of items 0, 1, 2, …; a None in `changed` is a reconstruction without a direction."""
    given: dict[str, Any] = {
        "scores": [score(item_id, mse) for item_id, mse in enumerate(written)],
        "ablations": [Ablation(item_id, A, A, "words_shuffled", mse) for item_id, mse in enumerate(changed)],
        "readable": range(len(written)),
        "variance_draws": None,
        **more,
    }
    pairs = changed_cell(A, "words_shuffled", 1, given["scores"], given["ablations"], given["readable"])
    (row,) = ablation_cells(A, [pairs], draws(documents, given["variance_draws"]))
    return row


def test_the_drop_is_the_mean_of_the_items_own_differences_over_v() -> None:
    # Errors 0.1 and 0.2 become 0.3 and 0.8. fve: 1 - 0.55 / 0.5 = -0.1. Differences 0.2 and 0.6, over V 0.4 and 1.2.
    # Two documents are drawn as 00, 01, 10 or 11: the ends of the interval are the documents' own values.
    found = cell([0.1, 0.2], [0.3, 0.8], [0, 1])
    assert (found.method, found.ordinal, found.n_scored) == ("words_shuffled", 1, 2)
    assert found.fve_nrm == pytest.approx(-0.1)
    assert (found.ci_low, found.ci_high) == pytest.approx((1 - 0.8 / V, 1 - 0.3 / V))
    assert found.fve_drop == pytest.approx(0.8)
    assert (found.drop_low, found.drop_high) == pytest.approx((0.4, 1.2))


def test_the_drop_is_paired_so_what_items_share_does_not_widen_it() -> None:
    written = [0.1, 0.9, 0.4, 0.2, 0.7, 0.3]
    found = cell(written, [mse + 0.05 for mse in written], list(range(6)))
    assert found.ci_high - found.ci_low > 0.3
    assert (found.drop_low, found.fve_drop, found.drop_high) == pytest.approx((0.1, 0.1, 0.1))


def test_only_items_scored_both_ways_count() -> None:
    whole = cell([0.1, 0.2], [0.3, 0.8], [0, 1])
    more = cell([0.1, 0.2, None, 0.4], [0.3, 0.8, 0.1, None], [0, 1, 0, 1])
    unread = cell([0.1, 0.2, 0.4], [0.3, 0.8], [0, 1, 1])
    assert more == unread == whole


def test_an_item_scored_without_a_text_keeps_its_error_whatever_was_once_read() -> None:
    found = cell([0.1, 2.0, 2.0], [0.3, 0.4], [0, 1, 2], readable=[0])
    assert found.n_scored == 3
    assert found.fve_nrm == pytest.approx(1 - (0.3 + 2.0 + 2.0) / 3 / V)
    assert found.fve_drop == pytest.approx(0.2 / 3 / V)


def test_texts_that_lose_nothing_have_the_cells_own_value_and_interval() -> None:
    pair = Pair(A, "A", "f", "m", 1, 8, None, None, V, 0.7, None, 0)
    rng = np.random.default_rng(3)
    written = [*rng.uniform(0.1, 0.6, 9).tolist(), None]
    documents = [4, 4, 0, 1, 1, 1, 2, 3, 3, 5]
    items = [Item(item_id, f"d{document}", 1, "x", None, "prose", False) for item_id, document in enumerate(documents)]
    scores = [score(item_id, mse) for item_id, mse in enumerate(written)]
    known = next(
        found
        for found in summarize([pair], items, scores, [], DocumentDraws.of(items, DRAWS, SEED, [pair]))
        if found.subset == "all"
    )
    # Numbered by first appearance, as the run's documents are everywhere.
    codes = [0, 0, 1, 2, 2, 2, 3, 4, 4, 5]
    found = cell(written, written, codes)
    assert (found.fve_nrm, found.n_scored) == (pytest.approx(known.fve_nrm), known.n_scored)
    assert (found.ci_low, found.ci_high) == pytest.approx((known.ci_low, known.ci_high))
    assert (found.drop_low, found.fve_drop, found.drop_high) == (0.0, 0.0, 0.0)


def test_v_drawn_with_the_documents_moves_the_intervals_and_not_the_values() -> None:
    fixed = cell([0.1, 0.2], [0.3, 0.8], [0, 1])
    drawn = cell([0.1, 0.2], [0.3, 0.8], [0, 1], variance_draws=np.full(DRAWS, V / 2))
    assert (drawn.fve_nrm, drawn.fve_drop) == (fixed.fve_nrm, fixed.fve_drop)
    assert (drawn.drop_low, drawn.drop_high) == pytest.approx((0.8, 2.4))
    assert drawn.ci_low == pytest.approx(2 * fixed.ci_low - 1)


def test_one_document_gives_values_without_intervals_and_no_item_gives_neither() -> None:
    one = cell([0.1, 0.2], [0.3, 0.8], [0, 0])
    assert one.fve_drop == pytest.approx(0.8)
    assert (one.ci_low, one.ci_high, one.drop_low, one.drop_high) == (None,) * 4
    none = cell([None], [0.3], [0])
    assert none == replace(one, n_scored=0, fve_nrm=None, fve_drop=None)


def test_rows_in_any_order_give_the_same_cell() -> None:
    written, changed, documents = [0.1, 0.2, 0.7], [0.3, 0.8, 0.5], [0, 1, 2]
    straight = cell(written, changed, documents)
    turned = cell(
        written,
        changed,
        documents,
        scores=[score(item_id, written[item_id]) for item_id in (2, 0, 1)],
        ablations=[Ablation(item_id, A, A, "words_shuffled", changed[item_id]) for item_id in (1, 2, 0)],
    )
    assert turned == straight


def test_cells_of_one_target_drawn_together_are_what_each_is_alone() -> None:
    documents = [0, 1, 1, 2, 3]
    whole = ChangedCell(A, "first_8_tokens", 0, {0: (0.1, 0.3), 1: (0.2, 0.8), 2: (0.4, 0.4), 4: (0.3, 0.2)})
    fewer = ChangedCell(PairId("b"), "first_8_tokens", 0, {1: (0.5, 0.9), 3: (0.1, 0.7)})
    nothing = ChangedCell(A, "digits_masked", 1, {})
    together = ablation_cells(A, [whole, fewer, nothing], draws(documents))
    alone = [ablation_cells(A, [one], draws(documents))[0] for one in (whole, fewer, nothing)]
    assert [(row.source, row.target, row.method, row.n_scored) for row in together] == [
        ("a", "a", "first_8_tokens", 4),
        ("b", "a", "first_8_tokens", 2),
        ("a", "a", "digits_masked", 0),
    ]
    for found, expected in zip(together, alone, strict=True):
        assert asdict(found) == pytest.approx(asdict(expected))


def test_a_target_without_variance_is_refused() -> None:
    one = ChangedCell(A, "digits_masked", 0, {0: (0.1, 0.3), 1: (0.2, 0.8)})
    with pytest.raises(TooFewItems, match="all golds point the same way"):
        ablation_cells(A, [one], draws_of([0, 1], DRAWS, SEED, {A: VarianceScale(0.0)}))


def test_no_cell_gives_no_row() -> None:
    assert ablation_cells(A, [], draws([0, 1])) == []
