"""Reads and writes the tables of a bundle, one file each, and says whether what a file holds can be rows.

A file that is read becomes a frame with every column of its row type, or a list of faults. What the rows of different
tables say of each other is `bundle.py`'s business.
"""

from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import polars as pl
import pyarrow as pa

from nlareport.errors import BundleInvalid
from nlareport.rows.declaration import TABLES
from nlareport.rows.item_rows import Item
from nlareport.rows.tag_rows import STRATUM
from nlareport.shown import brief, listed, shown
from nlareport.store.bundle.bundle_formats import ENDINGS, BundleFormat, read_columns, table_bytes
from nlareport.store.bundle.item_ids import ItemNumbers
from nlareport.store.bundle.number_ranges import range_faults, without_noise
from nlareport.store.bundle.table_values import UnfitValue
from nlareport.store.bundle.tag_columns import TAG_COLUMN, as_tag_columns, read_tag_columns
from nlareport.store.row_tables import column_types, frame_schema, non_finite_columns

BUNDLED = [row_type for row_type, table in TABLES.items() if table.bundle]
"""The row types whose tables are files of a bundle; of the others `run.yaml` tells."""

MAY_BE_ABSENT: dict[type, set[str]] = {Item: {"doc_id", "stratum", "token"}}
"""Columns that must hold a value in a run file but can be derived from the others on import."""


DRAW_NAMES = {
    *("sample", "sample_id", "sample_idx", "sample_index", "k", "rollout", "attempt", "repeat", "replicate"),
    *("generation", "generation_id", "completion_id", "completion_index", "draw_id", "draw_index"),
}
"""What others call the number of an explanation among several of an item."""

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
    tags: pl.DataFrame | None = None
    """What columns of items such as `tag:language` say, as rows of the table `tag`. None without such a column."""


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
    path = folder / f"{TABLES[row_type].bundle}.{bundle_format}"
    path.write_bytes(table_bytes(frame, bundle_format, _json_columns(row_type)))
    return path


def read_table(folder: Path, row_type: type, numbers: ItemNumbers, faults: Faults) -> TableFile | None:
    """One table of a bundle; None when no file holds it, or when its faults make it useless."""
    found = files_of(folder, row_type)
    if len(found) > 1:
        faults.add(found[0], f"stands beside {', '.join(p.name for p in found[1:])}; keep one of them.")
    if len(found) != 1:
        return None
    path = found[0]
    try:
        raw, unknown = read_columns(path, frame_schema(row_type), _json_columns(row_type), numbers)
        tagging = as_tag_columns(unknown) if row_type is Item and "item_id" in raw.columns else []
        tags = read_tag_columns(path, tagging, numbers) if tagging else None
    except BundleInvalid as error:
        faults.lines.append(str(error))
        return None
    except UnfitValue as error:
        faults.add(path, f"{error}.")
        return None
    except _UNREADABLE as error:
        faults.add(path, f"cannot be read: {brief(error)}; correct or remove it.")
        return None
    _check_names(path, row_type, raw, [name for name in unknown if name not in tagging], faults)
    return replace(checked_table(path, row_type, raw, faults), tags=tags)


def checked_table(path: Path, row_type: type, raw: pl.DataFrame, faults: Faults) -> TableFile:
    """Typed columns as a table of every column; what no row can hold is noted under the path."""
    frame = without_noise(row_type, all_columns(raw, row_type))
    _check_values(path, row_type, frame, raw.columns, faults)
    return TableFile(path=path, frame=frame, columns=raw.columns)


def files_of(folder: Path, row_type: type) -> list[Path]:
    """The files of a bundle that hold one table: one, where it is sound."""
    names = [f"{TABLES[row_type].bundle}{ending}" for ending in ENDINGS]
    return [path for name in names if (path := folder / name).exists()]


def _check_names(path: Path, row_type: type, raw: pl.DataFrame, unknown: list[str], faults: Faults) -> None:
    if unknown:
        advice = f", or name it {TAG_COLUMN}NAME to make it a tag of the items" if row_type is Item else ""
        if "draw" in TABLES[row_type].key and DRAW_NAMES.intersection(unknown):
            advice = ", or call it draw if it numbers the explanations of an item"
        told = f"column {listed(unknown)} is not known; remove it or correct its spelling{advice}"
        faults.add(path, f"{told}, or say in a map what it is.")
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
            advice = f" Groups of your own are a tag: name the column {TAG_COLUMN}NAME." if name == STRATUM else ""
            faults.add(path, f"{name} says {listed(strange)}; it must be one of {', '.join(allowed)}.{advice}")
    faults.lines.extend(f"{path}: {fault}" for fault in range_faults(row_type, frame))
    keys = list(TABLES[row_type].key)
    if frame.is_empty() or not {*columns, *_defaults(row_type)}.issuperset(keys):
        return
    repeated = frame.filter(frame.select(keys).is_duplicated())
    if not repeated.is_empty():
        named = [name for name in keys if name in columns]
        values = zip(named, repeated.select(named).row(0), strict=True)
        first = ", ".join(f"{name} {value if isinstance(value, int) else shown(value)}" for name, value in values)
        are_draws = "draw" in keys and "draw" not in columns
        advice = ", or number several explanations of an item in a column draw, from 0" if are_draws else ""
        faults.add(path, f"{len(repeated)} rows repeat a key, such as {first}; keep one of each{advice}.")


def _must_hold(row_type: type) -> list[str]:
    derived = MAY_BE_ABSENT.get(row_type, set()) | _defaults(row_type).keys()
    return [name for name, (_, optional) in column_types(row_type).items() if not optional and name not in derived]


def _defaults(row_type: type) -> dict[str, Any]:
    """Columns that stand for something where a bundle leaves them out or empty, with what."""
    return {field.name: field.default for field in fields(row_type) if field.default not in (None, MISSING)}


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


def all_columns(raw: pl.DataFrame, row_type: type) -> pl.DataFrame:
    """The frame with every column of the row type; what is lacking has its default, or is null."""
    lacking = {name: kind for name, kind in frame_schema(row_type).items() if name not in raw.columns}
    nulls = [pl.Series(name, [None] * len(raw), dtype=kind) for name, kind in lacking.items()]
    filled = [pl.col(name).fill_null(default) for name, default in _defaults(row_type).items()]
    return raw.with_columns(nulls).with_columns(filled).select(list(frame_schema(row_type)))
