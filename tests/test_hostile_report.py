"""Every kind of page of a run full of hostile texts, in a real browser: nothing runs, nothing leaves its place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect
from support.hostile_runs import HARM, MEGABYTE, N_ITEMS, write_hostile_run
from support.sites import serve_folder

from nlareport.cli import cli
from nlareport.files.written_folders import WrittenFolder
from nlareport.render.content_security import with_policy
from nlareport.render.site.home import Link, read_card, series_index
from nlareport.store.reader import DuckDBReader

WIDTHS = (360, 390, 1440)
PAGES = (
    "report/index.html",
    "report/browse.html",
    "report/console.html",
    "report/downloads.html",
    "report/items/index.html",
    *(f"report/items/{number}.html" for number in range(N_ITEMS)),
    "diff/index.html",
    "home.html",
)
TRY_ALL = """() => {
    document.querySelectorAll("details").forEach(part => { part.open = true });
    for (const element of document.querySelectorAll("body *")) {
        for (const name of ["pointerover", "mouseover", "mouseenter", "focusin", "keydown"]) {
            element.dispatchEvent(new Event(name, { bubbles: true }));
        }
        element.focus?.();
        if (!element.closest("a, button, input, label, summary, select")) element.click?.();
    }
}"""
"""A pointer over every element, the focus on it, and a click where that leads nowhere."""
FOREIGN = """() => [...document.querySelectorAll("[href], [src]")]
    .map(element => (element.href?.baseVal ?? element.href ?? element.src))
    .filter(address => !/^(http:\\/\\/127\\.0\\.0\\.1|file:|data:,$)/.test(address))"""
LIMIT_KB = 700


@dataclass
class Watched:
    """A page, and everything that must not be seen there."""

    page: Page
    noise: list[str] = field(default_factory=list)

    def harmless(self) -> bool:
        """Whether nothing ran, was refused or asked elsewhere so far."""
        assert self.noise == []
        assert self.page.evaluate("document.documentElement.dataset.harmed") is None
        assert self.page.evaluate(FOREIGN) == []
        assert not set(self.page.evaluate("[...document.querySelectorAll('iframe, svg[onload], object, base')]"))
        return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report, a comparison and a home page's index of hostile runs."""
    root = tmp_path_factory.mktemp("hostile")
    first, second = write_hostile_run(root / "a.duckdb"), write_hostile_run(root / "b.duckdb", seed=8)
    for command in (["render", first, "--out", root / "report"], ["diff", first, second, "--out", root / "diff"]):
        done = CliRunner().invoke(cli, [str(word) for word in command], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    with DuckDBReader.open(first) as reader:
        report = WrittenFolder(root / "report", root / "report")
        index = series_index([read_card(reader, report, "report")], [Link(MEGABYTE, "diff/index.html")])
    head = '<head><meta charset="utf-8"><link rel="icon" href="data:,"></head>'
    page = f"<!doctype html>\n<html>{head}\n<body>{index}</body></html>"
    (root / "home.html").write_text(with_policy(page), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def watched(folder: Path, browser: Browser) -> Iterator[Watched]:
    with serve_folder(folder) as address:
        context = browser.new_context(base_url=address)
        watched = Watched(context.new_page())
        page = watched.page
        page.on("console", lambda message: watched.noise.append(f"{message.text} {message.location}"))
        page.on("pageerror", lambda error: watched.noise.append(str(error)))
        page.on("dialog", lambda dialog: watched.noise.append(dialog.message))
        own = (address, "blob:", "data:,")
        page.on("request", lambda asked: None if asked.url.startswith(own) else watched.noise.append(asked.url))
        yield watched
        context.close()


def test_no_text_runs_on_any_page_and_none_widens_it(watched: Watched, folder: Path) -> None:
    page = watched.page
    for name in PAGES:
        assert (folder / name).stat().st_size < 1000 * LIMIT_KB, name
        page.goto(name)
        if name == "report/browse.html":
            expect(page.locator(".chosen .meta")).to_be_visible()
        page.evaluate(TRY_ALL)
        assert watched.harmless(), name
        for width in WIDTHS if name != "home.html" else ():
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)


def test_the_browser_shows_and_searches_every_item(watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("report/browse.html#sort=item&order=low")
    for number in range(N_ITEMS):
        page.keyboard.press("j")
        expect(page.locator(".chosen h2")).to_have_text(f"Item {min(number + 1, N_ITEMS - 1)}")
        expect(page.locator(".chosen .meta")).to_be_visible()
    page.get_by_label("Search in").select_option("explanation")
    page.get_by_label("Search", exact=True).fill("</script><script>")
    expect(page.locator(".chosen mark.hit").first).to_have_text("</script><script>")
    page.get_by_label("Search", exact=True).fill("(1,048,576 characters)")
    expect(page.locator(".chosen mark.hit").first).to_have_text("(1,048,576 characters)")
    for option in page.locator("#score option").all():
        page.get_by_label("Score shown").select_option(option.get_attribute("value"))
    page.evaluate(TRY_ALL)
    assert watched.harmless()


def test_every_cell_has_an_address_of_its_own(watched: Watched) -> None:
    page = watched.page
    page.goto("report/index.html")
    cells = page.locator(".heat.large .stack > a:not(.permalink)")
    hrefs = [cell.get_attribute("href") or "" for cell in cells.all()]
    anchors = page.eval_on_selector_all(".heat.large td", "cells => cells.map(cell => cell.id)")
    assert len(set(hrefs)) == len(set(anchors)) == len(hrefs) == 4
    shown = []
    for href in hrefs:
        page.goto("about:blank")
        page.goto(f"report/{href}")
        expect(page.locator(".heat td.shown")).to_have_count(1)
        assert page.get_by_label("Score shown").input_value() == unquote(href.partition("cell=")[2])
        shown.append(page.locator(".heat td.shown button").get_attribute("aria-label"))
    assert len(set(shown)) == 4
    for anchor in anchors:
        page.goto(f"report/index.html#{anchor}")
        assert page.locator(".heat.large td:target").get_attribute("id") == anchor


def test_texts_stay_in_their_place_and_say_how_long_they_are(watched: Watched, folder: Path) -> None:
    pages = [(folder / name).read_text(encoding="utf-8") for name in PAGES]
    whole = "\n".join(pages)
    assert "\u202e" not in whole
    assert "\x00" not in whole
    assert "\x1b" not in whole
    assert "\\u202eright to left\\u2066 and never back, \\x00nul, \\x1b]8;;" in whole
    assert "\u0308" * 6 + "(300 accents)" in whole
    assert "\u0308" * 7 not in whole
    assert "(800 unseen characters)unseen" in whole
    assert "(1,048,576 characters)" in whole
    assert str(7 * 191) not in re.sub(r"[0-9a-f]{64}", "", whole)
    assert MEGABYTE[:600] not in whole
    page = watched.page
    page.goto("report/index.html")
    # Nothing a text paints lies outside the box it stands in.
    spilt = page.evaluate(
        """() => [...document.querySelectorAll(".context p, .explanation p")]
            .filter(box => getComputedStyle(box).overflowY !== "clip").length"""
    )
    assert spilt == 0


def test_the_whole_text_is_there_for_those_who_take_it_away_and_no_formula_for_a_spreadsheet(folder: Path) -> None:
    queries = folder / "report/downloads/queries"
    pairs = pl.read_csv(queries / "pair_table.csv")
    assert not [text for text in pairs["label"] if text.startswith(("=", "+4"))]
    explanation = next(iter(queries.glob("sample_explanations.*.csv")))
    cells = [text for row in pl.read_csv(explanation).rows() for text in row if isinstance(text, str)]
    assert not [text for text in cells if text.startswith(("=", "+4", "@"))]
    sizes = [path.stat().st_size for path in (folder / "report/data").glob("texts-*.js")]
    assert max(sizes) < 1000 * LIMIT_KB
    assert HARM in explanation.parent.joinpath("pair_table.csv").read_text(encoding="utf-8")
