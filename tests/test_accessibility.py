"""axe-core on every kind of page, in both schemes: nothing serious, nothing critical.

A page joins by a line in `PAGES` and, if it is not yet written there, in `write_reports`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from rendered_reports import RUNS, chromium, opened, write_reports

PAGES = ("index.html",)
"""Of every run, from the report's root."""
GRAVE = {"serious", "critical"}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_reports(tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def grave_violations(browser: Browser, page: Path, **options: object) -> list[str]:
    """What axe finds on the page with every part of it open: one line a place."""
    with opened(browser, page, **options) as shown:
        shown.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
        found = Axe().run(shown).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_serious_violation(
    name: str, run: str, scheme: str, width: int, browser: Browser, reports: dict[str, Path]
) -> None:
    page = reports[run].parent / name
    found = grave_violations(browser, page, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert found == []


def test_axe_would_see_a_grey_that_is_too_faint(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "faint.html").write_text(
        '<!doctype html><html lang="en"><title>Faint</title><main><h1>Faint</h1><p style="color:#bbb">words</p></main>'
    )
    found = grave_violations(browser, tmp_path / "faint.html")
    assert len(found) == 1
    assert found[0].startswith("color-contrast (serious)")
