"""One folder of parts that holds vectors by item: an item stands in it once or not at all.

Enters a frame with `item_id` and a vector column; leaves an `ActivationBatch`. Knows no run file.
"""

from pathlib import Path

import numpy as np
import polars as pl
import yaml

from nlareport.atomic_files import write_whole
from nlareport.batches import ActivationBatch
from nlareport.rows import PairId
from nlareport.store.parts import column_names, damaged, part_name, part_paths, read_part, write_part
from nlareport.store.stage0 import sidecar_path


class VectorParts:
    """Vectors of one pair, or reconstructions of one cell, in one folder. One process writes."""

    def __init__(self, folder: Path, vector_column: str) -> None:
        self.folder = folder
        self._vector_column = vector_column
        self._ids: dict[Path, frozenset[int]] | None = None

    def item_ids(self) -> frozenset[int]:
        """Items that have a vector here.

        Raises:
            ActivationsDamaged: a part cannot be read.
        """
        return frozenset(item_id for ids in self._ids_by_part().values() for item_id in ids)

    def write(self, frame: pl.DataFrame) -> Path:
        """Keeps the frame's rows, sorted by item, as one part; earlier vectors of the same items are dropped.

        Raises:
            ActivationsDamaged: an earlier part that has to give up an item cannot be read.
            FileUnwritable: the disk forbids it.
        """
        path = self.folder / part_name(frame["item_id"][0])
        ids = frozenset(frame["item_id"])
        for other, held in list(self._ids_by_part().items()):
            if other != path and held & ids:
                self._drop(other, held & ids)
        write_part(path, frame)
        self._ids_by_part()[path] = ids
        return path

    def read(self, pair_id: PairId) -> ActivationBatch:
        """Every vector in order of item; no rows, and width 0, when there are none.

        Raises:
            ActivationsDamaged: a part cannot be read, is of another width, or repeats an item.
        """
        columns = {self._vector_column: pl.Array}
        parts = [(path, read_part(path, columns)[self._vector_column].to_numpy()) for path in part_paths(self.folder)]
        if not parts:
            return ActivationBatch(pair_id, np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32))
        for path, vectors in parts:
            if vectors.shape[1] != parts[0][1].shape[1]:
                raise damaged(path, f"holds vectors of width {vectors.shape[1]}, others {parts[0][1].shape[1]}")
        item_ids = np.concatenate([_item_ids(path) for path, _ in parts])
        order = np.argsort(item_ids, kind="stable")
        self._refuse_repeats(item_ids[order])
        vectors = np.concatenate([vectors for _, vectors in parts])
        return ActivationBatch(pair_id, item_ids[order], vectors[order])

    def _ids_by_part(self) -> dict[Path, frozenset[int]]:
        if self._ids is None:
            self._ids = {path: frozenset(_item_ids(path).tolist()) for path in part_paths(self.folder)}
        return self._ids

    def _drop(self, part: Path, ids: frozenset[int]) -> None:
        """Takes items out of a part, and the part away when nothing is left of it."""
        frame = pl.read_parquet(part).filter(~pl.col("item_id").is_in(list(ids)))
        sidecar = sidecar_path(part)
        if frame.is_empty():
            part.unlink()
            sidecar.unlink(missing_ok=True)
            del self._ids_by_part()[part]
            return
        write_part(part, frame)
        self._ids_by_part()[part] -= ids
        if sidecar.exists():
            meta = {**yaml.safe_load(sidecar.read_text(encoding="utf-8")), "row_count": len(frame)}
            write_whole(sidecar, yaml.safe_dump(meta, sort_keys=False, allow_unicode=True).encode())

    def _refuse_repeats(self, sorted_ids: np.ndarray) -> None:
        repeated = sorted_ids[1:][sorted_ids[1:] == sorted_ids[:-1]]
        if len(repeated):
            raise damaged(self.folder, f"item {repeated[0]} stands in two parts")


def _item_ids(path: Path) -> np.ndarray:
    """The items of a part, row by row; a file of the public stage 0 names none and counts its rows instead."""
    if "item_id" in column_names(path):
        return read_part(path, {"item_id": pl.Int64})["item_id"].to_numpy()
    digits = path.stem.removeprefix("part-")
    first = int(digits) if digits.isdecimal() else 0
    return np.arange(first, first + pl.scan_parquet(path).select(pl.len()).collect().item(), dtype=np.int64)
