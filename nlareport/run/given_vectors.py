"""Items whose vectors are given, such as steering vectors: read from files, checked, and kept as activations.

Takes the place of the stages ``sample`` and ``extract`` where the corpus is `kind: vectors`; no base model is opened.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nlareport.batches import ActivationBatch, SourceDocument
from nlareport.errors import CorpusTooShort, CorpusUnreadable, NonFiniteVector, ZeroVector
from nlareport.experiment.corpus_section import VectorsCorpus
from nlareport.rows.item_rows import Alignment, Item
from nlareport.rows.run_rows import Document, Pair, PairId
from nlareport.run.context import Work, item_ids, missing_batches, rows_at
from nlareport.run.document_digests import text_digest
from nlareport.run.missing_answers import READING_BATCHES
from nlareport.run.vector_origins import ActivationKeeper, extracted_ids
from nlareport.shown import listed, shown
from nlareport.stages import extract
from nlareport.stages.sample import context_of
from nlareport.store.vectors.stage0 import ActivationOrigin
from nlareport.store.vectors.vector_files import GivenVectors, read_given_vectors

GivenByPair = Mapping[str, GivenVectors]


def read_given(corpus: VectorsCorpus, folder: Path) -> GivenByPair:
    """What the files give, by pair; of a single file, under no name. They are of the same items.

    Raises:
        CorpusUnreadable: a file cannot be read, or two contradict each other.
    """
    files = corpus.path if isinstance(corpus.path, dict) else {"": corpus.path}
    given = {name: read_given_vectors(folder / files[name], corpus.label_column) for name in sorted(files)}
    first, *others = given.values()
    for other in others:
        _refuse_contradiction(first, other)
    return given


def given_documents(corpus: VectorsCorpus, given: GivenByPair) -> list[SourceDocument]:
    """The documents that the vectors are of; its text is a digest of all that was given of it.

    A vector without a `doc_id` is a document of its own.
    """
    digests: dict[str, hashlib._Hash] = {}
    for place, doc_id in enumerate(_doc_ids(corpus, given)):
        digest = digests.setdefault(doc_id, hashlib.sha256())
        for vectors in given.values():
            said = (vectors.labels or vectors.texts or [""] * len(vectors.item_ids))[place]
            digest.update(f"{vectors.item_ids[place]} {said}\n".encode(errors="surrogatepass"))
            digest.update(vectors.vectors[place].tobytes())
    return [
        SourceDocument(doc_id, corpus.name, number, digest.hexdigest())
        for number, (doc_id, digest) in enumerate(digests.items())
    ]


def given_items(corpus: VectorsCorpus, given: GivenByPair) -> list[Item]:
    """One item for each vector, by its id: with its label where an item has its token, and its text if it has one."""
    vectors = next(iter(given.values()))
    labels, texts = (_said(given, name) for name in ("labels", "texts"))
    columns = zip(vectors.item_ids.tolist(), _doc_ids(corpus, given), labels, texts, strict=True)
    return [
        # A stratum is one of tokens, and there is none.
        Item(item_id, doc_id, None, label or "", None if text is None else _tail(text), "prose")
        for item_id, doc_id, label, text in columns
    ]


def keep_given_items(work: Work, corpus: VectorsCorpus) -> None:
    """Stores items and documents of the first vectors, as many as the experiment asks for.

    Raises:
        CorpusUnreadable: a file cannot be read.
        CorpusTooShort: there are fewer vectors.
    """
    wanted = work.experiment.sampling.n_items
    known = item_ids(work.items())
    work.progress.stage("take given vectors", wanted, min(len(known), wanted))
    if len(known) >= wanted:
        return
    given = read_given(corpus, work.folder)
    items = given_items(corpus, given)[:wanted]
    if len(items) < wanted:
        raise CorpusTooShort(
            f"{next(iter(given.values())).path}: holds {len(items)} vectors, the experiment asks for {wanted} items. "
            f"Set sampling.n_items to {len(items)} or give more vectors."
        )
    for pair_id, spec in work.pairs:
        _refuse_unfit(given_of(given, pair_id), pair_id, spec.d_model, spec.block_index, wanted)
    _store_items(work, given_documents(corpus, given), [item for item in items if item.item_id not in known])
    work.progress.advance(len(items) - len(known))


def keep_given_activations(work: Work, corpus: VectorsCorpus) -> None:
    """Stores every pair's vectors of the run's items as its activations, with their norms."""
    given: GivenByPair | None = None
    for pair_id, _ in work.pairs:
        items = work.items()
        missing = set(work.run_file.item_ids_without_alignment(pair_id))
        missing = (missing | (item_ids(items) - extracted_ids(work, pair_id))) & item_ids(items)
        work.progress.stage(f"take vectors {pair_id}", len(items), len(items) - len(missing))
        if not missing:
            continue
        given = given or read_given(corpus, work.folder)
        work.unscore()
        keeper = ActivationKeeper(work, next(pair for pair in work.run_file.rows(Pair) if pair.pair_id == pair_id))
        for batch in missing_batches(items, missing, work.experiment.compute.batch_size * READING_BATCHES):
            _keep_batch(work, keeper, given_of(given, pair_id), batch)
            work.progress.advance(len(batch))


def given_of(given: GivenByPair, pair_id: str) -> GivenVectors:
    """The vectors of one pair; where there is a single file, it is that of the only pair."""
    return given[pair_id] if pair_id in given else given[""]


def _keep_batch(work: Work, keeper: ActivationKeeper, given: GivenVectors, items: Sequence[Item]) -> None:
    batch = rows_at(ActivationBatch(keeper.pair_id, given.item_ids, given.vectors), items)
    place = {item_id: number for number, item_id in enumerate(given.item_ids.tolist())}
    rows = [place[item.item_id] for item in items]
    texts, counts = (given.texts or []), (given.n_raw_tokens or [])
    n_tokens = [int(counts[row] or 1) if counts else 1 for row in rows]
    origins = [
        ActivationOrigin(item.doc_id, n, (texts[row] or "") if texts else "")
        for item, row, n in zip(items, rows, n_tokens, strict=True)
    ]
    keeper.keep(batch, origins)
    norms = extract.activation_norms(batch).tolist()
    places = zip(items, n_tokens, norms, strict=True)
    work.run_file.put([Alignment(item.item_id, keeper.pair_id, n - 1, 0, norm) for item, n, norm in places])


def _store_items(work: Work, documents: Sequence[SourceDocument], items: Sequence[Item]) -> None:
    stored = {row.doc_id for row in work.run_file.rows(Document)}
    used = {item.doc_id for item in items} - stored
    fresh = [document for document in documents if document.doc_id in used]
    rows = [Document(document.doc_id, document.corpus, document.source_index, None) for document in fresh]
    work.run_file.append_all(rows, [text_digest(document) for document in fresh], list(items))


def _refuse_unfit(given: GivenVectors, pair_id: PairId, d_model: int, block_index: int, n_used: int) -> None:
    """Pass when the first vectors may be taken for activations of a pair."""
    width = given.vectors.shape[1]
    if width != d_model:
        raise CorpusUnreadable(
            f"{given.path}: holds vectors of {width} numbers, pair {pair_id} has d_model {d_model}. Correct the one "
            "that is wrong."
        )
    if given.layers - {block_index}:
        said = listed(sorted(given.layers, key=str))
        raise CorpusUnreadable(
            f"{given.path}: says that its vectors come from layer {said}, pair {pair_id} "
            f"reads block {block_index}. Give the vectors of that block, or remove the column activation_layer."
        )
    for item_id, vector in zip(given.item_ids[:n_used].tolist(), given.vectors[:n_used], strict=True):
        if not np.isfinite(vector).all():
            raise NonFiniteVector(
                f"{given.path}: the vector of item {item_id} holds a NaN, or a number too large for float32. "
                "Correct or remove it."
            )
        if not vector.any():
            raise ZeroVector(
                f"{given.path}: the vector of item {item_id} is zero, which has no direction to explain. Remove it."
            )


def _refuse_contradiction(first: GivenVectors, other: GivenVectors) -> None:
    """Pass when two files are of the same items, documents and labels."""
    odd = set(first.item_ids.tolist()) ^ set(other.item_ids.tolist())
    if odd:
        raise CorpusUnreadable(
            f"{first.path} and {other.path} are of different items: {min(odd)} is in one of them only. An item is the "
            "same thing in every pair: give the same item_id in both, or as many vectors without any."
        )
    for name, ours, theirs in (("called", first.labels, other.labels), ("of document", first.doc_ids, other.doc_ids)):
        for item_id, one, two in zip(first.item_ids.tolist(), ours or [], theirs or [], strict=False):
            if None not in (one, two) and one != two:
                raise CorpusUnreadable(
                    f"{other.path}: item {item_id} is {name} {shown(two)}, in {first.path} {shown(one)}. An item is "
                    "the same thing in every pair: correct the one that is wrong."
                )


def _doc_ids(corpus: VectorsCorpus, given: GivenByPair) -> list[str]:
    item_ids_ = next(iter(given.values())).item_ids.tolist()
    said = _said(given, "doc_ids")
    return [doc_id or f"{corpus.name}:vectors:{item}" for doc_id, item in zip(said, item_ids_, strict=True)]


def _said(given: GivenByPair, column: str) -> list[str | None]:
    """What the first file that has a column says in it."""
    columns = [found for vectors in given.values() if (found := getattr(vectors, column)) is not None]
    return columns[0] if columns else [None] * len(next(iter(given.values())).item_ids)


def _tail(text: str) -> str:
    return context_of(text, len(text), len(text))
