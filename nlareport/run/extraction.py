"""The stage ``extract``: has every pair's base model read the activations of the items.

The place of an item is found in the pair's own tokenization.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from nlareport.batches import ActivationBatch, SourceDocument
from nlareport.checks import Finding
from nlareport.experiment.corpus_section import VectorsCorpus
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Extractor
from nlareport.rows.item_rows import Alignment, Item
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run.context import Work, item_ids, missing_batches
from nlareport.run.corpus_texts import document_texts
from nlareport.run.first_batch_tests import find_reading_faults
from nlareport.run.given_vectors import keep_given_activations
from nlareport.run.item_places import ItemPlaces
from nlareport.run.missing_answers import READING_BATCHES, Questions, answer_missing
from nlareport.run.stage import Stage
from nlareport.run.vector_origins import ActivationKeeper, extracted_ids
from nlareport.stages import extract
from nlareport.store.vectors.stage0 import ActivationOrigin


@dataclass(frozen=True, slots=True)
class Places:
    """Items and where they are in a pair's tokens."""

    items: list[Item]
    prefixes: list[list[int]]
    """The tokens of each item's document, up to and including the item's."""
    char_errors: list[int]
    origins: list[ActivationOrigin]


def extract_activations(work: Work) -> None:
    """Items to activations: the same place in every pair's own tokenization, read by its base model, or as given.

    Raises:
        CorpusChanged: texts are no longer stored with the run file, and the corpus does not give them as they were.
    """
    if isinstance(work.experiment.corpus, VectorsCorpus):
        keep_given_activations(work, work.experiment.corpus)
        return
    documents = cache(lambda: document_texts(work))

    def questions_of(pair_id: PairId, spec: PairSpec) -> Questions[Extractor, Places, ActivationBatch]:
        items, dtype = work.items(), work.experiment.compute.dtype
        missing = set(work.run_file.item_ids_without_alignment(pair_id))
        missing = (missing | (item_ids(items) - extracted_ids(work, pair_id))) & item_ids(items)
        batches = missing_batches(items, missing, work.experiment.compute.batch_size * READING_BATCHES)
        # Made once the run has recorded the checkpoint: vectors say what they rest on.
        keeper = cache(lambda: ActivationKeeper(work, _pair(work, pair_id)))

        def begin() -> Iterator[Places]:
            work.unscore()
            return _places(work, spec, batches, documents())

        def answer(model: Extractor, places: Places) -> ActivationBatch:
            return extract.extract(places.prefixes, [item.item_id for item in places.items], pair_id, model, dtype)

        def examine(model: Extractor, places: Places, found: ActivationBatch) -> list[Finding]:
            return find_reading_faults(model, places.prefixes, found.vectors, model.extract, dtype)

        def store(places: Places, found: ActivationBatch) -> int:
            # Vectors first: an alignment row says that its vector is there.
            keeper().keep(found, places.origins)
            work.run_file.put(_alignments(pair_id, places, found))
            return len(places.items)

        title = f"extract {pair_id}"
        return Questions(title, "base_model", len(items), len(missing), begin, answer, store, examine)

    answer_missing(work, questions_of)


def _pair(work: Work, pair_id: PairId) -> Pair:
    return next(pair for pair in work.run_file.rows(Pair) if pair.pair_id == pair_id)


def _places(
    work: Work, spec: PairSpec, batches: list[list[Item]], documents: dict[str, SourceDocument]
) -> Iterator[Places]:
    known, tokenizer = ItemPlaces(work, documents), work.engines.base_model.tokenizer(spec)
    for items in batches:
        found = [known.prefix(item, tokenizer) for item in items]
        prefixes = [prefix for prefix, _ in found]
        origins = [
            ActivationOrigin(item.doc_id, len(prefix), documents[item.doc_id].text[: item.char_end])
            for item, prefix in zip(items, prefixes, strict=True)
        ]
        yield Places(items, prefixes, [char_error for _, char_error in found], origins)


def _alignments(pair_id: PairId, places: Places, found: ActivationBatch) -> list[Alignment]:
    norms = extract.activation_norms(found).tolist()
    columns = zip(places.items, places.prefixes, places.char_errors, norms, strict=True)
    return [
        Alignment(item.item_id, pair_id, len(prefix) - 1, char_error, norm)
        for item, prefix, char_error, norm in columns
    ]


EXTRACT = Stage("extract", extract_activations)
