"""Jinja templates that fail on an unknown name, escape every value, and show no text as it should not be shown.

The templates are inside an installed package, or at the top of a checkout.
"""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

import nlareport
from nlareport import figure_text
from nlareport.render.charts.colours import heat_step, shift_class
from nlareport.render.links import cell_id, pair_name
from nlareport.render.marked_words import underlined
from nlareport.render.readable import isolated, readable


def templates_folder() -> Path:
    """The folder that holds ``report/``: the wheel's own first, then the checkout's.

    Raises:
        FileNotFoundError: neither is there, so the installation is broken.
    """
    package = Path(nlareport.__file__).parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "report").is_dir():
            return folder
    raise FileNotFoundError(f"no templates in or next to {package}; install nlareport again")


def template_environment(folder: Path | None = None) -> Environment:
    """Templates that fail on an unknown name, escape every value and make every text readable.

    What a template prints is text within a line, unless the filter `block` says that it is a block of its own.
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
    environment.filters.update(figure_text.FIGURE_WORDS)
    environment.filters.update(block=_as_block, heat_step=heat_step, shift_class=shift_class, underlined=underlined)
    environment.globals.update(interval=figure_text.interval, cell_id=cell_id, pair_name=pair_name)
    return environment


def _within_a_line(value: Any) -> Any:
    """What is printed for a value; markup and numbers are left alone."""
    return isolated(value) if type(value) is str else value


def _as_block(text: str) -> Markup:
    """The text for a block of its own, which takes its direction from it."""
    return escape(readable(text))
