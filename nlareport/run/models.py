"""The three steps that open models: items to activations, to explanations, to reconstructions.

One model is in memory at a time; what it answered is stored before the next batch begins.
"""

from nlareport.ports import Extractor
from nlareport.rows.item_rows import Alignment, Explanation, Item
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run.context import Work, item_ids, rows_at, unfinished
from nlareport.run.corpus_texts import document_texts
from nlareport.run.first_batch_tests import SelfTesting
from nlareport.run.item_places import ItemPlaces
from nlareport.run.recorded_checkpoints import opened_extractor, opened_reconstructor, opened_verbalizer
from nlareport.run.vector_origins import (
    ActivationKeeper,
    ReconstructionKeeper,
    activations_of,
    extracted_ids,
    reconstructed_ids,
)
from nlareport.stages import extract, reconstruct, verbalize
from nlareport.store.vectors.stage0 import ActivationOrigin

READING_BATCHES = 4
"""Model batches per commit where a model only reads: enough texts to sort by length, little to lose."""


def extract_activations(work: Work) -> None:
    """Items to activations: the same place in every pair's own tokenization, read by its base model.

    Raises:
        CorpusChanged: texts are no longer beside the run file, and the corpus does not give them as they were.
    """
    texts: dict[str, str] = {}
    for pair_id, spec in work.pairs:
        items = work.items()
        missing = set(work.run_file.item_ids_without_alignment(pair_id))
        missing |= item_ids(items) - extracted_ids(work, pair_id)
        work.progress.stage(f"extract {pair_id}", len(items), len(items) - len(missing & item_ids(items)))
        batches = unfinished(items, missing, work.experiment.compute.batch_size * READING_BATCHES)
        if not batches:
            continue
        work.unscore()
        texts = texts or document_texts(work)
        places, tokenizer = ItemPlaces(work, texts), work.engine.tokenizer(spec)
        row = next(pair for pair in work.run_file.rows(Pair) if pair.pair_id == pair_id)
        with opened_extractor(work, spec) as extractor:
            keeper, testing = ActivationKeeper(work, row), SelfTesting(work, pair_id, "base_model")
            for batch in batches:
                found = [places.prefix(item, tokenizer) for item in batch]
                _extract_batch(work, keeper, batch, texts, found, extractor, testing)
                work.progress.advance(len(batch))


def _extract_batch(
    work: Work,
    keeper: ActivationKeeper,
    items: list[Item],
    texts: dict[str, str],
    places: list[tuple[list[int], int]],
    extractor: Extractor,
    testing: SelfTesting,
) -> None:
    prefixes = [prefix for prefix, _ in places]
    item_ids_here, dtype = [item.item_id for item in items], work.experiment.compute.dtype
    found = extract.extract(prefixes, item_ids_here, keeper.pair_id, extractor, dtype)
    testing.extractor(extractor, prefixes, found.vectors)
    origins = [
        ActivationOrigin(item.doc_id, len(prefix), texts[item.doc_id][: item.char_end])
        for item, prefix in zip(items, prefixes, strict=True)
    ]
    rows = [
        Alignment(item.item_id, keeper.pair_id, len(prefix) - 1, char_error, norm)
        for item, (prefix, char_error), norm in zip(
            items, places, extract.activation_norms(found).tolist(), strict=True
        )
    ]
    # Vectors first: an alignment row says that its vector is there.
    keeper.keep(found, origins)
    work.run_file.put(rows)


def verbalize_activations(work: Work) -> None:
    """Activations to explanations, one verbalizer at a time."""
    for pair_id, spec in work.pairs:
        items = work.items()
        missing = set(work.run_file.item_ids_without_explanation(pair_id))
        work.progress.stage(f"verbalize {pair_id}", len(items), len(items) - len(missing & item_ids(items)))
        batches = unfinished(items, missing, work.experiment.compute.batch_size)
        if not batches:
            continue
        gold = activations_of(work, pair_id)
        with opened_verbalizer(work, spec) as verbalizer:
            testing = SelfTesting(work, pair_id, "verbalizer")
            for batch in batches:
                vectors = rows_at(gold, batch)
                said = verbalize.verbalize(vectors, verbalizer)
                testing.verbalizer(verbalizer, vectors.vectors)
                # Together: a run that is killed never has an answer without its mark.
                work.run_file.append_all(said.explanations, said.marks)
                work.progress.advance(len(said.explanations))


def reconstruct_activations(work: Work) -> None:
    """Explanations to reconstructions: every source's texts read by one target's reconstructor at a time."""
    unclean = work.experiment.scoring.unclean
    for target, spec in work.pairs:
        todo: list[tuple[PairId, list[Explanation]]] = []
        n_total = 0
        for source, _ in work.pairs:
            readable = [row for row in work.explanations(source) if reconstruct.scorable_text(row, unclean) is not None]
            n_total += len(readable)
            done = reconstructed_ids(work, source, target)
            missing = {row.item_id for row in readable} - done
            size = work.experiment.compute.batch_size * READING_BATCHES
            todo += [(source, batch) for batch in unfinished(readable, missing, size)]
        work.progress.stage(f"reconstruct {target}", n_total, n_total - sum(len(batch) for _, batch in todo))
        if not todo:
            continue
        work.unscore()
        with opened_reconstructor(work, spec) as reconstructor:
            keeper, testing = ReconstructionKeeper(work), SelfTesting(work, target, "reconstructor")
            for source, batch in todo:
                found = reconstruct.reconstruct(batch, unclean, target, reconstructor)
                testing.reconstructor(reconstructor, batch, found.vectors)
                keeper.keep(source, batch, found)
                work.progress.advance(len(batch))
