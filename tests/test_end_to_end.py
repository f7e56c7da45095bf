"""One reader's walk through a report and a comparison, from the command to the last download, in a real browser.

The tests stand in the order of the walk, and each goes on from where the one before left the page.
"""

import csv
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import polars as pl
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, BrowserContext, Page, expect
from polars.testing import assert_frame_equal
from support.made_runs import write_computed_run
from support.sites import serve_folder

from nlareport.cli import cli
from nlareport.figure_text import plus, signed
from nlareport.rows.item_rows import Explanation, Score
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile

N_ITEMS = 150
SOURCE, TARGET = "gemma270-L9", "smollm2-L20"
CELL = f"{SOURCE}~{TARGET}"
PHRASE = "scores, names of players"
LOADING_MS = 120_000
"""This machine may have a training beside its tests; in peace the engine starts in about two seconds."""
SAY_VIOLATIONS = """document.addEventListener("securitypolicyviolation", violation => {
    console.error(`policy: ${violation.violatedDirective} ${violation.blockedURI}`);
});"""


@dataclass
class Tab:
    """A page with every address it asked for and every complaint it made."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, context: BrowserContext) -> "Tab":
        """An empty one that listens from the start."""
        tab = cls(context.new_page())
        tab.page.set_default_timeout(LOADING_MS)
        tab.page.add_init_script(SAY_VIOLATIONS)
        tab.page.on("request", lambda asked: tab.requests.append(asked.url))
        tab.page.on("requestfailed", lambda asked: tab.complaints.append(f"{asked.url}: {asked.failure}"))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on(
            "console",
            lambda said: tab.complaints.append(said.text) if said.type in ("error", "warning") else None,
        )
        return tab

    def asked_elsewhere(self, *homes: str) -> list[str]:
        return [url for url in self.requests if not url.startswith((*homes, "data:", "blob:"))]


@dataclass(frozen=True)
class View:
    """What the sample browser shows."""

    address: str
    n_found: str
    rows: list[str]
    chosen: str

    @classmethod
    def of(cls, page: Page) -> "View":
        expect(page.locator(".chosen .context")).to_be_visible()
        return cls(
            page.url.rpartition("#")[2],
            page.locator("#found-count").inner_text(),
            page.locator(".row").all_inner_texts(),
            page.locator(".chosen").inner_text(),
        )


def invoke(*arguments: object) -> str:
    """What a command writes to stdout."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs over the same items of four pairs."""
    folder = tmp_path_factory.mktemp("runs")
    a, b = (write_computed_run(folder / f"{seed}.duckdb", n_items=N_ITEMS, pairs=4, seed=seed) for seed in (7, 8))
    return a, b


@pytest.fixture(scope="module")
def host(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report of the first run and the comparison of both, made by the commands."""
    folder = tmp_path_factory.mktemp("host")
    invoke("render", runs[0], "--out", folder / "report")
    invoke("diff", *runs, "--out", folder / "comparison")
    return folder


@pytest.fixture(scope="module")
def address(host: Path) -> Iterator[str]:
    with serve_folder(host) as address:
        yield address


@pytest.fixture(scope="module")
def walk(browser: Browser, address: str) -> Iterator[Tab]:
    """The tab in which the whole walk is made."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = Tab.of(context)
    tab.page.goto(f"{address}report/index.html")
    yield tab
    context.close()


@pytest.fixture(scope="module")
def scores(runs: tuple[Path, Path]) -> dict[int, float | None]:
    """Of the first run's items in the cell that the walk goes through."""
    return cell_scores(runs[0])


def cell_scores(run: Path) -> dict[int, float | None]:
    with RunFile.open(run) as run_file:
        rows = run_file.rows(Score)
    return {row.item_id: row.fve_nrm for row in rows if (row.source, row.target) == (SOURCE, TARGET)}


def items_listed(page: Page) -> list[int]:
    return [int(re.findall(r"item (\d+)", facts)[0]) for facts in page.locator(".row .facts").all_text_contents()]


def figure_on_heatmap(page: Page) -> str:
    # Which of a cell's figures is in sight is up to the stylesheet.
    page.wait_for_load_state()
    return page.locator(f"#cell-{SOURCE}--{TARGET} .value:visible").inner_text()


def test_a_cell_of_the_matrix_leads_to_its_items_best_first(walk: Tab, scores: dict[int, float | None]) -> None:
    known = {item_id: fve for item_id, fve in scores.items() if fve is not None}
    assert figure_on_heatmap(walk.page) == signed(mean(known.values()))
    walk.page.locator(f"#cell-{SOURCE}--{TARGET} a").first.click()
    expect(walk.page.locator("#found-count")).to_have_text(f"{N_ITEMS} items")
    assert walk.page.url.endswith(f"report/browse.html#cell={CELL}")
    best = sorted(known, key=lambda item_id: (-round(known[item_id], 4), item_id))[:50]
    assert items_listed(walk.page) == best
    assert walk.page.locator(".row .score").all_inner_texts() == [signed(known[item_id], 2) for item_id in best]


def test_a_range_keeps_the_items_whose_score_in_that_cell_is_in_it(walk: Tab, scores: dict[int, float | None]) -> None:
    walk.page.get_by_label("from", exact=True).fill("0.5")
    n_found = sum(fve is not None and fve >= 0.5 for fve in scores.values())
    assert 2 < n_found < N_ITEMS
    expect(walk.page.locator("#found-count")).to_have_text(f"{n_found} of {N_ITEMS} items")


def test_an_items_address_gives_the_same_view_again_and_to_others(walk: Tab) -> None:
    walk.page.locator(".row").nth(2).click()
    expect(walk.page.locator(".row").nth(2)).to_have_attribute("aria-current", "true")
    before = View.of(walk.page)
    assert re.fullmatch(rf"cell={CELL}&low=0\.5&item=\d+", before.address)
    walk.page.reload()
    assert View.of(walk.page) == before
    other = Tab.of(walk.page.context)
    other.page.goto(walk.page.url)
    assert View.of(other.page) == before
    assert other.complaints == []
    other.page.close()


def test_the_items_own_page_shows_the_same_item_and_back_returns_to_the_view(walk: Tab) -> None:
    before = View.of(walk.page)
    item_id = before.address.rpartition("=")[2]
    context = walk.page.locator(".chosen .context").inner_text()
    explanations = walk.page.locator(".chosen .explanation > p").all_inner_texts()
    shown = walk.page.locator(".chosen .heat button").all_inner_texts()
    walk.page.get_by_role("link", name="Open item page").click()
    expect(walk.page.locator("h1")).to_have_text(f"Item {item_id}")
    assert walk.page.locator(".context").inner_text() == context
    assert walk.page.locator(".explanation > p").all_inner_texts() == explanations
    assert walk.page.locator(".heat.small td").all_inner_texts() == shown
    walk.page.go_back()
    assert View.of(walk.page) == before


def test_search_finds_a_phrase_in_every_item_that_holds_it(walk: Tab, runs: tuple[Path, Path]) -> None:
    with RunFile.open(runs[0]) as run_file:
        holders = {row.item_id for row in run_file.rows(Explanation) if PHRASE in (row.completion or "")}
    walk.page.get_by_role("button", name="Clear all").click()
    walk.page.get_by_label("Search", exact=True).fill(PHRASE.upper())
    expect(walk.page.locator("#found-count")).to_have_text(f"{len(holders)} of {N_ITEMS} items")
    assert walk.page.locator(".chosen mark.hit").first.inner_text() == PHRASE


def test_a_query_in_the_console_gives_the_figure_of_the_heatmap(walk: Tab, address: str) -> None:
    walk.page.get_by_role("link", name="Report", exact=True).click()
    figure = figure_on_heatmap(walk.page)
    walk.page.get_by_role("link", name="Query the data").click()
    walk.page.get_by_role("button", name="Load the engine").click()
    expect(walk.page.locator("#load-status")).to_contain_text("Ready", timeout=LOADING_MS)
    walk.page.get_by_label("SQL", exact=True).fill(
        f"SELECT round(avg(fve_nrm), 3) FROM score WHERE source = '{SOURCE}' AND target = '{TARGET}'"
    )
    walk.page.get_by_role("button", name="Run", exact=True).click()
    expect(walk.page.locator("#answer td")).to_have_text(figure.rstrip("0"))


def test_the_csv_of_the_matrix_is_the_table_of_the_report(walk: Tab, tmp_path: Path) -> None:
    walk.page.get_by_role("link", name="Report", exact=True).click()
    walk.page.wait_for_load_state()
    shown = walk.page.locator(".heat.large .value:visible").all_inner_texts()
    walk.page.locator("#figure-matrix summary").click()
    with walk.page.expect_download() as download:
        walk.page.locator("#figure-matrix").get_by_role("link", name="matrix.all.csv").click()
    download.value.save_as(tmp_path / "matrix.csv")
    with (tmp_path / "matrix.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert [signed(float(row["fve_nrm"])) for row in rows] == shown


def test_the_parquet_files_become_the_same_run_again(walk: Tab, runs: tuple[Path, Path], tmp_path: Path) -> None:
    walk.page.get_by_role("link", name="Downloads", exact=True).click()
    with walk.page.expect_download() as download:
        walk.page.get_by_role("link", name="pocket-parquet.zip").click()
    download.value.save_as(tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        bundle.extractall(tmp_path)
    invoke("import", tmp_path / "pocket-parquet", "--db", tmp_path / "again.duckdb")
    with DuckDBReader.open(tmp_path / "again.duckdb") as again, DuckDBReader.open(runs[0]) as first:
        for query in ("matrix", "item_details"):
            asked = {"subset": "all"} if query == "matrix" else {"first": 0, "last": N_ITEMS}
            # Means are sums of rows in another order: alike to the last digits only.
            assert_frame_equal(again.frame(query, **asked), first.frame(query, **asked), abs_tol=1e-12)


def test_the_comparison_subtracts_item_by_item(
    walk: Tab, address: str, runs: tuple[Path, Path], scores: dict[int, float | None]
) -> None:
    later = cell_scores(runs[1])
    moves = {
        item_id: later[item_id] - fve
        for item_id, fve in scores.items()
        if fve is not None and later[item_id] is not None
    }
    walk.page.goto(f"{address}comparison/index.html")
    cell = walk.page.locator(f"#cell-{SOURCE}--{TARGET}")
    assert cell.locator(".value").inner_text() == plus(mean(moves.values()))
    cell.get_by_role("link").click()
    assert str(len(moves)) in walk.page.locator(f"#row-{SOURCE}--{TARGET}").inner_text()
    with walk.page.expect_download() as download:
        walk.page.locator("#downloads").get_by_role("link", name="cells.csv").click()
    cells = pl.read_csv(download.value.path())
    assert cells.filter(source=SOURCE, target=TARGET)["n_items"].item() == len(moves)


def test_the_whole_walk_asked_no_other_host_and_met_no_complaint(walk: Tab, address: str) -> None:
    assert len(walk.requests) > 30
    assert walk.asked_elsewhere(address) == []
    assert walk.complaints == []


def test_report_browser_and_items_open_from_disk(browser: Browser, host: Path, scores: dict[int, float | None]) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = Tab.of(context)
    tab.page.goto((host / "report/index.html").as_uri())
    tab.page.locator(f"#cell-{SOURCE}--{TARGET} a").first.click()
    view = View.of(tab.page)
    assert view.n_found == f"{N_ITEMS} items"
    tab.page.get_by_label("Search", exact=True).fill(PHRASE)
    expect(tab.page.locator(".chosen mark.hit").first).to_have_text(PHRASE)
    tab.page.get_by_role("link", name="Open item page").click()
    expect(tab.page.locator("h1")).to_have_text(re.compile(r"^Item \d+$"))
    tab.page.get_by_role("link", name="All items").first.click()
    assert tab.page.locator("table.list tbody tr").count() >= 100
    for name in ("console", "downloads"):
        tab.page.goto((host / f"report/{name}.html").as_uri())
    tab.page.goto((host / "comparison/index.html").as_uri())
    assert tab.asked_elsewhere("file:") == []
    assert tab.complaints == []
    context.close()


@pytest.mark.parametrize("place", ["served", "from disk"])
def test_without_script_everything_is_reached_by_links_alone(
    place: str, browser: Browser, host: Path, address: str
) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{address}report/index.html" if place == "served" else (host / "report/index.html").as_uri())
    value = figure_on_heatmap(page)
    page.get_by_label("without outliers", exact=True).check()
    assert figure_on_heatmap(page) != value
    card = page.locator(".card").first
    assert card.locator(".explanation").count() == 4
    card.get_by_role("link", name=re.compile(r"^item \d+$")).click()
    number = int(page.locator("h1").inner_text().removeprefix("Item "))
    assert page.locator(".entry .explanation").count() == 4
    page.get_by_role("link", name=re.compile("^(← )?Item")).first.click()
    assert page.locator("h1").inner_text() in (f"Item {number - 1}", f"Item {number + 1}")
    page.get_by_role("link", name="All items").first.click()
    assert page.locator("h1").inner_text() == "All items"
    page.get_by_role("link", name="Report", exact=True).click()
    page.locator(f"#cell-{SOURCE}--{TARGET} a").first.click()
    page.get_by_role("link", name="all items as static pages").click()
    reached = static_items(page)
    assert sorted(reached) == list(range(N_ITEMS))
    context.close()


def static_items(page: Page) -> list[int]:
    """The items of every part of the static list, turned to by its own links."""
    found: list[int] = []
    while True:
        found += [int(text) for text in page.locator("table.list tbody th a").all_inner_texts()]
        following = page.get_by_role("link", name=re.compile("→$"))
        if not following.count():
            return found
        following.first.click()
