"""Keeps vectors and texts next to a run file, as Parquet in `<run>.activations/`, so that a stopped run can go on.

Activations have the column layout of the public stage 0, each part with its sidecar, so that either side can
read the other's. A published run file travels without this folder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from nlareport.batches import ActivationBatch, SourceDocument
from nlareport.files.atomic_files import write_whole
from nlareport.files.file_names import distinct_names, file_name
from nlareport.files.scratch_folders import clear_left_over
from nlareport.rows.run_rows import Pair, PairId
from nlareport.store.run_places import vectors_folder
from nlareport.store.vectors.kept_documents import documents_frame, documents_in
from nlareport.store.vectors.parquet_parts import NO_NOTES, part_name, part_paths, write_part
from nlareport.store.vectors.stage0 import (
    VECTOR_COLUMN,
    ActivationOrigin,
    sidecar_path,
    sidecar_text,
    stage0_frame,
    vector_series,
)
from nlareport.store.vectors.vector_folder import VectorParts
from nlareport.store.vectors.vector_notes import NOTHING_KNOWN, ReadDigests

NO_PAIRS = ("documents", "reconstructions")
"""Folders next to those of the pairs."""

__all__ = ["ActivationOrigin", "ActivationStore"]


class ActivationStore:
    """The Parquet folder of one run file. One process writes, as with the run file itself."""

    def __init__(self, run_path: Path) -> None:
        self.folder = vectors_folder(run_path)
        self._parts: dict[Path, VectorParts] = {}

    def clear_left_over(self) -> None:
        """Removes what a killed process was writing here and nobody will write again."""
        for place in [self.folder, *self.folder.rglob("*/")]:
            clear_left_over(place / "part")

    def write_documents(self, documents: Sequence[SourceDocument], notes: Mapping[str, str] = NO_NOTES) -> None:
        """Keeps texts, so that resuming need not read the corpus again; keeping one again changes nothing.

        Raises:
            FileUnwritable: the disk forbids it.
        """
        if not documents:
            return
        frame = documents_frame(documents)
        write_part(self.folder / "documents" / part_name(frame["source_index"][0]), frame, notes)

    def read_documents(self, is_right: Callable[[SourceDocument], bool] | None = None) -> list[SourceDocument]:
        """Every text kept, in corpus order, each once; of several under one name the last that is right.

        Raises:
            ActivationsDamaged: a part cannot be read.
        """
        kept = [row for path in part_paths(self.folder / "documents") for row in documents_in(path)]
        by_name = {document.doc_id: document for document in kept if is_right is None or is_right(document)}
        return sorted(by_name.values(), key=lambda document: (document.source_index, document.doc_id))

    def write_activations(
        self,
        pair: Pair,
        batch: ActivationBatch,
        origins: Sequence[ActivationOrigin],
        notes: Mapping[str, str] = NO_NOTES,
    ) -> None:
        """Keeps one pair's raw activations; `origins` says for each row where in which document it was read.

        `notes` say what they were made with, for `part_notes` to give back.

        Raises:
            FileUnwritable: the disk forbids it.
            ActivationsDamaged: an earlier part that has to give up one of these items cannot be read.
        """
        if not origins:
            return
        written = self._activations(pair.pair_id).write(stage0_frame(pair, batch, origins), notes)
        for path, frame in written.items():
            # A part of another tool need not say which documents its vectors are of.
            if "doc_id" not in frame.columns:
                continue
            write_whole(sidecar_path(path), sidecar_text(pair, frame["doc_id"].to_list()).encode())

    def read_activations(self, pair_id: PairId, wanted: ReadDigests = NOTHING_KNOWN) -> ActivationBatch:
        """One pair's raw activations in order of item; no rows when there are none, or none of what is wanted.

        Raises:
            ActivationsDamaged: a part cannot be read, or two parts hold the same item.
        """
        return _wanted(self._activations(pair_id), pair_id, wanted)

    def stored_item_ids(self, pair_id: PairId, wanted: ReadDigests = NOTHING_KNOWN) -> frozenset[int]:
        """Items whose activation for this pair is here, read where it is wanted.

        Raises:
            ActivationsDamaged: a part cannot be read.
        """
        parts = self._activations(pair_id)
        return parts.item_ids() - parts.read_otherwise(wanted)

    def write_reconstructions(
        self, source: PairId, batch: ActivationBatch, notes: Mapping[str, str] = NO_NOTES, *, draw: int = 0
    ) -> None:
        """Keeps what the batch's pair, the target, reconstructed from the source's explanations.

        `notes` say what they were made with, for `part_notes` to give back.

        Raises:
            FileUnwritable: the disk forbids it.
            ActivationsDamaged: an earlier part that has to give up one of these items cannot be read.
        """
        if not len(batch.item_ids):
            return
        item_ids = pl.Series("item_id", batch.item_ids, dtype=pl.Int64)
        frame = pl.DataFrame([item_ids, vector_series("vector", batch)]).sort("item_id")
        self._reconstructions(source, batch.pair_id, draw).write(frame, notes)

    def read_reconstructions(
        self, source: PairId, target: PairId, wanted: ReadDigests = NOTHING_KNOWN, *, draw: int = 0
    ) -> ActivationBatch:
        """One cell's reconstructions of one draw in order of item; no rows when there are none of the texts wanted.

        Raises:
            ActivationsDamaged: a part cannot be read, or two parts hold the same item.
        """
        return _wanted(self._reconstructions(source, target, draw), target, wanted)

    def reconstructed_item_ids(
        self, source: PairId, target: PairId, wanted: ReadDigests = NOTHING_KNOWN, *, draw: int = 0
    ) -> frozenset[int]:
        """Items of one cell whose reconstruction, of one draw, is here, from the text wanted.

        Raises:
            ActivationsDamaged: a part cannot be read.
        """
        parts = self._reconstructions(source, target, draw)
        return parts.item_ids() - parts.read_otherwise(wanted)

    def activation_parts(self, pair_id: PairId) -> list[Path]:
        """The files that hold a pair's activations."""
        return part_paths(self._activations(pair_id).folder)

    def reconstruction_parts(self, source: PairId, target: PairId) -> list[Path]:
        """The files that hold one cell's reconstructions, of every draw."""
        folders = [parts.folder for parts in self._draws(source, target)]
        return [path for folder in folders for path in part_paths(folder)]

    def items_by_part(self, pair_ids: Sequence[PairId]) -> dict[Path, frozenset[int]]:
        """The items in every part of activations and reconstructions of these pairs.

        Raises:
            ActivationsDamaged: a part is not what was written.
        """
        folders = [self._activations(pair_id) for pair_id in pair_ids]
        folders += [draw for source in pair_ids for target in pair_ids for draw in self._draws(source, target)]
        return {path: ids for folder in folders for path, ids in folder.ids_by_part().items()}

    def _activations(self, pair_id: PairId) -> VectorParts:
        return self._in_folder(self.folder / distinct_names([pair_id], NO_PAIRS)[pair_id], VECTOR_COLUMN)

    def _reconstructions(self, source: PairId, target: PairId, draw: int = 0) -> VectorParts:
        """The folder of a cell holds its first draw, as it did when there was no other; later ones have one in it."""
        cell = self.folder / "reconstructions" / file_name(source, target)
        return self._in_folder(cell / f"draw-{draw}" if draw else cell, "vector")

    def _draws(self, source: PairId, target: PairId) -> list[VectorParts]:
        """A cell's folders: its first draw, and every later one that is there."""
        first = self._reconstructions(source, target)
        later = sorted(first.folder.glob("draw-*/"), key=lambda folder: (len(folder.name), folder.name))
        return [first, *(self._in_folder(folder, "vector") for folder in later)]

    def _in_folder(self, folder: Path, vector_column: str) -> VectorParts:
        if folder not in self._parts:
            self._parts[folder] = VectorParts(folder, vector_column)
        return self._parts[folder]


def _wanted(parts: VectorParts, pair_id: PairId, wanted: ReadDigests) -> ActivationBatch:
    """Every vector but those of other texts than the ones wanted."""
    batch, strange = parts.read(pair_id), parts.read_otherwise(wanted)
    if not strange:
        return batch
    is_wanted = ~np.isin(batch.item_ids, sorted(strange))
    return replace(batch, item_ids=batch.item_ids[is_wanted], vectors=batch.vectors[is_wanted])
