"""Where a BOS is named it is added, or a sidecar says that none was in training; and never two stand in a row."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import Architecture, TinyPair, copied_pair, write_sidecar

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.contract import open_reconstructor_contract, open_verbalizer_contract
from nlareport.backends.fingerprints import file_digests
from nlareport.beginnings import (
    adds_bos,
    bos_id,
    refuse_missing_bos,
    refuse_other_beginning,
    refuse_prompt_without_bos,
)
from nlareport.checkpoint import read_sidecar
from nlareport.errors import CheckpointDrift

SETTINGS = EngineSettings(device="cpu", dtype="float32", batch_size=2, max_new_tokens=8)


class Letters:
    """One token a letter; a beginning of 2 where it is named and added."""

    def __init__(self, bos_token_id: int | None, *, is_added: bool, bos_token: str | None = "<bos>") -> None:
        self.bos_token_id, self.bos_token, self.is_added = bos_token_id, bos_token, is_added

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [2] * (add_special_tokens and self.is_added) + [ord(letter) for letter in text]


ADDING, SILENT = Letters(2, is_added=True), Letters(2, is_added=False)
NAMELESS, OTHERS = Letters(None, is_added=False), Letters(None, is_added=True)


def test_a_bos_is_added_where_it_is_named_and_stands_first() -> None:
    assert [adds_bos(tokenizer) for tokenizer in (ADDING, SILENT, NAMELESS, OTHERS)] == [True, False, False, False]
    assert [bos_id(tokenizer) for tokenizer in (ADDING, NAMELESS)] == [2, None]
    assert not adds_bos(Letters(3, is_added=True))


MISSING = (
    "base: its tokenizer names the BOS '<bos>' (id 2) and does not add it to a text, without which a model that was "
    "trained with it reads almost nothing. Use the tokenizer that was released with the checkpoint; if it was trained "
    "without one, write `adds_bos: false` under `tokens` in here."
)


def test_a_bos_that_is_named_and_not_added_is_refused_unless_training_had_none() -> None:
    for said in (None, True):
        with pytest.raises(CheckpointDrift, match=f"^{re.escape(MISSING)}$"):
            refuse_missing_bos(SILENT, said, "base", "here")
    refuse_missing_bos(SILENT, False, "base", "here")
    for tokenizer in (ADDING, NAMELESS, OTHERS):
        refuse_missing_bos(tokenizer, None, "base", "here")
    with pytest.raises(CheckpointDrift, match=r"names BOS \(id 2\) and does not"):
        refuse_missing_bos(Letters(2, is_added=False, bos_token=None), None, "base", "here")


def test_a_sidecar_and_a_tokenizer_that_disagree_about_the_bos_are_refused() -> None:
    sentence = (
        "AR: its sidecar says tokens.adds_bos false, its tokenizer adds the BOS '<bos>' (id 2). Use the tokenizer that "
        "was released with the checkpoint, or take adds_bos out of the sidecar."
    )
    with pytest.raises(CheckpointDrift, match=f"^{re.escape(sentence)}$"):
        refuse_other_beginning(ADDING, False, "AR")
    for tokenizer in (SILENT, NAMELESS):
        with pytest.raises(CheckpointDrift, match=r"^AR: its sidecar says tokens.adds_bos true, .* adds none"):
            refuse_other_beginning(tokenizer, True, "AR")
        refuse_other_beginning(tokenizer, False, "AR")
    refuse_other_beginning(ADDING, True, "AR")
    for tokenizer in (ADDING, SILENT):
        refuse_other_beginning(tokenizer, None, "AR")


@pytest.mark.parametrize(
    ("tokenizer", "said", "ids", "refusal"),
    [
        (ADDING, None, [2, 5], None),
        (ADDING, None, [5, 2], "does not begin with the BOS '<bos>' (id 2), as every other text does"),
        (ADDING, None, [], "does not begin with"),
        (ADDING, True, [5], "does not begin with"),
        (ADDING, True, [2], None),
        (ADDING, False, [5], None),
        (ADDING, False, [2, 5], "says tokens.adds_bos false, and the verbalizer prompt begins with the BOS '<bos>'"),
        (SILENT, None, [5], None),
        (SILENT, False, [5], None),
        (SILENT, False, [2, 5], None),
        (SILENT, True, [2, 5], None),
        (SILENT, True, [5], "does not begin with"),
        (NAMELESS, None, [5], None),
        (NAMELESS, False, [5], None),
        (NAMELESS, True, [5], "does not begin with a BOS (its tokenizer names none), as"),
    ],
)
def test_a_verbalizer_prompt_begins_as_its_sidecar_or_else_its_tokenizer_has_it(
    tokenizer: Letters, said: bool | None, ids: list[int], refusal: str | None
) -> None:
    if refusal is None:
        refuse_prompt_without_bos(ids, tokenizer, said, "AV")
        return
    with pytest.raises(CheckpointDrift, match=f"^AV: .*{re.escape(refusal)}"):
        refuse_prompt_without_bos(ids, tokenizer, said, "AV")


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
    before = file_digests(pair.reconstructor, "reconstructor")
    say(pair.reconstructor, adds_bos=False)
    assert file_digests(pair.reconstructor, "reconstructor") == before


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
