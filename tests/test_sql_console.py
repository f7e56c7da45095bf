"""The console in a real browser, served as a host of static pages would."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.sites import serve_folder

from nlareport.files.written_folders import Terms, written_folder
from nlareport.render.report.query_rows import RunHead
from nlareport.render.report_folder import ReportFolder, SitePlace
from nlareport.store.reader import DuckDBReader

LOADING_MS = 120_000
"""This machine may have a training beside its tests; in peace the engine starts in about two seconds."""


@dataclass
class Served:
    """A page with everything it asked for and complained of."""

    page: Page
    root: str
    requests: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)

    def ask(self, sql: str) -> None:
        """Writes a query and waits for what the engine says."""
        self.page.fill("#sql", sql)
        self.run()

    def run(self) -> None:
        self.page.click("#run")
        expect(self.page.locator("#run")).to_be_enabled()

    def rows(self) -> list[list[str]]:
        return self.page.eval_on_selector_all(
            "#answer tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )


@pytest.fixture(scope="module")
def address(computed_report: Path) -> Iterator[str]:
    with serve_folder(computed_report) as address:
        yield address.rstrip("/")


@pytest.fixture(scope="module")
def console(address: str, browser: Browser) -> Iterator[Served]:
    """The console, opened but with nothing pressed; the first test looks at it so."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    served = Served(context.new_page(), address)
    served.page.set_default_timeout(LOADING_MS)
    served.page.on("request", lambda request: served.requests.append(request.url))
    served.page.on("console", lambda message: served.noise.append(message.text))
    served.page.on("pageerror", lambda error: served.noise.append(str(error)))
    served.page.goto(f"{address}/console.html")
    yield served
    context.close()


@pytest.fixture(scope="module")
def loaded(console: Served) -> Served:
    """The console with figures only."""
    console.page.check("input[value=figures]")
    console.page.click("#load")
    expect(console.page.locator("#load-status")).to_have_text(re.compile("Ready|failed"), timeout=LOADING_MS)
    expect(console.page.locator("#load-status")).to_contain_text("figures only")
    return console


def test_nothing_of_the_engine_is_asked_for_before_the_button_is_pressed(console: Served) -> None:
    assert [name for url in console.requests if (name := url.rpartition("/")[2]).startswith("duckdb")] == []
    assert [url for url in console.requests if ".csv" in url or url.endswith(".duckdb")] == []
    assert console.page.locator("#load").inner_text() == "Load the engine (8.0 MB) and these tables"
    assert console.page.locator("#run").is_disabled()
    assert console.page.locator("#named").input_value() == "matrix"


def test_the_matrix_query_gives_the_figures_of_the_report(loaded: Served, computed_run: Path) -> None:
    with DuckDBReader.open(computed_run) as reader:
        matrix = reader.frame("matrix", subset="all")
    loaded.page.select_option("#named", "matrix")
    loaded.run()
    place = matrix.columns.index("fve_nrm")
    assert [float(row[place].replace("−", "-")) for row in loaded.rows()] == pytest.approx(
        matrix["fve_nrm"].to_list(), abs=1e-6
    )
    expect(loaded.page.locator("#run-status")).to_have_text(re.compile(r"^4 rows, in \d+ ms\.$"))
    index = (loaded.page.request.get(f"{loaded.root}/index.html")).text()
    for value in matrix["fve_nrm"]:
        assert f"{value:.3f}" in index


def test_every_query_answers_in_the_browser_or_says_beforehand_why_not(loaded: Served, computed_run: Path) -> None:
    starting_points = loaded.page.evaluate("window.consoleData.queries")
    refused = []
    with DuckDBReader.open(computed_run) as reader:
        for name, query in starting_points.items():
            loaded.page.select_option("#named", name)
            loaded.run()
            if query["needsTexts"] or query["needsJson"]:
                assert loaded.page.locator("#needs").is_visible()
                refused.append(name)
                continue
            assert not loaded.page.locator("#refusal").is_visible(), name
            expected = reader.frame(name, **query["parameters"])
            if name == "data_dictionary":  # the browser has no texts, and a table more
                continue
            rows = loaded.rows()
            assert len(rows) == len(expected), name
            if name.startswith("claim_"):
                figures = json.loads(rows[0][expected.columns.index("figures")])
                for key, value in json.loads(expected["figures"][0]).items():
                    assert figures.pop(key) == (value if isinstance(value, str) else pytest.approx(value)), name
                assert figures == {}
    assert {"environment_facts", "sample_cards", "sample_explanations"} <= set(refused)
    assert len(refused) < len(starting_points) / 4


def test_a_parameter_is_a_field_whose_value_reaches_the_query(loaded: Served) -> None:
    loaded.page.select_option("#named", "matrix")
    loaded.page.fill("#parameter-subset", "digits")
    loaded.run()
    assert {row[10] for row in loaded.rows()} <= {str(n) for n in range(25)}
    assert loaded.page.url.endswith("#query=matrix&subset=digits")
    loaded.ask("SELECT $a AS a, '$b' AS b -- $c")
    assert loaded.page.locator("#parameters input").count() == 1
    loaded.page.fill("#parameter-a", "it's")
    loaded.run()
    assert loaded.rows() == [["it's", "$b"]]


def test_a_wrong_query_is_refused_in_words_and_the_next_one_runs(loaded: Served) -> None:
    loaded.ask("SELECT fve FROM score")
    expect(loaded.page.locator("#run-status")).to_contain_text("The engine refused this query.")
    expect(loaded.page.locator("#refusal")).to_contain_text('Referenced column "fve" not found')
    assert loaded.page.locator("#answer table").count() == 0
    loaded.page.fill("#sql", "SELECT count(*) AS n FROM score")
    loaded.page.press("#sql", "Control+Enter")
    expect(loaded.page.locator("#answer td")).to_have_text("480")
    assert not loaded.page.locator("#refusal").is_visible()


def test_a_query_reaches_nothing_but_the_tables(loaded: Served) -> None:
    for sql in (
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "LOAD httpfs",
        "ATTACH 'https://example.org/x.duckdb'",
        "SET lock_configuration = false",
        "SELECT current_date",
    ):
        loaded.ask(sql)
        expect(loaded.page.locator("#run-status")).to_contain_text("refused")
    assert [url for url in loaded.requests if not url.startswith((loaded.root, "blob:", "data:"))] == []


def test_a_long_answer_is_cut_on_the_page_and_whole_in_its_csv(loaded: Served, tmp_path: Path) -> None:
    loaded.ask("SELECT range AS n, NULL AS nothing, '' AS empty, 'a \"b\", c' AS text FROM range(1500)")
    expect(loaded.page.locator("#run-status")).to_contain_text("1,500 rows, the first 1,000 shown")
    assert len(loaded.rows()) == 1000
    with loaded.page.expect_download() as download:
        loaded.page.click("#save")
    download.value.save_as(tmp_path / "answer.csv")
    content = (tmp_path / "answer.csv").read_text(encoding="utf-8")
    assert content.splitlines()[1] == '0,,"","a ""b"", c"'
    assert len(list(csv.reader(content.splitlines()))) == 1501


def test_a_csv_of_the_page_holds_no_formula_and_its_table_no_flood(loaded: Served, tmp_path: Path) -> None:
    loaded.ask(
        "SELECT '@now()' AS formula, '-0.5' AS number, repeat('W', 1000000) AS word, 'a' || chr(27) || '[2J' AS \"e\""
    )
    assert loaded.rows() == [["@now()", "-0.5", f"{'W' * 2000}… (1,000,000 characters)", "a\\x1b[2J"]]
    with loaded.page.expect_download() as download:
        loaded.page.click("#save")
    download.value.save_as(tmp_path / "answer.csv")
    content = (tmp_path / "answer.csv").read_text(encoding="utf-8")
    assert content.splitlines()[1] == f"'@now(),-0.5,{'W' * 1_000_000},a\x1b[2J"


def test_a_query_without_end_is_stopped_and_the_next_one_runs(loaded: Served) -> None:
    loaded.page.fill("#sql", "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b")
    loaded.page.click("#run")
    loaded.page.click("#stop")
    expect(loaded.page.locator("#run-status")).to_have_text("Stopped. The tables are loaded again for the next query.")
    expect(loaded.page.locator("#load-status")).to_contain_text("Ready after", timeout=LOADING_MS)
    assert not loaded.page.locator("#stop").is_visible()
    loaded.ask("SELECT count(*) FROM score")
    assert loaded.rows() == [["480"]]


def test_values_of_every_kind_are_shown_as_text(loaded: Served) -> None:
    loaded.ask(
        "SELECT TIMESTAMP '2026-03-01 12:30:15' AS at, DATE '2026-03-01' AS day, [1, 2] AS list, {'a': 1} AS struct, "
        "-0.5 AS low, 123456789012345678 AS big, true AS yes, '<b>x</b>' AS markup, NULL AS none"
    )
    expected = [
        "2026-03-01 12:30:15.000", "2026-03-01", "[1,2]", '{"a":1}', "−0.5", "123456789012345678", "true",
        "<b>x</b>", "NULL",
    ]  # fmt: skip
    assert loaded.rows() == [expected]


def test_the_whole_run_brings_the_texts(loaded: Served, computed_run: Path) -> None:
    loaded.page.check("input[value=whole]")
    loaded.page.click("#load")
    expect(loaded.page.locator("#load-status")).to_contain_text("with every text", timeout=LOADING_MS)
    loaded.page.select_option("#named", "sample_explanations")
    assert not loaded.page.locator("#needs").is_visible()
    loaded.run()
    assert len(loaded.rows()) == 2
    loaded.ask("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'score'")
    assert loaded.rows() == [["1"]]
    loaded.ask("SELECT count(mean_as_source) FROM additive_fit")
    assert loaded.rows() == [["2"]]
    loaded.ask("DELETE FROM run.main.score")
    expect(loaded.page.locator("#refusal")).to_contain_text("read-only")


def test_the_policy_is_kept(loaded: Served) -> None:
    assert [line for line in loaded.noise if "Content Security Policy" in line] == []


def test_a_link_fills_the_editor_and_runs_nothing(address: str, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/console.html#query=matrix&subset=prose")
    expect(page.locator("#named")).to_have_value("matrix")
    expect(page.locator("#parameter-subset")).to_have_value("prose")
    page.goto(f"{address}/console.html#sql=SELECT+%24n+%2B+1&n=41")
    expect(page.locator("#sql")).to_have_value("SELECT $n + 1")
    expect(page.locator("#parameter-n")).to_have_value("41")
    page.goto(f"{address}/console.html#query=constructor")
    expect(page.locator("#sql")).to_have_value("SELECT $n + 1")
    # A link may hold anything: what is never closed must not be sought to its end again and again.
    page.goto(f"{address}/console.html#sql={'/*+' * 100_000}{'$x+' * 10}")
    expect(page.locator("#sql")).to_have_value(re.compile(r"^(/[*] ){100000}"))
    assert not page.locator("#answering").is_visible()
    assert [url for url in asked if "duckdb" in url] == []
    page.close()


def test_opened_from_disk_the_page_says_what_to_do(computed_report: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((computed_report / "console.html").as_uri())
    expect(page.locator("#from-disk")).to_contain_text("nlareport serve FILE")
    assert not page.locator("#load").is_visible()
    expect(page.locator("#sql")).to_have_value(re.compile("SELECT"))
    page.close()


def test_without_script_the_page_says_where_the_answers_are(address: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/console.html")
    expect(page.get_by_text("The console needs JavaScript.")).to_be_visible()
    assert not page.locator("#load").is_visible()
    expect(page.get_by_text("One row per item and cell.")).to_be_visible()
    context.close()


@pytest.mark.parametrize("name", ["console.html", "downloads.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_every_width(name: str, scheme: str, address: str, browser: Browser) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{address}/{name}")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    for width in (360, 768, 1440, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_reports_of_one_site_share_an_engine(computed_run: Path, tmp_path: Path) -> None:
    with DuckDBReader.open(computed_run) as reader:
        head = reader.rows(RunHead, "report_run")[0]
    with written_folder(tmp_path / "reports", Terms("site")) as reports:
        site = SitePlace(home="../../index.html", shared=reports.below("engine"))
        first = ReportFolder(reports.below("a"), head, site=site)
        second = ReportFolder(reports.below("b"), head, site=site)
        href = first.shared_asset("engine.js", b"x")
        assert href == second.shared_asset("engine.js", b"x")
    assert (tmp_path / "reports" / "a" / href).read_bytes() == b"x"
    assert len(list((tmp_path / "reports" / "engine").iterdir())) == 1
