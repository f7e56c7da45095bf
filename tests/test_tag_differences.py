import random
from collections.abc import Callable

import numpy as np
import pytest

from nlareport.rows.item_rows import Item, Score, Tag
from nlareport.rows.run_rows import Pair, PairId
from nlareport.rows.tag_rows import TagDifference
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws, VarianceScale
from nlareport.statistics.resampling import document_weights
from nlareport.statistics.tag_differences import MOST_COMPARED, compare_values
from nlareport.statistics.tag_subsets import MOST_SUBSETS, MOST_VALUES, tag_subsets

A = PairId("a")
PAIR = Pair(A, "a", "family", "base", 1, 4, None, None, 0.5, None, None, 0)
DRAWS, SEED = 500, 3


def items_in(documents: list[int]) -> list[Item]:
    return [Item(n, f"d{document}", 9, "x", None, "prose", False) for n, document in enumerate(documents)]


def scores_of(values: list[float]) -> list[Score]:
    return [Score(n, A, A, None, value) for n, value in enumerate(values)]


def compared(documents: list[int], values: list[float], said: list[str], draws: int = DRAWS) -> list[TagDifference]:
    items = items_in(documents)
    tags = [Tag(n, "role", value) for n, value in enumerate(said)]
    drawn = DocumentDraws.of(items, draws, SEED, [PAIR])
    return compare_values([A], tag_subsets(tags), scores_of(values), drawn)


def plain_interval(n_documents: int, statistic: Callable[[np.ndarray], float]) -> tuple[float, float]:
    """The interval of what a loop over the drawn documents makes of each draw."""
    weights = np.concatenate(list(document_weights(n_documents, DRAWS, SEED)))
    drawn = [statistic(np.repeat(np.arange(n_documents), row.astype(int))) for row in weights]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def test_within_documents_the_difference_is_paired_and_equals_a_plain_recomputation() -> None:
    chance = random.Random(1)
    documents = [n // 3 for n in range(36)]
    said = ["prompt" if n % 3 else "reply" for n in range(36)]
    values = [0.1 * (n // 3 % 4) + 0.05 * (n % 3) + chance.gauss(0, 0.02) for n in range(36)]
    (found,) = compared(documents, values, said)
    within = np.array([np.mean(values[3 * d + 1 : 3 * d + 3]) - values[3 * d] for d in range(12)])
    assert (found.name, found.value, found.other_value) == ("role", "prompt", "reply")
    assert (found.is_paired, found.n_documents) == (True, 12)
    assert found.difference == pytest.approx(within.mean())
    assert (found.ci_low, found.ci_high) == pytest.approx(plain_interval(12, lambda drawn: within[drawn].mean()))


def test_apart_the_difference_is_that_of_the_two_cells_drawn_together() -> None:
    chance = random.Random(2)
    said = ["benign" if n < 7 else "jailbreak" for n in range(16)]
    values = [chance.random() for _ in range(16)]
    (found,) = compared(list(range(16)), values, said)
    assert (found.is_paired, found.n_documents) == (False, 16)
    assert found.difference == pytest.approx(np.mean(values[:7]) - np.mean(values[7:]))

    def difference(drawn: np.ndarray) -> float:
        sides = [[values[k] for k in drawn if said[k] == side] for side in ("benign", "jailbreak")]
        return float(np.mean(sides[0]) - np.mean(sides[1])) if all(sides) else np.nan

    assert (found.ci_low, found.ci_high) == pytest.approx(plain_interval(16, difference))


def test_too_few_shared_documents_are_not_paired() -> None:
    documents = [0, 0, 1, 2, 3, 4, 5, 6]
    said = ["a", "b", "a", "a", "a", "b", "b", "b"]
    (found,) = compared(documents, [0.1 * n for n in range(8)], said)
    assert not found.is_paired


def test_a_value_of_one_document_gives_a_difference_without_an_interval() -> None:
    (found,) = compared([0, 0, 1, 2], [0.1, 0.2, 0.5, 0.6], ["a", "a", "b", "b"])
    assert (found.is_paired, found.ci_low, found.ci_high) == (False, None, None)
    assert found.difference == pytest.approx(-0.4)


def test_where_v_is_drawn_a_difference_is_measured_in_the_v_of_each_draw() -> None:
    said, values = ["a", "b"] * 6, [0.3, 0.1] * 6
    items = items_in([n // 2 for n in range(12)])
    halves = VarianceScale(0.5, np.full(DRAWS, 0.25))
    tags = [Tag(n, "role", value) for n, value in enumerate(said)]
    drawn = DocumentDraws(np.arange(12) // 2, DRAWS, SEED, {n: n for n in range(12)}, {A: halves})
    (found,) = compare_values([A], tag_subsets(tags), scores_of(values), drawn)
    assert found.difference == pytest.approx(0.2)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.4, 0.4))
    assert len(items) == 12


def test_the_interval_of_a_paired_difference_covers_the_true_one_about_as_often_as_it_says() -> None:
    chance, truth, n_runs, n_documents = np.random.default_rng(5), 0.03, 200, 60
    documents = [n // 2 for n in range(2 * n_documents)]
    n_covered = n_apart = 0
    for _ in range(n_runs):
        of_document = np.repeat(chance.normal(0.4, 0.3, n_documents), 2)
        values = of_document + chance.normal(0, 0.05, 2 * n_documents) + np.tile([truth, 0.0], n_documents)
        (found,) = compared(documents, values.tolist(), ["a", "b"] * n_documents, draws=200)
        assert found.ci_low is not None
        assert found.ci_high is not None
        n_covered += found.ci_low <= truth <= found.ci_high
        n_apart += found.ci_low > 0
    assert 0.90 <= n_covered / n_runs <= 0.985
    # Documents differ ten times as much as the two values do: only within them can that be seen.
    assert n_apart / n_runs > 0.85


def test_a_tag_of_thousands_of_values_has_cells_of_the_most_frequent_only() -> None:
    tags = [Tag(n, "url", f"http://{n}") for n in range(2000)]
    assert tag_subsets(tags) == []
    tags += [Tag(2000 + n, "url", f"often {n % 30:02d}") for n in range(90)]
    assert len(tag_subsets(tags)) == MOST_VALUES
    many = [Tag(n, f"name {k:03d}", f"{n % 2}") for k in range(100) for n in range(4)]
    assert len(tag_subsets(many)) == MOST_SUBSETS
    assert (
        len(compared([0] * 40, [0.1] * 40, [f"{n % 20}" for n in range(40)]))
        == MOST_COMPARED * (MOST_COMPARED - 1) // 2
    )


def test_values_that_are_numbers_are_in_the_order_of_numbers() -> None:
    tags = [Tag(n, "layer", value) for n, value in enumerate(["8", "12", "4"] * 2)]
    assert [subset.subset for subset in tag_subsets(tags)] == ["layer=4", "layer=8", "layer=12"]


def test_tags_leave_all_other_cells_as_they_are_to_the_last_bit() -> None:
    chance = random.Random(7)
    items, scores = items_in([n // 2 for n in range(60)]), scores_of([chance.random() for _ in range(60)])
    drawn = DocumentDraws.of(items, DRAWS, SEED, [PAIR])
    subsets = tag_subsets([Tag(n, "role", "ab"[n % 2]) for n in range(60)] + [Tag(n, "rare", "yes") for n in (70, 71)])
    plain = summarize([PAIR], items, scores, [], drawn)
    tagged = summarize([PAIR], items, scores, [], drawn, {}, subsets)
    assert tagged[: len(plain)] == plain
    # A value without an item of the cell has no row.
    assert [cell.subset for cell in tagged[len(plain) :]] == ["role=a", "role=b"]
    values = [score.fve_nrm for score in scores[::2]]
    low, high = plain_interval(30, lambda documents: float(np.mean([values[d] for d in documents])))
    assert (tagged[-2].ci_low, tagged[-2].ci_high) == pytest.approx((low, high))
