import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlareport.checkpoints.bos import bos_twice
from nlareport.checkpoints.prompts import (
    check_against_tokenizer,
    explanation_in,
    fill_verbalizer_template,
    reconstructor_prompt,
    verbalizer_prompt,
    verbalizer_prompt_ids,
)
from nlareport.checkpoints.sidecar import Sidecar, parse_sidecar
from nlareport.errors import ChatTemplateFails, CheckpointDrift

QWEN_AV = Path(__file__).parent / "fixtures" / "sidecars" / "qwen-av.yaml"


class CharacterTokenizer:
    """One token a character, its code point; a BOS of 2 where special tokens are added."""

    def __init__(self, splits: frozenset[str] = frozenset()) -> None:
        self.splits = splits

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> str:
        assert tokenize is False
        ((role, content),) = [(message["role"], message["content"]) for message in conversation]
        return f"\x02{role}: {content}\n" + ("model: " if add_generation_prompt else "")

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert isinstance(add_special_tokens, bool)
        ids = [2] if add_special_tokens else []
        for character in text:
            ids += list(character.encode()) if character in self.splits else [ord(character)]
        return ids


@pytest.fixture
def sidecar() -> Sidecar:
    real = parse_sidecar(yaml.safe_load(QWEN_AV.read_text(encoding="utf-8")), QWEN_AV)
    return replace(
        real,
        injection_token_id=ord("㈎"),
        injection_left_neighbor_id=ord(">"),
        injection_right_neighbor_id=ord("<"),
    )


def test_the_prompt_is_rendered_to_text_and_encoded_without_a_second_bos(sidecar: Sidecar) -> None:
    ids, place = verbalizer_prompt_ids(CharacterTokenizer(), sidecar)
    assert ids.count(2) == 1
    assert "".join(map(chr, ids[1:])) == f"user: {fill_verbalizer_template(sidecar)}\nmodel: "
    assert ids[place - 1 : place + 2] == [ord(">"), ord("㈎"), ord("<")]


def test_a_char_split_in_three_is_drift(sidecar: Sidecar) -> None:
    tokenizer = CharacterTokenizer(splits=frozenset("㈎"))
    with pytest.raises(
        CheckpointDrift, match=r"^Pair tiny: the injection char tokenizes to 3 ids \[227, 136, 142\], the"
    ):
        check_against_tokenizer(sidecar, tokenizer, "tiny")


def test_a_char_of_another_id_is_drift(sidecar: Sidecar) -> None:
    sentence = (
        r"^Pair tiny: the injection char tokenizes to id 12814, the sidecar says 7\. Use the tokenizer and sidecar "
        r'that were released together; a pocket pair is rebuilt with "nlareport pairs build tiny"\.$'
    )
    with pytest.raises(CheckpointDrift, match=sentence):
        check_against_tokenizer(replace(sidecar, injection_token_id=7), CharacterTokenizer(), "tiny")


ONCE = (
    r"^Pair tiny: the verbalizer prompt holds the injection token 12814 2 times, it must hold it once\. "
    r"Use the tokenizer, chat template and sidecar that were released together\.$"
)


def test_a_second_marker_in_the_prompt_is_drift(sidecar: Sidecar) -> None:
    twice = replace(sidecar, verbalizer_template="㈎ <concept>{injection_char}</concept>")
    with pytest.raises(CheckpointDrift, match=ONCE):
        check_against_tokenizer(twice, CharacterTokenizer(), "tiny")


def test_other_neighbours_are_drift(sidecar: Sidecar) -> None:
    moved = replace(sidecar, injection_right_neighbor_id=5)
    with pytest.raises(CheckpointDrift, match=r"between the ids 62 and 60, the sidecar says 62 and 5"):
        check_against_tokenizer(moved, CharacterTokenizer(), "tiny")


def test_the_end_of_the_reconstructor_prompt_is_checked(sidecar: Sidecar) -> None:
    suffix_ids = tuple(map(ord, "text> <summary>"))
    reconstructor = replace(sidecar, role="ar", reconstructor_suffix_ids=suffix_ids)
    check_against_tokenizer(reconstructor, CharacterTokenizer(), "tiny")
    check_against_tokenizer(replace(reconstructor, reconstructor_suffix_ids=()), CharacterTokenizer(), "tiny")
    with pytest.raises(CheckpointDrift, match=r"Pair tiny: the reconstructor prompt ends in the ids \[121, 62\]"):
        check_against_tokenizer(replace(reconstructor, reconstructor_suffix_ids=(1, 2)), CharacterTokenizer(), "tiny")


class TemplateTokenizer(CharacterTokenizer):
    """Its chat template is a function of what the user says."""

    def __init__(self, render: Callable[[str], object], bos_token_id: int | None = None) -> None:
        super().__init__()
        self.render = render
        self.bos_token_id = bos_token_id

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> Any:
        assert add_generation_prompt is True
        return self.render(conversation[0]["content"])


def raising(_: str) -> str:
    raise ValueError("roles must alternate")


ADVICE = r"Use the chat template that was released with the verbalizer\.$"


@pytest.mark.parametrize(
    ("render", "sentence"),
    [
        (raising, r"^the chat template cannot be rendered \('roles must alternate'\)\. "),
        (lambda _: "", r"^the chat template gives 0 characters; a prompt has 1 to 100,000\. "),
        (lambda _: "a" * 100_001, r"^the chat template gives 100,001 characters; a prompt has 1 to 100,000\. "),
        (lambda _: [1, 2], r"^the chat template gives no text; a prompt has 1 to 100,000\. "),
        (lambda _: None, r"^the chat template gives no text; a prompt has 1 to 100,000\. "),
    ],
    ids=["raises", "empty", "too long", "ids", "nothing"],
)
def test_a_chat_template_that_gives_no_prompt_is_refused(
    sidecar: Sidecar, render: Callable[[str], object], sentence: str
) -> None:
    with pytest.raises(ChatTemplateFails, match=sentence + ADVICE):
        verbalizer_prompt(TemplateTokenizer(render), sidecar)
    with pytest.raises(ChatTemplateFails, match=sentence.replace("^", "^Pair tiny: ") + ADVICE):
        check_against_tokenizer(sidecar, TemplateTokenizer(render), "tiny")


@pytest.mark.parametrize("n_chars", [1, 100_000])
def test_a_prompt_may_have_1_to_100_000_characters(sidecar: Sidecar, n_chars: int) -> None:
    assert verbalizer_prompt(TemplateTokenizer(lambda _: "a" * n_chars), sidecar) == "a" * n_chars


def test_a_chat_template_that_does_not_end_is_stopped(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: str) -> str:
        while True:
            pass

    monkeypatch.setattr("nlareport.checkpoints.chat_templates.TEMPLATE_SECONDS", 0.05)
    tracing = sys.gettrace()
    with pytest.raises(ChatTemplateFails, match=r"rendered \('it did not end within 0\.05 s'\)"):
        verbalizer_prompt(TemplateTokenizer(endless), sidecar)
    assert sys.gettrace() is tracing


BOS = "\x02"


@pytest.mark.parametrize(
    ("prefix", "is_added", "twice"),
    [
        (BOS, True, False),
        (BOS + BOS, True, True),
        (BOS + "a" + BOS, True, True),
        ("", True, False),
        (BOS + BOS, False, True),
        # Where no BOS is added, the same token may begin every turn.
        (BOS + "a" + BOS, False, False),
        ("a" + BOS + BOS, False, False),
        (BOS, False, False),
    ],
)
def test_a_beginning_counts_twice_by_whether_the_tokenizer_adds_one(prefix: str, is_added: bool, twice: bool) -> None:
    tokenizer = TemplateTokenizer(str, bos_token_id=2)
    if not is_added:
        tokenizer.encode = lambda text, *, add_special_tokens: list(map(ord, text))  # type: ignore[method-assign]
    ids = tokenizer.encode(prefix + "rest", add_special_tokens=False)
    assert bos_twice(ids, tokenizer) is twice
    tokenizer.bos_token_id = None
    assert bos_twice(ids, tokenizer) is False


def test_two_beginnings_of_a_verbalizer_prompt_are_drift(sidecar: Sidecar) -> None:
    sentence = (
        r"^Pair tiny: the verbalizer prompt holds BOS \(id 2\) twice, and must hold it once\. "
        r"Remove one from the chat template or the sidecar's template, as the verbalizer was trained\.$"
    )
    with pytest.raises(CheckpointDrift, match=sentence):
        check_against_tokenizer(sidecar, TemplateTokenizer(lambda said: BOS + BOS + said, 2), "tiny")
    ids, place = verbalizer_prompt_ids(TemplateTokenizer(lambda said: BOS + said, 2), sidecar)
    assert check_against_tokenizer(sidecar, TemplateTokenizer(lambda said: BOS + said, 2), "tiny") == (ids, place)
    assert ids == [2, *map(ord, fill_verbalizer_template(sidecar))]
    assert ids[place] == ord("㈎")


def test_a_beginning_that_the_reconstructors_template_writes_too_is_drift(sidecar: Sidecar) -> None:
    reconstructor = replace(sidecar, role="ar", reconstructor_template=BOS + "<text>{explanation}</text>")
    sentence = (
        r"^Pair tiny: the reconstructor prompt holds BOS \(id 2\) twice: the tokenizer adds one, "
        r"and the sidecar's template writes one\. Remove it from prompt_templates in the sidecar\.$"
    )
    with pytest.raises(CheckpointDrift, match=sentence):
        check_against_tokenizer(reconstructor, TemplateTokenizer(str, 2), "tiny")
    plain = replace(reconstructor, reconstructor_template="<text>{explanation}</text>")
    assert check_against_tokenizer(plain, TemplateTokenizer(str, 2), "tiny") is None


def silent(tokenizer: TemplateTokenizer) -> TemplateTokenizer:
    """The tokenizer, which names its BOS and adds none."""
    tokenizer.encode = lambda text, *, add_special_tokens: list(map(ord, text))  # type: ignore[method-assign]
    return tokenizer


@pytest.mark.parametrize(("role", "half"), [("av", "AV"), ("ar", "AR")])
def test_a_half_whose_tokenizer_adds_no_bos_is_refused_unless_its_sidecar_says_so(
    sidecar: Sidecar, role: Any, half: str
) -> None:
    tokenizer = silent(TemplateTokenizer(lambda said: BOS + said, 2))
    sentence = (
        rf"^Pair tiny: the {half}: its tokenizer names BOS \(id 2\) and does not add it to a text, .* write "
        r"`adds_bos: false` under `tokens` in its nla_meta\.yaml\.$"
    )
    suffix_ids = None if role == "av" else tuple(map(ord, "text> <summary>"))
    of_role = replace(sidecar, role=role, reconstructor_suffix_ids=suffix_ids)
    with pytest.raises(CheckpointDrift, match=sentence):
        check_against_tokenizer(of_role, tokenizer, "tiny")
    check_against_tokenizer(replace(of_role, adds_bos=False), tokenizer, "tiny")


def test_a_half_that_says_otherwise_of_its_bos_than_its_tokenizer_does_is_refused(sidecar: Sidecar) -> None:
    adding = TemplateTokenizer(str, 2)
    reconstructor = replace(sidecar, role="ar", adds_bos=False)
    with pytest.raises(CheckpointDrift, match=r"^Pair tiny: the AR: its sidecar says tokens.adds_bos false, its token"):
        check_against_tokenizer(reconstructor, adding, "tiny")
    assert check_against_tokenizer(replace(reconstructor, adds_bos=True), adding, "tiny") is None
    with pytest.raises(CheckpointDrift, match=r"^Pair tiny: the AV: the .* does not begin with BOS \(id 2"):
        check_against_tokenizer(sidecar, adding, "tiny")
    assert check_against_tokenizer(replace(sidecar, adds_bos=False), adding, "tiny") is not None


class ClosingTokenizer(CharacterTokenizer):
    """Adds an EOS of 3 as well, where special tokens are added: some tokenizers of T5's kind do."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return super().encode(text, add_special_tokens=add_special_tokens) + [3] * add_special_tokens


def test_the_reconstructor_prompt_is_checked_with_its_special_tokens(sidecar: Sidecar) -> None:
    suffix_ids = (*map(ord, "text> <summary>"), 3)
    reconstructor = replace(sidecar, role="ar", reconstructor_suffix_ids=suffix_ids)
    check_against_tokenizer(reconstructor, ClosingTokenizer(), "tiny")
    with pytest.raises(CheckpointDrift, match="the reconstructor prompt ends in the ids"):
        check_against_tokenizer(reconstructor, CharacterTokenizer(), "tiny")


class MergingTokenizer(CharacterTokenizer):
    """A full stop and the bracket behind it are one token, 1."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return super().encode(text.replace(".<", "\x01"), add_special_tokens=add_special_tokens)


def test_a_suffix_that_holds_the_token_touching_the_explanation_is_drift(sidecar: Sidecar) -> None:
    ending = "</text> <summary>"
    within = replace(sidecar, role="ar", reconstructor_suffix_ids=tuple(map(ord, ending[1:])))
    assert check_against_tokenizer(within, MergingTokenizer(), "tiny") is None
    # Behind a letter it ends in these ids, behind a full stop it does not.
    touching = replace(within, reconstructor_suffix_ids=tuple(map(ord, ending)))
    with pytest.raises(CheckpointDrift, match=r"ends in the ids \[1, 47"):
        check_against_tokenizer(touching, MergingTokenizer(), "tiny")


class WithoutTemplate(CharacterTokenizer):
    """Its chat template adds nothing to what the user says."""

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> str:
        return str(conversation[0]["content"])


@pytest.mark.parametrize(
    ("template", "neighbours", "place"),
    [
        ("{injection_char}<", "None and 60", 0),
        (">{injection_char}", "62 and None", 1),
        ("{injection_char}", "None and None", 0),
    ],
)
def test_a_marker_at_the_end_of_a_prompt_has_no_neighbour_there(
    sidecar: Sidecar, template: str, neighbours: str, place: int
) -> None:
    sentence = (
        f"^the injection token is between the ids {neighbours}, the sidecar says 62 and 60. "
        "Use the tokenizer, chat template and sidecar that were released together.$"
    )
    bare = replace(sidecar, verbalizer_template=template)
    with pytest.raises(CheckpointDrift, match=sentence):
        verbalizer_prompt_ids(WithoutTemplate(), bare)


def test_a_marker_may_be_followed_by_the_last_token_alone(sidecar: Sidecar) -> None:
    assert verbalizer_prompt_ids(WithoutTemplate(), replace(sidecar, verbalizer_template=">{injection_char}<")) == (
        [ord(">"), ord("㈎"), ord("<")],
        1,
    )


@given(st.text())
def test_an_explanation_is_put_in_as_it_is(explanation: str) -> None:
    real = parse_sidecar(yaml.safe_load(QWEN_AV.read_text(encoding="utf-8")), QWEN_AV)
    expected = f"Summary of the following text: <text>{explanation}</text> <summary>"
    assert reconstructor_prompt(real, explanation) == expected


def test_braces_of_an_explanation_stay(sidecar: Sidecar) -> None:
    assert "<text>{explanation} {0} {{x}}</text>" in reconstructor_prompt(sidecar, "{explanation} {0} {{x}}")


@pytest.mark.parametrize(
    ("completion", "explanation"),
    [
        ("<explanation>\nOne.\n\nTwo.\n</explanation>", "One.\n\nTwo."),
        ("Sure! <explanation>One.</explanation> Anything else?", "One."),
        ("<explanation>One.</explanation><explanation>Two.</explanation>", "One."),
        ("<explanation></explanation>", ""),
        ("<explanation>\u00a0One.\u00a0</explanation>", "One."),
        ("<explanation>One <explanation>Two.</explanation></explanation>", "One <explanation>Two."),
        ("One.</explanation>", None),
        ("One.</explanation> <explanation>Two.", None),
        ("One.</explanation> <explanation>Two.</explanation>", "Two."),
        ("<explanation >One.</explanation>", None),
        ("<EXPLANATION>One.</EXPLANATION>", None),
        ("<explanation>One, and then the budget", None),
        ("No tags at all", None),
        ("", None),
    ],
)
def test_an_explanation_is_what_stands_between_the_first_opening_tag_and_its_closing_tag(
    completion: str, explanation: str | None
) -> None:
    assert explanation_in(completion) == explanation
