"""Templates that fail on an unknown name, escape every value, and show no text as it should not be shown."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from nlareport.render import figure_text
from nlareport.render.links import cell_id
from nlareport.render.readable import isolated, readable
from nlareport.render.template_folder import templates_folder


def template_environment(folder: Path | None = None) -> Environment:
    """Templates that fail on an unknown name, escape every value and make every text readable.

    What a template prints stands within a line, unless the filter `block` says that it stands alone.
    """
    environment = Environment(
        loader=FileSystemLoader(folder or templates_folder()),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_within_a_line,
        # Templates do not change while pages are written; looking would cost a file access per page and part.
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(figure_text.FILTERS)
    environment.filters["block"] = _alone
    environment.globals.update(
        interval=figure_text.interval, percents=figure_text.percents, signeds=figure_text.signeds
    )
    environment.globals["cell_id"] = cell_id
    return environment


def _within_a_line(value: Any) -> Any:
    """What is printed for a value; markup and numbers are left alone."""
    return isolated(value) if type(value) is str else value


def _alone(text: str) -> Markup:
    """The text for a block of its own, which takes its direction from it."""
    return escape(readable(text))
