"""Builds the whole site: mkdocs over the written pages, with every report among them as plain files.

Takes the reports in the docs folder and their cards. Strict: a broken link fails the build.
"""

from collections.abc import Sequence
from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort, ConfigurationError

from nlareport.errors import SiteBroken
from nlareport.files.written_folders import Terms, written_folder
from nlareport.render.site.home import Link, RunCard, series_index

REPORTS = "reports"
"""Folder of the docs folder that holds a folder per report; what others put there stays."""

HOME = "index.html"


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


def build_site(config: MkDocsConfig, cards: Sequence[RunCard], comparisons: Sequence[Link]) -> Path:
    """The home page of the built site.

    Raises:
        SiteBroken: mkdocs found a broken link or another fault; it said which on stderr.
        FolderOfOthers: a file of others stands where a page belongs.
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    config.extra["series_index"] = series_index(cards, comparisons)
    # mkdocs empties the folder it builds into, so that is one of our own.
    with written_folder(Path(config.site_dir), Terms("site", "another site_dir", is_shared=True)) as place:
        config.site_dir = str(place.staged)
        try:
            build(config)
        except Abort as error:
            raise SiteBroken(f"The site was not built: {error}. Mend what mkdocs names above and run again.") from error
    return place.root / HOME
