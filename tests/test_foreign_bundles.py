"""Bundles as strangers make them: rows, or every fault in a line with file, row and column."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import random
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.refusals import refusal_of

from nlareport.errors import BundleInvalid
from nlareport.rows.item_rows import Item, Score, Tag
from nlareport.rows.run_rows import Pair
from nlareport.store.bundle import bundle_formats
from nlareport.store.bundle.assembly import ID_TAG
from nlareport.store.bundle.bundle import bundle_rows, import_run

PAIR = {"pair_id": "a", "family": "f", "base_model": "m", "block_index": 1, "d_model": 8, "variance_nrm": 0.5}
SCORE = {"item_id": 1, "source": "a", "target": "a", "mse_nrm": 0.25}


def bundle(folder: Path, pair: dict[str, Any] | None = None, run: dict[str, Any] | None = None, **tables: Any) -> Path:
    """A bundle of one pair; each table a list of rows, written as JSONL, or the whole content of its file."""
    folder.mkdir(exist_ok=True)
    described = {"title": "By hand", "pairs": [{**PAIR, **(pair or {})}], **(run or {})}
    (folder / "run.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    for name, content in {"scores.jsonl": [SCORE], **{key.replace("_in_", "."): tables[key] for key in tables}}.items():
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content).encode()
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


def faults(folder: Path) -> str:
    said = refusal_of(lambda: bundle_rows(folder), BundleInvalid)
    assert said is not None, "nothing was refused"
    return said.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("variance_nrm", 0.0, "greater than 0.000000000001; it says 0.0"),
        ("variance_nrm", -0.5, "greater than 0.000000000001; it says -0.5"),
        ("variance_nrm", 9.0, "less than or equal to 4; it says 9.0"),
        ("variance_nrm", float("nan"), "finite number; it says nan"),
        ("sidecar_variance_nrm", -1.0, "greater than 0.000000000001"),
        ("mean_norm", 1.3, "less than or equal to 1.0001"),
        ("mean_norm", -0.1, "greater than or equal to -0.0001"),
        ("d_model", 0, "greater than or equal to 1; it says 0"),
        ("d_model", 2**40, "less than or equal to 2147483647"),
        ("block_index", -1, "greater than or equal to 0; it says -1"),
        ("injection_scale", -4.0, "greater than 0"),
        ("pair_id", "..", "stands for a folder; choose another name"),
        ("pair_id", ".", "stands for a folder"),
        ("pair_id", "", "at least 1 character"),
        ("pair_id", "a\u202eb", "holds control characters, invisible ones or spaces at an end"),
        ("pair_id", "a\nb", "holds control characters"),
        ("pair_id", " a", "spaces at an end"),
        ("pair_id", "x" * 201, "at most 200 characters"),
        ("pair_id", 7, "should be a text; put 7 in quotes"),
    ],
)
def test_a_pair_that_no_model_is_is_refused_by_name(key: str, value: object, said: str, tmp_path: Path) -> None:
    lines = faults(bundle(tmp_path / "b", pair={key: value})).splitlines()
    assert lines[0].startswith(f"run.yaml: pairs.0.{key}: ")
    assert said in lines[0]


@pytest.mark.parametrize("pair_id", ["a~b", "../../x", "a/b", "päir <b>", "CON", "a--b", "...", "-", "=1+1"])
def test_odd_names_of_pairs_stay(pair_id: str, tmp_path: Path) -> None:
    score = {**SCORE, "source": pair_id, "target": pair_id}
    rows = bundle_rows(bundle(tmp_path / "b", pair={"pair_id": pair_id}, scores_in_jsonl=[score]))
    assert rows.of(Pair)[0].pair_id == rows.of(Score)[0].source == pair_id


ITEM = {"item_id": 1, "doc_id": "d", "token": "x"}
CELL = {"source": "a", "target": "a", "subset": "all", "fve_nrm": 0.5}
ALIGNMENT = {"item_id": 1, "pair_id": "a", "token_index": 60, "char_error": 0, "activation_norm": 5.0}


@pytest.mark.parametrize(
    ("table", "row", "said"),
    [
        ("scores", {**SCORE, "mse_nrm": -1e-3}, "row 1: mse_nrm is -0.001; it must be from 0 to 4"),
        ("scores", {**SCORE, "mse_nrm": 4.1}, "row 1: mse_nrm is 4.1; it must be from 0 to 4"),
        ("scores", {**SCORE, "fve_nrm": 5.0}, "row 1: fve_nrm is 5; it must be from -4e+12 to 1"),
        ("scores", {**SCORE, "fve_nrm": -1e308}, "row 1: fve_nrm is -1e+308; it must be from -4e+12 to 1"),
        ("scores", {**SCORE, "mse_nrm": "much"}, "row 1: mse_nrm is 'much'; it must be a number"),
        ("scores", {**SCORE, "mse_nrm": True}, "row 1: mse_nrm is True; it must be a number"),
        ("scores", {**SCORE, "mse_nrm": "nan"}, "mse_nrm holds a NaN or an infinity; leave it empty"),
        ("scores", {**SCORE, "item_id": 1.5}, "row 1: item_id is 1.5; it must be a whole number"),
        ("scores", {**SCORE, "item_id": 2**63}, "row 1: item_id is 9223372036854775808; it must be a whole number"),
        ("scores", {**SCORE, "source": ["a"]}, "row 1: source is ['a']; it must be a text"),
        (
            "scores",
            {**SCORE, "unscored_reason": "\ud83d"},
            r"unscored_reason is '\ud83d', which holds half of a surrogate",
        ),
        ("items", {**ITEM, "char_end": -1}, "row 1: char_end is -1; it must be 0 or above"),
        ("items", {**ITEM, "is_outlier": "maybe"}, "row 1: is_outlier is 'maybe'; it must be true or false"),
        ("alignments", {**ALIGNMENT, "activation_norm": -1.0}, "activation_norm is -1; it must be 0 or above"),
        ("alignments", {**ALIGNMENT, "token_index": -3}, "token_index is -3; it must be from 0 to 2147483647"),
        ("alignments", {**ALIGNMENT, "token_index": 2**31}, "token_index is 2.14748e+09; it must be from 0 to"),
        (
            "explanations",
            {"item_id": 1, "source": "a", "n_tokens": -1},
            "n_tokens is -1; it must be from 0 to 2147483647",
        ),
        ("cells", {**CELL, "ci_low": 0.9, "ci_high": 0.1}, "row 1: ci_low 0.9 is above ci_high 0.1"),
        ("cells", {**CELL, "fve_nrm": 1.5}, "row 1: fve_nrm is 1.5"),
        ("cells", {**CELL, "share_below_zero": 2}, "share_below_zero is 2; it must be from 0 to 1"),
        ("cells", {**CELL, "n_scored": -2}, "n_scored is -2; it must be 0 or above"),
        ("claims", {"claim_id": "x", "text": "t", "query": "q", "holds": True, "figures": [1]}, "figures is '[1]'"),
        ("effects", {"pair_id": "a", "role": "reader", "effect": 1}, "role says 'reader'; it must be one of source"),
    ],
)
def test_a_value_that_no_measurement_gives_is_refused_by_row(
    table: str, row: dict[str, Any], said: str, tmp_path: Path
) -> None:
    message = faults(bundle(tmp_path / "b", **{f"{table}_in_jsonl": [row]}))
    assert message.startswith(f"{table}.jsonl: ")
    assert said in message


def test_a_scale_may_be_named_as_sidecars_name_it(tmp_path: Path) -> None:
    named = {"injection_scale": "sqrt_d_model", "d_model": 16, "mse_scale": 2}
    (pair,) = bundle_rows(bundle(tmp_path / "b", pair=named)).of(Pair)
    assert (pair.injection_scale, pair.mse_scale) == (4.0, 2.0)


def test_noise_at_the_ends_of_a_range_is_taken_for_its_end(tmp_path: Path) -> None:
    written = [-1e-7, 4.00002, -0.0, 0.3]
    scores = [{**SCORE, "item_id": number, "mse_nrm": mse} for number, mse in enumerate(written)]
    rows = bundle_rows(bundle(tmp_path / "b", scores_in_jsonl=scores, pair={"mean_norm": 1.00005}))
    assert [(score.mse_nrm, score.fve_nrm) for score in rows.of(Score)] == [(0, 1), (4, -7), (0, 1), (0.3, 0.4)]
    assert rows.of(Pair)[0].mean_norm == 1


def test_numbers_as_texts_and_texts_as_numbers_are_read_alike_in_every_format(tmp_path: Path) -> None:
    row = {"item_id": "1", "source": "a", "target": "a", "mse_nrm": "0.25", "fve_nrm": ""}
    item = {"item_id": 1.0, "doc_id": 2934, "token": 7, "is_outlier": "True"}
    (from_json,) = bundle_rows(bundle(tmp_path / "j", scores_in_jsonl=[row], items_in_jsonl=[item])).of(Item)
    csv = b'\xef\xbb\xbfitem_id,doc_id,token,is_outlier\r\n1,2934,"7",true\r\n'
    (from_csv,) = bundle_rows(bundle(tmp_path / "c", items_in_csv=csv)).of(Item)
    frame = pl.DataFrame({"item_id": [1], "doc_id": [2934], "token": ["7"], "is_outlier": [True]})
    bundle(tmp_path / "p")
    kinds = {"item_id": pl.Int32, "token": pl.Categorical}
    frame.cast(kinds).with_columns(__index_level_0__=pl.lit(0)).write_parquet(tmp_path / "p/items.parquet")
    (from_parquet,) = bundle_rows(tmp_path / "p").of(Item)
    assert from_json == from_csv == from_parquet
    assert (from_csv.item_id, from_csv.doc_id, from_csv.token, from_csv.is_outlier) == (1, "2934", "7", True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("items.csv", b"item_id;token\n1;x\n", "its columns are separated by semicolons; separate them by commas"),
        ("items.csv", b"item_id\ttoken\n1\tx\n", "its columns are separated by tabs"),
        ("items.csv", b"item_id,token\n1,x,y\n", "items.csv: cannot be read: found more fields"),
        ("items.csv", b"item_id,token\n1,x\n2,caf\xe9\n", "items.csv, line 3: is not UTF-8 text (byte 0xe9)"),
        ("items.csv", "item_id,token\n".encode("utf-16"), "items.csv: is UTF-16 text"),
        ("items.csv", b"PK\x03\x04", "items.csv: is a zip archive: unpack it"),
        ("items.csv", b"item_id,token\n1,5\n,6\n", "items.csv: row 2: item_id is empty; every row needs one"),
        (
            "items.csv",
            b"item_id,token\none,5\n",
            ": item_id is a text in one table and a number in another; use the same",
        ),
        ("scores.json", b'{"rows": []}', "scores.json: cannot be read: holds no JSON list; write a list of objects"),
        ("scores.json", b'[{"item_id": 1}, 2]', "scores.json: cannot be read: row 2 is no JSON object"),
        ("scores.json", b'[{"item_id": 1},', "scores.json: cannot be read: is not JSON ("),
        ("scores.jsonl.gz", b"no gzip", "scores.jsonl.gz: is damaged or not gzipped"),
        ("items.jsonl", b'{"item_id": 1, "token": "x"},\n{}', "items.jsonl: cannot be read: line 1 ends in a comma"),
        ("items.jsonl", b'[{"item_id": 1}]', "line 1 begins a JSON array; write one object a line"),
        ("items.jsonl", b'{"a": ' + b"[" * 99_999, "line 1 is nested too deeply"),
        ("items.jsonl", b'{"item_id": ' + b"1" * 5000 + b"}", "line 1 holds a number of too many digits"),
        ("items.jsonl", b'{"item_id": 1, "item_id": 2}', "line 1 holds the key 'item_id' twice"),
        ("items.jsonl", json.dumps({f"c{n}": n for n in range(5000)}).encode(), "and 4,990 more is not known"),
        ("items.parquet", b"PAR1" + b"\0" * 400 + b"PAR1", "items.parquet: cannot be read: "),
        ("items.parquet", b"\x80\x04\x95", "items.parquet: cannot be read: "),
    ],
)
def test_a_table_that_cannot_be_read_is_told_with_its_place(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    bundle(tmp_path / "b", **({"scores_in_jsonl": None} if name.startswith("scores") else {}))
    (tmp_path / "b" / name).write_bytes(content)
    assert said in faults(tmp_path / "b")


@pytest.mark.parametrize("name", ["run.yaml", "items.csv", "items.jsonl", "items.parquet"])
def test_a_member_that_is_no_file_is_refused_and_never_waited_for(name: str, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b")
    for made, said in (("pipe", "named pipe"), ("zero", "device"), ("folder", "folder")):
        place = folder / name
        if place.is_dir():
            place.rmdir()
        else:
            place.unlink(missing_ok=True)
        match made:
            case "pipe":
                os.mkfifo(place)
            case "zero":
                place.symlink_to("/dev/zero")
            case _:
                place.mkdir()
        assert f"{name}: is a {said}, not a file." in faults(folder)


def test_a_table_that_would_fill_the_memory_is_refused_by_what_it_says_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bundle(tmp_path / "b")
    pq.write_table(pa.table({"item_id": range(500), "token": ["x" * 100] * 500}), folder / "items.parquet")
    monkeypatch.setattr(bundle_formats, "MOST_ROWS", 400)
    assert "items.parquet: cannot be read: it holds 500 rows in " in faults(folder)
    monkeypatch.setattr(bundle_formats, "MOST_ROWS", 500)
    # One value repeated packs small and unpacks large.
    monkeypatch.setattr(bundle_formats, "MOST_UNPACKED_BYTES", 20_000)
    assert "items.parquet: cannot be read: it holds more than 20,000 bytes once unpacked" in faults(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [("b.zip", "is a zip archive: unpack it"), ("x.duckdb", "is a DuckDB database"), ("x.pkl", "is a Python pickle")],
)
def test_what_is_neither_folder_nor_figures_is_named(name: str, said: str, tmp_path: Path) -> None:
    content = {".zip": b"PK\x03\x04", ".duckdb": b"\0" * 8 + b"DUCK", ".pkl": b"\x80\x04\x95"}
    (tmp_path / name).write_bytes(content[Path(name).suffix])
    assert said in str(refusal_of(lambda: import_run(tmp_path / name, tmp_path / "run.duckdb")))
    assert not (tmp_path / "run.duckdb").exists()


def test_a_number_that_is_not_finite_anywhere_in_the_description_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", run={"environment": {"seconds": {"extract": float("inf")}}})
    assert "environment: holds a number that is not finite; leave it out" in faults(folder)


def damaged_tables_end_well(folder: Path, seeds: range) -> int:
    """How many of the damaged bundles were refused; any other end of reading them is an error."""
    bundle(folder, scores_in_jsonl=None)
    path, n_refused = folder / "scores.parquet", 0
    rows = [{**SCORE, "item_id": number, "unscored_reason": f"because of {number}"} for number in range(40)]
    pl.DataFrame(rows).write_parquet(path, row_group_size=15, compression="uncompressed")
    whole = path.read_bytes()
    for seed in seeds:
        generator = random.Random(seed)
        content = bytearray(whole)
        for _ in range(generator.choice([1, 3, 20])):
            content[generator.randrange(len(content))] = generator.randrange(256)
        path.write_bytes(content[: generator.choice([len(content), generator.randrange(len(content))])])
        n_refused += refusal_of(lambda: bundle_rows(folder), BundleInvalid) is not None
    return n_refused


def test_a_damaged_table_gives_rows_or_faults(tmp_path: Path) -> None:
    assert damaged_tables_end_well(tmp_path / "b", range(40)) > 15


@pytest.mark.soak
def test_thousands_of_damaged_tables_give_rows_or_faults(tmp_path: Path) -> None:
    assert damaged_tables_end_well(tmp_path / "b", range(100, 3_100)) > 1_000


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1", "a", "0.5"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["item_id", "source", "target", "mse_nrm", "fve_nrm", "unscored_reason", "colour"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(NAMES, ANYTHING, max_size=7), max_size=4), described=ANYTHING)
def test_any_rows_and_any_description_make_a_run_or_faults(
    rows: list[dict[str, Any]], described: Any, tmp_path: Path
) -> None:
    folder = bundle(tmp_path / "b", scores_in_jsonl=rows)
    refusal_of(lambda: bundle_rows(folder), BundleInvalid)
    (folder / "run.yaml").write_text(json.dumps(described), encoding="utf-8")
    refusal_of(lambda: bundle_rows(folder), BundleInvalid)


@pytest.mark.parametrize(
    "name", ["scores.json", "scores.json.gz", "scores.jsonl.gz", "scores.csv.gz", "scores.parquet.gz"]
)
def test_a_json_list_and_gzipped_tables_are_read_like_any_other(name: str, tmp_path: Path) -> None:
    frame = pl.DataFrame([SCORE])
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    content = {
        "json": codecs.BOM_UTF8 + json.dumps([SCORE]).encode(),
        "jsonl": codecs.BOM_UTF8 + json.dumps(SCORE).encode(),
        "csv": codecs.BOM_UTF8 + frame.write_csv().encode(),
        "parquet": parquet.getvalue(),
    }[name.split(".")[1]]
    folder = bundle(tmp_path / "b", scores_in_jsonl=None)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert [(score.item_id, score.mse_nrm) for score in bundle_rows(folder).of(Score)] == [(1, 0.25)]


def test_text_ids_are_numbered_alike_in_all_tables_and_kept(tmp_path: Path) -> None:
    scores = [{**SCORE, "item_id": name} for name in ("q-2", "q-1")]
    rows = bundle_rows(bundle(tmp_path / "scores", scores_in_jsonl=scores))
    assert [(item.item_id, item.doc_id) for item in rows.of(Item)] == [(0, "q-2"), (1, "q-1")]
    assert [score.item_id for score in rows.of(Score)] == [0, 1]
    items = [{"item_id": name, "doc_id": "d", "token": "x"} for name in ("q-1", "q-2")]
    rows = bundle_rows(bundle(tmp_path / "both", scores_in_jsonl=scores, items_in_jsonl=items))
    assert [score.item_id for score in rows.of(Score)] == [1, 0]
    assert [(tag.item_id, tag.name, tag.value) for tag in rows.of(Tag)] == [(0, ID_TAG, "q-1"), (1, ID_TAG, "q-2")]


def test_an_item_needs_no_token_and_a_run_no_scores(tmp_path: Path) -> None:
    told = {"item_id": 1, "source": "a", "text": "An explanation."}
    items = [{"item_id": 1, "doc_id": "d", "context": "a whole answer"}]
    folder = bundle(tmp_path / "b", scores_in_jsonl=None, items_in_jsonl=items, explanations_in_jsonl=[told])
    (item,) = bundle_rows(folder).of(Item)
    assert (item.token, item.stratum) == ("", "prose")


def test_a_misnamed_score_is_refused_unless_somebody_looked(tmp_path: Path) -> None:
    tiny = [{**SCORE, "mse_nrm": 5e-5}]
    assert "mse_nrm is 5e-05 on average" in faults(bundle(tmp_path / "b", scores_in_jsonl=tiny))
    looked = {"environment": {"scores": {"checked": True}}}
    assert bundle_rows(bundle(tmp_path / "c", run=looked, scores_in_jsonl=tiny)).of(Score)[0].mse_nrm == 5e-5


def test_errors_of_vectors_as_they_are_are_told_by_name(tmp_path: Path) -> None:
    raw = [{**SCORE, "item_id": number, "mse_nrm": 605.0 + number} for number in range(3)]
    said = faults(bundle(tmp_path / "b", scores_in_jsonl=raw))
    assert 'import it with a map that says "definition: raw_mse" and names the columns with both norms.' in said
