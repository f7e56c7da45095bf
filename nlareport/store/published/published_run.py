"""Turns a page's published figures into the rows of a run file of kind `published`.

Only what was published becomes a row: cells with their intervals, and the items, texts and scores of the sample
cards. What was published as a range or a note goes into `run.environment`.
"""

from datetime import UTC, datetime
from pathlib import Path

from nlareport import __version__
from nlareport.errors import PublishedFiguresInvalid
from nlareport.files.yaml_files import yaml_text
from nlareport.rows.cell_rows import Cell, Measure
from nlareport.rows.item_rows import Explanation, Item, Score, stratum_of
from nlareport.rows.run_rows import Document, Pair, PairId, Run
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.published.figures_file import PublishedFigures, PublishedSample, parse_published
from nlareport.store.whole_run import RunRows, store_run


def import_published(source: Path, db: Path) -> bool:
    """Makes a run file of a figures file; True when it was made, False when it held the figures already.

    Raises:
        PublishedFiguresInvalid: the figures file is missing or has faults; every fault is listed.
        RunFileTaken: a run file with other content stands at `db`.
        RunFileUnreadable: something that is no run file stands at `db`.
        RunFileUnwritable: the run file cannot be made there.
    """
    return store_run(db, published_rows(source))


def published_rows(path: Path) -> RunRows:
    """The rows of a figures file.

    Raises:
        PublishedFiguresInvalid: the file is missing, is not YAML, or has faults; every fault is listed.
    """
    text = yaml_text(path, PublishedFiguresInvalid, "Give the path of a figures file, or of a bundle's folder.")
    figures = parse_published(text, path)
    items = {sample.item_id: _item(sample) for sample in figures.samples}
    return RunRows.gather(
        _run(figures, text),
        _pairs(figures),
        [document_of(doc_id) for doc_id in dict.fromkeys(item.doc_id for item in items.values())],
        list(items.values()),
        _explanations(figures),
        _scores(figures),
        _cells(figures),
        _cosines(figures),
    ).with_derived_rows()


def document_of(doc_id: str) -> Document:
    """A document of which only the id is known; `corpus:split:index` gives its corpus and place."""
    corpus, _, index = doc_id.rpartition(":")
    if not index.isdecimal():
        return Document(doc_id=doc_id, corpus=doc_id, source_index=None, n_chars=None)
    return Document(doc_id=doc_id, corpus=corpus.rpartition(":")[0] or corpus, source_index=int(index), n_chars=None)


def _run(figures: PublishedFigures, text: str) -> Run:
    said = figures.model_dump(mode="json", exclude_unset=True)
    notes = ("substrate", "decode", "metric", "nulls", "replication_targets", "alignment_notes")
    environment = {key: said.get(key) for key in (*notes, "median_activation_norm")}
    samples = [{"kind": s.kind, "rule": s.rule, "item_id": s.item_id} for s in figures.samples]
    return Run(
        run_id=figures.experiment,
        title=figures.title,
        series_name=figures.series.name if figures.series else None,
        series_number=figures.series.number if figures.series else None,
        kind="published",
        experiment_yaml=text,
        nlareport_version=__version__,
        schema_version=SCHEMA_VERSION,
        seed=figures.substrate.seed,
        created_at=datetime.now(UTC),
        environment={**environment, **_other_figures(figures), "samples": samples},
    )


def _other_figures(figures: PublishedFigures) -> dict[str, list[dict[str, object]]]:
    """The numbers of cells that no table has a place for, by their own names."""
    found: list[dict[str, object]] = [
        {"source": cell.source, "target": cell.target, "name": name, "value": value}
        for cell in figures.cells
        for name, value in (cell.model_extra or {}).items()
    ]
    return {"other_figures": found} if found else {}


def _pairs(figures: PublishedFigures) -> list[Pair]:
    return [
        Pair(
            pair_id=PairId(pair.pair_id),
            label=pair.label,
            family=pair.family,
            base_model=pair.base_model,
            block_index=pair.block_index,
            d_model=pair.d_model,
            injection_scale=pair.injection_scale,
            mse_scale=pair.mse_scale,
            variance_nrm=pair.variance_nrm,
            mean_norm=None,
            sidecar_variance_nrm=pair.sidecar_variance_nrm,
            ordinal=ordinal,
            writes=pair.writes,
            reads=pair.reads,
        )
        for ordinal, pair in enumerate(figures.pairs)
    ]


def _item(sample: PublishedSample) -> Item:
    return Item(
        item_id=sample.item_id,
        doc_id=sample.doc_id,
        char_end=None,
        token=sample.token,
        context=sample.context,
        stratum=stratum_of(sample.token),
    )


def _explanations(figures: PublishedFigures) -> list[Explanation]:
    """One row per text that was published; a card without texts gives none."""
    rows = {
        (sample.item_id, said.source): Explanation(
            item_id=sample.item_id,
            source=PairId(said.source),
            text=said.text,
            completion=None,
            n_tokens=None,
            finish=None,
            is_clean=said.is_clean if said.is_clean is not None else _all_clean(figures) or None,
        )
        for sample in figures.samples
        for said in sample.explanations
        if said.text is not None
    }
    return list(rows.values())


def _scores(figures: PublishedFigures) -> list[Score]:
    rows = {
        (sample.item_id, source, target): Score(
            item_id=sample.item_id, source=PairId(source), target=PairId(target), mse_nrm=None, fve_nrm=fve_nrm
        )
        for sample in figures.samples
        for source, targets in sample.fve_nrm.items()
        for target, fve_nrm in targets.items()
    }
    return list(rows.values())


def _cells(figures: PublishedFigures) -> list[Cell]:
    n_items = figures.substrate.docs * figures.substrate.positions_per_doc
    return [
        Cell(
            source=PairId(cell.source),
            target=PairId(cell.target),
            subset="all",
            n_scored=n_items if _all_clean(figures) else None,
            n_unscored=0 if _all_clean(figures) else None,
            fve_nrm=cell.fve_nrm,
            ci_low=cell.ci95[0] if cell.ci95 else None,
            ci_high=cell.ci95[1] if cell.ci95 else None,
            fve_meannorm=cell.fve_meannorm,
            median=None,
            trimmed_mean=None,
            share_below_zero=None,
            null_fve=None,
            ceiling_fraction=None,
        )
        for cell in figures.cells
    ]


def _cosines(figures: PublishedFigures) -> list[Measure]:
    n_items = figures.substrate.docs * figures.substrate.positions_per_doc
    return [
        Measure(PairId(cell.source), PairId(cell.target), "cosine", cell.cos, None, None, None, n_items)
        for cell in figures.cells
        if cell.cos is not None
    ]


def _all_clean(figures: PublishedFigures) -> bool:
    """Whether the page says that every decode was clean."""
    return figures.decode.clean is not None and figures.decode.clean == figures.decode.decodes
