"""axe-core on every kind of page, in both schemes: nothing serious, nothing critical.

A page joins by a line in `PAGES` and, if the site does not have it yet, in `support.sites`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from support.browsers import open_page
from support.sites import COMPARISON, serve_folder

PAGES = {
    "": ".run table",
    "methods/": "h2",
    "reproduce/": "h2",
    "reference/commands/": "h2",
    "reference/data-dictionary/": "h2",
    "404.html": "h1",
    "reports/18-cross-family/index.html": ".heat.large",
    "reports/18-cross-family/browse.html#item=1": ".chosen .heat button",
    "reports/pocket/index.html": ".heat.large",
    "reports/pocket/browse.html#cell=smollm2-L20~qwen05-L16&item=3&query=delegations": ".chosen .context mark.hit",
    "reports/pocket/browse.html#outlier=y&stratum=none": ".chosen .absent",
    "reports/pocket/items/3.html": ".entry .context",
    "reports/pocket/items/index.html": "table.list",
    "reports/pocket/console.html": "#load",
    "reports/pocket/downloads.html": "table.files",
    COMPARISON: ".heat",
}
"""From the site's root; with what stands on the page once it is all there."""
OPEN_ALL = """() => {
    document.querySelectorAll("details").forEach(part => { part.open = true });
    // The theme looks anew at what has come into sight, a frame later.
    return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
GRAVE = {"serious", "critical"}


@pytest.fixture(scope="module")
def address(site_project: Path) -> Iterator[str]:
    with serve_folder(site_project / "site/public") as address:
        yield address


def grave_violations(page: Page) -> list[str]:
    """What axe finds on the page with every part of it open: one line a place."""
    page.evaluate(OPEN_ALL)
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_serious_violation(name: str, scheme: str, browser: Browser, address: str) -> None:
    # What is on its way to another colour would be measured on the way.
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(address + name)
    expect(page.locator(PAGES[name]).first).to_be_visible()
    found = {}
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        found[width] = grave_violations(page)
    context.close()
    assert found == {360: [], 1440: []}


def test_axe_would_see_a_grey_that_is_too_faint(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "faint.html").write_text(
        '<!doctype html><html lang="en"><title>Faint</title><main><h1>Faint</h1><p style="color:#bbb">words</p></main>'
    )
    with open_page(browser, tmp_path / "faint.html") as page:
        found = grave_violations(page)
    assert len(found) == 1
    assert found[0].startswith("color-contrast (serious)")
