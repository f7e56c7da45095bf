"""Tags of a bundle's items: the file `tags`, one row per item and tag, and the columns `tag:NAME` of the file `items`.

Takes the two files as they were read, returns the tags of both as one table; an empty place in a column is no tag.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from nlareport.rows.item_rows import Tag
from nlareport.rows.tag_rows import name_fault, value_fault
from nlareport.shown import shown
from nlareport.store.bundle.bundle_formats import read_columns
from nlareport.store.bundle.item_ids import ItemNumbers
from nlareport.store.bundle.table_values import UnfitValue
from nlareport.store.row_tables import frame_schema

TAG_COLUMN = "tag:"
"""How the name of a column of `items` begins that is a tag."""


def as_tag_columns(columns: Sequence[str]) -> list[str]:
    """Those of a file's columns that are tags."""
    return [name for name in columns if name.startswith(TAG_COLUMN)]


def read_tag_columns(path: Path, columns: Sequence[str], numbers: ItemNumbers) -> pl.DataFrame:
    """The tags in these columns of a file that also has an `item_id`, as rows of the table `tag`.

    Raises:
        UnfitValue: a value is neither a text, a number nor true or false; the message names row and column.
    """
    read = [_read_column(path, name, numbers) for name in columns]
    return pl.concat(read) if read else pl.DataFrame(schema=frame_schema(Tag))


def _read_column(path: Path, column: str, numbers: ItemNumbers) -> pl.DataFrame:
    try:
        frame, _ = read_columns(path, {"item_id": pl.Int64(), column: pl.String()}, set(), numbers)
    except UnfitValue:
        frame, _ = read_columns(path, {"item_id": pl.Int64(), column: pl.Boolean()}, set(), numbers)
    tags = frame.select(
        "item_id", pl.lit(column.removeprefix(TAG_COLUMN)).alias("name"), pl.col(column).cast(pl.String).alias("value")
    )
    # In CSV an empty place and an empty text are the same.
    return tags.filter(pl.col("item_id").is_not_null() & (pl.col("value").str.len_chars() > 0))


def with_tag_columns(stated: pl.DataFrame | None, columns: pl.DataFrame | None) -> pl.DataFrame | None:
    """The rows of the file `tags` and those that columns of `items` give, as one table; None without either."""
    given = [frame.select(list(frame_schema(Tag))) for frame in (stated, columns) if frame is not None]
    return pl.concat(given) if given else None


def tag_faults(tags: pl.DataFrame) -> list[str]:
    """What is wrong with tags: a name or a value that cannot be one, or two values of one tag for an item."""
    faults = []
    for column, fault_of in (("name", name_fault), ("value", value_fault)):
        texts = tags[column].drop_nulls().unique(maintain_order=True)
        faults += [f"tag {column} {shown(text)} {fault}." for text in texts if (fault := fault_of(text)) is not None]
    repeated = tags.filter(tags.select("name", "item_id").is_duplicated())
    if not repeated.is_empty():
        item_id, name = repeated.select("item_id", "name").row(0)
        faults.append(f"{len(repeated)} rows repeat a tag, such as {shown(name)} of item {item_id}; keep one of each.")
    return faults
