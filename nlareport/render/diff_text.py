"""Formats a comparison of two runs as text: tables for a terminal or Markdown, cells as CSV, everything as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from nlareport.comparison import CellDifference, Comparison, ItemDifference, RunSide
from nlareport.figure_text import UNKNOWN, count, interval, plus, signed
from nlareport.render.text_tables import written

MOST_MOVED = 10
"""Items shown each way."""
CONTEXT_TAIL = 48
"""Characters of context shown with an item in a terminal."""

EXCLUDES_ZERO = {True: "yes", False: "no", None: UNKNOWN}
MATCHED_BY = {
    "place": "by place in the text (doc_id, char_end and token)",
    "token": "by document, token and context, because not both runs know at which character every item ends",
    "item_id": "by item_id, because a run names no documents",
}
MEANS = (
    "A and B are each run's own values over all its items. Shared A, shared B and B − A are means over the shared "
    "items scored in both, with the 95% paired interval over documents, V held fixed."
)


def comparison_text(comparison: Comparison, format_: str) -> str:
    """The comparison as `table`, `md`, `csv` (cells alone) or `json`."""
    if format_ == "csv":
        return cell_frame(comparison).write_csv()
    if format_ == "json":
        return json.dumps(_content(comparison), ensure_ascii=False, indent=2)
    return "\n\n".join(part for part in _parts(comparison, format_) if part)


def cell_frame(comparison: Comparison) -> pl.DataFrame:
    """One row per cell, every figure in full."""
    return pl.DataFrame([_cell_row(cell) for cell in comparison.cells], infer_schema_length=None)


def item_frame(comparison: Comparison) -> pl.DataFrame:
    """One row per shared item, from the largest fall to the largest rise, without the text: either run file has it."""
    return pl.DataFrame([asdict(item) for item in comparison.items], infer_schema_length=None).drop(
        "context", strict=False
    )


def protocol_frame(comparison: Comparison) -> pl.DataFrame:
    """One row per key on which the runs differ; nothing where one does not say."""
    schema = {"key": pl.String, "a": pl.String, "b": pl.String}
    return pl.DataFrame([asdict(row) for row in comparison.protocol], schema=schema)


def shared_sentence(comparison: Comparison) -> str:
    """What is compared, and over what."""
    if comparison.unpaired_because or comparison.matched_by is None:
        return comparison.unpaired_because or ""
    n_items, n_documents = count(comparison.n_shared_items), count(comparison.n_shared_documents)
    return f"{n_items} shared items of {n_documents} documents, matched {MATCHED_BY[comparison.matched_by]}."


def only_sentences(comparison: Comparison) -> list[str]:
    """What one of the runs has and the other has not."""
    sentences = [
        f"Only {name} has the pair{'s' if len(pair_ids) > 1 else ''} {', '.join(pair_ids)}."
        for name, pair_ids in (("A", comparison.pairs_only_a), ("B", comparison.pairs_only_b))
        if pair_ids
    ]
    if comparison.matched_by is not None:
        for name, side in (("A", comparison.a), ("B", comparison.b)):
            if n_only := side.n_items - comparison.n_shared_items:
                sentences.append(f"{count(n_only)} of {name}'s {count(side.n_items)} items are not shared.")
    if any(comparison.ambiguous):
        n_a, n_b = (count(n) for n in comparison.ambiguous)
        sentences.append(
            f"{n_a} of A's items and {n_b} of B's are left out: a document holds their token twice, and nothing tells "
            "which is which."
        )
    return sentences


def cards_sentence(comparison: Comparison) -> str:
    """How many published sample cards the other run has; empty when neither run is published."""
    if comparison.cards is None or not comparison.n_cards:
        return ""
    return (
        f"{count(len(comparison.cards))} of {count(comparison.n_cards)} published sample items are scored in both, "
        "known by document, token and context; a page's row numbers count only in its own slice of the corpus."
    )


def _content(comparison: Comparison) -> dict[str, Any]:
    content = {**asdict(comparison), "cells": [_cell_row(cell) for cell in comparison.cells]}
    content.pop("asked")
    return content


def _cell_row(cell: CellDifference) -> dict[str, Any]:
    # Under its former name too, for scripts that read that column.
    former = {"smallest_seen": cell.minimum_detectable_difference}
    return {**asdict(cell), "excludes_zero": cell.excludes_zero, **former}


def _parts(comparison: Comparison, format_: str) -> list[str]:
    heading = "## {}" if format_ == "md" else "{}"
    parts = [f"A: {_side(comparison.a)}\nB: {_side(comparison.b)}", shared_sentence(comparison)]
    is_paired = comparison.unpaired_because is None
    parts += [MEANS if is_paired else "", _table([_cell_line(cell, is_paired) for cell in comparison.cells], format_)]
    parts += [_scale_sentence(comparison), *only_sentences(comparison)]
    if comparison.protocol:
        parts += [heading.format("Protocol: where the runs differ"), _protocol_table(comparison, format_)]
    else:
        parts.append("Both runs say the same about how they were made.")
    parts.append(cards_sentence(comparison))
    for title, items in (
        ("Sample cards of both", comparison.cards or []),
        ("Items that fell most from A to B", comparison.fallen(MOST_MOVED)),
        ("Items that rose most from A to B", comparison.risen(MOST_MOVED)),
    ):
        if items:
            parts += [heading.format(title), _table([_item_line(item) for item in items], format_)]
    return parts


def _side(side: RunSide) -> str:
    # A published page's few items are its sample cards, not what it measured.
    n_items = "" if side.kind == "published" else f", {count(side.n_items)} items"
    return f"{side.run_id}, “{side.title}” ({side.kind}{n_items})"


def _cell_line(cell: CellDifference, is_paired: bool) -> dict[str, str]:
    line = {
        "source": cell.source,
        "target": cell.target,
        "A": f"{signed(cell.fve_a)} {interval(cell.low_a, cell.high_a)}".rstrip(),
        "B": f"{signed(cell.fve_b)} {interval(cell.low_b, cell.high_b)}".rstrip(),
        "B − A": plus(cell.difference),
    }
    if is_paired:
        line |= {
            "95% paired": interval(cell.low, cell.high) or UNKNOWN,
            "excludes 0": EXCLUDES_ZERO[cell.excludes_zero],
            "shared A": signed(cell.shared_a),
            "shared B": signed(cell.shared_b),
            "items": count(cell.n_items),
            "documents": count(cell.n_documents),
        }
    return line


def _item_line(item: ItemDifference) -> dict[str, str]:
    return {
        "item": str(item.item_a) if item.item_a == item.item_b else f"{item.item_a} / {item.item_b}",
        "document": item.doc_id,
        "B − A": plus(item.difference),
        "cells": count(item.n_cells),
        "token": UNKNOWN if item.token is None else json.dumps(item.token, ensure_ascii=False),
        "context": UNKNOWN if item.context is None else tail(item.context, CONTEXT_TAIL),
    }


def tail(context: str, n_characters: int) -> str:
    """The end of a context on one line."""
    line = " ".join(context.split())
    return line if len(line) <= n_characters else f"…{line[-n_characters:]}"


def _scale_sentence(comparison: Comparison) -> str:
    """Where one V is used for both."""
    common = [
        f"{scale.label} {signed(scale.common_variance, 4)} (A {signed(scale.variance_a, 4)}, "
        f"B {signed(scale.variance_b, 4)})"
        for scale in comparison.scales
        if scale.common_variance and scale.variance_a != scale.variance_b
    ]
    if not common:
        return ""
    return (
        "The activations are the same at every shared item and only V, taken over each run's own items, differs; "
        f"so both runs' errors are divided by one V: {'; '.join(common)}."
    )


def _protocol_table(comparison: Comparison, format_: str) -> str:
    return _table(
        [
            {"key": row.key, "A": UNKNOWN if row.a is None else row.a, "B": UNKNOWN if row.b is None else row.b}
            for row in comparison.protocol
        ],
        format_,
    )


def _table(rows: Sequence[dict[str, str]], format_: str) -> str:
    if format_ == "md":
        # A bar in a text would end its column.
        rows = [{name: text.replace("|", "\\|") for name, text in row.items()} for row in rows]
    return written(pl.DataFrame(rows), format_)
