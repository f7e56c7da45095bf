"""What a reader can take away: the answer of every query behind the report as CSV, and the whole run in three formats.

Enters origins and the files that the store wrote; leaves CSV files and the page that lists every download.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from nlareport.ports import PublicCopy, RunReader
from nlareport.render.answers import Origin
from nlareport.render.reference import take_apart
from nlareport.render.report_folder import ReportFolder
from nlareport.render.tables import flat

BUNDLE_KINDS = {"parquet": "Parquet", "csv": "CSV"}
OTHER_KINDS = {
    ".svg": "Drawing as SVG",
    ".png": "Drawing as PNG",
    ".parquet": "Table as Parquet",
    ".csv": "Table as CSV",
}


@dataclass(frozen=True, slots=True)
class Download:
    """One file a reader can take away."""

    href: str
    what: str
    n_bytes: int
    sha256: str

    @property
    def words(self) -> list[str]:
        """Its name below the downloads, apart wherever a narrow page may break it."""
        return re.split(r"(?<=[/_])", self.href.removeprefix("downloads/"))


def query_csv_name(origin: Origin) -> str:
    """Where the answer behind an origin stands as CSV, from the report's root: `downloads/queries/matrix.all.csv`."""
    values = [str(value) for _, value in sorted(origin.parameters.items())]
    stem = ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in [origin.query, *values])
    return f"downloads/queries/{stem}.csv"


def origins_in(context: object) -> list[Origin]:
    """Every origin that a page's context holds, however deep, each once, in order of its file's name."""
    found = {query_csv_name(origin): origin for origin in _origins(context)}
    return [origin for _, origin in sorted(found.items())]


def add_query_answers(folder: ReportFolder, reader: RunReader, origins: list[Origin]) -> None:
    """Writes the answer behind each origin as CSV: NULL an empty field, a list as JSON."""
    for origin in origins:
        answer = reader.frame(origin.query, **origin.parameters)
        folder.file(query_csv_name(origin), flat(answer).write_csv(line_terminator="\n"))


def add_downloads(folder: ReportFolder, reader: RunReader, copy: PublicCopy | None) -> Path:
    """The page that lists everything that stands under ``downloads`` by now."""
    whole = _whole_run(copy)
    for path in whole:
        folder.keep(path)
    others = [path for path in folder.files("downloads") if path not in whole]
    queries = [path for path in others if path.parent.name == "queries"]
    return folder.page(
        "downloads.html",
        "report/downloads.html",
        title=f"Downloads: {folder.run.title}",
        whole=[_download(folder, path, what) for path, what in whole.items()],
        left_out=copy.left_out if copy else {},
        answers=[_download(folder, path, _purpose(reader, path)) for path in queries],
        others=[
            _download(folder, path, OTHER_KINDS.get(path.suffix, "File")) for path in others if path not in queries
        ],
    )


def _origins(value: object) -> Iterator[Origin]:
    if isinstance(value, Origin):
        yield value
    elif isinstance(value, dict):
        yield from _origins(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _origins(part)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _origins(getattr(value, part.name))


def _whole_run(copy: PublicCopy | None) -> dict[Path, str]:
    if copy is None:
        return {}
    found = {copy.run_file: "The run file: every table in one DuckDB database"} if copy.run_file else {}
    return found | {
        path: f"Every table as {BUNDLE_KINDS[path.stem.rpartition('-')[2]]}, with run.yaml: a bundle"
        for path in copy.bundles
    }


def _purpose(reader: RunReader, path: Path) -> str:
    """What the answer of a query is: the first sentence of the query's head."""
    name = path.name.partition(".")[0]
    return re.split(r"(?<=\.) ", take_apart(name, reader.sql(name)).purpose, maxsplit=1)[0]


def _download(folder: ReportFolder, path: Path, what: str) -> Download:
    content = path.read_bytes()
    href = path.relative_to(folder.root).as_posix()
    return Download(href, what, len(content), hashlib.sha256(content).hexdigest())
