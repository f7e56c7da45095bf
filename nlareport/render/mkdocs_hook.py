"""What mkdocs asks while it builds: the series index, the stylesheet, the changelog, a policy on every page.

The reports are already on disk by then; `render.site` hands the index over in the configuration.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from nlareport.render.policy import with_policy
from nlareport.render.site_style import site_stylesheet

MARKER = "<!-- runs -->"
STYLESHEET = "assets/site.css"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The pages' files, with the stylesheet and the project's changelog among them."""
    files.append(File.generated(config, STYLESHEET, content=site_stylesheet()))
    changelog = Path(config.config_file_path).parent / "CHANGELOG.md"
    if changelog.exists():
        files.append(File.generated(config, "changelog.md", abs_src_path=str(changelog)))
    return files


def on_page_content(html: str, *, config: MkDocsConfig, **_: object) -> str:
    """The page with the series index where it marks a place for it: after Markdown, which must not read titles."""
    return html.replace(MARKER, config.extra.get("series_index", ""))


def on_post_page(output: str, **_: object) -> str:
    """The page with its Content-Security-Policy."""
    return with_policy(output)


def on_post_template(output_content: str, *, template_name: str, **_: object) -> str:
    """The theme's own pages, such as 404.html, with theirs."""
    return with_policy(output_content) if template_name.endswith(".html") else output_content
