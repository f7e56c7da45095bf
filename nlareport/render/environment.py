"""Templates that fail on an unknown name and escape every value."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nlareport.render import formats
from nlareport.render.folders import templates_folder


def template_environment(folder: Path | None = None) -> Environment:
    """Templates that fail on an unknown name and escape every value."""
    environment = Environment(
        loader=FileSystemLoader(folder or templates_folder()),
        undefined=StrictUndefined,
        autoescape=True,
        # Templates do not change while pages are written; looking would cost a file access per page and part.
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(formats.FILTERS)
    environment.globals.update(interval=formats.interval, percents=formats.percents, signeds=formats.signeds)
    return environment
