"""Digests of large files are taken once, and anew when the file is another."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nlareport.checkpoints.sidecar import checkpoint_sha256
from nlareport.errors import CheckpointChanged
from nlareport.files.user_cache import KEPT_FROM_BYTES, cache_folder, file_sha256, unread_bytes


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file large enough to be remembered, written a minute ago, and a cache of one's own."""
    monkeypatch.setenv("NLAREPORT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "pair" / "model.safetensors"
    path.parent.mkdir()
    write(path, b"w" * KEPT_FROM_BYTES)
    return path


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    a_minute_ago = path.stat().st_mtime - 60
    os.utime(path, (a_minute_ago, a_minute_ago))


def n_read(path: Path) -> int:
    read: list[int] = []
    assert file_sha256(path, read.append) == hashlib.sha256(path.read_bytes()).hexdigest()
    return sum(read)


def test_a_large_file_is_read_once(weights: Path) -> None:
    assert unread_bytes([weights]) == KEPT_FROM_BYTES
    assert n_read(weights) == KEPT_FROM_BYTES
    assert n_read(weights) == 0
    assert unread_bytes([weights]) == 0


def other_bytes(path: Path) -> None:
    write(path, b"v" * KEPT_FROM_BYTES)


def other_bytes_at_the_same_time(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"v" * KEPT_FROM_BYTES)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def another_file_in_its_place(path: Path) -> None:
    other = path.with_name("other")
    write(other, b"v" * KEPT_FROM_BYTES)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize("change", [other_bytes, other_bytes_at_the_same_time, another_file_in_its_place])
def test_a_file_that_changed_is_read_again(change: Callable[[Path], None], weights: Path) -> None:
    n_read(weights)
    change(weights)
    assert n_read(weights) == KEPT_FROM_BYTES


def test_a_file_just_written_is_not_remembered(weights: Path) -> None:
    weights.write_bytes(b"x" * KEPT_FROM_BYTES)
    assert n_read(weights) == n_read(weights) == KEPT_FROM_BYTES


@pytest.mark.parametrize("said", [b"", b"{", b"[1]", b'{"a": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_cache_costs_no_more_than_reading_again(said: bytes, weights: Path) -> None:
    n_read(weights)
    (cache_folder() / "digests.json").write_bytes(said)
    assert n_read(weights) == KEPT_FROM_BYTES
    assert n_read(weights) == 0


def test_a_cache_that_cannot_be_written_is_done_without(weights: Path) -> None:
    cache_folder().write_text("a file where the folder should be")
    assert n_read(weights) == n_read(weights) == KEPT_FROM_BYTES


def test_files_that_are_gone_are_forgotten(weights: Path) -> None:
    n_read(weights)
    moved = weights.rename(weights.with_name("moved.safetensors"))
    n_read(moved)
    assert "model.safetensors" not in (cache_folder() / "digests.json").read_text()


def test_a_file_that_is_written_to_while_it_is_read_is_refused(weights: Path) -> None:
    def grow(_n_bytes: int) -> None:
        with weights.open("ab") as file:
            file.write(b"more")

    with pytest.raises(CheckpointChanged, match=r"model\.safetensors: was changed while it was being read; wait until"):
        checkpoint_sha256(weights.parent, grow)
