"""Starts the browser of the tests and opens pages in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing; install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, path: Path, **options: object) -> Iterator[Page]:
    """A page opened from disk in a context of its own; `options` are those of a browser context."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(path.as_uri())
    yield page
    context.close()
