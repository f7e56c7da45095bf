"""Two runs compared as a reader meets it: the command in every format, its refusals, the page, and the site."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from playwright.sync_api import Browser
from support.made_runs import PUBLISHED, write_computed_run

from nlareport.cli import cli
from nlareport.comparison import Comparison
from nlareport.files.written_folders import Terms, written_folder
from nlareport.render.pages.diff_page import NOWHERE, ReportPlace, render_comparison
from nlareport.render.report.query_rows import RunHead
from nlareport.review.run_differences import compare_runs
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Item, Score
from nlareport.rows.run_rows import Choice, PairId, Run
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile

HOSTILE = '<script>alert(1)</script> a|b "quoted"'
SHIFT, JUMP = 0.1, 0.5
JUMPING_ITEM = 5


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def answer(*arguments: object) -> str:
    result = invoke("diff", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(*arguments: object) -> str:
    """The one line on stderr of a comparison that cannot be made."""
    result = invoke("diff", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line


def write_again(path: Path, hostile: str | None = None) -> Path:
    """The computed run once more, under another token budget: all its cells on qwen score 0.1 higher, item 5 0.5."""
    write_computed_run(path, hostile=hostile)
    with RunFile.open(path) as run_file:
        run = run_file.run()
        scores = [
            row if row.fve_nrm is None else replace(row, fve_nrm=row.fve_nrm + _change(row))
            for row in run_file.rows(Score)
        ]
        # The same places under other numbers.
        renumbered = {Item: [replace(item, item_id=item.item_id + 1000) for item in run_file.rows(Item)]}
        scores = [replace(row, item_id=row.item_id + 1000) for row in scores]
        again = replace(
            run,
            run_id="pocket-again",
            experiment_yaml=(run.experiment_yaml or "").replace("max_new_tokens: 160", "max_new_tokens: 200"),
            environment={**run.environment, "versions": {**run.environment["versions"], "torch": "2.14.0"}},
        )
        run_file.replace({Run: [again], Score: scores, **renumbered})
    return path


def _change(row: Score) -> float:
    shift = SHIFT if row.target == "qwen05-L16" else 0.0
    return shift + (JUMP if row.item_id == JUMPING_ITEM else 0.0)


def write_published(path: Path) -> Path:
    """Four cells of the published matrix, under the names of the computed run's pairs."""
    names = {"qwen7-L20": "smollm2-L20", "gemma12-L32": "qwen05-L16"}
    said = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    figures: dict[str, Any] = {key: said[key] for key in ("experiment", "title", "decode", "metric")}
    figures["substrate"] = {key: text for key, text in said["substrate"].items() if key != "reference_tokenizer"}
    figures["pairs"] = [
        {**pair, "pair_id": names[pair["pair_id"]]} for pair in said["pairs"] if pair["pair_id"] in names
    ]
    figures["cells"] = [
        {**cell, "source": names[cell["source"]], "target": names[cell["target"]]}
        for cell in said["cells"]
        if cell["source"] in names and cell["target"] in names
    ]
    path.write_text(yaml.safe_dump(figures), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diff")


@pytest.fixture(scope="module")
def first(computed_run: Path) -> Path:
    return computed_run


@pytest.fixture(scope="module")
def again(folder: Path) -> Path:
    return write_again(folder / "again.duckdb")


@pytest.fixture(scope="module")
def figures(folder: Path) -> Path:
    return write_published(folder / "figures.yaml")


def write_comparison(
    comparison: Comparison,
    heads: tuple[RunHead, RunHead],
    out: Path,
    places: tuple[ReportPlace | None, ReportPlace | None] = NOWHERE,
) -> Path:
    with written_folder(out, Terms("comparison")) as place:
        return render_comparison(comparison, heads, place, places)


def compared(a: Path, b: Path) -> tuple[Comparison, tuple[RunHead, RunHead]]:
    with DuckDBReader.open(a) as in_a, DuckDBReader.open(b) as in_b:
        heads = tuple(reader.rows(RunHead, "report_run")[0] for reader in (in_a, in_b))
        return compare_runs(in_a, in_b), (heads[0], heads[1])


def test_cells_as_csv_hold_the_planted_shift(first: Path, again: Path) -> None:
    rows = {
        (row["source"], row["target"]): row
        for row in csv.DictReader(io.StringIO(answer(first, again, "--format", "csv")))
    }
    assert len(rows) == 4
    for (_, target), row in rows.items():
        n_items = int(row["n_items"])
        shift = SHIFT if target == "qwen05-L16" else 0.0
        assert float(row["difference"]) == pytest.approx(shift + JUMP / n_items)
        assert float(row["shared_b"]) - float(row["shared_a"]) == pytest.approx(float(row["difference"]))
        assert row["excludes_zero"] == ("true" if shift else "false")
        assert (row["n_documents"], row["n_scored_once"]) == (row["n_items"], "0")
        # 2.80 standard errors, which are half the interval's width over 1.96; its former name stays.
        width = float(row["high"]) - float(row["low"])
        assert float(row["minimum_detectable_difference"]) == pytest.approx(2.8016 / (2 * 1.96) * width, rel=1e-3)
        assert row["smallest_seen"] == row["minimum_detectable_difference"]


def test_everything_is_in_the_json(first: Path, again: Path) -> None:
    found = json.loads(answer(first, again, "--format", "json"))
    assert (found["a"]["run_id"], found["b"]["run_id"]) == ("pocket", "pocket-again")
    assert (found["matched_by"], found["n_shared_items"], found["unpaired_because"]) == ("place", 120, None)
    assert len(found["items"]) == 120
    assert found["items"][-1]["item_a"] == JUMPING_ITEM
    assert found["items"][-1]["item_b"] == JUMPING_ITEM + 1000
    protocol = {row["key"]: (row["a"], row["b"]) for row in found["protocol"]}
    assert protocol == {"versions.torch": ("2.13.0", "2.14.0"), "decoding.max_new_tokens": ("160", "200")}


def test_the_table_says_which_means_are_over_which_items(first: Path, again: Path) -> None:
    text = answer(first, again)
    assert "A: pocket, “Two pocket pairs read each other” (computed, 120 items)" in text
    assert "120 shared items of 120 documents, matched by place in the text (doc_id, char_end and token)." in text
    assert "A and B are each run's own values over all its items." in text
    assert re.search(r"│ smollm2-L20 ┆ qwen05-L16 .*┆ \+0\.104 ┆ \[0\.100, 0\.\d{3}\] ┆ yes", text)
    assert re.search(r"│ decoding\.max_new_tokens ┆ 160 +┆ 200", text)
    risen = text[text.index("Items that rose most") :]
    assert re.search(r"│ 5 / 1005 +┆ pocket:news:5 +┆ \+0\.550 ┆ 4 +┆ \"\.\"", risen)


def test_markdown_has_a_table_and_no_stray_column(folder: Path) -> None:
    a = write_computed_run(folder / "hostile.duckdb", hostile=HOSTILE)
    text = answer(a, write_again(folder / "hostile-again.duckdb", HOSTILE), "--format", "md")
    assert "## Protocol: where the runs differ" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_a_run_beside_itself_has_nothing_to_tell(first: Path) -> None:
    text = answer(first, first)
    assert text.count("[0.000, 0.000]") == 4
    assert "Both runs say the same about how they were made." in text
    assert "Items that" not in text


def test_published_figures_are_compared_by_their_cells_alone(first: Path, figures: Path) -> None:
    text = answer(figures, first)
    assert "A holds published figures, not the scores of items, so no paired interval can be given" in text
    assert "0.748 [0.744, 0.753]" in text
    assert "95% paired" not in text
    assert re.search(r"│ decoding\.max_new_tokens +┆ 300 +┆ 160", text)
    assert re.search(r"│ kind +┆ published +┆ computed", text)
    found = json.loads(answer(figures, first, "--format", "json"))
    assert (found["matched_by"], found["items"], found["scales"]) == (None, [], [])
    assert all(cell["low"] is None and cell["difference"] == cell["fve_b"] - cell["fve_a"] for cell in found["cells"])
    assert answer(first, figures).count("B holds published figures") == 1


def test_a_run_that_names_no_documents_is_matched_by_number_with_the_other_runs_documents(
    first: Path, tmp_path: Path
) -> None:
    write_computed_run(tmp_path / "bare.duckdb")
    with RunFile.open(tmp_path / "bare.duckdb") as run_file:
        # As an imported bundle has them that names no documents.
        bare = [replace(item, doc_id=f"item:{item.item_id}", char_end=None) for item in run_file.rows(Item)]
        run_file.replace({Item: bare})
    for order in ((first, tmp_path / "bare.duckdb"), (tmp_path / "bare.duckdb", first)):
        found = json.loads(answer(*order, "--format", "json"))
        assert (found["matched_by"], found["n_shared_items"], found["n_shared_documents"]) == ("item_id", 120, 120)
        assert {(cell["difference"], cell["low"], cell["high"]) for cell in found["cells"]} == {(0.0, 0.0, 0.0)}
    assert "matched by item_id, because a run names no documents" in answer(*order)


def test_items_whose_character_is_not_known_are_those_of_their_document_and_token(first: Path, tmp_path: Path) -> None:
    path = write_computed_run(tmp_path / "moved.duckdb")
    with RunFile.open(path) as run_file:
        rows = run_file.rows(Item)
        # Numbered as in a corpus that skips one document more; two of a document and its token once more each.
        moved = [replace(item, item_id=item.item_id + 1, char_end=None) for item in rows]
        twice = [replace(item, item_id=900 + n) for n, item in enumerate(moved[:2])]
        scores = [replace(row, item_id=row.item_id + 1) for row in run_file.rows(Score)]
        run_file.replace({Item: moved + twice, Score: scores})
    found = json.loads(answer(first, path, "--format", "json"))
    assert (found["matched_by"], found["n_shared_items"], found["ambiguous"]) == ("token", 118, [2, 4])
    assert {item["item_b"] - item["item_a"] for item in found["items"]} == {1}
    assert {(cell["difference"], cell["low"], cell["high"]) for cell in found["cells"]} == {(0.0, 0.0, 0.0)}
    text = answer(first, path, "--out", tmp_path / "page")
    sentence = "2 of A's items and 4 of B's are left out: a document holds their token twice, and nothing tells"
    assert "matched by document, token and context, because not both runs know" in text
    assert sentence in text
    assert sentence.replace("'", "&#39;") in (tmp_path / "page/index.html").read_text(encoding="utf-8")


def test_published_sample_cards_are_found_by_document_and_token(first: Path, figures: Path, tmp_path: Path) -> None:
    said = yaml.safe_load(figures.read_text(encoding="utf-8"))
    cell = {"smollm2-L20": {"smollm2-L20": 0.5, "qwen05-L16": 0.4}}
    # Item 5 of the run is a full stop; item 40 is another token of its document than the page says.
    said["samples"] = [
        {"kind": kind, "rule": "r", "doc_id": f"pocket:news:{number}", "item_id": 700, "token": token, "fve_nrm": cell}
        for kind, number, token in (("best", 5, "."), ("typical", 40, "nowhere"))
    ]
    for place, sample in enumerate(said["samples"]):
        sample["item_id"] += place
    (tmp_path / "cards.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    found = json.loads(answer(tmp_path / "cards.yaml", first, "--format", "json"))
    assert (found["matched_by"], found["n_shared_items"], found["items"], found["n_cards"]) == (None, 0, [], 2)
    (card,) = found["cards"]
    assert (card["item_a"], card["item_b"], card["doc_id"], card["n_cells"]) == (700, 5, "pocket:news:5", 2)
    text = answer(tmp_path / "cards.yaml", first, "--out", tmp_path / "page")
    assert "1 of 2 published sample items are scored in both, known by document, token and context" in text
    assert re.search(r"│ 700 / 5 +┆ pocket:news:5 ", text)
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert "item 700 in A" in page[page.index('id="cards"') :]
    assert json.loads(answer(figures, first, "--format", "json"))["cards"] == []


def test_what_was_chosen_otherwise_for_a_shared_pair_is_a_difference_of_protocol(first: Path, tmp_path: Path) -> None:
    path = write_computed_run(tmp_path / "chosen.duckdb")
    with RunFile.open(path) as run_file:
        run_file.put([Choice(PairId("qwen05-L16"), "verbalizer", "stop_ids", "Answers end at 1 alone.")])
    found = json.loads(answer(first, path, "--format", "json"))
    assert found["protocol"] == [
        {"key": "choices.qwen05-L16.verbalizer.stop_ids", "a": None, "b": "Answers end at 1 alone."}
    ]
    assert json.loads(answer(path, path, "--format", "json"))["protocol"] == []


def test_a_pair_that_one_run_lacks_is_named_and_left_out(first: Path, folder: Path) -> None:
    one = write_computed_run(folder / "one.duckdb", pairs=1, n_items=60)
    text = answer(first, one)
    assert "Only A has the pair qwen05-L16." in text
    assert "60 of A's 120 items are not shared." in text
    assert len(answer(first, one, "--format", "csv").splitlines()) == 2


def test_runs_without_a_common_pair_are_refused_in_one_line(first: Path) -> None:
    line = refusal(first, PUBLISHED)
    assert line.startswith("nlareport: Runs pocket and 18-cross-family share no pair: one has smollm2-L20, qwen05-L16,")
    assert line.endswith("Pairs are matched by pair_id; give two runs that have one in common.")


def test_runs_without_a_common_value_are_refused_in_one_line(first: Path, folder: Path) -> None:
    path = write_computed_run(folder / "empty.duckdb")
    with RunFile.open(path) as run_file:
        run_file.replace({Cell: [replace(cell, fve_nrm=None) for cell in run_file.rows(Cell)], Score: []})
    assert "no cell of theirs has a fve_nrm in both" in refusal(first, path)


def test_a_missing_file_is_named_and_wrong_usage_ends_with_2(first: Path, folder: Path) -> None:
    assert "nowhere.duckdb: no run file stands here" in refusal(first, folder / "nowhere.duckdb")
    assert invoke("diff", first).exit_code == 2
    assert invoke("diff", first, first, "--format", "html").exit_code == 2


def test_the_page_stands_where_it_was_asked_for_and_is_the_same_twice(first: Path, again: Path, tmp_path: Path) -> None:
    result = invoke("diff", first, again, "--out", tmp_path / "a", "--format", "csv")
    assert result.stderr == f"Open {tmp_path / 'a' / 'index.html'}\n"
    invoke("diff", first, again, "--out", tmp_path / "b")
    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in "ab"
    )
    assert one == two
    assert (tmp_path / "a" / "downloads" / "cells.csv").read_text(encoding="utf-8") == result.stdout


def test_the_page_marks_what_excludes_0_and_where_every_figure_comes_from(
    first: Path, again: Path, tmp_path: Path
) -> None:
    page = write_comparison(*compared(first, again), tmp_path).read_text(encoding="utf-8")
    heat = page[page.index('<table class="heat shifts">') : page.index("</table>")]
    shown = re.findall(r'<td id="cell-([\w-]+)" class="([\w-]+)">(.*?)</td>', heat)
    marked = {cell: (colour.split("-")[0], "excludes 0" in text) for cell, colour, text in shown}
    assert marked == {
        "smollm2-L20--smollm2-L20": ("level", False),
        "smollm2-L20--qwen05-L16": ("up", True),
        "qwen05-L16--smollm2-L20": ("level", False),
        "qwen05-L16--qwen05-L16": ("up", True),
    }
    queries = set(re.findall(r"<p>Query <code>(\w+)</code>, .*? in A, run <code>pocket</code>;", page))
    assert queries == {"pair_table", "diff_run", "diff_cells", "diff_items", "diff_scores", "diff_norms", "choices"}
    footer = page[page.index("<footer>") :]
    assert "A: run <code>pocket</code>" in footer
    assert "B: run <code>pocket-again</code>" in footer
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    for name in re.findall(r'href="(downloads/[^"]+)"', page):
        assert (tmp_path / name).stat().st_size > 0


def test_items_are_linked_only_where_a_report_is_known_to_stand(first: Path, again: Path, tmp_path: Path) -> None:
    comparison, heads = compared(first, again)
    page = write_comparison(comparison, heads, tmp_path / "alone").read_text(encoding="utf-8")
    assert set(re.findall(r'<a [^>]*href="([^"#]+)"', page)) == {
        f"downloads/{name}" for name in ("cells.csv", "items.csv", "protocol.csv")
    }
    place = ReportPlace("../first/", lambda item_id: f"items/{item_id}.html")
    page = write_comparison(comparison, heads, tmp_path / "beside", (place, None)).read_text(encoding="utf-8")
    assert f'<a href="../first/items/{JUMPING_ITEM}.html">item {JUMPING_ITEM} in A</a>' in page
    assert f"<span>item {JUMPING_ITEM + 1000} in B</span>" in page
    assert '<a href="../first/index.html">Two pocket pairs read each other</a>' in page


def test_hostile_text_is_shown_and_never_run(folder: Path, tmp_path: Path) -> None:
    a = write_computed_run(folder / "hostile-a.duckdb", hostile=HOSTILE)
    page = write_comparison(*compared(a, write_again(folder / "hostile-b.duckdb", HOSTILE)), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_site_holds_one_run_against_another_and_links_to_the_reports_it_has(
    first: Path, again: Path, figures: Path, tmp_path: Path
) -> None:
    (tmp_path / "site/pages").mkdir(parents=True)
    (tmp_path / "site/pages/index.md").write_text("# Home", encoding="utf-8")
    config: dict[str, Any] = {
        "site_name": "two runs",
        "docs_dir": "site/pages",
        "site_dir": "site/public",
        "theme": {"name": "material", "font": False},
        "plugins": [],
        "extra": {"runs": [str(first)], "comparisons": [[str(first), str(again)], [str(figures), str(first)]]},
    }
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert invoke("site", "--config", tmp_path / "mkdocs.yml").exit_code == 0
    built = tmp_path / "site/public/reports/comparisons"
    page = built / "pocket-vs-pocket-again" / "index.html"
    assert re.findall(r'<dd><a href="([^"]+)">', page.read_text(encoding="utf-8")) == ["../../pocket/index.html"]
    assert (page.parent / "../../pocket/index.html").exists()
    assert (built / "18-cross-family-vs-pocket" / "index.html").exists()
    config["extra"]["comparisons"] = [[str(first)]]
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    result = invoke("site", "--config", tmp_path / "mkdocs.yml")
    assert result.exit_code == 1
    assert "A comparison takes two runs, not 1; write [A, B] under extra.comparisons." in result.stderr


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["again", "figures"])
def test_the_page_opens_from_disk_in_a_browser_without_noise_or_script(
    kind: str, scheme: str, browser: Browser, first: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    answer(first, request.getfixturevalue(kind), "--out", tmp_path)
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    noise: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto((tmp_path / "index.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    # Keys stand in lines, not in a column of letters.
    assert page.locator(".protocol tbody th").first.bounding_box()["width"] > 100
    for width in (360, 768, 1440, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert noise == []
    assert [url for url in requests if not url.startswith("file:")] == []
    assert page.locator("script").count() == 0
    page.locator(".heat td a").nth(1).click()
    assert page.evaluate("location.hash") == "#row-smollm2-L20--qwen05-L16"
    assert page.locator("tr:target").is_visible()
    context.close()
