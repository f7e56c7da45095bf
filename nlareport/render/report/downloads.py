"""Writes the downloads of a report: every query's answer as CSV, and the page that lists them with the run's files.

Takes origins and the files that the store wrote.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from nlareport.ports import PublicCopy, RunReader
from nlareport.query_heads import query_head
from nlareport.render.origins import Origin
from nlareport.render.report_folder import ReportFolder
from nlareport.render.text_tables import flat, guarded

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


def origins_in(context: object) -> list[Origin]:
    """Every origin that a page's context holds, however deep, each once, in order of its file's name."""
    found = {origin.csv_name: origin for origin in _origins(context)}
    return [origin for _, origin in sorted(found.items())]


def add_query_answers(folder: ReportFolder, reader: RunReader, origins: list[Origin]) -> dict[Path, Origin]:
    """Writes the answer behind each origin as CSV, NULL an empty field, a list as JSON; says which file is whose."""
    written = {}
    for origin in origins:
        answer = guarded(flat(reader.frame(origin.query, **origin.parameters)))
        path = folder.file(f"downloads/queries/{origin.csv_name}", answer.write_csv(line_terminator="\n"))
        written[path] = origin
    return written


def add_downloads(folder: ReportFolder, answers: dict[Path, Origin], copy: PublicCopy | None) -> Path:
    """The page that lists everything that stands under ``downloads`` by now, the `answers` among it."""
    whole = _whole_run(copy)
    others = [path for path in folder.files("downloads") if path not in whole and path not in answers]
    return folder.page(
        "downloads.html",
        "report/downloads.html",
        title=f"Downloads: {folder.run.title}",
        whole=[_download(folder, path, what) for path, what in whole.items()],
        left_out=copy.left_out if copy else {},
        answers=[
            _download(folder, path, query_head(origin.query, origin.sql).first_sentence)
            for path, origin in answers.items()
        ],
        others=[_download(folder, path, OTHER_KINDS.get(path.suffix, "File")) for path in others],
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


def _download(folder: ReportFolder, path: Path, what: str) -> Download:
    content = path.read_bytes()
    return Download(folder.href(path), what, len(content), hashlib.sha256(content).hexdigest())
