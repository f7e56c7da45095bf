from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlareport.comparison import CellDifference, ItemDifference, SharedItems
from nlareport.review.cell_differences import Measured, compare_cells, target_scales
from nlareport.review.protocol_differences import protocol_differences
from nlareport.review.shared_items import match_items
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Pair, PairId

P, Q = PairId("p"), PairId("q")
DRAWS, SEED = 400, 0
ITEM_SCHEMA = {"item_id": pl.Int64, "doc_id": pl.String, "char_end": pl.Int64, "token": pl.String, "context": pl.String}
SCORE_SCHEMA = {"item_id": pl.Int64, "source": pl.String, "target": pl.String, "fve_nrm": pl.Float64}
NORM_SCHEMA = {"item_id": pl.Int64, "pair_id": pl.String, "activation_norm": pl.Float64}


def items(*rows: tuple[int, str | None, int | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame([(*row, None) for row in rows], schema=ITEM_SCHEMA, orient="row")


def placed(documents: list[int], first_id: int = 0) -> pl.DataFrame:
    """Items with places of their own, one per entry: its document."""
    return items(*((first_id + n, f"c:{document}", 100 + n, " word") for n, document in enumerate(documents)))


def a_pair(pair_id: PairId = P, variance: float | None = 0.5) -> Pair:
    return Pair(pair_id, pair_id.upper(), "f", "m", 1, 8, None, None, variance, 0.7, None, 0)


def run(
    values: list[float | None],
    *,
    first_id: int = 0,
    variance: float | None = 0.5,
    norms: list[float] | None = None,
    n_items: int | None = None,
) -> Measured:
    """A run of one pair: the fve_nrm of items numbered from `first_id`, and its own cell over all of them."""
    known = [value for value in values if value is not None]
    mean = float(np.mean(known)) if known else None
    scores = [(first_id + n, P, P, value) for n, value in enumerate(values)]
    lengths = [(first_id + n, P, norm) for n, norm in enumerate(norms or [])]
    return Measured(
        [a_pair(variance=variance)],
        [Cell(P, P, "all", len(known), 0, mean, None, None, *[None] * 6)],
        pl.DataFrame(scores, schema=SCORE_SCHEMA, orient="row"),
        pl.DataFrame(lengths, schema=NORM_SCHEMA, orient="row"),
        len(values) if n_items is None else n_items,
    )


def compared(
    a: Measured, b: Measured, shared: SharedItems, draws: int = DRAWS
) -> tuple[CellDifference, list[ItemDifference]]:
    cells, moved = compare_cells(a, b, shared, target_scales(a, b, shared), draws, SEED)
    assert len(cells) == len(a.pairs) ** 2
    return cells[0], moved


def of_documents(a: list[float | None], b: list[float | None], documents: list[int], **more: Any) -> CellDifference:
    return compared(run(a), run(b), match_items(placed(documents), placed(documents)), **more)[0]


VALUES = st.none() | st.floats(-4.0, 1.0)
RUNS = st.lists(st.tuples(VALUES, VALUES, st.integers(0, 3)), min_size=1, max_size=12).map(
    lambda rows: [list(column) for column in zip(*rows, strict=True)]
)


@given(RUNS)
@settings(max_examples=40, deadline=None)
def test_a_run_differs_from_itself_by_exactly_nothing(columns: list[list[Any]]) -> None:
    values, _, documents = columns
    cell = of_documents(values, values, documents)
    n_documents = len({document for value, document in zip(values, documents, strict=True) if value is not None})
    assert cell.difference in (0.0, None)
    assert (cell.low, cell.high) == ((0.0, 0.0) if n_documents >= 2 else (None, None))
    assert cell.excludes_zero is (False if n_documents >= 2 else None)


@given(RUNS)
@settings(max_examples=40, deadline=None)
def test_turned_round_every_difference_changes_its_sign_alone(columns: list[list[Any]]) -> None:
    a, b, documents = columns
    shared = match_items(placed(documents), placed(documents))
    there, moved = compared(run(a), run(b), shared)
    back, moved_back = compared(run(b), run(a), shared)
    assert (there.shared_a, there.shared_b, there.n_items) == (back.shared_b, back.shared_a, back.n_items)
    assert there.excludes_zero == back.excludes_zero
    if there.difference is not None:
        assert there.difference == pytest.approx(-back.difference)
    if there.low is not None:
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert {item.item_a: item.difference for item in moved} == {item.item_b: -item.difference for item in moved_back}


def test_a_cell_by_hand() -> None:
    # Items 0 and 1 stand in document 0, item 2 in document 1, item 3 is scored in A alone.
    # Differences 0.1, 0.3 and −0.2: mean 0.2 / 3. The documents' own are 0.4 over two items and −0.2 over one, so
    # draws are 0.2 (both times document 0), −0.2 (both times document 1) or 0.2 / 3.
    cell = of_documents([0.5, 0.5, 0.5, 0.9], [0.6, 0.8, 0.3, None], [0, 0, 1, 1])
    assert cell.shared_a == pytest.approx(0.5)
    assert cell.shared_b == pytest.approx(1.7 / 3)
    assert cell.difference == pytest.approx(0.2 / 3)
    assert (cell.low, cell.high) == pytest.approx((-0.2, 0.2))
    # By hand: 2.802 of the standard errors of which 1.960 make 0.2.
    assert cell.minimum_detectable_difference == pytest.approx(0.2859, abs=1e-4)
    assert (cell.n_items, cell.n_scored_once, cell.n_documents) == (3, 1, 2)
    assert cell.fve_a == pytest.approx(0.6)
    assert cell.excludes_zero is False


def test_what_items_share_does_not_widen_the_interval() -> None:
    values = [0.9, -3.0, 0.2, 0.5, -1.0, 0.7]
    cell = of_documents(values, [value + 0.05 for value in values], list(range(6)))
    assert (cell.low, cell.difference, cell.high) == pytest.approx((0.05, 0.05, 0.05))
    assert cell.excludes_zero is True


def test_a_planted_shift_is_found_among_noise() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(0.5, 0.3, 300)
    b = a + rng.normal(0.06, 0.2, 300)
    cell = of_documents(a.tolist(), b.tolist(), list(range(300)))
    assert cell.low < 0.06 < cell.high
    assert cell.low > 0
    # The same two runs with their items no longer matched could not tell: each mean alone is that uncertain.
    assert cell.high - cell.low < 4 * 0.3 / np.sqrt(300)


def test_items_of_one_document_move_together() -> None:
    rng = np.random.default_rng(2)
    shifts = rng.normal(0.0, 0.2, 12)
    b = np.repeat(shifts, 10)
    apart = of_documents([0.0] * 120, b.tolist(), list(range(120)))
    together = of_documents([0.0] * 120, b.tolist(), list(np.repeat(range(12), 10)))
    once = of_documents([0.0] * 12, shifts.tolist(), list(range(12)))
    assert apart.difference == pytest.approx(together.difference)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert (together.low, together.high) == pytest.approx((once.low, once.high))


@pytest.mark.trials
def test_intervals_hold_the_true_difference_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        documents = np.repeat(range(40), 2)
        shift = 0.1 + rng.normal(0.0, 0.2, 40)[documents] + rng.normal(0.0, 0.1, 80)
        cell = of_documents([0.0] * 80, shift.tolist(), documents.tolist(), draws=300)
        held += cell.low <= 0.1 <= cell.high
    # 95% less what the percentile bootstrap loses on 40 documents; three standard errors of 200 trials are 5%.
    assert 0.88 <= held / 200 <= 0.99


def test_items_are_the_same_by_place_whatever_their_numbers() -> None:
    a = items((0, "c:1", 10, "x"), (1, "c:1", 20, "y"), (2, "c:2", 10, "x"))
    b = items((0, "c:2", 10, "x"), (7, "c:1", 20, "y"), (2, "c:1", 10, "other"))
    shared = match_items(a, b)
    assert shared.matched_by == "place"
    assert shared.frame.select("item_a", "item_b", "document").rows() == [(1, 7, 0), (2, 0, 1)]


def matched(a: pl.DataFrame, b: pl.DataFrame) -> list[tuple[int, int]]:
    """Which items of the two are one, whichever of them is A."""
    there, back = match_items(a, b), match_items(b, a)
    found = there.frame.select("item_a", "item_b").rows()
    assert back.frame.select("item_b", "item_a").rows() == found
    assert (back.matched_by, back.ambiguous) == (there.matched_by, there.ambiguous[::-1])
    return found


def test_the_same_item_has_another_number_where_a_corpus_skips_otherwise() -> None:
    a = items((0, "c:1", None, "x"), (1, "c:2", None, "y"), (2, "c:3", None, "x"))
    b = items((0, "c:0", 7, "x"), (1, "c:1", 20, "x"), (2, "c:2", 21, "y"), (3, "c:3", 22, "x"))
    assert matched(a, b) == [(0, 1), (1, 2), (2, 3)]
    assert match_items(a, b).matched_by == "token"
    assert matched(a, items((0, "d:1", None, "x"))) == []


def test_a_token_that_stands_twice_in_a_document_is_left_out_and_counted() -> None:
    a = items((0, "c:1", None, "x"), (1, "c:1", None, "x"), (2, "c:2", None, "z"))
    b = items((7, "c:1", 20, "x"), (8, "c:2", 20, "z"))
    assert matched(a, b) == [(2, 8)]
    assert match_items(a, b).ambiguous == (2, 1)
    twice = items((0, "c:0", 10, "x"), (1, "c:0", 10, "x"))
    assert matched(twice, twice) == []
    assert match_items(twice, twice).ambiguous == (2, 2)


def test_of_very_many_items_of_one_name_none_is_told_apart_and_the_rest_still_are() -> None:
    alike = items(*((n, "all", None, "x") for n in range(1_500)), (1_500, "all", None, "y"))
    assert matched(alike, alike) == [(1_500, 1_500)]
    assert match_items(alike, alike).ambiguous == (1_500, 1_500)
    placed_ones = items(*((n, "all", n, "x") for n in range(1_500)))
    assert len(matched(placed_ones, placed_ones)) == 1_500


def with_contexts(frame: pl.DataFrame, *contexts: str | None) -> pl.DataFrame:
    return frame.with_columns(context=pl.Series(contexts, dtype=pl.String))


@pytest.mark.parametrize(
    ("published", "ours", "are_one"),
    [
        ("varieties  of\nmaize,,", "which include varieties of maize,", True),
        ("varieties of maize", "which include varieties of maize,", True),
        ("varieties of wheat,", "which include varieties of maize,", False),
        (None, "which include varieties of maize,", True),
        (",", "which include varieties of maize,", True),
    ],
    ids=["token twice", "token not at all", "another place", "no context", "nothing but the token"],
)
def test_contexts_decide_as_far_as_both_runs_have_one(published: str | None, ours: str, are_one: bool) -> None:
    a = with_contexts(items((1265, "c:1", None, ",")), published)
    b = with_contexts(items((9, "c:1", 300, ",")), ours)
    assert matched(a, b) == ([(1265, 9)] if are_one else [])


def test_a_context_tells_two_places_of_one_token_apart() -> None:
    a = with_contexts(items((0, "c:1", None, " it"), (1, "c:1", None, " it")), "and so it", "but then it")
    b = with_contexts(items((5, "c:1", 90, " it"), (6, "c:1", 40, " it")), "long before but then it", "and so it")
    assert matched(a, b) == [(0, 6), (1, 5)]
    assert match_items(a, b).ambiguous == (0, 0)


@pytest.mark.parametrize(
    "b",
    [items((0, "item:0", None, "x"), (1, "item:1", None, "y")), items((0, None, None, None), (1, None, None, None))],
    ids=["named after their items", "not named"],
)
def test_numbers_stand_in_where_a_run_names_no_documents(b: pl.DataFrame) -> None:
    a = items((0, "c:0", None, "x"), (1, "c:1", 20, "y"))
    assert matched(a, b) == [(0, 0), (1, 1)]
    assert match_items(a, b).matched_by == "item_id"
    assert match_items(a, b).contradiction is None


def test_documents_are_those_of_the_run_that_knows_them() -> None:
    known = items((0, "c:0", None, "x"), (1, "c:0", None, "y"), (2, "c:1", None, "z"))
    unknown = items((0, None, None, None), (1, None, None, None), (2, None, None, None))
    for shared in (match_items(known, unknown), match_items(unknown, known)):
        assert shared.frame["document"].to_list() == [0, 0, 1]
        assert shared.frame["doc_id"].to_list() == ["c:0", "c:0", "c:1"]
        assert shared.frame["token"].to_list() == ["x", "y", "z"]


def test_numbers_that_name_other_tokens_match_nothing() -> None:
    shared = match_items(
        items((0, "c:0", None, "x"), (1, "c:1", None, "y")), items((0, "item:0", 5, "x"), (1, "item:1", 6, "z"))
    )
    assert shared.frame.is_empty()
    assert shared.contradiction == "item 1 is 'y' in A and 'z' in B"


def test_the_same_errors_on_fewer_items_do_not_differ_though_v_does() -> None:
    # A measured items 0 to 3 with V 0.4, B the first two of them with V 0.5; errors of the shared items are equal.
    errors = [0.1, 0.3, 0.2, 0.6]
    norms = [10.0, 20.0, 30.0, 40.0]
    a = run([1 - error / 0.4 for error in errors], variance=0.4, norms=norms)
    b = run([1 - error / 0.5 for error in errors[:2]], variance=0.5, norms=[10.001, 20.0])
    shared = match_items(placed([0, 1, 2, 3]), placed([0, 1]))
    for first, second in ((a, b), (b, a)):
        (scale,) = target_scales(first, second, shared)
        assert (scale.same_golds, scale.common_variance) == (True, 0.5)
        cell, _ = compared(first, second, shared)
        assert cell.difference == pytest.approx(0.0, abs=1e-15)
    cell, _ = compared(a, b, shared)
    assert (cell.shared_a, cell.shared_b) == pytest.approx((1 - 0.2 / 0.5, 1 - 0.2 / 0.5))
    assert cell.fve_a == pytest.approx(1 - 0.3 / 0.4)


def test_as_many_other_items_meet_on_the_mean_of_both_v() -> None:
    a, b = run([0.5, 0.5], variance=0.4, norms=[1.0, 2.0]), run([0.5, 0.5], variance=0.5, norms=[1.0, 2.0])
    (scale,) = target_scales(a, b, match_items(placed([0, 1]), placed([0, 1])))
    assert scale.common_variance == pytest.approx(0.45)


@pytest.mark.parametrize(("n_further", "same"), [(1, True), (2, False)])
def test_single_activations_that_rounding_took_further_are_still_the_same(n_further: int, same: bool) -> None:
    fve = [0.5] * 20
    a = run(fve, variance=0.4, norms=[10.0] * 20)
    b = run(fve, variance=0.4, norms=[10.14] * n_further + [10.01] * (20 - n_further))
    (scale,) = target_scales(a, b, match_items(placed(list(range(20))), placed(list(range(20)))))
    assert scale.same_golds is same


@pytest.mark.parametrize(("norms", "same"), [([10.0, 30.0], False), ([], None)])
def test_other_or_unknown_activations_leave_each_run_its_own_v(norms: list[float], same: bool | None) -> None:
    a, b = run([0.5, 0.7], variance=0.4, norms=[10.0, 20.0]), run([0.6, 0.7], variance=0.8, norms=norms)
    shared = match_items(placed([0, 1]), placed([0, 1]))
    (scale,) = target_scales(a, b, shared)
    assert (scale.same_golds, scale.common_variance) == (same, None)
    cell, _ = compared(a, b, shared)
    assert (cell.shared_a, cell.shared_b, cell.difference) == pytest.approx((0.6, 0.65, 0.05))


def test_without_shared_items_the_runs_own_values_are_subtracted_and_no_interval_is_given() -> None:
    cell, moved = compared(
        run([0.2, 0.4]), run([0.5], first_id=9), match_items(placed([0, 1]), placed([5], first_id=9))
    )
    assert cell.difference == pytest.approx(0.2)
    assert (cell.low, cell.high, cell.shared_a, cell.shared_b, cell.n_items) == (None, None, None, None, 0)
    assert cell.excludes_zero is None
    assert moved == []


def test_items_are_ordered_from_fall_to_rise_by_their_mean_over_the_cells_that_score_them_twice() -> None:
    pairs = [a_pair(P), a_pair(Q)]
    shared = match_items(placed([0, 1, 2]), placed([0, 1, 2]))

    def measured(rows: list[tuple[int, str, str, float | None]]) -> Measured:
        return Measured(
            pairs, [], pl.DataFrame(rows, schema=SCORE_SCHEMA, orient="row"), pl.DataFrame(schema=NORM_SCHEMA), 3
        )

    a = measured([(0, P, P, 0.5), (0, P, Q, 0.5), (1, P, P, 0.5), (1, P, Q, 0.1), (2, Q, Q, 0.5)])
    b = measured([(0, P, P, 0.7), (0, P, Q, 0.9), (1, P, P, 0.2), (1, P, Q, None), (2, Q, P, 0.5)])
    cells, moved = compare_cells(a, b, shared, [], DRAWS, SEED)
    assert [(item.item_a, item.n_cells) for item in moved] == [(1, 1), (0, 2)]
    assert [item.difference for item in moved] == pytest.approx([-0.3, 0.3])
    assert [(cell.source, cell.target, cell.n_items) for cell in cells] == [(P, P, 2), (P, Q, 1), (Q, P, 0), (Q, Q, 0)]


def test_protocol_differences_name_both_values_and_first_what_both_state() -> None:
    found = protocol_differences({"a": "1", "b": "2", "c": "3"}, {"d": "4", "c": "5", "a": "1"})
    assert [(row.key, row.a, row.b) for row in found] == [("c", "3", "5"), ("b", "2", None), ("d", None, "4")]
