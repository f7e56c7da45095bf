"""The site's stylesheet: the report's own inks, fonts and heat scale laid over the theme's standard variables.

Takes nothing but the templates; returns CSS. The reader's system chooses the scheme until the reader does.
"""

import re

from jinja2 import Environment
from markupsafe import Markup

from nlareport.render.charts.colours import DARK, LIGHT, heat_rules
from nlareport.render.template_environment import template_environment

ANY = "[data-md-color-scheme]"
CHOSEN_DARK = '[data-md-color-scheme="slate"]'
# The theme's script marks a page with the medium it chose. Before that, and where no script runs, the system decides.
UNCHOSEN = ":not([data-md-color-media])[data-md-color-scheme]"


def site_stylesheet() -> str:
    """The rules of every page that is not a report."""
    environment = template_environment()
    light, dark = report_inks(environment)
    return environment.get_template("site/site.css").render(
        light=_scheme(ANY, light, heat_rules(LIGHT)),
        chosen_dark=_scheme(CHOSEN_DARK, dark, heat_rules(DARK, f"{CHOSEN_DARK} ")),
        unchosen_dark=_scheme(UNCHOSEN, dark, heat_rules(DARK, f"{UNCHOSEN} ")),
    )


def report_inks(environment: Environment) -> list[dict[str, str]]:
    """The variables of the report's stylesheet by name: the light theme's, then those the dark one changes."""
    source, _, _ = environment.loader.get_source(environment, "report/report.css")  # type: ignore[union-attr]
    blocks = re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    return [dict(re.findall(r"(--[\w-]+): ([^;]+);", block)) for block in blocks[:2]]


def _scheme(selector: str, inks: dict[str, str], heat: str) -> Markup:
    """One scheme: what its variables hold, and its heat scale."""
    declarations = "".join(f"  {name}: {value};\n" for name, value in inks.items())
    return Markup(f"{selector} {{\n{declarations}}}\n{heat}")
