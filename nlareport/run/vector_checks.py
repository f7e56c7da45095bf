"""Checks the vectors and texts stored with a run file: whether all it needs are there, undamaged and of this run.

Takes a run's rows and its folder of vectors; returns whether something is missing, and for a check every fault.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nlareport.checks import CheckReport
from nlareport.engine_options import EngineChoice
from nlareport.errors import ActivationsDamaged, ActivationsUnreadable
from nlareport.experiment.corpus_section import VectorsCorpus
from nlareport.experiment.experiment_file import Experiment, parse_experiment
from nlareport.rows.item_rows import Explanation, Item
from nlareport.rows.run_rows import DocumentDigest, Making, PairId, Run
from nlareport.run.kept_cells import NOTHING_KEPT, KeptCells, recorded_cells
from nlareport.run.reading_digests import activation_readings, reconstruction_readings
from nlareport.run.vector_origins import VectorMaking, other_vectors
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.vectors.parquet_parts import part_paths, refuse_damaged


@dataclass(frozen=True, slots=True)
class Expected:
    """What the folder of a run with these rows holds once every model has answered."""

    experiment: Experiment
    items: Sequence[Item]
    explanations: Sequence[Explanation]
    documents: Sequence[DocumentDigest]
    kept: KeptCells = NOTHING_KEPT
    """Cells whose vectors are not looked for."""

    @property
    def pair_ids(self) -> list[PairId]:
        """The pairs that have activations here."""
        pair_ids = [PairId(pair.pair_id) for pair in self.experiment.pairs]
        return [pair_id for pair_id in pair_ids if pair_id not in self.kept.elsewhere]

    @property
    def item_ids(self) -> set[int]:
        """All items of the run."""
        return {item.item_id for item in self.items}

    def lacking(self, store: ActivationStore) -> Iterator[str]:
        """A phrase for each kind of thing of which some are missing.

        Raises:
            ActivationsDamaged: a part is not what was written.
        """
        is_of_texts = not isinstance(self.experiment.corpus, VectorsCorpus)
        documents = {item.doc_id for item in self.items} if is_of_texts else set()
        if n := len(documents - {row.doc_id for row in store.read_documents()}):
            yield f"the texts of {n} documents"
        wanted = activation_readings(self.items, self.documents)
        for pair_id in self.pair_ids:
            if n := len(self.item_ids - store.stored_item_ids(pair_id, wanted)):
                yield f"{n} activations of pair {pair_id}"
        for source in self.experiment.sources:
            texts = [self._texts(source, draw) for draw in range(self.experiment.n_draws(source))]
            for target in self.experiment.targets:
                if self.kept.holds(source, target) or target in self.kept.elsewhere:
                    continue
                if n := sum(
                    len(wanted.keys() - store.reconstructed_item_ids(source, target, wanted, draw=draw))
                    for draw, wanted in enumerate(texts)
                ):
                    yield f"{n} reconstructions by {target} from texts of {source}"

    def strange(self, store: ActivationStore) -> Iterator[str]:
        """A sentence for every part that holds items which the run does not have.

        Raises:
            ActivationsDamaged: a part is not what was written.
        """
        for path, held in store.items_by_part(self.pair_ids).items():
            if unknown := held - self.item_ids:
                yield (
                    f"{path}: holds vectors of {len(unknown)} items that the run does not have, {min(unknown)} is the "
                    "first; if they are not of another run that you need, delete this file and run again."
                )

    def _texts(self, source: PairId, draw: int) -> dict[int, str]:
        """The items of which the source wrote something that can be read, in one draw, with a digest of that."""
        rows = (row for row in self.explanations if (row.source, row.draw) == (source, draw))
        return reconstruction_readings(rows, self.experiment.scoring.unclean)


def lacks_vectors(run_file: RunFile, experiment: Experiment) -> bool:
    """Whether vectors or texts of a finished run are missing; False where the whole folder is: then it was published.

    Raises:
        ActivationsDamaged: a part is not what was written.
    """
    store = ActivationStore(run_file.path)
    if not store.folder.exists():
        return False
    # Every byte is read, though none is needed now: the vectors of a finished run are those its scores rest on.
    for path in _all_parts(store.folder):
        refuse_damaged(path)
    rows = run_file.rows(Item), run_file.rows(Explanation), run_file.rows(DocumentDigest)
    kept = recorded_cells(run_file.run().environment)
    return any(Expected(experiment, *rows, kept).lacking(store))


def check_vectors(found: CheckReport, reader: DuckDBReader) -> CheckReport:
    """The report, with what is wrong with the run's vectors and texts: every byte of each file, and all together."""
    store = ActivationStore(reader.path)
    if not store.folder.exists():
        return found
    n_sealed, n_unsealed, faults = 0, 0, []
    for path in _all_parts(store.folder):
        try:
            is_sealed = refuse_damaged(path)
        except (ActivationsDamaged, ActivationsUnreadable) as error:
            faults.append(str(error))
        else:
            n_sealed, n_unsealed = n_sealed + is_sealed, n_unsealed + (not is_sealed)
    note = f"Vectors and texts of the run: {n_sealed} files are byte for byte what was written."
    if n_unsealed:
        note += f" {n_unsealed} have no checksums, so they cannot be checked: another version or tool wrote them."
    faults = faults or _faults_together(store, reader)
    return replace(found, notes=[*found.notes, note], faults=[*found.faults, *faults])


def _all_parts(folder: Path) -> Iterator[Path]:
    for place in sorted([folder, *folder.rglob("*/")]):
        if not any(name.startswith(".") for name in place.relative_to(folder).parts):
            yield from part_paths(place)


def _faults_together(store: ActivationStore, reader: DuckDBReader) -> list[str]:
    """What is wrong with parts none of which is damaged: they do not belong to the run, or some are missing."""
    (run,) = reader.rows(Run, "diff_run")
    if run.kind != "computed" or run.experiment_yaml is None:
        return []
    experiment = parse_experiment(run.experiment_yaml, reader.path)
    items, explanations, documents = (_all(reader, kind) for kind in (Item, Explanation, DocumentDigest))
    expected = Expected(experiment, items, explanations, documents, recorded_cells(run.environment))
    scored: dict[str, Any] = run.environment.get("scored") or {}
    try:
        making = VectorMaking(
            experiment, EngineChoice.parse_recorded(str(run.environment.get("engine"))), _all(reader, Making)
        )
        faults = list(expected.strange(store))
        # Of a part with items of another run, nothing more need be said.
        if making.is_known and not faults:
            faults += other_vectors(store, making)
        # A run that is just being widened lacks vectors, and nothing is wrong with it.
        if scored.get("n_items") == len(expected.items):
            faults += [
                f"{store.folder}: {what} are not there; run the experiment again: only they are recomputed."
                for what in expected.lacking(store)
            ]
    except ActivationsDamaged as error:
        return [str(error)]
    return faults


def _all(reader: DuckDBReader, row_type: type[Any]) -> list[Any]:
    return [row_type(**record) for record in reader.table(row_type).iter_rows(named=True)]
