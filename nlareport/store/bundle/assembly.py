"""Makes the rows of a run of tables that came from elsewhere, whether a bundle's or those a map gives.

Takes the description of the run and its tables, each sound by itself; checks what they say of each other and adds
documents and strata. What follows from the rows is computed by `computed_tables`. Knows no file format.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from nlareport.errors import BundleInvalid
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Explanation, Item, Score, Tag, stratum_of
from nlareport.rows.run_rows import Document, PairId
from nlareport.shown import listed
from nlareport.statistics.score_definitions import NOISE
from nlareport.statistics.score_doubts import doubts
from nlareport.store.bundle.bundle_tables import BUNDLED, Faults, TableFile, all_columns
from nlareport.store.bundle.computed_tables import Bootstrap, compute_tables
from nlareport.store.bundle.run_yaml import BundleRun, pair_ids
from nlareport.store.bundle.tag_columns import tag_faults, with_tag_columns
from nlareport.store.published.published_run import document_of
from nlareport.store.row_tables import rows_of
from nlareport.store.whole_run import RunRows

LARGEST_ERROR = 4.0 + NOISE
"""Of directions."""
ID_TAG = "item_id"
"""The tag with an item's own id, where that is a text and its document has another name."""


@dataclass(frozen=True, slots=True)
class GivenTables:
    """The tables of a run as they were given."""

    described: BundleRun
    name: str
    """What the run is called where its description does not say."""
    where: str
    """What says which pairs there are, for messages: `run.yaml` or a map."""
    tables: Mapping[type, TableFile]
    """Those that there are."""
    item_texts: Mapping[int, str] = field(default_factory=dict)
    """The text ids that items were numbered for; empty where their ids are numbers."""


@dataclass(frozen=True, slots=True)
class GivenRun:
    """A run as its bundle states it."""

    rows: RunRows
    bootstrap: Bootstrap
    """How its intervals are drawn, where they are computed here."""
    is_to_compute: bool
    """False where the bundle is whole: an exported one has a file for every table, and published figures state all
    that is known."""

    def whole(self) -> RunRows:
        """The run with every table that follows from its rows."""
        return compute_tables(self.rows, self.bootstrap) if self.is_to_compute else self.rows.with_derived_rows()


def given_run(given: GivenTables, faults: Faults) -> GivenRun:
    """What the tables state, derived tables as far as they are given.

    Raises:
        BundleInvalid: there were faults, or the tables contradict each other; every fault is listed.
    """
    given = _with_tag_columns(given, faults)
    _check_tables(given, faults)
    if faults.lines:
        raise BundleInvalid("\n".join(faults.told()))
    described = given.described
    is_whole = given.tables.keys() == set(BUNDLED) or (described.kind == "computed" and Cell in given.tables)
    # No export writes tags as columns of its items, so nothing that it states was computed with these.
    has_new_tags = Item in given.tables and given.tables[Item].tags is not None
    is_to_compute = (not is_whole or has_new_tags) and described.kind != "published"
    return GivenRun(_assembled(given), described.drawn(), is_to_compute)


def _with_tag_columns(given: GivenTables, faults: Faults) -> GivenTables:
    """The same tables, all tags in one of them, be they given as such or as columns of the items."""
    stated, items = given.tables.get(Tag), given.tables.get(Item)
    tags = with_tag_columns(stated.frame if stated else None, items.tags if items else None)
    origin = stated or items
    if tags is None or origin is None:
        return given
    for fault in tag_faults(tags):
        faults.add(origin.path, fault)
    return replace(given, tables={**given.tables, Tag: TableFile(origin.path, tags, tags.columns)})


def _check_tables(given: GivenTables, faults: Faults) -> None:
    """Notes what tables say that contradicts the description or another table."""
    scores = given.tables.get(Score)
    if scores and not {"mse_nrm", "fve_nrm"} & set(scores.columns):
        faults.add(scores.path, "has neither mse_nrm nor fve_nrm; add one of them.")
    if scores and _are_raw(scores.frame["mse_nrm"]):
        faults.add(
            scores.path,
            "most of mse_nrm is above 4, so it is no error of directions; if it is one of vectors as they are, import "
            'it with a map that says "definition: raw_mse" and names the columns with both norms.',
        )
    _check_pairs(given, faults)
    _check_items(given, faults)
    if scores and not faults.lines and not _is_trusted(given.described):
        rows = rows_of(Score, scores.frame.columns, scores.frame.rows())
        variances = {PairId(pair.pair_id): pair.variance_nrm for pair in given.described.pairs}
        for doubt in doubts(rows, variances):
            faults.add(scores.path, f"{doubt}.")


def _are_raw(errors: pl.Series) -> bool:
    """Whether most of the errors are larger than those of any two directions."""
    finite = errors.drop_nulls().filter(errors.drop_nulls().is_finite())
    return len(finite) > 0 and int((finite > LARGEST_ERROR).sum()) * 2 > len(finite)


def _is_trusted(described: BundleRun) -> bool:
    """Whether nlareport exported the run, which it judged when it made it, or somebody says to have looked."""
    said = described.environment.get("scores")
    return "nlareport_version" in described.model_fields_set or (isinstance(said, dict) and said.get("checked") is True)


def _assembled(given: GivenTables) -> RunRows:
    """The rows of the run."""
    frames = {row_type: table.frame for row_type, table in given.tables.items()}
    if given.item_texts and Item not in frames:
        frames[Item] = all_columns(pl.DataFrame({"item_id": list(given.item_texts)}), Item)
    if Item in frames:
        frames[Item] = _with_derived_columns(frames[Item], given.item_texts)
        frames.update(_id_tags(frames, given.item_texts))
    groups: list[list[Any]] = [rows_of(row_type, frame.columns, frame.rows()) for row_type, frame in frames.items()]
    if Document not in frames:
        doc_ids: list[str] = frames[Item]["doc_id"].unique(maintain_order=True).to_list() if Item in frames else []
        groups.append([document_of(doc_id) for doc_id in doc_ids])
    return RunRows.gather(given.described.row(given.name), given.described.pair_rows(), *groups)


def _with_derived_columns(items: pl.DataFrame, texts: Mapping[int, str]) -> pl.DataFrame:
    """Items with a token and a stratum each; where no document is named, each is its own."""
    # Of an item that is no token, such as the mean of a sentence, nothing says what kind of token it is.
    strata = ["prose" if token is None else stratum_of(token) for token in items["token"]]
    named = pl.Series("named", [texts.get(item_id) for item_id in items["item_id"]], dtype=pl.String)
    return items.with_columns(
        pl.coalesce(pl.col("doc_id"), named, pl.format("item:{}", "item_id")).alias("doc_id"),
        pl.col("token").fill_null(""),
        pl.col("stratum").fill_null(pl.Series("stratum", strata, dtype=pl.String)),
    )


def _id_tags(frames: Mapping[type, pl.DataFrame], texts: Mapping[int, str]) -> dict[type, pl.DataFrame]:
    """The tags with those text ids that no document is named after."""
    items = frames[Item]
    ids = {item: texts[item] for item, doc_id in items["item_id", "doc_id"].rows() if texts.get(item, doc_id) != doc_id}
    if not ids:
        return {}
    tags = pl.DataFrame({"item_id": list(ids), "name": [ID_TAG] * len(ids), "value": list(ids.values())})
    return {Tag: pl.concat([frames[Tag], tags]) if Tag in frames else tags}


def _check_pairs(given: GivenTables, faults: Faults) -> None:
    known = pair_ids(given.described)
    for table in given.tables.values():
        for name in sorted({"source", "target", "pair_id"} & set(table.columns)):
            strangers = sorted(set(table.frame[name].drop_nulls()) - set(known))
            if strangers:
                faults.add(table.path, f"{name} says {listed(strangers)}; {given.where} lists no such pair.")
        _check_halves(table, given, faults)


def _check_halves(table: TableFile, given: GivenTables, faults: Faults) -> None:
    """A pair that is said not to write, or not to read, is no source, or no target, in the table."""
    silent = {pair.pair_id for pair in given.described.pairs if not pair.writes}
    deaf = {pair.pair_id for pair in given.described.pairs if not pair.reads}
    for name, others, does in (("source", silent, "writes"), ("target", deaf, "reads")):
        named = set(table.frame[name].drop_nulls()) if name in table.columns else set()
        if misplaced := sorted(named & others):
            faults.add(
                table.path,
                f"{name} says {listed(misplaced)}, of which {given.where} says that none {does}; correct one of them.",
            )


def _check_items(given: GivenTables, faults: Faults) -> None:
    """Where items are given, every other table must speak of those items only."""
    items = given.tables.get(Item)
    if items is None:
        return
    known = set(items.frame["item_id"])
    for table in given.tables.values():
        if "item_id" in table.columns:
            strangers = sorted(set(table.frame["item_id"].drop_nulls()) - known)
            if strangers:
                first = given.item_texts.get(strangers[0], strangers[0])
                faults.add(table.path, f"{len(strangers)} items are not in {items.path.name}, such as {first}.")


NEEDED = (Score, Explanation)
"""Of these tables a run needs one."""
