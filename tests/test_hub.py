"""The hub, as it hands checkpoints over and as it does not: a server on this machine for each test."""

import errno
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from support.local_hub import Hub, open_hub
from support.tiny_checkpoints import Architecture, TinyPair

from nlareport.backends.hub import checkpoint_directory
from nlareport.errors import CheckpointMissing


@pytest.fixture
def hub(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that holds the tiny Qwen base, and an empty cache."""
    constants = huggingface_hub.constants
    with open_hub(tiny_pairs["qwen2"].base) as opened:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, opened.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", opened.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield opened


REFUSALS = {
    "gated": r"it is gated. Accept its licence on its page on the hub",
    "unknown": r"the hub knows no such repository, or hides it",
    "broken": r"it answers with status 500. Run again later",
    "busy": r"too many requests for now",
    "no hub": r"Expecting value: line 1 column 1",
}


def test_every_way_the_hub_refuses_is_one_sentence(hub: Hub) -> None:
    for manner, said in REFUSALS.items():
        hub.manner = manner
        with pytest.raises(CheckpointMissing, match=rf"^lab/first: is no directory here, and .*: {said}") as caught:
            checkpoint_directory("lab/first", with_weights=False)
        assert "\n" not in str(caught.value)


def test_a_download_that_was_cut_goes_on_when_run_again(
    hub: Hub, tiny_pairs: dict[Architecture, TinyPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    hub.manner = "cut"
    with pytest.raises(CheckpointMissing, match=r"closed connection .*run again; what was downloaded is kept"):
        checkpoint_directory("lab/first")
    hub.manner = "sound"
    directory = checkpoint_directory("lab/first")
    released = tiny_pairs["qwen2"].base
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {
        path.name: path.read_bytes() for path in released.iterdir()
    }
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert checkpoint_directory("lab/first") == directory


def test_without_a_network_the_sentence_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointMissing, match=r"Connection refused. Check the network and run again"):
        checkpoint_directory("lab/first")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointMissing, match=r"HF_HUB_OFFLINE is set and it was not downloaded before"):
        checkpoint_directory("lab/first")


def test_a_hub_that_says_nothing_is_not_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlareport.backends.hub.SILENT_SECONDS", 0.3)
    hub.manner = "silent"
    with pytest.raises(CheckpointMissing, match=r"timed out. Check the network and run again"):
        checkpoint_directory("lab/first")


def test_a_full_disk_is_told_as_what_it_is(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nlareport.backends.hub.snapshot_download", full)
    with pytest.raises(
        CheckpointMissing, match=r"cannot be stored \(No space left on device\). Make room, or set HF_HOME"
    ):
        checkpoint_directory("lab/first")
