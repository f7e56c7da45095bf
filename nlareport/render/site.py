"""The whole site: mkdocs over the written pages, every report among them as plain files.

Enter the reports that lie in the docs folder; leaves the built site. Strict: a broken link fails the build.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort, ConfigurationError

from nlareport.errors import SiteBroken


@dataclass(frozen=True, slots=True)
class SiteReport:
    """One report as the home page names it."""

    run_id: str
    title: str


def read_site_config(config_file: Path) -> MkDocsConfig:
    """The site's configuration, strict.

    Raises:
        SiteBroken: there is no such file, or mkdocs refuses it.
    """
    try:
        return load_config(str(config_file), strict=True)
    except (ConfigurationError, Abort) as error:
        raise SiteBroken(
            f"{config_file}: mkdocs refuses it ({error}). Run from a checkout, or name a config file."
        ) from error


def build_site(config: MkDocsConfig, reports: Sequence[SiteReport]) -> Path:
    """The home page of the built site.

    Raises:
        SiteBroken: mkdocs found a broken link or another fault; it said which on stderr.
    """
    config.extra["reports"] = [asdict(report) for report in reports]
    try:
        build(config)
    except Abort as error:
        raise SiteBroken(f"The site was not built: {error}. Mend what mkdocs names above and run again.") from error
    return Path(config.site_dir) / "index.html"
