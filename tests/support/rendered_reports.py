"""Reports of the run files in `render_runs`, and the browser they are looked at in."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright

from nlareport.files.written_folders import Terms, written_folder
from nlareport.render.report.page import render_report
from nlareport.store.published.published_run import import_published
from nlareport.store.reader import DuckDBReader
from support.render_runs import PUBLISHED, write_computed_run

CHROMIUM = "/usr/bin/chromium"
RUNS = ("published", "computed")


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without a line per request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def write_report(db: Path, out: Path) -> Path:
    """The report page of a run file, written into `out`."""
    with DuckDBReader.open(db) as reader, written_folder(out, Terms("report")) as place:
        return render_report(reader, place)


def write_reports(root: Path) -> dict[str, Path]:
    """The report pages of the published 4×4 run and of the computed 2×2 run."""
    import_published(PUBLISHED, root / "published.duckdb")
    write_computed_run(root / "computed.duckdb")
    return {name: write_report(root / f"{name}.duckdb", root / name) for name in RUNS}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, served on this machine as a host of static pages would; it ends with a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


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
