"""Hooks that mkdocs calls while it builds: the series index, the stylesheet, the changelog, a policy on every page.

The reports are already on disk by then; `render.site` hands the index over in the configuration.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from nlareport.render.content_security import with_policy
from nlareport.render.site.site_style import site_stylesheet

MARKER = "<!-- runs -->"
WIDE = '<div class="wide" role="group" aria-label="Table" tabindex="0"><table class="columns">'
"""Round every table, which may be wider than a phone: a keyboard can then reach and scroll it."""
CODE = ("<pre><span></span><code>", '<pre><span></span><code tabindex="0">')
"""Code too is scrolled on phones; the theme sees to it only where its script runs."""
SEARCH_DIALOG = 'data-md-component="search" role="dialog"'
STYLESHEET = "assets/site.css"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The pages' files, with the stylesheet and the project's changelog among them."""
    files.append(File.generated(config, STYLESHEET, content=site_stylesheet()))
    changelog = Path(config.config_file_path).parent / "CHANGELOG.md"
    if changelog.exists():
        files.append(File.generated(config, "changelog.md", abs_src_path=str(changelog)))
    return files


def on_page_content(html: str, *, config: MkDocsConfig, **_: object) -> str:
    """The page with its tables and code within reach of the keyboard, and the series index where it marks its place."""
    html = html.replace("<table>", WIDE).replace("</table>", "</table></div>").replace(*CODE)
    # Only now: Markdown must not read a run's title, and the index has its own tables.
    return html.replace(MARKER, config.extra.get("series_index", ""))


def on_post_page(output: str, **_: object) -> str:
    """The page with its Content-Security-Policy and a name for the theme's search dialog, which has none."""
    return with_policy(output.replace(SEARCH_DIALOG, f'{SEARCH_DIALOG} aria-label="Search"', 1))


def on_post_template(output_content: str, *, template_name: str, **_: object) -> str:
    """The theme's own pages, such as 404.html, with theirs."""
    return on_post_page(output_content) if template_name.endswith(".html") else output_content
