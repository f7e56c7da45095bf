"""Starts the browser of the tests and opens pages in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from support.browser_search import find_browser, this_machine


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    found = find_browser(this_machine())
    assert found is not None, "no browser for the tests; tests/support/browser_search.py installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, path: Path, **options: object) -> Iterator[Page]:
    """A page opened from disk in a context of its own; `options` are those of a browser context."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(path.as_uri())
    yield page
    context.close()
