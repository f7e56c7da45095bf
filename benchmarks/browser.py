"""Measures how fast the sample browser is in a real browser, and the time, memory and disk that rendering takes.

python benchmarks/browser.py --items 2000 --items 50000

Targets on an idle machine with 2 cores: filter 50 ms and search 100 ms at 2,000 items, both 250 ms at 50,000; render
10 s at 2,000 items, 240 s and 2 GB at 50,000.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
from playwright.sync_api import Page

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support.browsers import chromium

ENOUGH = "([name, n]) => performance.getEntriesByName(name).length >= n"


@dataclass(frozen=True, slots=True)
class Measured:
    n_items: int
    render_s: float
    render_cpu_s: float
    peak_gb: float
    site_mb: float
    open_s: float
    filter_ms: list[float]
    texts_s: float
    search_ms: list[float]
    regex_ms: list[float]


@click.command()
@click.option("--items", "sizes", multiple=True, type=int, default=[2_000, 50_000], show_default=True)
def main(sizes: tuple[int, ...]) -> None:
    lines = ["items | render s | its CPU s | peak GB | site MB | open s | filter ms | texts s | search ms | regex ms"]
    for n_items in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(n_items, Path(folder))
        lines.append(
            f"{found.n_items} | {found.render_s:.1f} | {found.render_cpu_s:.1f} | {found.peak_gb:.2f} | "
            f"{found.site_mb:.0f} | {found.open_s:.2f} | {written(found.filter_ms)} | {found.texts_s:.1f} | "
            f"{written(found.search_ms)} | {written(found.regex_ms)}"
        )
    click.echo("\n".join(lines))


def written(durations_ms: list[float]) -> str:
    """Median and maximum; on a busy machine the maximum mostly measures the other load."""
    return f"{median(durations_ms):.0f} / {max(durations_ms):.0f}"


def measure(n_items: int, folder: Path) -> Measured:
    db, site = folder / "run.duckdb", folder / "site"
    script = Path(__file__).parent / "synthetic_run.py"
    subprocess.run([sys.executable, script, "--items", str(n_items), "--out", db], check=True)
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "nlareport", "render", db, "--out", site])
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise click.ClickException("the report was not rendered")
    render_s = time.perf_counter() - started
    site_mb = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
    with chromium() as browser:
        times = browse(browser.new_page(), site)
    render_cpu_s = usage.ru_utime + usage.ru_stime
    return Measured(n_items, render_s, render_cpu_s, usage.ru_maxrss / 1e6, site_mb, *times)


def browse(page: Page, site: Path) -> tuple[float, list[float], float, list[float], list[float]]:
    """Seconds until the list shows, ms per filter, seconds to load all texts, ms per search and per regex."""
    page.set_default_timeout(180_000)
    started = time.perf_counter()
    page.goto((site / "browse.html").as_uri())
    page.locator(".row").first.wait_for()
    open_s = time.perf_counter() - started
    page.get_by_label("Outliers").select_option("n")
    page.get_by_label("punctuation").uncheck()
    page.get_by_label("Score shown").select_option(index=5)
    page.get_by_label("from", exact=True).fill("0.5")
    page.get_by_label("Answers").select_option("y")
    page.get_by_label("Sort by").select_option(index=1)
    page.wait_for_function(ENOUGH, arg=["filter", 7])
    filter_ms = durations(page, "filter")
    started = time.perf_counter()
    search(page, ["Lisbon"])
    texts_s = time.perf_counter() - started
    search(page, ["migration of sea birds", "the", "no such words anywhere", "quarterly figures of"])
    search_ms = durations(page, "search")
    page.evaluate("performance.clearMeasures('search')")
    page.get_by_label("regular expression").check()
    search(page, [r"Lisbon.*Oslo", r"\b(sea|land) birds\b", r"page \d+"])
    return open_s, filter_ms, texts_s, search_ms, durations(page, "search")


def search(page: Page, queries: list[str]) -> None:
    for query in queries:
        n_before = page.evaluate("performance.getEntriesByName('search').length")
        page.get_by_label("Search", exact=True).fill(query)
        page.wait_for_function(ENOUGH, arg=["search", n_before + 1])


def durations(page: Page, name: str) -> list[float]:
    return list(page.evaluate("name => performance.getEntriesByName(name).map(entry => entry.duration)", name))


if __name__ == "__main__":
    main()
