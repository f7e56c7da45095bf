"""The hub, as it hands checkpoints over and as it does not: a server on this machine for each test."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from support.local_hub import COMMIT, Hub, open_hub
from support.shipped_pairs import as_adapters
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.fingerprints import checkpoint_here
from nlareport.backends.hub import checkpoint_directory
from nlareport.errors import CheckpointMissing
from nlareport.models.hub_names import commit_of
from nlareport.rows.run_rows import CheckpointRole

WRITING: tuple[CheckpointRole, ...] = ("base_model", "verbalizer")


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


def test_a_name_may_say_the_revision_and_the_folder_inside_the_repository(hub: Hub, tmp_path: Path) -> None:
    hub.files = {f"kl0.01/iter_200/{name}": content for name, content in hub.files.items()} | {"README.md": b"first"}
    for name, folder in (
        ("lab/first@main:kl0.01/iter_200", "kl0.01/iter_200"),
        ("lab/first:kl0.01/iter_200/", "kl0.01/iter_200"),
        (f"lab/first@{COMMIT}:kl0.01", "kl0.01"),
    ):
        directory = checkpoint_directory(name)
        assert directory.parts[-len(folder.split("/")) :] == tuple(folder.split("/"))
        assert commit_of(directory) == COMMIT
        assert checkpoint_here(name) == directory
    assert (checkpoint_directory("lab/first@main:kl0.01/iter_200") / "model.safetensors").is_file()
    assert "/resolve/main/" not in " ".join(hub.asked)
    hub.asked.clear()
    with pytest.raises(
        CheckpointMissing, match=r"lab/first: has no folder iter_7 with a checkpoint in it. Correct what"
    ):
        checkpoint_directory("lab/first:iter_7")
    with pytest.raises(
        CheckpointMissing, match=r"the repository has no such revision. Name a branch, a tag or a commit"
    ):
        checkpoint_directory("lab/first@no-such-revision")
    assert checkpoint_here("lab/second@main:x") is None
    assert commit_of(tmp_path) is None


@pytest.mark.parametrize("name", ["first@main:step_2", "lab/first@v1", "lab/first:av"])
def test_a_folder_that_is_called_like_a_revision_is_the_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    assert checkpoint_directory(name) == Path(name)
    assert checkpoint_here(name) == Path(name)


@pytest.mark.parametrize("name", ["lab/first:../other", "lab/first:/etc", "lab/first@", "lab/first:", "lab:first", "x"])
def test_what_is_no_name_of_the_hub_is_refused(name: str) -> None:
    with pytest.raises(
        CheckpointMissing, match=r"is neither a directory nor a hub id \(owner/name, owner/name@revision"
    ):
        checkpoint_directory(name)


def test_an_adapter_in_a_folder_of_the_hub_is_opened_with_its_base_model_from_there(
    hub: Hub, tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    pair = as_adapters(copied_pair(tiny_pairs["qwen2"], tmp_path))
    adapter = json.loads((pair.verbalizer / "adapter_config.json").read_text())
    (pair.verbalizer / "adapter_config.json").write_text(json.dumps(adapter | {"base_model_name_or_path": "lab/first"}))
    hub.files |= {f"steps/av/{path.name}": path.read_bytes() for path in pair.verbalizer.iterdir()}
    spec = pair.pair_spec.model_copy(
        update={"base_model": "lab/first@main", "verbalizer": "lab/first:steps/av", "reconstructor": None}
    )
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32", max_new_tokens=2, roles=WRITING))
    engine.check(spec)
    assert not any("/resolve/" in asked and ".safetensors " in asked for asked in hub.asked)
    assert "weights" not in engine.fingerprints(spec, "verbalizer")
    with engine.verbalizer(spec) as verbalizer:
        assert verbalizer.verbalize(np.ones((1, D_MODEL), np.float32))[0].n_tokens
    assert any("/resolve/" in asked and ".safetensors " in asked for asked in hub.asked)
    assert set(engine.fingerprints(spec, "verbalizer")) >= {"weights", "config", "tokenizer", "sidecar", "prompt"}
    told = {choice.topic: choice.text for choice in engine.choices(spec) if choice.role == "verbalizer"}
    assert (
        told["adapter"] == "It is a LoRA adapter (rank 2), merged into the weights of lab/first@main when it is opened."
    )
    assert told["commit"] == f"From the hub, commit {COMMIT}."
