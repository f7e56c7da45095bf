"""Checkpoints whose tokenizer lost its BOS, and those that were trained without one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.tiny_checkpoints import Architecture, TinyPair, copied_pair, write_sidecar

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.contract import open_reconstructor_contract, open_verbalizer_contract
from nlareport.backends.fingerprints import file_digests
from nlareport.backends.shipped import whole_checkpoint
from nlareport.checkpoints.sidecar import read_sidecar
from nlareport.errors import CheckpointDrift

SETTINGS = EngineSettings(device="cpu", dtype="float32", batch_size=2, max_new_tokens=8)


@pytest.fixture
def pair(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> TinyPair:
    return copied_pair(tiny_pairs["llama"], tmp_path)


def add_none(directory: Path) -> None:
    """Takes the BOS out of what the tokenizer adds; its name stays."""
    path = directory / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))


def say(directory: Path, **values: Any) -> None:
    write_sidecar(directory, replace(read_sidecar(directory), **values))


def check(pair: TinyPair) -> None:
    load_engine("transformers", SETTINGS).check(pair.pair_spec)


def test_each_checkpoint_whose_tokenizer_lost_its_bos_is_refused_and_the_advice_of_the_refusal_works(
    pair: TinyPair,
) -> None:
    check(pair)
    add_none(pair.base)
    with pytest.raises(
        CheckpointDrift,
        match=r"^Pair tiny-llama: the base model .*/base: its tokenizer names the BOS '<\|begin_of_text\|>' \(id 0\) "
        r".* in the nla_meta.yaml of its verbalizer and of its reconstructor\.$",
    ):
        check(pair)
    add_none(pair.verbalizer)
    with pytest.raises(CheckpointDrift, match=r"^Pair v: the AV: its tokenizer names .* in its nla_meta.yaml\.$"):
        open_verbalizer_contract(pair.verbalizer, "v", 8)
    add_none(pair.reconstructor)
    with pytest.raises(CheckpointDrift, match=r"^Pair r: the AR: its tokenizer names .* in its nla_meta.yaml\.$"):
        open_reconstructor_contract(pair.reconstructor, "r")
    say(pair.verbalizer, adds_bos=False)
    with pytest.raises(CheckpointDrift, match=r"the base model"):
        check(pair)
    say(pair.reconstructor, adds_bos=False, reconstructor_suffix_ids=None)
    check(pair)


def test_a_chat_template_that_forgets_the_bos_is_refused(pair: TinyPair) -> None:
    path = pair.verbalizer / "chat_template.jinja"
    path.write_text(path.read_text().replace("{{ bos_token }}", ""))
    with pytest.raises(CheckpointDrift, match=r"^Pair v: the AV: the verbalizer prompt does not begin with the BOS "):
        open_verbalizer_contract(pair.verbalizer, "v", 8)
    say(pair.verbalizer, adds_bos=False)
    assert open_verbalizer_contract(pair.verbalizer, "v", 8).prompt_ids[0] != 0


def test_a_permission_to_lack_the_bos_is_no_change_of_a_checkpoint(pair: TinyPair) -> None:
    before = file_digests(whole_checkpoint(pair.reconstructor), "reconstructor")
    say(pair.reconstructor, adds_bos=False)
    assert file_digests(whole_checkpoint(pair.reconstructor), "reconstructor") == before


def test_a_run_without_the_bos_that_a_tokenizer_names_says_so(
    pair: TinyPair, tiny_pairs: dict[Architecture, TinyPair]
) -> None:
    def told(of: TinyPair) -> dict[str, str]:
        rows = load_engine("transformers", SETTINGS).choices(of.pair_spec)
        return {row.role: row.text for row in rows if row.topic == "bos"}

    for directory in (pair.base, pair.verbalizer, pair.reconstructor):
        add_none(directory)
        if directory != pair.base:
            say(directory, adds_bos=False)
    assert told(pair) == {
        "base_model": "Texts are read without the BOS '<|begin_of_text|>' that its tokenizer names, as its pair was "
        "trained (adds_bos: false in the sidecars).",
        "reconstructor": "Explanations are read without the BOS '<|begin_of_text|>' that its tokenizer names, as it "
        "was trained (adds_bos: false in its sidecar).",
    }
    assert told(tiny_pairs["llama"]) == told(tiny_pairs["qwen2"]) == {}


def test_a_run_says_where_the_files_of_a_tokenizer_disagree_on_the_bos(pair: TinyPair) -> None:
    def sentences() -> dict[str, str]:
        rows = load_engine("transformers", SETTINGS).choices(pair.pair_spec)
        return {row.role: row.text for row in rows if row.topic == "bos"}

    assert sentences() == {}
    for directory in (pair.base, pair.reconstructor):
        path = directory / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"add_bos_token": False}))
    said = (
        "with the BOS '<|begin_of_text|>', which its tokenizer.json adds although its tokenizer_config.json says "
        "add_bos_token false; the release, under Transformers 4, reads them without."
    )
    assert sentences() == {"base_model": f"Texts are read {said}", "reconstructor": f"Explanations are read {said}"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"add_bos_token": True}))
    assert list(sentences()) == ["base_model"]
