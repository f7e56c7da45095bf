"""Reads a file of given vectors: Parquet in the public stage-0 columns, or safetensors.

Takes a path, returns vectors by item with what the file says of each. Only `activation_vector` is required; of a
safetensors file without a tensor of that name, every tensor is one vector and its name the label.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from nlareport.errors import CorpusUnreadable
from nlareport.files.given_files import PARQUET, open_given, what_it_is
from nlareport.shown import brief, listed, shown
from nlareport.store.vectors.stage0 import VECTOR_COLUMN

_ADVICE = "Correct corpus.path."
MOST_BYTES = 20_000_000_000
"""Of a safetensors file, which is read whole."""
_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32}
_OTHERS = ("activation_layer", "item_id", "doc_id", "detokenized_text_truncated", "n_raw_tokens")
_LAYER, _ITEM, _DOCUMENT, _TEXT, _TOKENS = _OTHERS


@dataclass(frozen=True, slots=True)
class GivenVectors:
    """The vectors of one pair in order of item; a column that the file lacks is None."""

    path: Path
    item_ids: Int[np.ndarray, " item"]
    """The file's own, or its rows counted from 0."""
    vectors: Float[np.ndarray, "item d_model"]
    labels: list[Any] | None
    doc_ids: list[Any] | None
    texts: list[Any] | None
    """The text up to each item."""
    n_raw_tokens: list[Any] | None
    layers: frozenset[Any]
    """The blocks that the vectors are said to come from; empty where the file does not say."""


def read_given_vectors(path: Path, label_column: str) -> GivenVectors:
    """What a file gives.

    Raises:
        CorpusUnreadable: it is of another kind, is damaged, or a column is not what it must be; the message says which.
    """
    with open_given(path, CorpusUnreadable, _ADVICE) as file:
        said = what_it_is(file.read(16))
    if said == PARQUET:
        columns = _parquet_columns(path, label_column)
    elif path.suffix == ".safetensors":
        columns = _safetensors_columns(path, label_column)
    else:
        raise CorpusUnreadable(
            f"{path}: {said or 'is neither Parquet nor named .safetensors'}; given vectors are a Parquet or a "
            f"safetensors file. {_ADVICE}"
        )
    vectors = _matrix(path, columns[VECTOR_COLUMN])
    item_ids = _item_ids(path, columns.get(_ITEM), len(vectors))
    order = np.argsort(item_ids, kind="stable")
    sorted_columns = {
        name: [column[place] for place in order] for name, column in columns.items() if name != VECTOR_COLUMN
    }
    layers = frozenset(layer for layer in sorted_columns.get(_LAYER, []) if layer is not None)
    return GivenVectors(
        path,
        item_ids[order],
        vectors[order],
        _texts_in(path, label_column, sorted_columns),
        _texts_in(path, _DOCUMENT, sorted_columns),
        _texts_in(path, _TEXT, sorted_columns),
        _token_counts(path, sorted_columns.get(_TOKENS)),
        layers,
    )


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except CorpusUnreadable:
        raise
    # Arrow's and safetensors' errors have no root in common.
    except Exception as error:
        raise CorpusUnreadable(f"{path}: is damaged or cannot be read ({brief(error)}). Write it again.") from error


def _parquet_columns(path: Path, label_column: str) -> dict[str, Any]:
    # Not with polars: a damaged page makes it panic, which is no Exception.
    with _faults(path), pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if names.count(VECTOR_COLUMN) != 1:
            raise CorpusUnreadable(
                f"{path}: there is no column {VECTOR_COLUMN}; there are: {listed(names)}. Rename the one of vectors."
            )
        wanted = [name for name in (*_OTHERS, label_column) if names.count(name) == 1]
        table = file.read([VECTOR_COLUMN, *wanted])
        table.validate(full=True)
        frame = pl.DataFrame(pl.from_arrow(table))
    return {VECTOR_COLUMN: frame[VECTOR_COLUMN]} | {name: frame[name].to_list() for name in wanted}


def _safetensors_columns(path: Path, label_column: str) -> dict[str, Any]:
    # Here, because the site is built without it.
    import safetensors

    deserialize: Any = safetensors.deserialize
    if path.stat().st_size > MOST_BYTES:
        raise CorpusUnreadable(f"{path}: holds more than {MOST_BYTES:,} bytes, the most that is read. Split it.")
    with _faults(path):
        tensors = {name: _array(path, name, tensor) for name, tensor in deserialize(path.read_bytes())}
    if VECTOR_COLUMN in tensors:
        scalars = {name: array.tolist() for name, array in tensors.items() if name in (_LAYER, _ITEM, _TOKENS)}
        return {VECTOR_COLUMN: tensors[VECTOR_COLUMN]} | scalars
    names = sorted(tensors)
    shapes = sorted({tensors[name].shape for name in names})
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise CorpusUnreadable(
            f"{path}: its tensors have the shapes {listed(shapes)}. Give one tensor {VECTOR_COLUMN} with a row for "
            "each vector, or one tensor for each vector, all of one length."
        )
    return {VECTOR_COLUMN: np.stack([tensors[name] for name in names]), label_column: names}


def _array(path: Path, name: str, tensor: dict[str, Any]) -> np.ndarray:
    """A tensor as NumPy has it; bfloat16, which NumPy has not, as float32."""
    if tensor["dtype"] == "BF16":
        bits = np.frombuffer(tensor["data"], dtype="<u2").astype(np.uint32) << 16
        return np.reshape(bits.view(np.float32), tensor["shape"])
    if tensor["dtype"] not in _DTYPES:
        raise CorpusUnreadable(f"{path}: tensor {shown(name)} is of type {tensor['dtype']}. Save it as float32.")
    return np.reshape(np.frombuffer(tensor["data"], dtype=_DTYPES[tensor["dtype"]]), tensor["shape"])


def _matrix(path: Path, column: Any) -> Float[np.ndarray, "item d_model"]:
    matrix = _of_lists(path, column) if isinstance(column, pl.Series) else column
    if matrix.ndim != 2 or not matrix.size:
        raise CorpusUnreadable(f"{path}: holds no vectors, its {VECTOR_COLUMN} is of shape {matrix.shape}. {_ADVICE}")
    # What is too large for float32 becomes infinite, and is refused by item.
    with np.errstate(over="ignore"):
        return np.asarray(matrix, dtype=np.float32)


def _of_lists(path: Path, column: pl.Series) -> Float[np.ndarray, "item d_model"]:
    """A column of lists of numbers as a matrix; NaN where a number is missing."""
    dtype = column.dtype
    if not isinstance(dtype, pl.List | pl.Array) or not dtype.inner.is_numeric():
        raise CorpusUnreadable(f"{path}: its {VECTOR_COLUMN} holds {dtype}. Write a list of numbers in each row.")
    lengths = column.list.len() if isinstance(dtype, pl.List) else column.arr.len()
    if column.null_count() or lengths.n_unique() > 1:
        found = [length for length in lengths.unique().to_list() if length is not None]
        missing = " or none" if column.null_count() else ""
        raise CorpusUnreadable(
            f"{path}: its vectors have {listed(sorted(found))} numbers{missing}. Give them all one length."
        )
    numbers = column.explode().cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return numbers.reshape(len(column), -1) if len(column) else np.empty((0, 0))


def _item_ids(path: Path, column: Sequence[Any] | None, n_rows: int) -> Int[np.ndarray, " item"]:
    if column is None:
        return np.arange(n_rows, dtype=np.int64)
    if len(column) != n_rows or not all(isinstance(item, int) and 0 <= item < 2**63 for item in column):
        raise CorpusUnreadable(f"{path}: {_ITEM} must be a whole number from 0 for every vector. Correct or remove it.")
    if len(set(column)) < n_rows:
        twice = next(item for item in column if list(column).count(item) > 1)
        raise CorpusUnreadable(f"{path}: {_ITEM} {twice} stands for more than one vector. Number each differently.")
    return np.array(column, dtype=np.int64)


def _token_counts(path: Path, values: list[Any] | None) -> list[Any] | None:
    if values is not None and not all(
        value is None or (isinstance(value, int) and 0 < value < 2**31) for value in values
    ):
        raise CorpusUnreadable(f"{path}: {_TOKENS} must be a whole number from 1 or nothing. Correct or remove it.")
    return values


def _texts_in(path: Path, name: str, columns: dict[str, list[Any]]) -> list[Any] | None:
    values = columns.get(name)
    if values is not None and not all(value is None or isinstance(value, str) for value in values):
        raise CorpusUnreadable(f"{path}: column {shown(name)} holds something else than text. Correct or remove it.")
    return values
