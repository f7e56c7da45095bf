"""Tables of a bundle: which file holds which, and whether what it holds can be rows.

A file that enters leaves as a frame with every column of its row type, or as faults. What the rows of different
tables say of each other is `bundle.py`'s business.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import polars as pl
import pyarrow as pa

from nlareport.errors import BundleInvalid
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, Effect, LearningCurve, Measure, SubsetRange
from nlareport.rows.item_rows import (
    Ablation,
    Activation,
    Alignment,
    AnswerMark,
    Explanation,
    Item,
    NullScore,
    Outlier,
    PlainReading,
    Resemblance,
    Score,
)
from nlareport.rows.run_rows import Choice, Claim, Document, DocumentDigest, Making, SelfTest
from nlareport.shown import brief, listed, shown
from nlareport.store.bundle.bundle_formats import BundleFormat, read_columns, table_bytes
from nlareport.store.bundle.table_values import UnfitValue, range_faults, without_noise
from nlareport.store.row_tables import PRIMARY_KEYS, column_types, frame_schema, non_finite_columns

STEMS: dict[type, str] = {
    Making: "makings",
    Choice: "choices",
    SelfTest: "self_tests",
    Document: "documents",
    DocumentDigest: "document_digests",
    Item: "items",
    Alignment: "alignments",
    Explanation: "explanations",
    AnswerMark: "answer_marks",
    Score: "scores",
    NullScore: "null_scores",
    Ablation: "ablations",
    PlainReading: "plain_readings",
    Cell: "cells",
    Baseline: "baselines",
    LearningCurve: "learning_curves",
    AblationCell: "ablation_cells",
    Outlier: "outliers",
    Activation: "activations",
    SubsetRange: "subset_ranges",
    Resemblance: "resemblances",
    Measure: "measures",
    Effect: "effects",
    Claim: "claims",
}
"""Name of the file, without its ending, that holds each table."""

MAY_BE_ABSENT: dict[type, set[str]] = {Item: {"doc_id", "stratum"}}
"""Columns that must hold a value in a run file but can be derived from the others on import."""


MOST_FAULTS = 40

_UNREADABLE = (
    pl.exceptions.PolarsError,
    # Polars panics on some damaged data; that is no Exception.
    pl.exceptions.PanicException,
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
)
"""How a table that cannot be read says so."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One table of a bundle as it was found."""

    path: Path
    frame: pl.DataFrame
    """Every column of the row type, in order; those the file lacks are all null."""
    columns: list[str]
    """Columns the file really has."""


@dataclass(slots=True)
class Faults:
    """What is wrong with a bundle, gathered so that all of it can be said at once."""

    lines: list[str] = field(default_factory=list)

    def add(self, path: Path, what: str) -> None:
        """One more fault, with the file it is in."""
        self.lines.append(f"{path}: {what}")

    def told(self) -> list[str]:
        """The first 40 faults, and how many more there are."""
        more = len(self.lines) - MOST_FAULTS
        return self.lines[:MOST_FAULTS] + ([f"and {more:,} more faults."] if more > 0 else [])


def write_table(folder: Path, row_type: type, frame: pl.DataFrame, bundle_format: BundleFormat) -> Path:
    """The file one table of a bundle is written to."""
    path = folder / f"{STEMS[row_type]}.{bundle_format}"
    path.write_bytes(table_bytes(frame, bundle_format, _json_columns(row_type)))
    return path


def read_table(folder: Path, row_type: type, faults: Faults) -> TableFile | None:
    """One table of a bundle; None when no file holds it, or when its faults make it useless."""
    found = [path for ending in get_args(BundleFormat) if (path := folder / f"{STEMS[row_type]}.{ending}").exists()]
    if len(found) > 1:
        faults.add(found[0], f"stands beside {', '.join(p.name for p in found[1:])}; keep one of them.")
    if len(found) != 1:
        return None
    path = found[0]
    try:
        raw, unknown = read_columns(path, frame_schema(row_type), _json_columns(row_type))
    except BundleInvalid as error:
        faults.lines.append(str(error))
        return None
    except UnfitValue as error:
        faults.add(path, f"{error}.")
        return None
    except _UNREADABLE as error:
        faults.add(path, f"cannot be read: {brief(error)}; correct or remove it.")
        return None
    _check_names(path, row_type, raw, unknown, faults)
    frame = without_noise(row_type, _all_columns(raw, row_type))
    _check_values(path, row_type, frame, raw.columns, faults)
    return TableFile(path=path, frame=frame, columns=raw.columns)


def _check_names(path: Path, row_type: type, raw: pl.DataFrame, unknown: list[str], faults: Faults) -> None:
    if unknown:
        faults.add(path, f"column {listed(unknown)} is not known; remove it or correct its spelling.")
    lacking = [name for name in _must_hold(row_type) if name not in raw.columns]
    if lacking:
        faults.add(path, f"column {', '.join(lacking)} is missing; add it.")


def _check_values(path: Path, row_type: type, frame: pl.DataFrame, columns: list[str], faults: Faults) -> None:
    for name in columns:
        if name in _must_hold(row_type) and frame[name].null_count():
            row = frame[name].is_null().arg_max()
            faults.add(path, f"row {(row or 0) + 1}: {name} is empty; every row needs one.")
    for name in non_finite_columns(frame):
        faults.add(path, f"{name} holds a NaN or an infinity; leave it empty where there is no value.")
    for name, allowed in _closed_sets(row_type).items():
        strange = frame[name].drop_nulls().filter(~frame[name].drop_nulls().is_in(allowed)).unique().sort().to_list()
        if strange:
            faults.add(path, f"{name} says {listed(strange)}; it must be one of {', '.join(allowed)}.")
    faults.lines.extend(f"{path}: {fault}" for fault in range_faults(row_type, frame))
    keys = [name for name in PRIMARY_KEYS[row_type] if name in columns]
    repeated = frame.filter(frame.select(keys).is_duplicated()) if keys and not frame.is_empty() else frame.clear()
    if not repeated.is_empty() and keys == list(PRIMARY_KEYS[row_type]):
        values = zip(keys, repeated.select(keys).row(0), strict=True)
        first = ", ".join(f"{name} {value if isinstance(value, int) else shown(value)}" for name, value in values)
        faults.add(path, f"{len(repeated)} rows repeat a key, such as {first}; keep one of each.")


def _must_hold(row_type: type) -> list[str]:
    derived = MAY_BE_ABSENT.get(row_type, set())
    return [name for name, (_, optional) in column_types(row_type).items() if not optional and name not in derived]


def _json_columns(row_type: type) -> set[str]:
    return {name for name, (plain, _) in column_types(row_type).items() if plain is dict}


def _closed_sets(row_type: type) -> dict[str, list[str]]:
    """Columns that hold one of a few words, with the words."""
    return {
        name: list(get_args(part))
        for name, hint in get_type_hints(row_type).items()
        for part in (hint, *get_args(hint))
        if get_origin(part) is Literal
    }


def _all_columns(raw: pl.DataFrame, row_type: type) -> pl.DataFrame:
    """The frame with every column of the row type; what is lacking is null."""
    lacking = {name: kind for name, kind in frame_schema(row_type).items() if name not in raw.columns}
    nulls = [pl.Series(name, [None] * len(raw), dtype=kind) for name, kind in lacking.items()]
    return raw.with_columns(nulls).select(list(frame_schema(row_type)))
