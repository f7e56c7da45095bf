"""Known figures: every number of a run file, for comparison with the numbers of somebody's prose.

Takes a reader, returns figures, the matrix over all items first, and the names of its pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import polars as pl

from nlareport.checks import Figure
from nlareport.claims.reading import read_claims
from nlareport.ports import RunReader
from nlareport.review import protocol_differences
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Pair, PairId, Run

CELL_COLUMNS = [column.name for column in fields(Cell)[3:] if not column.name.startswith("n_")] + [
    "n_scored", "n_unscored",
]  # fmt: skip
"""Scores before counts: of two figures equally near to a number the first is named."""
COUNT_WORDS = {
    "n_documents": "documents", "n_items": "items", "n_decodes": "decodes", "n_pairs": "pairs",
    "n_families": "families",
}  # fmt: skip
PAIR_WORDS = {"block_index": "block"}
QUERIES = (
    "baselines", "language_and_geometry", "learning_curves", "ablations", "cell_measures", "measure_chances",
    "source_effects", "subset_sizes", "outlier_counts",
    "alignment_extremes", "unscored_reasons",
)  # fmt: skip
"""Answers of the report whose every number is a figure."""


def pair_names(pairs: Sequence[Pair]) -> dict[str, PairId]:
    """Ids and labels of pairs, and base models that only one of them has."""
    models = [pair.base_model for pair in pairs]
    names = {
        pair.base_model: pair.pair_id
        for pair in pairs
        if pair.base_model is not None and models.count(pair.base_model) == 1
    }
    return names | {pair.label: pair.pair_id for pair in pairs} | {pair.pair_id: pair.pair_id for pair in pairs}


def run_figures(reader: RunReader) -> list[Figure]:
    """The figures of the run.

    Raises:
        ExperimentInvalid: the experiment file inside the run has faults.
    """
    (run,), pairs = reader.rows(Run, "diff_run"), reader.rows(Pair, "pair_table")
    found = [figure for cell in reader.rows(Cell, "check_cells") for figure in _of_cell(cell)]
    found += _of_frame("report_counts", reader.frame("report_counts"), COUNT_WORDS)
    found.append(Figure("cells of the matrix", float(len(pairs) ** 2), word="cells"))
    if run.seed is not None:
        found.append(Figure("seed", float(run.seed), word="seed"))
    found += _of_frame("pair", reader.frame("pair_table").drop("ordinal", "family", "base_model"), PAIR_WORDS)
    for claim in read_claims(reader):
        found += _of_json(f"claim {claim.claim_id}", claim.figures)
    for query in QUERIES:
        found += _of_frame(query, reader.frame(query), {})
    found += _of_protocol(protocol_differences.stated_protocol(run, pairs, [pair.pair_id for pair in pairs]))
    found += _of_protocol(dict(reader.frame("environment_facts").iter_rows()))
    return found


def _of_cell(cell: Cell) -> Iterator[Figure]:
    for column in CELL_COLUMNS:
        value = getattr(cell, column)
        if value is not None:
            name = f"{cell.source} → {cell.target} {column} ({cell.subset})"
            yield Figure(name, float(value), (cell.source, cell.target))


def _of_frame(query: str, frame: pl.DataFrame, words: dict[str, str]) -> Iterator[Figure]:
    """The numbers of an answer, each named by the texts of its row."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String and not name.endswith("_label")]
    for row in frame.iter_rows(named=True):
        place = " ".join(str(row[name]) for name in texts[:3] if row[name] is not None)
        for column, value in row.items():
            if _is_number(value):
                yield Figure(" ".join(filter(None, [query, place, column])), float(value), word=words.get(column))


def _of_json(name: str, value: Any) -> Iterator[Figure]:
    if _is_number(value):
        yield Figure(name, float(value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _of_json(f"{name} {key}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _of_json(name, inner)


def _of_protocol(stated: dict[str, str]) -> Iterator[Figure]:
    for key, text in stated.items():
        try:
            yield Figure(key, float(text))
        except ValueError:
            continue


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
