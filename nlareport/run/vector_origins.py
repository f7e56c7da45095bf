"""Stores vectors with what made them (checkpoints, settings, texts) and reads back only those of this run.

An error names what differs.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nlareport.batches import ActivationBatch
from nlareport.engine_options import EngineChoice
from nlareport.errors import VectorsOfAnotherMaking
from nlareport.experiment.experiment_file import Experiment
from nlareport.rows.run_rows import CheckpointRole, DocumentDigest, Making, Pair, PairId
from nlareport.run.checkpoint_changes import START_OVER, beginning
from nlareport.run.context import Work, Writing
from nlareport.run.reading_digests import activation_readings, reconstruction_readings
from nlareport.run.recorded_checkpoints import read_making
from nlareport.store.vectors.activations import ActivationOrigin, ActivationStore
from nlareport.store.vectors.parquet_parts import part_notes, read_whole_part, write_part
from nlareport.store.vectors.vector_notes import NOTHING_KNOWN, noted_making, vector_notes

N_HEX = 64
"""Characters of a whole digest."""


class VectorMaking:
    """What the vectors of one run were made from: engine, settings, checkpoints."""

    def __init__(self, experiment: Experiment, engines: EngineChoice, checkpoints: Iterable[Making]) -> None:
        self._experiment = experiment
        self._engines = engines
        self._digests = {(row.pair_id, row.role, row.kind): row.digest for row in checkpoints}

    @property
    def pair_ids(self) -> list[PairId]:
        """What has activations."""
        return [PairId(pair.pair_id) for pair in self._experiment.pairs]

    @property
    def sources(self) -> list[PairId]:
        """What writes."""
        return self._experiment.sources

    @property
    def targets(self) -> list[PairId]:
        """What reads."""
        return self._experiment.targets

    @property
    def is_known(self) -> bool:
        """False for a run file of an earlier version, which says nothing of its checkpoints."""
        return bool(self._digests)

    def of_activations(self, pair_id: PairId) -> dict[str, str]:
        """What one pair's activations rest on, by name."""
        sampling = self._experiment.sampling
        block_index = next(pair.block_index for pair in self._experiment.pairs if pair.pair_id == pair_id)
        facts = self._facts(f"activations of {pair_id}", pair_id, "base_model")
        drawn_by = self._digests.get((PairId(sampling.reference_pair), "base_model", "tokenizer"))
        return {
            **facts,
            "block_index": str(block_index),
            "sampling.seed": str(sampling.seed),
            "sampling.truncation_tokens": str(sampling.truncation_tokens),
            "sampling.positions_per_document": str(sampling.positions_per_document),
            **({"tokenizer of sampling.reference_pair": drawn_by} if drawn_by else {}),
        }

    def of_reconstructions(self, source: PairId, target: PairId) -> dict[str, str]:
        """What one cell's reconstructions rest on, by name; the texts apart."""
        return self._facts(f"reconstructions by {target} from texts of {source}", target, "reconstructor")

    def _facts(self, what: str, pair_id: PairId, wanted_role: CheckpointRole) -> dict[str, str]:
        digests = {
            f"{role} {kind}": digest
            for (owner, role, kind), digest in self._digests.items()
            if owner == pair_id and role == wanted_role
        }
        return {
            "vectors": what,
            "engine": self._engines.of(wanted_role).name,
            "compute.dtype": self._experiment.compute.dtype,
            **dict(sorted(digests.items())),
        }


def vector_making(work: Work) -> VectorMaking:
    """What this run's vectors rest on."""
    engines = EngineChoice.parse_recorded(str(work.run_file.run().environment.get("engine")))
    return VectorMaking(work.experiment, engines, read_making(work.run_file))


def extracted_ids(work: Work, pair_id: PairId) -> frozenset[int]:
    """Items whose activation for this pair is here."""
    return work.activations.stored_item_ids(pair_id, _item_readings(work))


def activations_of(work: Work, pair_id: PairId) -> ActivationBatch:
    """One pair's raw activations of the run's items, in order of item."""
    return work.activations.read_activations(pair_id, _item_readings(work))


class ActivationKeeper:
    """Keeps one pair's raw activations, with what they rest on."""

    def __init__(self, work: Work, pair: Pair) -> None:
        self.pair_id = pair.pair_id
        self._store, self._pair = work.activations, pair
        self._making = vector_making(work).of_activations(pair.pair_id)
        self._readings = _item_readings(work)

    def keep(self, batch: ActivationBatch, origins: Sequence[ActivationOrigin]) -> None:
        """So many more; `origins` says for each row where in which document it was read."""
        known = {item_id: self._readings[item_id] for item_id in batch.item_ids.tolist() if item_id in self._readings}
        self._store.write_activations(self._pair, batch, origins, vector_notes(self._making, known))


class ReconstructionKeeper:
    """Keeps what one target reconstructed, with what it rests on."""

    def __init__(self, work: Work) -> None:
        self._store, self._unclean = work.activations, work.experiment.scoring.unclean
        self._making = vector_making(work)

    def keep(self, written: Writing, batch: ActivationBatch) -> None:
        """What it made of some of what a source wrote."""
        making = self._making.of_reconstructions(written.source, batch.pair_id)
        readings = reconstruction_readings(written.explanations, self._unclean)
        self._store.write_reconstructions(written.source, batch, vector_notes(making, readings), draw=written.draw)


def reconstructed_ids(work: Work, written: Writing, target: PairId) -> frozenset[int]:
    """Items of which the target reconstructed what a source wrote of them, as the run has it."""
    readings = reconstruction_readings(written.explanations, work.experiment.scoring.unclean)
    return work.activations.reconstructed_item_ids(written.source, target, readings, draw=written.draw)


def reconstructions_of(work: Work, written: Writing, target: PairId) -> ActivationBatch:
    """The target's reconstructions of what a source wrote, in order of item."""
    readings = reconstruction_readings(written.explanations, work.experiment.scoring.unclean)
    return work.activations.read_reconstructions(written.source, target, readings, draw=written.draw)


def refuse_other_vectors(store: ActivationStore, making: VectorMaking) -> None:
    """Pass when all vectors in a run's folder are of this making.

    Raises:
        VectorsOfAnotherMaking: some are not; what differs is named.
        ActivationsDamaged: a part is not what was written.
    """
    for path, _ in _parts(store, making):
        if noted_making(path) is None:
            raise VectorsOfAnotherMaking(
                f"{path}: does not say what made its vectors, so they cannot be used for this run. Move that file "
                f"elsewhere and run again, or {START_OVER}."
            )
    for sentence in other_vectors(store, making):
        raise VectorsOfAnotherMaking(sentence)


def other_vectors(store: ActivationStore, making: VectorMaking) -> Iterator[str]:
    """A sentence for every part whose notes say that its vectors are of another making.

    Raises:
        ActivationsDamaged: a part is not what was written.
    """
    for path, expected in _parts(store, making):
        noted = noted_making(path) or {}
        if differing := [name for name in expected if name in noted and noted[name] != expected[name]]:
            said = "; ".join(_difference(name, noted[name], expected[name]) for name in differing)
            yield (
                f"{path}: its vectors were made differently from this run's: {said}. Put back what was there, move "
                f"{store.folder.name} elsewhere and run again, or {START_OVER}."
            )


def adopt_vectors(store: ActivationStore, making: VectorMaking) -> None:
    """Writes into parts of an earlier version what their vectors were made from, as far as the run file says.

    Raises:
        ActivationsDamaged: a part is not what was written.
        FileUnwritable: the disk forbids it.
    """
    for path, expected in _parts(store, making):
        if noted_making(path) is None:
            write_part(path, read_whole_part(path), {**part_notes(path), **vector_notes(expected, NOTHING_KNOWN)})


def _parts(store: ActivationStore, making: VectorMaking) -> Iterator[tuple[Path, dict[str, str]]]:
    """Every part of the experiment's pairs, with what its vectors should have been made from."""
    for pair_id in making.pair_ids:
        facts = making.of_activations(pair_id)
        yield from ((path, facts) for path in store.activation_parts(pair_id))
    for source in making.sources:
        for target in making.targets:
            facts = making.of_reconstructions(source, target)
            yield from ((path, facts) for path in store.reconstruction_parts(source, target))


def _difference(name: str, noted: str, expected: str) -> str:
    if len(noted) == len(expected) == N_HEX:
        return f"{name} (sha256 {beginning(noted)} there, {beginning(expected)} here)"
    return f"{name} ({noted} there, {expected} here)"


def _item_readings(work: Work) -> dict[int, str]:
    return activation_readings(work.items(), work.run_file.rows(DocumentDigest))
