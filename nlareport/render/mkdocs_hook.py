"""What mkdocs asks while it builds: puts the list of reports where the home page marks its place.

The reports themselves are already on disk by then; this only names them.
"""

from typing import Any

MARKER = "<!-- runs -->"


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """The page's Markdown with the marker replaced by one line per report."""
    lines = [f"- [{report['title']}](reports/{report['run_id']}/index.html)" for report in config.extra["reports"]]
    return markdown.replace(MARKER, "\n".join(lines))
