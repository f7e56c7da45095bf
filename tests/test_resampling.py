import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nlareport.errors import TooFewItems
from nlareport.statistics.geometry import unit_rows, variance_nrm
from nlareport.statistics.resampling import (
    bootstrap_columns,
    bootstrap_ratios,
    bootstrap_variances,
    can_derange,
    derangement,
    document_codes,
    document_weights,
    percentile_interval,
    random_order,
)

documents_of_items = st.lists(st.integers(0, 8), min_size=2, max_size=40).map(np.array)
DERANGEMENT_OF_8 = [5, 7, 4, 2, 0, 1, 3, 6]
FURTHER_DERANGEMENTS = [[6, 3, 7, 1, 5, 4, 0, 2], [2, 4, 6, 1, 0, 7, 5, 3]]
DERANGEMENT_OF_3_DOCUMENTS = [5, 0, 3, 4, 6, 2, 1]
ORDER_OF_6 = [0, 3, 5, 1, 2, 4]
WEIGHTS_OF_6 = [[1, 2, 3, 0, 0, 0], [1, 1, 1, 1, 2, 0]]

seeds = st.integers(-(2**63), 2**63)


@given(documents_of_items.filter(lambda documents: can_derange(documents)), seeds, st.integers(0, 3))
def test_a_derangement_is_a_permutation_that_never_gives_an_item_its_own_document(documents, seed, permutation):
    partner = derangement(documents, seed, permutation)
    assert sorted(partner.tolist()) == list(range(len(documents)))
    assert (documents[partner] != documents).all()


@given(documents_of_items)
def test_a_derangement_exists_unless_one_document_holds_more_than_half(documents):
    largest = np.bincount(documents).max()
    assert can_derange(documents) == (2 * largest <= len(documents))


def test_one_document_with_more_than_half_of_the_items_is_refused():
    sentence = (
        r"^No permutation of 5 items gives each another document's: one document holds more than half of them\. "
        r"Measure items of more documents\.$"
    )
    with pytest.raises(TooFewItems, match=sentence):
        derangement(np.array([0, 0, 0, 1, 2]), seed=1)


def test_derangements_are_the_same_on_every_machine():
    assert derangement(np.arange(8), seed=1018).tolist() == DERANGEMENT_OF_8
    assert [derangement(np.arange(8), 1018, permutation).tolist() for permutation in (1, 2)] == FURTHER_DERANGEMENTS
    assert derangement(np.array([4, 7, 4, 9, 7, 9, 9]), seed=1018).tolist() == DERANGEMENT_OF_3_DOCUMENTS


def n_cycles(partner: np.ndarray) -> int:
    seen: set[int] = set()
    cycles = 0
    for start in range(len(partner)):
        cycles += start not in seen
        while start not in seen:
            seen.add(start)
            start = int(partner[start])
    return cycles


def test_derangements_shift_by_every_number_of_places_and_not_by_one_alone():
    # Six items on a circle, shifted by 1 to 5: by 1 and 5 they form one cycle, by 2 and 4 two, by 3 three.
    cycles = [n_cycles(derangement(np.arange(6), seed)) for seed in range(1000)]
    assert np.bincount(cycles, minlength=4) / 1000 == pytest.approx([0, 0.4, 0.4, 0.2], abs=0.05)


@given(seeds)
def test_derangements_of_one_seed_are_not_alike(seed):
    documents = np.repeat(np.arange(10), 3)
    several = {tuple(derangement(documents, seed, permutation).tolist()) for permutation in range(5)}
    assert len(several) == 5
    assert tuple(derangement(documents, seed).tolist()) == tuple(derangement(documents, seed, 0).tolist())
    assert tuple(derangement(documents, seed + 1).tolist()) not in several


def test_a_random_order_is_the_same_on_every_machine():
    assert random_order(6, seed=1018, purpose="cards").tolist() == ORDER_OF_6


def test_drawn_documents_are_the_same_on_every_machine():
    (weights,) = document_weights(n_documents=6, draws=2, seed=1018)
    assert weights.tolist() == WEIGHTS_OF_6


def test_every_partner_is_about_as_likely():
    partners = [int(derangement(np.arange(5), seed)[0]) for seed in range(1000)]
    shares = np.bincount(partners, minlength=5) / 1000
    assert shares[0] == 0
    assert (np.abs(shares[1:] - 0.25) < 0.06).all()


def test_documents_are_numbered_by_first_appearance():
    assert document_codes(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]


@given(st.integers(1, 30), st.integers(1, 50), seeds)
def test_every_draw_holds_as_many_documents_as_there_are(n_documents, draws, seed):
    weights = np.concatenate(list(document_weights(n_documents, draws, seed)))
    assert weights.shape == (draws, n_documents)
    assert (weights.sum(axis=1) == n_documents).all()


def test_the_size_of_a_chunk_does_not_change_what_is_drawn(monkeypatch):
    whole = np.concatenate(list(document_weights(7, 40, 5)))
    monkeypatch.setattr("nlareport.statistics.resampling._WEIGHTS_AT_ONCE", 21)
    chunks = list(document_weights(7, 40, 5))
    assert len(chunks) == 14
    assert np.array_equal(np.concatenate(chunks), whole)


def test_a_chunk_holds_at_least_one_draw_and_as_many_entries_as_fit(monkeypatch):
    monkeypatch.setattr("nlareport.statistics.resampling._WEIGHTS_AT_ONCE", 14)
    assert [len(chunk) for chunk in document_weights(7, 5, 1)] == [2, 2, 1]
    assert [len(chunk) for chunk in document_weights(15, 3, 1)] == [1, 1, 1]


def test_an_interval_leaves_2_5_percent_of_the_draws_on_either_side():
    # Of 0, 1, …, 1000 the percentiles are whole numbers.
    assert percentile_interval(np.append(np.arange(1001.0), [np.nan, np.inf])) == (25.0, 975.0)
    sentence = r"^No bootstrap draw held an item; an interval needs at least two documents with a value\.$"
    with pytest.raises(TooFewItems, match=sentence):
        percentile_interval(np.array([np.nan]))


def test_columns_are_means_over_the_drawn_documents_items():
    # The first column has values in documents 0 and 2, the second in 1 alone.
    columns = [(np.array([1.0, 5.0, 3.0]), np.array([0, 2, 0])), (np.array([7.0]), np.array([1]))]
    drawn = bootstrap_columns(columns, 3, draws=40, seed=2)
    weights = np.concatenate(list(document_weights(3, 40, 2)))
    for (first, second), (zero, one, two) in zip(drawn, weights, strict=True):
        n_first = 2 * zero + two
        expected = (4 * zero + 5 * two) / n_first if n_first else np.nan
        assert first == pytest.approx(expected, nan_ok=True)
        assert second == pytest.approx(7.0 if one else np.nan, nan_ok=True)
    assert np.isnan(drawn).any(axis=0).all()


def means_of(values: np.ndarray, documents: np.ndarray, draws: int, seed: int, n_documents: int = 0) -> np.ndarray:
    """The mean of one column on every draw."""
    size = max(n_documents, int(documents.max()) + 1)
    return bootstrap_columns([(values, documents)], size, draws, seed)[:, 0]


def test_all_items_of_a_document_move_together():
    # Documents {0, 0} and {1}: by hand, a resample is AA, AB, BA or BB with means 0, 1/3, 1/3 and 1.
    means = means_of(np.array([0.0, 0.0, 1.0]), np.array([0, 0, 1]), draws=4000, seed=1)
    outcomes, times = np.unique(means, return_counts=True)
    assert np.allclose(outcomes, [0, 1 / 3, 1])
    assert np.allclose(times / 4000, [0.25, 0.5, 0.25], atol=0.03)


def test_copies_of_an_item_in_its_document_do_not_narrow_the_interval():
    values = np.random.default_rng(1).standard_normal(30)
    once = percentile_interval(means_of(values, np.arange(30), draws=500, seed=1))
    copied = percentile_interval(means_of(np.repeat(values, 4), np.repeat(np.arange(30), 4), draws=500, seed=1))
    assert copied == pytest.approx(once)


def test_the_interval_does_not_depend_on_row_order():
    rng = np.random.default_rng(2)
    values, documents = rng.standard_normal(60), rng.integers(0, 20, 60)
    order = rng.permutation(60)
    shuffled = percentile_interval(means_of(values[order], documents[order], draws=300, seed=9))
    assert shuffled == pytest.approx(percentile_interval(means_of(values, documents, draws=300, seed=9)), rel=1e-12)


def test_documents_without_a_value_are_drawn_too():
    means = means_of(np.array([1.0, 3.0]), np.array([0, 2]), draws=2000, seed=1)
    # A third of the documents each: (1/3)**3 of the draws hold only the empty one.
    assert np.isnan(means).mean() == pytest.approx(1 / 27, abs=0.02)
    assert percentile_interval(means) == (1.0, 3.0)


def test_the_last_documents_of_a_run_are_drawn_too_when_they_have_no_value():
    means = means_of(np.array([1.0, 3.0]), np.array([0, 1]), draws=500, seed=1, n_documents=4)
    weights = np.concatenate(list(document_weights(4, 500, 1)))
    assert np.isnan(means).tolist() == (weights[:, :2].sum(axis=1) == 0).tolist()


def test_statistics_of_one_run_share_their_draws():
    values = np.random.default_rng(4).standard_normal((10, 2))
    together = bootstrap_ratios(values, np.ones((10, 2)), draws=50, seed=6)
    alone = means_of(values[:, 1], np.arange(10), draws=50, seed=6)
    assert np.allclose(together[:, 1], alone)


@pytest.mark.parametrize("d_model", [3, 40], ids=["wider than documents", "narrower than documents"])
def test_v_on_a_resample_is_v_of_the_items_drawn(d_model):
    rng = np.random.default_rng(5)
    documents = document_codes([str(document) for document in rng.integers(0, 12, 30)])
    unit = unit_rows(rng.standard_normal((30, d_model)) * 0.2 + 1.0)
    variances = bootstrap_variances(unit, documents, draws=20, seed=8)
    weights = np.concatenate(list(document_weights(int(documents.max()) + 1, 20, 8)))
    for drawn, variance in zip(weights, variances, strict=True):
        resample = np.repeat(unit, drawn[documents].astype(int), axis=0)
        assert variance == pytest.approx(variance_nrm(resample), rel=1e-7)


def test_a_resample_of_one_direction_has_no_variance():
    variances = bootstrap_variances(np.eye(2), np.array([0, 1]), draws=100, seed=1)
    assert set(np.round(variances[np.isfinite(variances)], 6)) == {0.5}
    assert np.isnan(variances).mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(("n_documents", "d_model"), [(2, 64), (3, 64), (4, 3)])
@given(st.integers(0, 2**32))
def test_a_draw_of_one_direction_alone_has_no_v_however_it_rounds(n_documents, d_model, seed):
    unit = unit_rows(np.random.default_rng(seed).standard_normal((n_documents, d_model)) + 0.5)
    cosines = unit @ unit.T - 2 * np.eye(n_documents)
    assume(cosines.max() < 0.99)
    variances = bootstrap_variances(unit, np.arange(n_documents), draws=60, seed=1)
    weights = np.concatenate(list(document_weights(n_documents, 60, 1)))
    assert np.isnan(variances).tolist() == (weights == n_documents).any(axis=1).tolist()


def test_golds_of_one_direction_have_no_v_in_any_draw():
    unit = unit_rows(np.tile([1.0, 2.0, 3.0], (7, 1)))
    # Their mean is rounded, so that some stand 1e-16 from it.
    assert ((unit - unit.mean(axis=0)) != 0).any()
    assert np.isnan(bootstrap_variances(unit, np.arange(7), draws=20, seed=1)).all()


@given(size=st.integers(0, 60), seed=st.integers(0, 2**40))
def test_a_random_order_holds_every_place_once_and_differs_by_purpose(size: int, seed: int) -> None:
    order = random_order(size, seed, "one")
    assert sorted(order.tolist()) == list(range(size))
    assert order.tolist() == random_order(size, seed, "one").tolist()
    # Of 30! orders two are not the same by chance.
    assert size < 30 or order.tolist() != random_order(size, seed, "other").tolist()
