"""Where a BOS is named it is added, or a sidecar says that none was in training; and never two stand in a row."""

import re

import pytest

from nlareport.checkpoints.bos import (
    adds_bos,
    bos_id,
    refuse_missing_bos,
    refuse_other_beginning,
    refuse_prompt_without_bos,
)
from nlareport.errors import CheckpointDrift


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
        "was released with the checkpoint, or remove adds_bos from the sidecar."
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
