"""Which items of two runs are the same place in the same text.

Enter the items of two runs; leave those they share. It looks at where items stand, never at what they scored.
"""

import polars as pl

from nlareport.comparison import MatchedBy, SharedItems
from nlareport.resampling import document_codes

PLACE = ["doc_id", "char_end", "token"]
"""What an item is, whatever number a run gave it."""


def match_items(items_a: pl.DataFrame, items_b: pl.DataFrame) -> SharedItems:
    """The shared items of two frames with `item_id`, `doc_id`, `char_end`, `token` and `context`.

    They are matched by place, or, where an item of either run has none or shares it with another, by number. Then
    tokens must agree wherever both runs know them: one that does not shows that the numbers count different places.
    """
    matched_by: MatchedBy = "place" if _is_placed(items_a) and _is_placed(items_b) else "item_id"
    keys = PLACE if matched_by == "place" else ["item_id"]
    both = (
        items_a.with_columns(item_a="item_id")
        .join(items_b.with_columns(item_b="item_id"), on=keys, how="inner", suffix="_b")
        .sort(keys)
    )
    if matched_by == "place":
        return SharedItems(matched_by, _shared(both, both["doc_id"]))
    stray = both.filter(pl.col("token") != pl.col("token_b"))
    if len(stray):
        first = stray.row(0, named=True)
        contradiction = f"item {first['item_a']} is {first['token']!r} in A and {first['token_b']!r} in B"
        return SharedItems(matched_by, _shared(both.clear(), both["doc_id"].clear()), contradiction)
    return SharedItems(matched_by, _shared(both, _coarser_documents(both)))


def _is_placed(items: pl.DataFrame) -> bool:
    """Whether every item has a place of its own."""
    places = items.select(PLACE)
    return len(items) > 0 and not any(places.null_count().row(0)) and not places.is_duplicated().any()


def _coarser_documents(both: pl.DataFrame) -> pl.Series:
    """The documents of the run that has fewer: a run that does not know them makes each item its own."""
    unnamed = pl.format("item:{}", "item_a")
    named = both.select(a=pl.col("doc_id").fill_null(unnamed), b=pl.col("doc_id_b").fill_null(unnamed))
    return min((named["a"], named["b"]), key=lambda documents: (documents.n_unique(), documents.to_list()))


def _shared(both: pl.DataFrame, documents: pl.Series) -> pl.DataFrame:
    sides = {name: f"{name}_b" for name in ("char_end", "token", "context") if f"{name}_b" in both.columns}
    return both.select(
        "item_a",
        "item_b",
        pl.Series("document", document_codes(documents.to_list()), dtype=pl.Int64),
        documents.alias("doc_id"),
        *(
            pl.coalesce(name, sides[name]).alias(name) if name in sides else name
            for name in ("char_end", "token", "context")
        ),
    )
