"""The stage ``sample``: draws items from documents and keeps every text in the folder of the run file."""

from dataclasses import replace
from itertools import islice
from typing import Any

from nlareport.batches import ReadingLimits, SourceDocument
from nlareport.errors import ChatTemplateFails, CorpusTooShort
from nlareport.experiment.corpus_section import Sampling, VectorsCorpus
from nlareport.experiment.experiment_file import Experiment
from nlareport.pairs.packages import held_out_articles
from nlareport.ports import Tokenizer
from nlareport.rows.item_rows import Item, Tag
from nlareport.rows.run_rows import Document, PairId
from nlareport.run.context import Work
from nlareport.run.corpus_texts import document_texts, new_documents
from nlareport.run.document_digests import text_digest
from nlareport.run.given_vectors import keep_given_items
from nlareport.run.item_places import why_unreadable
from nlareport.run.recorded_checkpoints import confirm
from nlareport.run.skipped_documents import too_few_items
from nlareport.run.stage import Stage
from nlareport.stages import corpus, sample
from nlareport.store.run_file import RunFile

DOCUMENTS_AT_ONCE = 50

Reader = tuple[PairId, Tokenizer, ReadingLimits]
"""A pair, how its base model cuts text, and how much text it can read."""


def sample_items(work: Work) -> None:
    """Documents to items: positions drawn in the reference pair's tokenization, texts kept in the run's folder.

    Where vectors are given, each of them is an item.

    Documents are taken whole, so that a run widened later draws the same positions: with several positions a document
    the last one may give a few items more than asked for.

    Raises:
        CorpusChanged: the corpus no longer gives a document that was drawn from before as it was.
        CorpusTooShort: the corpus gave fewer items than asked for; what it gave is stored.
    """
    if isinstance(work.experiment.corpus, VectorsCorpus):
        keep_given_items(work, work.experiment.corpus)
        return
    sampling = work.experiment.sampling
    n_items = work.run_file.count(Item)
    work.progress.stage("sample positions", sampling.n_items, min(n_items, sampling.n_items))
    if work.activations.folder.exists():
        # Texts that were stored with the run file and are gone are read again while the corpus is at hand.
        document_texts(work)
    if n_items >= sampling.n_items:
        return
    tokenizer, readers = work.engines.base_model.tokenizer(work.reference), _bounded_readers(work)
    if work.reference.pair_id in {pair_id for pair_id, _ in work.pairs}:
        confirm(work, work.reference, "base_model")
    documents = corpus.read_documents(work.experiment.corpus, work.folder, held_out_articles)
    fresh = new_documents(work, documents)
    while n_items < sampling.n_items and (batch := list(islice(fresh, DOCUMENTS_AT_ONCE))):
        n_new = _sample_batch(work, tokenizer, readers, batch, n_items)
        work.progress.advance(min(n_new, sampling.n_items - n_items))
        n_items += n_new
    if n_items < sampling.n_items:
        raise CorpusTooShort(too_few_items(work.experiment, work.run_file.rows(Document), n_items))


def _bounded_readers(work: Work) -> list[Reader]:
    """The pairs whose base model cannot read everything, each with its tokenizer and what it can read."""
    limits = [(pair_id, spec, work.engines.base_model.limits(spec)) for pair_id, spec in work.pairs]
    return [
        (pair_id, work.engines.base_model.tokenizer(spec), bounds)
        for pair_id, spec, bounds in limits
        if bounds.n_tokens is not None or bounds.n_known_ids is not None
    ]


def _sample_batch(
    work: Work, tokenizer: Tokenizer, readers: list[Reader], batch: list[SourceDocument], n_items: int
) -> int:
    """Samples a batch of documents and stores it; returns how many items it gave. Stops once there are enough.

    A document that one of the pairs cannot read as far as an item gives none: an activation from beyond a model's
    context means nothing, and an item is the same place for every pair.
    """
    sampling = work.experiment.sampling
    rows: list[Document] = []
    items: list[Item] = []
    tags: list[Tag] = []
    for document in batch:
        if n_items + len(items) >= sampling.n_items:
            break
        row, found = sample.sample_document(document, tokenizer, sampling, n_items + len(items))
        drawn = sample.drawn_prefixes(document, found, tokenizer, sampling)
        if reason := _unreadable(document, found, readers, sampling, drawn):
            row, found = replace(row, skipped_reason=reason), []
        rows.append(row)
        items += found
        tags += sample.roles_of(document, found)
    # Texts first: a document the run file knows must have its text.
    work.activations.write_documents(batch[: len(rows)])
    work.run_file.append_all(rows, [text_digest(document) for document in batch[: len(rows)]], items, tags)
    return len(items)


def _unreadable(
    document: SourceDocument,
    items: list[Item],
    readers: list[Reader],
    sampling: Sampling,
    drawn: dict[int, list[int]],
) -> str | None:
    for pair_id, tokenizer, limits in readers:
        try:
            reason = why_unreadable(document, items, tokenizer, sampling, limits, drawn)
        except ChatTemplateFails as error:
            return f"{pair_id} {sample.CANNOT_RENDER}: {error}"
        if reason:
            return f"{pair_id} {sample.CANNOT_READ}: the text {reason}"
    return None


def _stamp(run_file: RunFile, _experiment: Experiment) -> dict[str, Any]:
    return {"n_items": run_file.count(Item)}


SAMPLE = Stage("sample", sample_items, stamp=_stamp)
