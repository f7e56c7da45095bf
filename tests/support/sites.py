"""Builds a site with one page of every kind, and serves folders of static pages."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from nlareport.files.written_folders import Terms, written_folder
from support.made_runs import write_computed_run

ROOT = Path(__file__).parents[2]
RUNS = {"18-cross-family": "data/published/18-cross-family.yaml", "pocket": "data/computed.duckdb"}
"""Run ids and what the site's configuration names."""
AGAIN = "data/computed-again.duckdb"
"""No report of its own: the computed run once more, for the comparison."""
THIS_CHECKOUT = {**os.environ, "PYTHONPATH": str(ROOT)}
"""For commands that run elsewhere: they must not find another nlareport that happens to be installed."""
COMPARISON = "reports/comparisons/pocket-vs-pocket/index.html"
BUILD = """\
import sys
from nlareport.cli import cli
cli(["site"], standalone_mode=False)
found = {"torch", "transformers", "safetensors"} & set(sys.modules)
assert not found, found
"""


def build_site_project(root: Path) -> Path:
    """`root` with the site's sources, a second run and a comparison in its configuration, built without torch."""
    shutil.copytree(ROOT / "site/pages", root / "site/pages", ignore=shutil.ignore_patterns("reports", "reference"))
    shutil.copytree(ROOT / "nlareport/render", root / "nlareport/render")
    shutil.copytree(ROOT / "data/published", root / "data/published")
    shutil.copy(ROOT / "CHANGELOG.md", root)
    write_computed_run(root / RUNS["pocket"])
    write_computed_run(root / AGAIN, seed=8)
    (root / "mkdocs.yml").write_text(_config(), encoding="utf-8")
    with written_folder(root / "site/pages/reports", Terms("site")) as former:
        former.file("forgotten/index.html").write_text("<p>a run the site named once</p>")
    command = [sys.executable, "-c", BUILD]
    done = subprocess.run(command, cwd=root, env=THIS_CHECKOUT, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Open {root.resolve() / 'site/public/index.html'}\n"
    return root


def _config() -> str:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    runs = "".join(f"    - {name}\n" for name in RUNS.values())
    config, n_runs = re.subn(r"(?<=  runs:\n)(    - .*\n)+", runs, config)
    comparisons = f"  comparisons: [[{RUNS['pocket']}, {AGAIN}]]\n"
    config, n_comparisons = re.subn(r"  comparisons:.*\n(    .*\n)*", comparisons, config)
    assert (n_runs, n_comparisons) == (1, 1), "mkdocs.yml names runs and comparisons otherwise than this expects"
    return config


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without a line per request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """The address of a folder, served on this machine as a host of static pages would; it ends with a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()
