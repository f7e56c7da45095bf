"""The public stage-0 layout: the columns and the sidecar that other NLA tools read and write activations in.

Facts from kitft/natural_language_autoencoders (`nla/datagen/stage0_extract.py`, `sidecar.py`): vectors are raw, the
sidecar is kept next to each Parquet file as `<file>.nla_meta.yaml`. The column `item_id` is ours.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from nlareport import __version__
from nlareport.batches import ActivationBatch
from nlareport.files.yaml_files import text_of
from nlareport.rows.run_rows import Pair

SIDECAR_SUFFIX = ".nla_meta.yaml"
STAGE0_SCHEMA_VERSION = 1
VECTOR_COLUMN = "activation_vector"

NOTES = {
    "detokenized_text_truncated": "The document's own characters up to the end of the item, the same for every pair; "
    "the release writes its tokens decoded again, special ones dropped.",
    VECTOR_COLUMN: "Of the last token of a pass over the document up to the item; the release passes over the whole "
    "document, which rounds otherwise.",
}
"""What the columns hold otherwise than the release's; its own reader passes over keys that it does not know."""


@dataclass(frozen=True, slots=True)
class ActivationOrigin:
    """Where one activation was read: the text before it and its length in the pair's own tokens."""

    doc_id: str
    n_raw_tokens: int
    """Tokens up to and including the item's, special tokens counted: `token_index + 1`."""
    text: str
    """The document's text up to the end of the item's token."""


def stage0_frame(pair: Pair, batch: ActivationBatch, origins: Sequence[ActivationOrigin]) -> pl.DataFrame:
    """One row per vector, in order of item; `origins` go with the batch row by row."""
    rows = zip(batch.item_ids, origins, strict=True)
    frame = pl.DataFrame(
        [(o.n_raw_tokens, o.text, pair.block_index, o.doc_id, int(item_id)) for item_id, o in rows],
        schema={
            "n_raw_tokens": pl.Int64,
            "detokenized_text_truncated": pl.String,
            "activation_layer": pl.Int64,
            "doc_id": pl.String,
            "item_id": pl.Int64,
        },
        orient="row",
    )
    return frame.insert_column(2, vector_series(VECTOR_COLUMN, batch)).sort("item_id")


def vector_series(name: str, batch: ActivationBatch) -> pl.Series:
    """The batch's vectors as fixed-size lists of float32."""
    vectors = np.ascontiguousarray(batch.vectors, dtype=np.float32)
    return pl.Series(name, vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))


def sidecar_path(part: Path) -> Path:
    """Where the sidecar of a Parquet file stands."""
    return part.with_name(part.name + SIDECAR_SUFFIX)


def sidecar_text(pair: Pair, doc_ids: Sequence[str]) -> str:
    """The sidecar of a part that holds one activation for each of these documents."""
    corpus, start, length = _corpus_slice(doc_ids)
    # Only what has a base model has activations.
    model_name = (pair.base_model or "").rpartition("/")[2]
    meta = {
        "dataset_id": f"base_{model_name}_L{pair.block_index}_{pair.pair_id}",
        "stage": "base",
        "row_count": len(doc_ids),
        "extraction": {
            "base_model": pair.base_model,
            "d_model": pair.d_model,
            "layer_index": pair.block_index,
            "norm": "none",
            "corpus": corpus,
            "corpus_slice": {"start": start, "length": length},
            "positions_per_doc": max(Counter(doc_ids).values()),
        },
        "kind": "nla_dataset",
        "schema_version": STAGE0_SCHEMA_VERSION,
        "keep_debug_metadata": True,
        "created_by": f"nlareport {__version__}",
        "notes": NOTES,
    }
    return text_of(meta)


def _corpus_slice(doc_ids: Sequence[str]) -> tuple[str, int, int]:
    """Corpus, first index and length of the slice the documents lie in, as far as their ids tell."""
    places = [doc_id.rsplit(":", 2) for doc_id in doc_ids]
    indexes = [int(place[-1]) for place in places if place[-1].isdecimal()]
    if not indexes:
        return places[0][0], 0, len(set(doc_ids))
    return places[0][0], min(indexes), max(indexes) - min(indexes) + 1
