"""Writes the files of one report: pages with what they have in common, scripts, styles and assets.

Takes page names, templates and values. Pages link to each other relatively, carry a strict
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

from nlareport.files.written_folders import WrittenFolder
from nlareport.render.charts.colours import heat_css
from nlareport.render.content_security import REPORT_POLICY
from nlareport.render.report.query_rows import RunHead
from nlareport.render.template_environment import template_environment

SECTIONS = (
    ("index.html", "Report"),
    ("browse.html", "Sample browser"),
    ("console.html", "Query the data"),
    ("downloads.html", "Downloads"),
)
"""The pages a reader can turn to from every page of a report."""


@dataclass(frozen=True, slots=True)
class SitePlace:
    """What a report knows of the site it belongs to."""

    home: str
    """The site's home page, seen from the report's root."""
    shared: WrittenFolder
    """Where the site's reports keep what is large and alike in all of them."""


@dataclass(slots=True)
class ReportFolder:
    """One report being written."""

    place: WrittenFolder
    run: RunHead
    sections: Sequence[tuple[str, str]] = SECTIONS
    """The pages a reader can turn to from each of them."""
    site: SitePlace | None = None
    """None for a report that stands alone."""
    environment: Environment = field(default_factory=template_environment)
    _stylesheet: str = field(init=False)

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
        policy: str = REPORT_POLICY,
        **values: Any,
    ) -> Path:
        """Where the page will stand that was made for `name`, which may be some folders down.

        `scripts` are what `asset` returned.
        """
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
        self.file(name, html)
        return self.place.root / name

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
        named = _named_by_content(name, content)
        self.site.shared.file(named).write_bytes(content)
        return Path(os.path.relpath(self.site.shared.root / named, self.place.root)).as_posix()

    def script(self, template: str) -> str:
        """Where the script that stands among the templates was put."""
        source, _, _ = self.environment.loader.get_source(self.environment, template)  # type: ignore[union-attr]
        return self.asset(Path(template).name, source)

    def file(self, name: str, content: str | bytes) -> Path:
        """The file made, to stand at `name` under the root."""
        path = self.place.file(name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def files(self, folder: str) -> list[Path]:
        """What was made so far under a subfolder, in order of name."""
        return [self.place.staged / folder / name for name in self.place.below(folder).names()]

    def href(self, path: Path) -> str:
        """The address, from the report's root, of a file made for it."""
        return path.relative_to(self.place.staged).as_posix()


def _named_by_content(name: str, content: bytes) -> str:
    digest = base64.b32encode(hashlib.sha256(content).digest())[:10].decode().lower()
    stem, _, ending = name.partition(".")
    return f"{stem}.{digest}.{ending}"


def _is_report_style(template: str) -> bool:
    return template.startswith("report/") and template.endswith(".css")
