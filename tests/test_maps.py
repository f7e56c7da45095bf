"""Results in the layouts of others become the rows of a run through a map, or are refused with file, row and column."""

from __future__ import annotations

import codecs
import gzip
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from support.refusals import refusal_of

from nlareport.errors import MapInvalid, NlareportError, ResultsUnreadable
from nlareport.publish import publish_run
from nlareport.rows.cell_rows import Measure
from nlareport.rows.given_rows import GivenScore
from nlareport.rows.item_rows import Ablation, Alignment, Explanation, Item, Score, Tag
from nlareport.rows.run_rows import Pair
from nlareport.store.maps.mapped_tables import read_mapped
from nlareport.store.run_file import create_run_file
from nlareport.store.whole_run import RunRows

A = {"pair_id": "a", "family": "f", "base_model": "m", "block_index": 1, "d_model": 100, "variance_nrm": 0.5}
B = {**A, "pair_id": "b", "variance_nrm": 0.25}


def mapped(folder: Path, content: Any, name: str = "results.json", **layout: Any) -> RunRows:
    """The rows that a map of pair `a` makes of one file."""
    return read_mapped(written(folder, content, name), str(a_map(folder, **layout))).rows


def written(folder: Path, content: Any, name: str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def a_map(folder: Path, **layout: Any) -> Path:
    given = {"title": "Of others", "pairs": [A], "item": "id", "scores": [{"column": "s", "definition": "mse_nrm"}]}
    path = folder / "map.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in {**given, **layout}.items() if value is not None}))
    return path


def errors(rows: RunRows) -> list[float | None]:
    return [None if row.mse_nrm is None else round(row.mse_nrm, 9) for row in rows.of(Score)]


ROWS = [{"id": 1, "s": 0.25}, {"id": 2, "s": 0.5}]


def of_every_format() -> list[tuple[str, bytes]]:
    frame, parquet = pl.DataFrame(ROWS), io.BytesIO()
    frame.write_parquet(parquet)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    return [
        ("r.json", json.dumps(ROWS).encode()),
        ("r.json", lines),
        ("r.json", codecs.BOM_UTF8 + json.dumps(ROWS).encode()),
        ("r.jsonl", lines),
        ("r.ndjson.gz", gzip.compress(lines)),
        ("r.csv", b"id,s\n1,0.25\n2,0.5\n"),
        ("r.csv", codecs.BOM_UTF8 + b"id;s\r\n1;0,25\r\n2;0,5\r\n"),
        ("r.tsv", b"id\ts\n1\t0.25\n2\t0.5\n"),
        ("r.csv.gz", gzip.compress(b"id,s\n1,0.25\n2,0.5\n")),
        ("r.parquet", parquet.getvalue()),
        ("r.parquet.gz", gzip.compress(parquet.getvalue())),
    ]


@pytest.mark.parametrize(("name", "content"), [pytest.param(*case, id=case[0]) for case in of_every_format()])
def test_every_format_gives_the_same_rows(name: str, content: bytes, tmp_path: Path) -> None:
    rows = mapped(tmp_path, content, name)
    assert [(row.item_id, row.mse_nrm) for row in rows.of(Score)] == [(1, 0.25), (2, 0.5)]


@pytest.mark.parametrize(
    ("definition", "value", "error"),
    [
        ("mse_nrm", 0.2, 0.2),
        ("cosine", 0.9, 0.2),
        ("half_one_plus_cosine", 0.95, 0.2),
        ("mse_per_dimension", 0.002, 0.2),
        ("fve_nrm", 0.6, 0.2),
        # |mu| is sqrt(1 - V), so 1 - fve_meannorm stands on 2(1 - sqrt(0.5)).
        ("fve_meannorm", 1 - 0.2 / (2 * (1 - 0.5**0.5)), 0.2),
        # Norms 3 and 4 at cosine 0.9: 9 + 16 - 2·12·0.9 = 3.4, over 100 dimensions.
        ("raw_mse", 0.034, 0.2),
    ],
)
def test_every_definition_is_converted_as_it_says(definition: str, value: float, error: float, tmp_path: Path) -> None:
    layout = {"norm": "g", "token_index": "t", **({"reconstruction_norm": "r"} if definition == "raw_mse" else {})}
    rows = mapped(
        tmp_path,
        [{"id": 1, "s": value, "g": 3.0, "r": 4.0, "t": 7}],
        scores=[{"column": "s", "definition": definition}],
        **layout,
    )
    assert errors(rows) == [error]
    stored = [] if definition in ("mse_nrm", "fve_nrm") else [GivenScore(1, "a", "a", definition, value)]
    assert rows.of(GivenScore) == stored
    assert rows.run.environment["scores"]["definitions"] == [{"column": "s", "definition": definition}]
    assert rows.of(Alignment) == [Alignment(1, "a", 7, 0, 3.0)]


def test_a_centred_cosine_is_kept_under_its_name_and_gives_no_error(tmp_path: Path) -> None:
    rows = mapped(tmp_path, [{"id": 1, "s": 0.4}], scores=[{"column": "s", "definition": "centred_cosine"}])
    assert rows.of(Score) == []
    assert [row.value for row in rows.of(GivenScore)] == [0.4]


def test_nested_rows_have_what_stands_around_them(tmp_path: Path) -> None:
    content = {"runs": {"q1": {"token": "x", "samples": [{"s": 0.1, "text": "one"}, {"s": 0.2, "text": "two"}]}}}
    layout = {"rows": "runs.*.samples", "item": "<key1>", "token": "token", "draw": "<key>", "explanation": "text"}
    rows = mapped(tmp_path, content, **layout)
    assert [(row.item_id, row.draw, row.mse_nrm) for row in rows.of(Score)] == [(0, 0, 0.1), (0, 1, 0.2)]
    assert [(row.draw, row.text) for row in rows.of(Explanation)] == [(0, "one"), (1, "two")]
    assert [(row.doc_id, row.token) for row in rows.of(Item)] == [("q1", "x")]


def test_columns_named_after_sources_targets_and_methods_become_rows(tmp_path: Path) -> None:
    layout = {
        "pairs": [A, B],
        "renamed": {"gemma": "b"},
        "scores": [{"column": "mse.{source}.{target}.{method}", "definition": "mse_nrm"}],
        "explanation": "text_{source}",
        "unchanged": "full",
    }
    row = {"id": 1, "mse": {"a": {"gemma": {"full": 0.1, "cut": 0.3}}, "gemma": {"a": {"full": 0.2}}}, "text_a": "A"}
    rows = mapped(tmp_path, [{**row, "text_gemma": "B"}], **layout)
    assert [(row.source, row.target, row.mse_nrm) for row in rows.of(Score)] == [("a", "b", 0.1), ("b", "a", 0.2)]
    assert rows.of(Ablation) == [Ablation(1, "a", "b", "cut", 0.3)]
    assert [(row.source, row.text) for row in rows.of(Explanation)] == [("a", "A"), ("b", "B")]


def test_repeated_keys_can_be_draws_in_order(tmp_path: Path) -> None:
    rows = mapped(tmp_path, [{"id": 1, "s": 0.1}, {"id": 1, "s": 0.2}], draw="in_order")
    assert [(row.draw, row.mse_nrm) for row in rows.of(Score)] == [(0, 0.1), (1, 0.2)]


def test_files_of_a_folder_are_one_run(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("second", "first"):
        written(tmp_path / "in", [{"pos": 3, "s": 0.1}], f"{name}.json")
    given = read_mapped(tmp_path / "in", str(a_map(tmp_path, item=["<file>", "pos"], document="<file>")))
    assert [row.doc_id for row in given.rows.of(Item)] == ["first", "second"]
    assert given.rows.run.environment["files"] == ["first.json", "second.json"]


def test_columns_become_tags_and_an_answer_its_explanation(tmp_path: Path) -> None:
    row = {"id": "q-1", "s": 0.1, "cjk": False, "answer": "<explanation> Said. </explanation>", "lang": "en"}
    rows = mapped(tmp_path, [row], completion="answer", tags=["cjk", "lang"])
    assert [(row.name, row.value) for row in rows.of(Tag)] == [("cjk", "false"), ("lang", "en")]
    assert [(row.text, row.finish, row.is_clean) for row in rows.of(Explanation)] == [("Said.", "closed", True)]
    assert [row.doc_id for row in rows.of(Item)] == ["q-1"]


def test_a_score_that_is_nan_is_unscored_and_one_that_is_missing_is_none(tmp_path: Path) -> None:
    rows = mapped(tmp_path, b'[{"id": 1, "s": NaN}, {"id": 2, "s": null}, {"id": 3, "s": "NA"}]', missing=["NA"])
    assert [(row.item_id, row.mse_nrm, row.unscored_reason) for row in rows.of(Score)] == [
        (1, None, "not a number where it comes from")
    ]


@pytest.mark.parametrize(
    ("content", "layout", "said"),
    [
        (ROWS, {"scores": [{"column": "mse", "definition": "mse_nrm"}]}, "No row has a column 'mse'; there are 'id', "),
        ([{"id": 1, "s": "much"}], {}, "results.json: row 1: s is 'much'; it must be a number."),
        ([{"id": 1, "s": 605.3}], {}, "row 1: s is 605.3, and mse_nrm is from 0 to 4; an error of vectors as they are"),
        ([{"s": 0.1}, {"id": 1, "s": 0.1}], {}, "row 1: 'id' is empty; every row needs one."),
        ([ROWS[0], ROWS[0]], {}, "row 2: repeats item '1' of 'a' read by 'a'; say in `draw` what tells the rows apart"),
        ([{"id": 1, "s": 1e-5}], {}, 'a map that says "definition: mse_per_dimension"'),
        (
            [{"id": 1, "s": 2.0}],
            {"scores": [{"column": "s", "definition": "raw_mse"}]},
            "raw_mse cannot be converted; give norm and reconstruction_norm",
        ),
        ([{"id": 1, "s": 0.1, "by": "z"}], {"source": "by"}, "row 1: 'z' is none of the map's pairs; list it in"),
        (
            [{"id": 1, "t": "x", "s": 0.1}, {"id": 1, "t": "y", "s": None}],
            {"token": "t"},
            "row 2: item '1' has token 'y' here and 'x' in another row; name more columns in `item`.",
        ),
        ({"rows": ROWS}, {}, "results.json: holds an object; say in `rows` of a map where its rows are: 'rows'."),
        ({"rows": ROWS}, {"rows": "data"}, "results.json: has no 'data' where rows says so; there are 'rows'."),
        ([{"id": 1, "s": [1]}], {}, "row 1: s is [1]; it must be a number."),
        ([{"id": "\ud83d", "s": 1}], {}, "half of a surrogate pair"),
        (ROWS, {"scores": [{"column": "x_{method}", "definition": "mse_nrm"}]}, "no column looks like 'x_{method}'"),
        ([{"id": 1, "s": None}], {}, "no row has a score or an explanation where the map says so"),
    ],
)
def test_what_does_not_fit_the_map_is_told_with_its_place(
    content: Any, layout: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert said in (refusal_of(lambda: mapped(tmp_path, content, **layout), NlareportError) or "nothing was refused")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("r.json", b'[{"id": 1,', "r.json: is not JSON ("),
        ("r.json", b'{"a": ' + b"[" * 99_999, "r.json: is nested too deeply"),
        ("r.jsonl", b'{"id": 1}\n[', "r.jsonl: line 2 begins a JSON array"),
        ("r.csv", b"id,s\n1\n", "r.csv: row 1 has 1 fields, the header 2"),
        ("r.csv", b"id,id\n1,2\n", "r.csv: has more than one column 'id'"),
        ("r.csv", b"", "r.csv: is empty"),
        ("r.csv", b"id,s\n1,caf\xe9\n", "r.csv, line 2: is not UTF-8 text"),
        ("r.parquet", b"PAR1" + b"\0" * 99 + b"PAR1", "r.parquet: is damaged or no Parquet file"),
        ("r.json.gz", b"no gzip", "r.json.gz: is damaged or not gzipped"),
        ("r.pkl", b"\x80\x04", "r.pkl: ends in .pkl; give a .json"),
        ("r.json", b"\x80\x04", "r.json: is a Python pickle, which is never opened here"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_name(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    assert said in (refusal_of(lambda: mapped(tmp_path, content, name), ResultsUnreadable) or "nothing was refused")


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"scores": None}, "names neither scores nor an explanation"),
        ({"pairs": None}, "pairs is missing"),
        ({"pairs": [A, B], "item": None}, "item is missing; name the columns that tell one item from another"),
        ({"norm": "n"}, "norm needs token_index"),
        ({"scores": [{"column": "s", "definition": "FILL_IN"}]}, "scores.0.definition: still says FILL_IN; write what"),
        ({"scores": [{"column": "s", "definition": "r2"}]}, "scores.0.definition: Input should be 'mse_nrm', "),
        (
            {"scores": [{"column": "s_{model}", "definition": "cosine"}]},
            "may have in braces, each once: source, target",
        ),
        ({"colour": "red"}, "map.yaml: colour: is not a known key"),
        ({"files": "../*"}, "is no pattern of files"),
    ],
)
def test_a_map_with_faults_is_refused_by_key(layout: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    written(tmp_path / "in", ROWS, "results.json")
    path = a_map(tmp_path, **layout)
    refusal = refusal_of(lambda: read_mapped(tmp_path / "in", str(path)), NlareportError)
    assert said in (refusal or "nothing was refused")


def test_a_map_that_is_not_there_is_told_with_the_built_in_ones(tmp_path: Path) -> None:
    with pytest.raises(MapInvalid, match=r"or the name of one that is built in: transcripts\."):
        read_mapped(written(tmp_path, ROWS, "r.json"), str(tmp_path / "none.yaml"))


TRANSCRIPT = """\
════════
AV checkpoint:     kitft/nla-qwen2.5-7b-L20-av
Extraction model:  Qwen/Qwen2.5-7B-Instruct
Extraction:        layer 20 residual stream (= HF hidden_states[21], output of block 20)
d_model:           3584
fve_nrm:           1 - mse_nrm / 0.7335. Denominator is Var(v_nrm) from the TRAINING dataset

  L2=150 (injection_scale from nla_meta.yaml)

[  0]  PROMPT  token='<s>'  ||v||=235.7  mse_nrm=1.962  cos=0.019  fve_nrm=-1.675
    First line.

    Third line.

[  1]  REPLY   token='It\\'s\\n'  ||v||=168.1  mse_nrm=0.200  cos=0.900  fve_nrm=0.727
    Second text.

────────────────────────────────────────
4. SAMPLING VARIANCE
────────────────────────────────────────
  greedy (t=0):
    Another text.
"""


def test_a_public_transcript_comes_in_by_its_built_in_map(tmp_path: Path) -> None:
    rows = read_mapped(written(tmp_path, TRANSCRIPT.encode(), "qwen7b.txt"), "transcripts").rows
    (pair,) = rows.of(Pair)
    assert (pair.pair_id, pair.family, pair.block_index) == ("nla-qwen2.5-7b-L20", "qwen", 20)
    assert (pair.d_model, pair.injection_scale, pair.variance_nrm) == (3584, 150.0, 0.7335)
    assert [row.text for row in rows.of(Explanation)] == ["First line.\n\nThird line.", "Second text."]
    assert [(row.token, row.context, row.doc_id) for row in rows.of(Item)] == [
        ("<s>", "<s>", "qwen7b"),
        ("It's\n", "<s>It's\n", "qwen7b"),
    ]
    assert [(row.mse_nrm, row.fve_nrm) for row in rows.of(Score)] == [(1.962, -1.675), (0.2, 0.727)]
    assert [row.value for row in rows.of(Tag)] == ["prompt", "reply"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("Notes.\n", "its head names no verbalizer"), (TRANSCRIPT.replace("||v||", "norm"), "has no line with a token")],
)
def test_another_text_is_no_transcript(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ResultsUnreadable, match=said):
        read_mapped(written(tmp_path, content.encode(), "notes.txt"), "transcripts")


def test_scores_as_they_came_become_figures_of_their_cell_and_are_named_on_the_page(tmp_path: Path) -> None:
    layout = {"scores": [{"column": "c", "definition": "centred_cosine"}, {"column": "s", "definition": "cosine"}]}
    content = [{"id": number, "s": 0.9, "c": 0.25 * number} for number in (1, 2)]
    rows = read_mapped(written(tmp_path, content, "r.json"), str(a_map(tmp_path, **layout))).whole()
    found = {row.measure: (round(row.value, 9), row.n_scored) for row in rows.of(Measure)}
    assert (found["cosine"], found["centred_cosine"]) == ((0.9, 2), (0.375, 2))
    db = tmp_path / "r.duckdb"
    create_run_file(db, rows.run, *rows.groups())
    page = publish_run(db, tmp_path / "report").read_text(encoding="utf-8")
    assert "c is centred_cosine: the cosine after the target&#39;s mean direction" in page
    assert "s is cosine: the cosine of activation and reconstruction, so mse_nrm = 2(1 − cosine)" in page


def test_a_map_may_name_something_only_as_fve_meannorm(tmp_path: Path) -> None:
    pair = {key: value for key, value in A.items() if key != "variance_nrm"}
    layout = {"pairs": [pair], "scores": [{"column": "s", "definition": "fve_meannorm"}]}
    path = written(tmp_path, [{"id": 1, "s": 0.4}, {"id": 2, "s": 0.6}], "r.json")
    (measure,) = read_mapped(path, str(a_map(tmp_path, **layout))).whole().of(Measure)
    assert (measure.measure, measure.value) == ("fve_meannorm", 0.5)
