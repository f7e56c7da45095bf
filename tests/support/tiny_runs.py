"""A tiny run written by hand, row by row, and hypothesis strategies for any run that the tables allow."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import duckdb
from hypothesis import strategies as st

from nlareport.rows.cell_rows import AblationCell, Cell, LearningCurve
from nlareport.rows.declaration import TABLES
from nlareport.rows.draw_rows import BestOfDraws, DrawSpread, TextAgreement
from nlareport.rows.given_rows import GivenScore
from nlareport.rows.item_rows import Ablation, Alignment, Explanation, Item, NullScore, PlainReading, Score, Tag
from nlareport.rows.run_rows import Claim, Document, Pair, PairId, Run
from nlareport.rows.tag_rows import TagDifference
from nlareport.rows.text_rows import ContextOverlap, TextSign, TextSummary
from nlareport.shown import printable
from nlareport.store.bundle.number_ranges import IN_ORDER, RANGES, Range
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.row_tables import column_types, sort_key
from nlareport.store.whole_run import RunRows

SCHEMAS = Path(__file__).parents[1] / "fixtures" / "schemas"
"""The statements of each schema version as it was when files were first written under it."""

QWEN, GEMMA = PairId("qwen7-L20"), PairId("gemma12-L32")


def a_run(**changes: Any) -> Run:
    given: dict[str, Any] = {
        "run_id": "tiny",
        "title": "A tiny run",
        "series_name": None,
        "series_number": None,
        "kind": "computed",
        "experiment_yaml": "experiment: tiny\n",
        "nlareport_version": "0.1.0",
        "schema_version": SCHEMA_VERSION,
        "seed": 7,
        "created_at": datetime(2026, 3, 1, 12, 30, 15, 250, tzinfo=UTC),
        "environment": {"device": "cpu", "libraries": {"torch": "2.13"}, "nothing": None},
    }
    return Run(**{**given, **changes})


def a_pair(pair_id: PairId = QWEN, ordinal: int = 0, variance_nrm: float | None = None, d_model: int = 3) -> Pair:
    return Pair(
        pair_id=pair_id,
        label=pair_id,
        family=pair_id[:4],
        base_model=f"Org/{pair_id}",
        block_index=20,
        d_model=d_model,
        injection_scale=150.0,
        mse_scale=None,
        variance_nrm=variance_nrm,
        mean_norm=None,
        sidecar_variance_nrm=None,
        ordinal=ordinal,
    )


def an_item(item_id: int, **changes: Any) -> Item:
    given: dict[str, Any] = {
        "doc_id": f"corpus:en:{item_id}",
        "char_end": 300,
        "token": " word",
        "context": "a word",
        "stratum": "prose",
    }
    return Item(item_id=item_id, **{**given, **changes})


def a_score(item_id: int, source: PairId = QWEN, target: PairId = QWEN, mse_nrm: float | None = 0.5) -> Score:
    reason = None if mse_nrm is not None else "no closing tag within 300 tokens"
    return Score(item_id=item_id, source=source, target=target, mse_nrm=mse_nrm, fve_nrm=None, unscored_reason=reason)


def a_null_score(item_id: int, mse_nrm: float = 1.9) -> NullScore:
    return NullScore(item_id=item_id, source=QWEN, target=GEMMA, permutation=0, mse_nrm=mse_nrm)


def an_alignment(item_id: int, pair_id: PairId = QWEN) -> Alignment:
    return Alignment(item_id=item_id, pair_id=pair_id, token_index=60, char_error=0, activation_norm=12.5)


def an_explanation(item_id: int, source: PairId = QWEN, text: str | None = "") -> Explanation:
    return Explanation(
        item_id=item_id,
        source=source,
        text=text,
        completion="<explanation></explanation>",
        n_tokens=9,
        finish="closed",
        is_clean=True,
    )


def a_small_run() -> RunRows:
    """Two pairs, three items, something in most tables; an empty text, a missing one, and an unscored row."""
    return RunRows.gather(
        a_run(),
        [a_pair(GEMMA, ordinal=1), a_pair(QWEN, variance_nrm=0.75)],
        [Document(f"corpus:en:{k}", "corpus", k, 900) for k in range(3)],
        [an_item(k, is_outlier=k == 1) for k in range(3)],
        [an_alignment(k) for k in range(3)],
        [an_explanation(0, text=""), an_explanation(1, text=None), an_explanation(2, text='"a",\nb')],
        [a_score(0), a_score(1, mse_nrm=None), a_score(2, mse_nrm=1 / 3)],
        [a_null_score(0)],
        [Ablation(0, QWEN, QWEN, "words_shuffled", 0.75), Ablation(2, QWEN, QWEN, "words_shuffled", None)],
        [PlainReading(0, QWEN, 8, 0.5), PlainReading(1, QWEN, 8, None)],
        [Cell(QWEN, QWEN, "all", 2, 1, 0.4, None, None, None, 0.4, 0.4, 0.0, None, 1.0)],
        [LearningCurve(GEMMA, QWEN, "ridge", 2, 0.1, None, None)],
        [Tag(0, "language", "en"), Tag(2, "language", "de")],
        [TagDifference(QWEN, QWEN, "language", "de", "en", 2, False, -0.25, None, None)],
        [AblationCell(QWEN, QWEN, "words_shuffled", 0, 1, 0.1, None, None, 0.25, None, None)],
        [DrawSpread(QWEN, QWEN, 2, 3, 0.25, None, None, None, None, None, None)],
        [BestOfDraws(QWEN, QWEN, 1, 2, 0.4, None, None)],
        [TextAgreement(QWEN, 1, 0.5, None, None, None)],
        [TextSign(QWEN, 0, "empty"), TextSign(QWEN, 2, "loop", in_context=False)],
        [ContextOverlap(QWEN, 2, 3, 1, 0, 1)],
        [TextSummary(QWEN, 2, 1, 1 / 3, None, None, 0.0)],
        [GivenScore(0, QWEN, QWEN, "cosine", 0.75)],
        [Claim("best", "qwen reads best", "matrix", True, {"fve": 0.4, "who": ["qwen"], "none": None})],
    )


def make_older(path: Path, version: int | str = 1) -> None:
    """Turns a run file into one of an earlier schema version, without what came later and scored as long ago.

    `6_first` is version 6 as its first files were made.
    """
    older = path.with_name(f"{path.name}.older")
    with duckdb.connect(str(older)) as connection:
        connection.execute((SCHEMAS / f"{version}.sql").read_text(encoding="utf-8"))
        connection.execute(f"ATTACH '{path}' AS newer (READ_ONLY)")
        tables = connection.execute(
            "SELECT table_name, string_agg(column_name, ', ' ORDER BY column_index) FROM duckdb_tables() "
            "JOIN duckdb_columns() USING (database_name, table_name) WHERE database_name <> 'newer' GROUP BY ALL"
        ).fetchall()
        for table, columns in tables:
            connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM newer.{table}")
        connection.execute("UPDATE run SET schema_version = ?", [int(str(version)[0])])
        connection.execute(
            """UPDATE run SET environment = json_merge_patch(environment, '{"scored": {"version": null}}')
            WHERE json_exists(environment, '$.scored')"""
        )
        connection.execute("""UPDATE run SET environment = json_merge_patch(environment, '{"answer_rule": null}')""")
    older.replace(path)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))
JSON_VALUES = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXTS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
PAIR_RANGES = {
    "block_index": Range(0, 2**31 - 1),
    "d_model": Range(1, 2**31 - 1),
    "injection_scale": Range(1e-3, 1e9),
    "mse_scale": Range(1e-3, 1e9),
    "variance_nrm": Range(1e-9, 4.0),
    "mean_norm": Range(0.0, 1.0),
    "sidecar_variance_nrm": Range(1e-9, 4.0),
}
PAIR_IDS = [QWEN, GEMMA, PairId('päir, "3"')]
PLAIN: dict[type, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-(2**31), 2**31 - 1),
    float: st.floats(0.0, 4.0),
    bool: st.booleans(),
    datetime: MOMENTS,
    dict: JSON_VALUES,
}


def any_row(row_type: type) -> st.SearchStrategy[Any]:
    """Any row its table allows, speaking of the three pairs and of items 0 to 4 only."""
    given: dict[str, st.SearchStrategy[Any]] = {}
    for name, hint in get_type_hints(row_type).items():
        plain, optional = column_types(row_type)[name]
        words = [word for part in (hint, *get_args(hint)) if get_origin(part) is Literal for word in get_args(part)]
        value = st.sampled_from(words) if words else PLAIN[plain]
        if name in ("source", "target", "pair_id"):
            value = st.sampled_from(PAIR_IDS)
        elif name == "item_id":
            value = st.integers(0, 4)
        given[name] = st.none() | value if optional else value
    for name, limits in {**RANGES, Pair: PAIR_RANGES}.get(row_type, {}).items():
        plain, optional = column_types(row_type)[name]
        kind = st.integers if plain is int else st.floats
        value = kind(max(limits.low, -(2**31)), min(limits.high, 2**31 - 1))
        given[name] = st.none() | value if optional else value
    if row_type is Tag:
        given["name"] = st.sampled_from(["language", "layer", "länge <b>"])
        given["value"] = TEXTS.map(lambda text: " ".join(f"in {printable(text)}".split()))
    if row_type is Run:
        given["run_id"] = TEXTS.map(lambda text: f"run {printable(text).split()}")
    return st.builds(row_type, **given).map(_in_order)


def _in_order(row: Any) -> Any:
    """The row with the ends of its intervals in order."""
    for first, second in IN_ORDER.get(type(row), []):
        low, high = getattr(row, first), getattr(row, second)
        if low is not None and high is not None and low > high:
            row = replace(row, **{first: high, second: low})
    return row


def any_rows(row_type: type, max_size: int = 4) -> st.SearchStrategy[list[Any]]:
    """Rows with different keys, in order of their keys."""
    rows = st.lists(any_row(row_type), max_size=max_size, unique_by=sort_key)
    return rows.map(lambda found: sorted(found, key=sort_key))


@st.composite
def any_runs(draw: st.DrawFn) -> tuple[Run, list[list[Any]]]:
    """Any run with three pairs and five items, and the rows of each of its tables.

    Not as `RunRows`: beartype checks a list at a random place, and strategies must not touch chance.
    """
    pairs = [_whole_pair(draw(ANY[Pair]), name) for name in PAIR_IDS]
    items = [replace(draw(ANY[Item]), item_id=k) for k in range(5)]
    others = [draw(MANY[row_type]) for row_type in TABLES if row_type not in (Run, Pair, Item)]
    run = replace(draw(ANY[Run]), schema_version=SCHEMA_VERSION)
    return run, [sorted(pairs, key=sort_key), items, *others]


def _whole_pair(pair: Pair, name: PairId) -> Pair:
    """The pair with both halves, for rows speak of every pair as source and as target."""
    known = {
        "base_model": pair.base_model or "model",
        "block_index": pair.block_index or 0,
        "d_model": pair.d_model or 1,
    }
    return replace(pair, pair_id=name, writes=True, reads=True, **known)


ANY = {row_type: any_row(row_type) for row_type in TABLES}
MANY = {row_type: any_rows(row_type) for row_type in TABLES}
