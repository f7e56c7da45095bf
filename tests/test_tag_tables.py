import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from playwright.sync_api import Browser, expect
from support.browsers import open_page
from support.reports import write_report
from support.tiny_runs import a_run

from nlareport.claims.reading import read_claims
from nlareport.figure_text import signeds
from nlareport.render.report.heat_views import read_heat
from nlareport.render.report.query_rows import Counts
from nlareport.render.report.tag_tables import LabelledDifference
from nlareport.rows.item_rows import Tag
from nlareport.rows.run_rows import Pair, PairId
from nlareport.rows.tag_rows import TagDifference
from nlareport.statistics.resampling import document_weights
from nlareport.store.bundle.bundle import import_bundle
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import create_run_file

HOSTILE = '"><img src=x onerror=alert(1)>'
PAIRS = [
    {"pair_id": name, "family": name, "base_model": name, "block_index": 1, "d_model": 8, "variance_nrm": 0.5}
    for name in ("a", "b")
]


@pytest.fixture(scope="module")
def tagged_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a tag of two values in every document, one of three values apart, hostile ones, and an identifier."""
    folder = tmp_path_factory.mktemp("tagged")
    described = {"title": "Under conditions", "pairs": PAIRS, "bootstrap": {"draws": 100, "seed": 1}}
    (folder / "run.yaml").write_text(yaml.safe_dump(described))
    items, scores = [], []
    for n in range(24):
        item = {"item_id": n, "doc_id": f"d{n // 2}", "token": "x", "context": f"text {n} x"}
        tags = {"condition": ["benign", "jailbreak"][n % 2], "layer": [4, 12, 8][n // 2 % 3], "id": f"item {n}"}
        tags |= {"<script>alert(2)</script>": [HOSTILE, "x=y"][n % 2]}
        items.append(item | {f"tag:{name}": value for name, value in tags.items()})
        scores += [
            {"item_id": n, "source": s, "target": t, "mse_nrm": 0.1 + 0.1 * (n % 2) + 0.001 * n + 0.1 * (s != t)}
            for s in "ab"
            for t in "ab"
        ]
    for name, rows in {"items": items, "scores": scores}.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    db = folder / "run.duckdb"
    import_bundle(folder, db)
    return db


def test_each_tag_has_a_table_of_its_values_and_their_differences(tagged_run: Path) -> None:
    with DuckDBReader.open(tagged_run) as reader:
        heat = read_heat(reader, reader.rows(Counts, "report_counts")[0])
    tags = heat.tags
    tables = {table.name: table for table in tags.tables}
    assert list(tables) == ["<script>alert(2)</script>", "condition", "id", "layer"]
    condition = tables["condition"]
    assert (condition.values, condition.comparisons) == (["benign", "jailbreak"], [("benign", "jailbreak")])
    assert [(row.source_label, row.target_label) for row in condition.rows] == [
        *[("a", "a"), ("b", "b")],
        *[("a", "b"), ("b", "a")],
    ]
    (difference,) = condition.rows[0].differences
    assert difference is not None
    assert (difference.is_paired, difference.n_documents, difference.is_apart) == (True, 12, True)
    assert difference.difference == pytest.approx(0.202)
    assert tables["layer"].values == ["4", "8", "12"]
    assert tables["layer"].comparisons == [("4", "8"), ("4", "12"), ("8", "12")]
    assert (tables["id"].rows, tables["id"].n_without_cells) == ([], 24)
    assert [table.name for table in tags.without_cells] == ["id"]
    assert tags.n_with_interval == tags.n_apart + sum(not row.is_apart for row in tags.differences.rows)
    assert [view.label for view in heat.tag_views][2:4] == ["condition = benign", "condition = jailbreak"]
    found = heat.rows[0][1].tagged[2]
    assert found is not None
    assert (found.source, found.target, found.value) == ("a", "b", "benign")


@pytest.mark.browser
def test_items_are_filtered_by_tag_and_no_tag_is_run(browser: Browser, tagged_run: Path, tmp_path: Path) -> None:
    report = write_report(tagged_run, tmp_path / "report")
    html = report.read_text(encoding="utf-8")
    assert "<script>alert(2)" not in html
    assert "<img src=x" not in html
    assert re.search(r"<summary><strong><bdi>condition</bdi></strong>", html)
    assert "Without cells: <bdi>id</bdi> (24 values). A cell takes two items or more with one value" in html
    with open_page(browser, tmp_path / "report" / "browse.html") as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.get_by_label("condition").select_option("jailbreak")
        expect(page.locator("#found-count")).to_have_text("12 of 24 items")
        page.get_by_label("layer").select_option("8")
        expect(page.locator("#found-count")).to_have_text("4 of 24 items")
        page.get_by_label("<script>alert(2)</script>").select_option(HOSTILE)
        expect(page.locator("#found-count")).to_have_text("0 of 24 items")
        page.go_back()
        expect(page.locator("#found-count")).to_have_text("4 of 24 items")
        page.reload()
        expect(page.locator("#found-count")).to_have_text("4 of 24 items")
        expect(page.locator("#chosen .meta")).to_contain_text("condition: jailbreak")
        page.goto(f"{report.as_uri()}")
        page.get_by_label("condition = benign").check()
        cell = page.locator("#figure-matrix tbody td").first
        expect(cell.locator(".view:visible .value")).to_have_text("0.778")


def test_a_run_without_tags_has_no_such_section(computed_report: Path) -> None:
    html = (computed_report / "index.html").read_text(encoding="utf-8")
    assert 'id="tags"' not in html
    assert "tag-1" not in html
    assert "data-tag" not in (computed_report / "browse.html").read_text(encoding="utf-8")


def test_the_claim_names_the_largest_difference_whose_interval_leaves_out_0(tagged_run: Path) -> None:
    with DuckDBReader.open(tagged_run) as reader:
        claims = {claim.claim_id: claim for claim in read_claims(reader)}
        differences = reader.rows(LabelledDifference, "tag_differences")
    claim = claims["tags"]
    apart = [row for row in differences if row.is_apart]
    largest = max(apart, key=lambda row: abs(row.difference))
    assert (claim.holds, claims["tags.otherwise"].holds) == (True, False)
    assert claim.figures["difference"] == abs(largest.difference)
    assert (claim.figures["n_apart"], claim.figures["n"]) == (len(apart), len(differences))
    assert claim.text.startswith(
        f"What is said of items matters: a scores 0.202 (95% interval {signeds([largest.ci_low, largest.ci_high])}) "
        f"higher on items with <script>alert(2)</script> = {HOSTILE} than on items of the same document with "
    )


def test_where_no_interval_leaves_out_0_the_claim_says_so(tmp_path: Path) -> None:
    run = [Tag(n, "role", "ab"[n % 2]) for n in range(8)]
    pair = Pair(PairId("a"), "a", "f", "m", 1, 8, None, None, 0.5, None, None, 0)
    row = TagDifference(PairId("a"), PairId("a"), "role", "a", "b", 4, True, 0.1, -0.1, 0.3)
    create_run_file(tmp_path / "run.duckdb", a_run(kind="imported"), [pair], run, [row])
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        claims = {claim.claim_id: claim for claim in read_claims(reader)}
    assert not claims["tags"].holds
    assert claims["tags.otherwise"].text == (
        "Between no two values of a tag does a score clearly differ: of 1 difference none has a 95% interval that "
        "leaves out 0."
    )


def test_cells_of_an_imported_tag_have_the_intervals_of_a_plain_recomputation(tagged_run: Path) -> None:
    with DuckDBReader.open(tagged_run) as reader:
        (cell,) = reader.frame(
            "SELECT fve_nrm, ci_low, ci_high FROM cell WHERE subset = 'layer=8' AND source = 'a' AND target = 'b'"
        ).rows()
        scores = reader.frame("SELECT item_id, fve_nrm FROM score WHERE source = 'a' AND target = 'b'").rows()
    # Two items a document; every third document is of layer 8.
    of_document = {n: [fve for item, fve in scores if item // 2 == n] for n in range(2, 12, 3)}
    drawn = []
    for weights in np.concatenate(list(document_weights(12, 100, seed=1))).astype(int):
        values = [fve for n, found in of_document.items() for fve in found * weights[n]]
        drawn.append(np.mean(values) if values else np.nan)
    ends = np.nanpercentile(drawn, [2.5, 97.5])
    assert cell == pytest.approx((np.mean(list(of_document.values())), *ends))
