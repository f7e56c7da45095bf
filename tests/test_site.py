import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page
from support.made_runs import PAIRS, run_row
from support.sites import COMPARISON, ROOT, RUNS, THIS_CHECKOUT, serve_folder

from nlareport.cli import cli
from nlareport.experiment.experiment_file import parse_experiment
from nlareport.figure_text import signed
from nlareport.files.written_folders import Terms, written_folder
from nlareport.query_heads import query_head
from nlareport.render.content_security import with_policy
from nlareport.render.report import query_rows
from nlareport.render.site.home import Link, read_card, series_index
from nlareport.render.site.reference import DictionaryColumn, write_reference
from nlareport.store.published.published_run import import_published
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import create_run_file


class Links(HTMLParser):
    """What a page links to, and the anchors others may link to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.hrefs.append(value)
            elif name == "id" and value is not None:
                self.ids.add(value)


@pytest.fixture(scope="module")
def public(site_project: Path) -> Path:
    return site_project / "site/public"


@pytest.fixture(scope="module")
def address(public: Path) -> Iterator[str]:
    with serve_folder(public) as address:
        yield address


def card_on(home: str, run_id: str) -> str:
    found = re.search(rf'<article class="run" aria-labelledby="run-{run_id}">.*?</article>', home, re.DOTALL)
    assert found is not None
    return found.group()


def test_generated_pages_are_those_committed(tmp_path: Path) -> None:
    with DuckDBReader.empty() as reader:
        write_reference(tmp_path, reader, DuckDBReader.query_names(), cli)
    committed = ROOT / "site/pages/reference"
    assert sorted(path.name for path in committed.iterdir()) == sorted(path.name for path in tmp_path.iterdir())
    for page in sorted(tmp_path.iterdir()):
        stale = f'{page.name} is stale; run "nlareport site" and commit it'
        assert (committed / page.name).read_text(encoding="utf-8") == page.read_text(encoding="utf-8"), stale


def test_every_table_and_column_says_what_it_means() -> None:
    with DuckDBReader.empty() as reader:
        columns = reader.rows(DictionaryColumn, "data_dictionary")
    assert [column for column in columns if not column.table_comment or not column.column_comment] == []
    assert {"run", "pair", "item", "score", "cell", "claim"} <= {column.table_name for column in columns}
    keys = [column.column_name for column in columns if column.table_name == "score" and column.is_key]
    assert keys == ["item_id", "source", "target", "draw"]


def test_every_query_says_its_purpose_parameters_and_rows() -> None:
    with DuckDBReader.empty() as reader:
        queries = [query_head(name, reader.sql(name)) for name in DuckDBReader.query_names()]
    assert [query.name for query in queries if not (query.purpose and query.parameters and query.rows)] == []
    assert all(query.sql.startswith(("SELECT", "WITH", "--")) for query in queries)


def test_every_command_and_option_stands_in_the_reference() -> None:
    page = (ROOT / "site/pages/reference/commands.md").read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert f"{max(parameter.opts, key=len)}" in page
                assert f"`{parameter.envvar}`" in page
        assert f"## `nlareport {name}" in page
    assert "`NLAREPORT_PAIRS_TRAIN_CONTINUE`" in page


def test_every_internal_link_has_its_file_and_anchor(public: Path) -> None:
    pages = {page: Links(page) for page in sorted(public.rglob("*.html")) if page.name != "404.html"}
    assert len(pages) > 10
    broken = []
    for page, links in pages.items():
        for href in links.hrefs:
            parts = urlsplit(href)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            ids = pages[target].ids | {"__top", ""} if target in pages else None
            # A report's own pages read their state from the hash: only plain anchors are places on a page.
            is_anchor = ids is None or "=" in parts.fragment or unquote(parts.fragment) in ids
            if not target.exists() or not is_anchor:
                broken.append(f"{page.relative_to(public)}: {href}")
    assert broken == []


@pytest.mark.parametrize("run_id", RUNS)
def test_home_shows_the_matrix_of_a_run_as_its_file_has_it(run_id: str, site_project: Path, tmp_path: Path) -> None:
    db = site_project / RUNS[run_id]
    if db.suffix == ".yaml":
        db = tmp_path / "run.duckdb"
        import_published(site_project / RUNS[run_id], db)
    with DuckDBReader.open(db) as reader:
        cells = reader.rows(query_rows.MatrixCell, "matrix", subset="all")
        best = next(c for c in reader.rows(query_rows.HeroCell, "hero_cells") if c.figure == "Best cross-family cell")
        run = reader.rows(query_rows.RunHead, "report_run")[0]
    card = card_on((site_project / "site/public/index.html").read_text(encoding="utf-8"), run_id)
    shown = re.findall(r'<td class="(same|cross)-\d+">([^<]+)</td>', card)
    assert shown == [("same" if cell.is_diagonal else "cross", signed(cell.fve_nrm)) for cell in cells]
    assert f"<b>{run.series_number}</b>" in card
    assert f">{run.title}</a></h2>" in card
    assert f'<b class="cross">{signed(best.fve_nrm)}</b>' in card
    assert f'href="reports/{run_id}/index.html"' in card


def test_a_report_and_a_comparison_of_the_site_lead_back_to_the_home_page(public: Path) -> None:
    page = (public / "reports/pocket/index.html").read_text(encoding="utf-8")
    assert '<a href="../../index.html">← All reports</a>' in page
    page = (public / COMPARISON).read_text(encoding="utf-8")
    assert '<a href="../../../index.html">← All reports</a>' in page
    assert (public / COMPARISON).parents[3] == public


def test_code_is_within_reach_of_the_keyboard_without_the_themes_script(public: Path) -> None:
    for name in ("reproduce", "reference/queries", "reference/commands"):
        page = (public / name / "index.html").read_text(encoding="utf-8")
        blocks = re.findall(r"<pre[^>]*>.*?<code([^>]*)>", page)
        assert blocks
        assert set(blocks) == {' tabindex="0"'}


def test_a_report_the_site_no_longer_names_is_gone(site_project: Path) -> None:
    kept = [path.name for path in (site_project / "site/public/reports").iterdir()]
    assert sorted(kept) == sorted([*RUNS, "comparisons", "engine"])
    assert not (site_project / "site/pages/reports/forgotten").exists()


def test_reports_are_kept_out_of_the_search_index(public: Path) -> None:
    index = (public / "search/search_index.json").read_text(encoding="utf-8")
    assert "denominator" in index
    assert '"location": "reports/' not in index
    assert "Where this comes from" not in index


def test_a_title_is_text_and_a_run_without_a_value_says_so(tmp_path: Path) -> None:
    create_run_file(tmp_path / "run.duckdb", replace(run_row(), title="<script>alert(1)</script>"), PAIRS)
    with (
        DuckDBReader.open(tmp_path / "run.duckdb") as reader,
        written_folder(tmp_path / "report", Terms("report")) as report,
    ):
        report.file("index.html").touch()
        home = series_index([read_card(reader, report, "reports/pocket")], [Link("A & B", "compare.html")])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</a></h2>" in home
    assert "<script" not in home
    assert home.count('class="same-none">–<') == 2
    assert "No cell has a value yet." in home
    assert '<li><a href="compare.html">A &amp; B</a></li>' in home


def test_a_policy_names_each_inline_script_by_its_digest() -> None:
    page = '<head><meta charset="utf-8"><script>alert(1)</script><script src="a.js"></script></head>'
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert "script-src 'self' 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=';" in with_policy(page)
    assert with_policy(page).index("Content-Security-Policy") < page.index("<script>") + 60


def test_every_page_of_the_site_has_a_strict_policy(public: Path) -> None:
    for page in public.rglob("*.html"):
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page.read_text(encoding="utf-8"))
        assert policy is not None, page
        assert "default-src 'none'" in unescape(policy[1])
        # The console alone may compile WebAssembly, its engine; nothing anywhere may evaluate text as script.
        allowed = ["'wasm-unsafe-eval'"] if page.name == "console.html" else []
        assert re.findall(r"'[^']*unsafe[^']*'", unescape(policy[1])) == allowed, page


def test_the_experiment_on_the_page_is_one_that_is_accepted() -> None:
    page = (ROOT / "site/pages/your-own-pairs.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    experiment = parse_experiment(example, Path("my-pairs.yaml"))
    assert [pair.pair_id for pair in experiment.pairs] == ["first", "second"]


def test_the_sites_own_dependencies_are_the_packages_without_models() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    of_models = ("torch", "transformers", "safetensors", "accelerate", "gguf")
    without = [need for need in project["project"]["dependencies"] if not need.startswith(of_models)]
    assert project["dependency-groups"]["site"] == without


def test_serve_without_a_file_shows_the_site(site_project: Path) -> None:
    command = [sys.executable, "-u", "-m", "nlareport", "serve", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=site_project, env=THIS_CHECKOUT, text=True, **pipes) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("Open ").strip()
        with urlopen(f"{address}methods/") as answer:
            page = answer.read().decode()
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
    assert "What the numbers mean" in page


PAGES = ["", "methods/", "reference/queries/", "reference/commands/", "reference/data-dictionary/", "404.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_kind_of_page_opens_without_noise_or_another_host(scheme: str, browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page: Page = context.new_page()
    noise: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    papers = set()
    for name in [*PAGES, "reports/pocket/index.html", COMPARISON]:
        page.goto(address + name)
        for width in (360, 1440):
            page.set_viewport_size({"width": width, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert noise == []
    assert [url for url in requests if not url.startswith((address, "data:"))] == []
    assert len(papers) == 1, "site and report stand on the same paper"
    context.close()


def test_search_finds_a_word_and_leads_to_it(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.locator(".md-search__input").press_sequentially("derangement")
    result = page.locator(".md-search-result__link").first
    result.wait_for()
    result.click()
    page.wait_for_url("**/reference/data-dictionary/**")
    assert "derangement" in page.locator("main").inner_text()
    page.close()


def test_colours_follow_the_reader_once_chosen(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page = context.new_page()
    paper = "getComputedStyle(document.body).backgroundColor"
    page.goto(address)
    dark = page.evaluate(paper)
    page.get_by_title("Colours follow the system: choose light").click()
    light = page.evaluate(paper)
    page.get_by_title("Light colours: choose dark").click()
    assert page.evaluate(paper) == dark
    assert light != dark
    context.close()


def test_without_script_the_home_page_is_dark_where_the_system_is(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(address)
    background = page.locator("td.same-15, td.same-12").first.evaluate("cell => getComputedStyle(cell).backgroundColor")
    plain = browser.new_context(java_script_enabled=False, color_scheme="light").new_page()
    plain.goto(address)
    other = plain.locator("td.same-15, td.same-12").first.evaluate("cell => getComputedStyle(cell).backgroundColor")
    assert background != other
    plain.context.close()
    context.close()
