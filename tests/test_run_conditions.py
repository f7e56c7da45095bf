"""What a report says of choices, of the conditions texts were written under, and of whose V its scores are."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support.made_runs import PAIRS, write_computed_run
from support.reports import write_report

from nlareport.checks import ROLE_WORDS
from nlareport.render.report.query_rows import RunHead
from nlareport.render.report.released_variance import VarianceRow, whose
from nlareport.render.report.run_conditions import read_conditions
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Choice, Pair, RunKind
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile

SMOL, QWEN = PAIRS[0].pair_id, PAIRS[1].pair_id
CHOICES = [
    Choice(QWEN, "reconstructor", "mse_scale", "Trained on raw vectors."),
    Choice(QWEN, "verbalizer", "stop_ids", "It stops at <b>1</b> alone."),
    Choice(SMOL, "verbalizer", "stream", "Vectors enter at norm 59.87."),
    Choice(SMOL, "base_model", "bos", "It reads no BOS."),
]
# Errors are 0.2, 0.4 and 0.5 of V = 0.4; a release that states 0.5 has them at 0.16, 0.32 and 0.4 of its own.
V_HERE, V_RELEASED = 0.4, 0.5
CELLS = [
    Cell(SMOL, SMOL, "all", 9, 0, 0.8, 0.7, 0.9, *[None] * 6),
    Cell(QWEN, SMOL, "all", 9, 0, 0.6, None, None, *[None] * 5, 0.75),
    Cell(SMOL, QWEN, "all", 9, 0, 0.5, 0.4, 0.6, *[None] * 6),
]
ENVIRONMENT: dict[str, Any] = {
    "scored": {"scoring": {"variance": "fixed"}},
    "machine": {"threads": 2, "instructions": "AVX2"},
    "later": [{"batch_size": 8}, {"device": "cuda", "machine": {"gpu": "H100"}}, {"batch_size": 8}],
    "smaller_batches": {"qwen05-L16": {"verbalizer": 4, "reconstructor": 2}},
}


def write_run(path: Path, environment: dict[str, Any]) -> Path:
    """A computed run with choices, one release's V, and more said of how it was made."""
    write_computed_run(path, n_items=12)
    with RunFile.open(path) as run_file:
        run = run_file.run()
        pairs = [replace(PAIRS[0], variance_nrm=V_HERE, sidecar_variance_nrm=V_RELEASED), PAIRS[1]]
        run_file.replace({Cell: CELLS, Pair: pairs, Choice: CHOICES})
        run_file.put([replace(run, environment={**run.environment, **environment})])
    return path


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("choices") / "run.duckdb", ENVIRONMENT)


@pytest.fixture(scope="module")
def section(db: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The readable text of the run's page from a heading to the next."""
    page = write_report(db, tmp_path_factory.mktemp("page")).read_text(encoding="utf-8")
    assert "&lt;b&gt;1&lt;/b&gt;" in page

    def text(place: str) -> str:
        part = page[page.index(f'<h3 id="{place}">') :]
        part = re.sub(r"<pre\b.*?</pre>", " ", part[: part.find("<h3", 4)], flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", part)).split())

    return text


def test_choices_stand_under_their_pair(section: Callable[[str], str]) -> None:
    text = section("choices")
    assert "What was done, pair by pair (4)" in text
    assert text[text.index("Checkpoint, topic") : text.index("Where this")] == (
        "Checkpoint, topic What was done "
        "SmolLM2-135M base model, bos It reads no BOS. AV, stream Vectors enter at norm 59.87. "
        "Qwen2.5-0.5B AV, stop ids It stops at <b>1</b> alone. AR, mse scale Trained on raw vectors. "
    )
    assert set(ROLE_WORDS) == {row.role for row in CHOICES}


def test_a_report_says_in_what_batches_texts_were_written_also_when_that_changed(section: Callable[[str], str]) -> None:
    text = section("conditions")
    assert "another machine may write other texts" in text
    assert (
        "Batch size 16; later 8 Device cpu, threads 2, instructions AVX2; later cuda, gpu H100 "
        "Data type of the weights float32 Libraries python 3.12.3, torch 2.13.0, transformers 5.23.1, duckdb 2.0.0 "
        "Smaller batches, where memory ran out AV of qwen05-L16: 4; AR of qwen05-L16: 2"
    ) in text


def head(kind: RunKind, environment: dict[str, Any]) -> RunHead:
    return RunHead("r", "R", None, None, kind, None, "0.1.0", 6, 1, "today", json.dumps(environment))


def test_conditions_that_a_stranger_wrote_are_shown_as_far_as_they_say_something() -> None:
    with DuckDBReader.empty() as reader:
        strange = {"batch_size": [[]], "later": [7, {"batch_size": None}], "smaller_batches": 3, "device": "<i>"}
        facts = read_conditions(reader, head("computed", strange | {"machine": {"gpu": {"of": []}}})).facts
        assert [(fact.term, fact.text) for fact in facts] == [("Device", "<i>")]
        assert read_conditions(reader, head("computed", {"device": "cpu"})).facts == []
        assert read_conditions(reader, head("published", {"batch_size": 4})).facts == []


def test_the_matrix_stands_under_both_v_by_hand(db: Path, section: Callable[[str], str]) -> None:
    with DuckDBReader.open(db) as reader:
        own, crossing = reader.rows(VarianceRow, "released_variance")
    assert (own.source, own.target, crossing.source, crossing.target) == (SMOL, SMOL, QWEN, SMOL)
    found = (own.released_fve_nrm, own.released_low, own.released_high, crossing.released_fve_nrm)
    assert found == pytest.approx((0.84, 0.76, 0.92, 0.68))
    assert (crossing.ceiling_fraction, crossing.released_ceiling_fraction) == pytest.approx((0.75, 0.68 / 0.84))
    assert (crossing.released_low, crossing.released_high) == (None, None)
    text = section("whose-v")
    assert "Every score uses V of this run's own items" in text
    assert "V is fixed in both intervals." in text
    assert "SmolLM2-135M 0.4000 0.5000 0.800 [0.700, 0.900] 0.840 [0.760, 0.920] ceiling ceiling" in text
    assert "Qwen2.5-0.5B → SmolLM2-135M 0.4000 0.5000 0.600 0.680 75% 81%" in text
    assert "Not shown as targets: Qwen2.5-0.5B, of which one V is not known." in text
    assert "Query released_variance , 2 rows" in text


@pytest.mark.parametrize("scored", [{"scoring": {"variance": "resampled"}}, {}])
def test_an_interval_that_does_not_hold_v_fixed_is_not_carried_to_another_v(
    scored: dict[str, Any], tmp_path: Path
) -> None:
    with DuckDBReader.open(write_run(tmp_path / "run.duckdb", {"scored": scored})) as reader:
        rows = reader.rows(VarianceRow, "released_variance")
    assert [(row.released_low, row.released_high) for row in rows] == [(None, None)] * 2
    assert rows[0].ci_low == 0.7


def test_whose_v_a_matrix_is_under_is_said_as_far_as_it_is_known() -> None:
    unknown = [replace(PAIRS[0], variance_nrm=None), PAIRS[1]]
    assert whose(head("computed", {}), unknown).startswith("Every score uses V of this run's own items")
    assert whose(head("imported", {}), PAIRS) == (
        "The imported scores state V of every pair, given in §1; they do not say whether their scores use it."
    )
    assert whose(head("imported", {}), unknown).startswith(
        "The imported scores do not state V over their items for every pair"
    )
