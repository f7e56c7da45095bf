"""The folder of one report: where its files stand, and what all its pages have in common.

Enters page names, templates and values; leaves files. Pages link to each other relatively, carry a strict
Content-Security-Policy and ask no other host for anything, so that the folder opens by double-click. The same values
give the same bytes.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from nlareport.render.colours import heat_css
from nlareport.render.contexts import RunHead
from nlareport.render.environment import template_environment

OWNED = ("assets", "data", "downloads", "items")
"""Subfolders that hold nothing but a report's files: what a former report left in them is removed."""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
SECTIONS = (
    ("index.html", "Report"),
    ("browse.html", "Sample browser"),
    ("console.html", "Ask it yourself"),
    ("downloads.html", "Downloads"),
)
"""The pages a reader can turn to from every page of a report."""


@dataclass(frozen=True, slots=True)
class SitePlace:
    """What a report knows of the site it belongs to."""

    home: str
    """The site's home page, seen from the report's root."""
    shared: Path
    """Where the site's reports keep what is large and alike in all of them."""


@dataclass(slots=True)
class ReportFolder:
    """One report being written."""

    root: Path
    run: RunHead
    sections: Sequence[tuple[str, str]] = SECTIONS
    """The pages a reader can turn to from each of them."""
    site: SitePlace | None = None
    """None for a report that stands alone."""
    environment: Environment = field(default_factory=template_environment)
    _stylesheet: str = field(init=False)
    _written: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        styles = [
            self.environment.get_template(name).render(heat=Markup(heat_css()))
            for name in self.environment.list_templates(filter_func=_is_report_style)
        ]
        self._stylesheet = self.asset("report.css", "\n".join(filter(str.strip, "\n".join(styles).splitlines())) + "\n")

    def page(
        self,
        name: str,
        template: str,
        *,
        title: str,
        scripts: Sequence[str] = (),
        policy: str = POLICY,
        **values: Any,
    ) -> Path:
        """The page written at `name`, which may stand one or more folders down; `scripts` are what `asset` returned."""
        html = self.environment.get_template(template).render(
            base="../" * name.count("/"),
            home=self.site and self.site.home,
            here=name,
            sections=self.sections,
            title=title,
            policy=policy,
            stylesheet=self._stylesheet,
            scripts=scripts,
            run=self.run,
            **values,
        )
        return self.file(name, html)

    def asset(self, name: str, content: str | bytes, folder: str = "assets") -> str:
        """Where the asset stands from the report's root: its name holds its content's digest, so caches never err."""
        raw = content.encode() if isinstance(content, str) else content
        href = f"{folder}/{_named_by_content(name, raw)}"
        self.file(href, raw)
        return href

    def shared_asset(self, name: str, content: bytes) -> str:
        """Like `asset`, for what the other reports of a site hold too: there it stands once for all of them."""
        if self.site is None:
            return self.asset(name, content)
        path = self.site.shared / _named_by_content(name, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(content)
        return Path(os.path.relpath(path, self.root)).as_posix()

    def script(self, template: str) -> str:
        """Where the script that stands among the templates was put."""
        source, _, _ = self.environment.loader.get_source(self.environment, template)  # type: ignore[union-attr]
        return self.asset(Path(template).name, source)

    def file(self, name: str, content: str | bytes) -> Path:
        """The file written at `name` under the root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self._written.add(path)
        return path

    def keep(self, path: Path) -> None:
        """Say that a file, written by other hands, belongs to this report."""
        self._written.add(path)

    def files(self, folder: str) -> list[Path]:
        """What was written so far under a subfolder, in order of name."""
        return sorted(path for path in self._written if path.is_relative_to(self.root / folder))

    def finish(self) -> None:
        """Remove what a former report left in the folders that hold nothing else."""
        for folder in OWNED:
            for path in sorted((self.root / folder).rglob("*"), reverse=True):
                if path.is_file() and path not in self._written:
                    path.unlink()


def _named_by_content(name: str, content: bytes) -> str:
    digest = base64.b32encode(hashlib.sha256(content).digest())[:10].decode().lower()
    stem, _, ending = name.partition(".")
    return f"{stem}.{digest}.{ending}"


def _is_report_style(template: str) -> bool:
    return template.startswith("report/") and template.endswith(".css")
