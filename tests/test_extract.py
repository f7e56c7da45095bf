import numpy as np
import pytest

from nlareport.errors import NonFiniteVector, ZeroVector
from nlareport.rows.run_rows import PairId
from nlareport.stages.extract import activation_norms, extract

PAIR = PairId("a-L1")


class FixedExtractor:
    d_model = 2

    def __init__(self, rows: list[list[float]]) -> None:
        self.vectors = np.array(rows, dtype=np.float32)

    def extract(self, token_ids: list[list[int]]) -> np.ndarray:
        return self.vectors[: len(token_ids)]


def test_each_item_gets_the_vector_of_its_prefix_and_its_norm():
    batch = extract([[1], [1, 2]], [7, 3], PAIR, FixedExtractor([[3, 4], [0, 2]]))
    assert batch.item_ids.tolist() == [7, 3]
    assert batch.pair_id == PAIR
    assert activation_norms(batch).tolist() == [5.0, 2.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_vector_that_is_not_finite_is_refused_by_pair_and_item(value):
    with pytest.raises(NonFiniteVector, match="Pair a-L1, item 3"):
        extract([[1], [2]], [7, 3], PAIR, FixedExtractor([[1, 1], [value, 1]]))


def test_a_zero_vector_is_refused_by_pair_and_item():
    with pytest.raises(ZeroVector, match="Pair a-L1, item 7"):
        extract([[1]], [7], PAIR, FixedExtractor([[0, 0]]))


def test_the_norm_of_a_long_vector_is_its_euclidean_length():
    batch = extract([[1]], [7], PAIR, FixedExtractor([[60_000, 60_000]]))
    assert activation_norms(batch)[0] == pytest.approx(60_000 * 2**0.5)
