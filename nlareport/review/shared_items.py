"""Shared items: which items of two runs are the same place in the same text.

Takes the items of two runs, returns those they share, by where they are and never by what they scored. The number that
a run gave an item says nothing: where one more document was skipped, all that follow have other numbers. Only a run
that names no documents, as a bundle of bare scores, has nothing but numbers.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import polars as pl

from nlareport.comparison import MatchedBy, SharedItems
from nlareport.statistics.resampling import document_codes

TAIL = 40
"""Characters of context that must be alike where not both runs know at which character their item ends."""
MOST_COMPARED = 1_000_000
"""Contexts of one document and token: a bundle may call all its items by one name."""


def match_items(items_a: pl.DataFrame, items_b: pl.DataFrame) -> SharedItems:
    """The shared items of two frames with `item_id`, `doc_id`, `char_end`, `token` and `context`.

    Of one document they are those of the same token that end at the same character, or, where that is not known of
    both, in the same context as far as either has it. An item that may be several of the other run's, or that shares
    the one it may be, is left out and counted. Where a run names no documents items are matched by number; then tokens
    must agree wherever both runs know them: one that does not shows that the numbers count different places.
    """
    a, b = _named_items(items_a), _named_items(items_b)
    if not a or not b:
        return _by_number(items_a, items_b)
    couples = _couples(a, b)
    n_of_a, n_of_b = Counter(item.item_id for item, _ in couples), Counter(item.item_id for _, item in couples)
    matched = [(x, y) for x, y in couples if n_of_a[x.item_id] == n_of_b[y.item_id] == 1]
    ambiguous = len(n_of_a) - len(matched), len(n_of_b) - len(matched)
    is_placed = all(x.char_end is not None and y.char_end is not None for x, y in matched)
    return SharedItems("place" if is_placed else "token", _frame(matched), ambiguous=ambiguous)


@dataclass(frozen=True, slots=True)
class _Named:
    """One item of a document that its run names."""

    item_id: int
    doc_id: str
    char_end: int | None
    token: str
    context: str | None
    tail: str | None
    """The context before the token, on one line. None when there is no context."""

    def may_be(self, other: "_Named") -> bool:
        """Whether it may be another run's item of the same document and token."""
        if self.char_end is not None and other.char_end is not None:
            return self.char_end == other.char_end
        if self.tail is None or other.tail is None:
            return True
        n_known = min(len(self.tail), len(other.tail), TAIL)
        return n_known == 0 or self.tail[-n_known:] == other.tail[-n_known:]


Couple = tuple[_Named, _Named]


def _named_items(items: pl.DataFrame) -> list[_Named]:
    """The items whose document is named, other than after the item itself, as an import does for want of a name."""
    known = items.filter(pl.col("doc_id") != pl.format("item:{}", "item_id"), pl.col("token").is_not_null())
    fields = ("item_id", "doc_id", "char_end", "token", "context")
    return [
        _Named(**row, tail=_tail(row["context"], row["token"])) for row in known.select(fields).iter_rows(named=True)
    ]


def _tail(context: str | None, token: str) -> str | None:
    """What comes before the token: a page may give the token once more behind its context, or not at all."""
    if context is None:
        return None
    tail, bare = " ".join(context.split()), token.strip()
    while bare and tail.endswith(bare):
        tail = tail.removesuffix(bare).rstrip()
    return tail


def _couples(a: list[_Named], b: list[_Named]) -> list[Couple]:
    """Every item of A with every one of B that it may be."""
    in_a, in_b = _by_token(a), _by_token(b)
    return [couple for key in in_a if key in in_b for couple in _couples_of_a_token(in_a[key], in_b[key])]


def _by_token(items: list[_Named]) -> dict[tuple[str, str], list[_Named]]:
    grouped: dict[tuple[str, str], list[_Named]] = defaultdict(list)
    for item in items:
        grouped[item.doc_id, item.token].append(item)
    return grouped


def _couples_of_a_token(a: list[_Named], b: list[_Named]) -> list[Couple]:
    """The couples among items of one document and token."""
    if all(item.char_end is not None for item in (*a, *b)):
        ends = defaultdict(list)
        for item in b:
            ends[item.char_end].append(item)
        return [(x, y) for x in a for y in ends[x.char_end]]
    if len(a) * len(b) > MOST_COMPARED:
        # Two for each are enough to say of all that nothing tells them apart.
        return [(x, y) for x in a for y in b[:2]] + [(x, y) for x in a[:2] for y in b[2:]]
    return [(x, y) for x in a for y in b if x.may_be(y)]


def _frame(matched: list[Couple]) -> pl.DataFrame:
    rows = [
        {
            "item_a": x.item_id,
            "item_b": y.item_id,
            "doc_id": x.doc_id,
            "char_end": y.char_end if x.char_end is None else x.char_end,
            "token": x.token,
            "context": y.context if x.context is None else x.context,
        }
        for x, y in matched
    ]
    # The order must not depend on which run is A, nor on either's numbers.
    rows.sort(key=lambda row: (row["doc_id"], row["char_end"] is None, row["char_end"] or 0, row["token"]))
    documents = document_codes([str(row["doc_id"]) for row in rows])
    schema = {
        "item_a": pl.Int64,
        "item_b": pl.Int64,
        "document": pl.Int64,
        "doc_id": pl.String,
        "char_end": pl.Int64,
        "token": pl.String,
        "context": pl.String,
    }
    coded = [{**row, "document": code} for row, code in zip(rows, documents.tolist(), strict=True)]
    return pl.DataFrame(coded, schema=schema)


def _by_number(items_a: pl.DataFrame, items_b: pl.DataFrame) -> SharedItems:
    both = (
        items_a.with_columns(item_a="item_id")
        .join(items_b.with_columns(item_b="item_id"), on="item_id", how="inner", suffix="_b")
        .sort("item_id")
    )
    matched_by: MatchedBy = "item_id"
    stray = both.filter(pl.col("token") != pl.col("token_b"))
    if len(stray):
        first = stray.row(0, named=True)
        contradiction = f"item {first['item_a']} is {first['token']!r} in A and {first['token_b']!r} in B"
        return SharedItems(matched_by, _numbered(both.clear(), both["doc_id"].clear()), contradiction)
    return SharedItems(matched_by, _numbered(both, _coarser_documents(both)))


def _coarser_documents(both: pl.DataFrame) -> pl.Series:
    """The documents of the run that has fewer: a run that does not know them makes each item its own."""
    unnamed = pl.format("item:{}", "item_a")
    named = both.select(a=pl.col("doc_id").fill_null(unnamed), b=pl.col("doc_id_b").fill_null(unnamed))
    return min((named["a"], named["b"]), key=lambda documents: (documents.n_unique(), documents.to_list()))


def _numbered(both: pl.DataFrame, documents: pl.Series) -> pl.DataFrame:
    return both.select(
        "item_a",
        "item_b",
        pl.Series("document", document_codes(documents.to_list()), dtype=pl.Int64),
        documents.alias("doc_id"),
        *(pl.coalesce(name, f"{name}_b").alias(name) for name in ("char_end", "token", "context")),
    )
