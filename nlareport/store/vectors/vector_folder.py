"""Reads and writes vectors by item in one folder of Parquet parts, in which an item occurs once or not at all.

Takes a frame with `item_id` and a vector column, returns an `ActivationBatch`. Knows no run file.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from nlareport.batches import ActivationBatch
from nlareport.rows.run_rows import PairId
from nlareport.store.vectors.parquet_parts import (
    NO_NOTES,
    column_names,
    damaged,
    part_name,
    part_notes,
    part_paths,
    read_part,
    read_whole_part,
    row_count,
    write_part,
)
from nlareport.store.vectors.stage0 import sidecar_path
from nlareport.store.vectors.vector_notes import ReadDigests, noted_reading


class VectorParts:
    """Vectors of one pair, or reconstructions of one cell, in one folder. One process writes."""

    def __init__(self, folder: Path, vector_column: str) -> None:
        self.folder = folder
        self._vector_column = vector_column
        self._ids: dict[Path, frozenset[int]] | None = None
        self._reading: dict[Path, dict[int, str]] = {}

    def item_ids(self) -> frozenset[int]:
        """Items that have a vector here.

        Raises:
            ActivationsDamaged: a part is not what was written.
        """
        return frozenset(item_id for ids in self.ids_by_part().values() for item_id in ids)

    def ids_by_part(self) -> dict[Path, frozenset[int]]:
        """The items of every part.

        Raises:
            ActivationsDamaged: a part is not what was written.
        """
        if self._ids is None:
            self._ids = {path: frozenset(_item_ids(path).tolist()) for path in part_paths(self.folder)}
        return self._ids

    def read_otherwise(self, wanted: ReadDigests) -> frozenset[int]:
        """Items of every part in which a vector is of another text than the one wanted.

        Of the whole part, which is written again as a whole. An item is passed over where it is not wanted, and where
        the part does not say what was read for it.

        Raises:
            ActivationsDamaged: a part is not what was written.
        """
        strange: set[int] = set()
        for path, ids in self.ids_by_part().items():
            if path not in self._reading:
                self._reading[path] = noted_reading(path)
            known = self._reading[path]
            if any(known[item_id] != wanted[item_id] for item_id in ids & known.keys() & wanted.keys()):
                strange |= ids
        return frozenset(strange)

    def write(self, frame: pl.DataFrame, notes: Mapping[str, str] = NO_NOTES) -> dict[Path, pl.DataFrame]:
        """Every part that was written, with its rows: the frame as one part, and those that lost items to it.

        `notes` go with the new part; the others keep theirs.

        Raises:
            ActivationsDamaged: an earlier part that has to give up an item is not what was written.
            FileUnwritable: the disk forbids it.
        """
        path = self.folder / part_name(frame["item_id"][0])
        ids, written = frozenset(frame["item_id"]), {}
        for other, held in list(self.ids_by_part().items()):
            if other != path and held & ids and (kept := self._without(other, ids)) is not None:
                written[other] = kept
        write_part(path, frame, notes)
        self._reading.pop(path, None)
        self.ids_by_part()[path] = ids
        return {**written, path: frame}

    def read(self, pair_id: PairId) -> ActivationBatch:
        """Every vector in order of item; no rows, and width 0, when there are none.

        Raises:
            ActivationsDamaged: a part is not what was written, is of another width, or repeats an item.
        """
        parts = [(path, *self._rows(path)) for path in part_paths(self.folder)]
        if not parts:
            return ActivationBatch(pair_id, np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32))
        width = parts[0][2].shape[1]
        for path, _, vectors in parts:
            if vectors.shape[1] != width:
                raise damaged(path, f"holds vectors of width {vectors.shape[1]}, others {width}")
        _refuse_repeats({path: ids for path, ids, _ in parts})
        item_ids = np.concatenate([ids for _, ids, _ in parts])
        order = np.argsort(item_ids, kind="stable")
        vectors = np.concatenate([vectors for _, _, vectors in parts])
        return ActivationBatch(pair_id, item_ids[order], vectors[order])

    def _rows(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """A part's items and vectors, row by row; a file of the public stage 0 names no items and numbers its rows."""
        columns = {self._vector_column: pl.Array}
        if "item_id" not in column_names(path):
            frame = read_part(path, columns)
            item_ids = _numbered(path, len(frame))
        else:
            frame = read_part(path, {**columns, "item_id": pl.Int64})
            item_ids = frame["item_id"].to_numpy()
        vectors = frame[self._vector_column].to_numpy()
        if vectors.dtype.kind != "f":
            raise damaged(path, f"holds vectors of {vectors.dtype}, not of decimal numbers")
        return item_ids, vectors.astype(np.float32, copy=False)

    def _without(self, part: Path, ids: frozenset[int]) -> pl.DataFrame | None:
        """What is left of a part without these items, written in its place; None when nothing is, and it is gone."""
        frame = read_whole_part(part)
        if "item_id" not in frame.columns:
            frame = frame.with_columns(pl.Series("item_id", _numbered(part, len(frame))))
        frame = frame.filter(~pl.col("item_id").is_in(list(ids)))
        if frame.is_empty():
            # The part goes last: a sidecar without a part would stay for good.
            sidecar_path(part).unlink(missing_ok=True)
            part.unlink()
            del self.ids_by_part()[part]
            return None
        write_part(part, frame, part_notes(part))
        self.ids_by_part()[part] -= ids
        return frame


def _refuse_repeats(ids_by_part: Mapping[Path, np.ndarray]) -> None:
    """Pass when no item occurs twice; the part that repeats one is named, so that the other stays."""
    seen: set[int] = set()
    for path, item_ids in ids_by_part.items():
        found = set(item_ids.tolist())
        if repeated := found & seen:
            raise damaged(path, f"item {min(repeated)} stands in two parts")
        if len(found) < len(item_ids):
            raise damaged(path, "holds an item twice")
        seen |= found


def _item_ids(path: Path) -> np.ndarray:
    """The items of a part, row by row."""
    if "item_id" in column_names(path):
        return read_part(path, {"item_id": pl.Int64})["item_id"].to_numpy()
    return _numbered(path, row_count(path))


def _numbered(path: Path, n_rows: int) -> np.ndarray:
    """Items of a file that names none: its rows, counted from the number in its own name."""
    digits = path.stem.removeprefix("part-")
    first = int(digits) if digits.isdecimal() and len(digits) < 16 else 0
    return np.arange(first, first + n_rows, dtype=np.int64)
