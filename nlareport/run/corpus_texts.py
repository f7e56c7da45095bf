"""The texts that items were drawn from: reads them again, and refuses a corpus in which they changed.

A run file keeps a digest of every document that was looked at. Files of versions before that are compared by the length
of each document and the context stored with its items, and gain the digests.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nlareport.batches import SourceDocument
from nlareport.errors import CorpusChanged, CorpusUnreadable
from nlareport.experiment.corpus_section import Corpus, LocalCorpus, VectorsCorpus
from nlareport.pairs.packages import held_out_articles
from nlareport.rows.item_rows import Item
from nlareport.rows.run_rows import Document, DocumentDigest
from nlareport.run.checkpoint_changes import START_OVER, beginning
from nlareport.run.context import Work
from nlareport.run.document_digests import text_digest
from nlareport.run.given_vectors import given_documents, read_given
from nlareport.stages import corpus
from nlareport.store.run_file import RunFile


@dataclass(frozen=True, slots=True)
class KnownTexts:
    """What a run file knows of the texts it was computed from."""

    db: Path
    documents: dict[str, Document]
    digests: dict[str, str]
    items: dict[str, list[Item]]

    def is_as_before(self, document: SourceDocument) -> bool:
        """Whether a document is unknown or has the text it had."""
        known = self.documents.get(document.doc_id)
        if known is None:
            return True
        if (digest := self.digests.get(document.doc_id)) is not None:
            return text_digest(document).text_sha256 == digest
        return known.n_chars in (None, len(document.text)) and all(
            item.char_end is None or document.text[: item.char_end].endswith(item.context or "")
            for item in self.items[document.doc_id]
        )

    def refuse(self, lost: set[str], given: dict[str, SourceDocument]) -> None:
        """Pass when no document was lost.

        Raises:
            CorpusChanged: some are not in the corpus as they were; the first is named.
        """
        if not lost:
            return
        first = min(lost, key=lambda doc_id: (self.documents[doc_id].source_index or 0, doc_id))
        said = "is not in it at all"
        if first in given and first in self.digests:
            now = text_digest(given[first]).text_sha256
            # Given vectors have no text, and so no length of one.
            what = "another text" if self.documents[first].n_chars is not None else "other vectors"
            said = f"has {what} (sha256 {beginning(self.digests[first])} then, {beginning(now)} now)"
        elif first in given:
            said = "has another text"
        raise CorpusChanged(
            f"{self.db}: {len(lost)} of its documents are no longer in the corpus as they were, {first} is the first: "
            f"it {said}. Put the corpus back, or {START_OVER}."
        )


def read_known_texts(run_file: RunFile) -> KnownTexts:
    """What this run file knows."""
    items: dict[str, list[Item]] = defaultdict(list)
    for item in run_file.rows(Item):
        items[item.doc_id].append(item)
    return KnownTexts(
        run_file.path,
        {row.doc_id: row for row in run_file.rows(Document)},
        {row.doc_id: row.text_sha256 for row in run_file.rows(DocumentDigest)},
        items,
    )


def refuse_changed_corpus(run_file: RunFile, section: Corpus, folder: Path) -> None:
    """Pass when a corpus that is a file here still holds every document of the run as it was.

    One that cannot be read is passed over: what needs it says so. A corpus on the hub is compared as it is read.

    Raises:
        CorpusChanged: it does not.
    """
    known = read_known_texts(run_file)
    if not isinstance(section, LocalCorpus | VectorsCorpus) or not known.documents:
        return
    with suppress(CorpusUnreadable):
        given = _given(known, _documents(section, folder))
        last = section.last_index if isinstance(section, LocalCorpus) else None
        # A document beyond a last_index that was lowered is not asked for, and so not missed.
        asked = {
            doc_id
            for doc_id, row in known.documents.items()
            if last is None or row.source_index is None or row.source_index <= last
        }
        known.refuse({doc_id for doc_id in asked if not _is_kept(known, given, doc_id)}, given)


def new_documents(work: Work, documents: Iterable[SourceDocument]) -> Iterator[SourceDocument]:
    """Those documents that the run file does not know yet, in order.

    Raises:
        CorpusChanged: one that it knows has another text.
    """
    known = read_known_texts(work.run_file)
    for document in documents:
        if document.doc_id not in known.documents:
            yield document
        elif not known.is_as_before(document):
            known.refuse({document.doc_id}, {document.doc_id: document})


def document_texts(work: Work) -> dict[str, SourceDocument]:
    """Every document that gave an item, with its text, by `doc_id`.

    A published run file travels without its texts: then they are read from the corpus again, and kept. So are those
    whose kept text is not the one that was sampled.

    Raises:
        CorpusChanged: the corpus no longer gives a document as it was.
    """
    known = read_known_texts(work.run_file)
    wanted = set(known.items)
    kept = work.activations.read_documents(known.is_as_before)
    found = {document.doc_id: document for document in kept if document.doc_id in known.documents}
    if lost := wanted - found.keys():
        again = _read_again(work, known, lost)
        work.activations.write_documents(list(again.values()))
        found |= again
    if fresh := [text_digest(document) for doc_id, document in found.items() if doc_id not in known.digests]:
        work.run_file.put(fresh)
    return {doc_id: found[doc_id] for doc_id in wanted}


def _read_again(work: Work, known: KnownTexts, doc_ids: set[str]) -> dict[str, SourceDocument]:
    documents = _documents(work.experiment.corpus, work.folder)
    given = _given(known, (document for document in documents if document.doc_id in doc_ids), doc_ids)
    known.refuse({doc_id for doc_id in doc_ids if not _is_kept(known, given, doc_id)}, given)
    return given


def _documents(section: Corpus, folder: Path) -> Iterable[SourceDocument]:
    """All that a corpus holds now."""
    if isinstance(section, VectorsCorpus):
        return given_documents(section, read_given(section, folder))
    return corpus.read_documents(section, folder, held_out_articles)


def _given(
    known: KnownTexts, documents: Iterable[SourceDocument], wanted: Iterable[str] | None = None
) -> dict[str, SourceDocument]:
    """The documents of the run that a corpus gives, by `doc_id`; reading ends after the last of those wanted."""
    # A corpus on the hub may be very long.
    outstanding = set(known.documents if wanted is None else wanted)
    given: dict[str, SourceDocument] = {}
    for document in documents:
        if document.doc_id in outstanding:
            given[document.doc_id] = document
            outstanding.discard(document.doc_id)
        if not outstanding:
            break
    return given


def _is_kept(known: KnownTexts, given: dict[str, SourceDocument], doc_id: str) -> bool:
    return doc_id in given and known.is_as_before(given[doc_id])
