"""Makes the prompts of a pair's verbalizer and reconstructor, and finds the explanation inside an answer.

Takes a sidecar's templates and a tokenizer, returns texts and token ids, or an error saying how the two disagree. Knows
neither files nor models. `sidecar.Sidecar` is a `PromptContract`, and so is any other object with these fields.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from nlareport.checkpoints.bos import (
    bos_id,
    bos_twice,
    refuse_missing_bos,
    refuse_other_beginning,
    refuse_prompt_without_bos,
)
from nlareport.checkpoints.chat_templates import render_chat
from nlareport.checkpoints.sidecar_values import UNRECORDED
from nlareport.errors import ChatTemplateFails, CheckpointDrift

OPENING_TAG, CLOSING_TAG = "<explanation>", "</explanation>"
# Ends in a letter and in a full stop: only the token that touches the explanation may differ, and no suffix records it.
_PROBES = ("a snippet of text", "One snippet. Another one.")


@runtime_checkable
class PromptContract(Protocol):
    """The part of a sidecar that prompts are made of."""

    @property
    def role(self) -> str:
        """``av`` or ``ar``."""
        ...

    @property
    def injection_char(self) -> str:
        """The marker as text."""
        ...

    @property
    def injection_token_id(self) -> int:
        """The marker as a token."""
        ...

    @property
    def injection_left_neighbor_id(self) -> int:
        """The token before the marker in the verbalizer's prompt."""
        ...

    @property
    def injection_right_neighbor_id(self) -> int:
        """The token after it."""
        ...

    @property
    def reconstructor_suffix_ids(self) -> tuple[int, ...] | None:
        """The last tokens of every reconstructor prompt. None when they are not recorded."""
        ...

    @property
    def adds_bos(self) -> bool | None:
        """Whether texts began with BOS in training. None: as the tokenizer has it, which must add the one it names."""
        ...

    @property
    def is_raw_prompt(self) -> bool | None:
        """Whether the verbalizer is asked its template alone. None: where its tokenizer has no chat template."""
        ...

    @property
    def verbalizer_template(self) -> str:
        """Holds ``{injection_char}`` once."""
        ...

    @property
    def reconstructor_template(self) -> str:
        """Holds ``{explanation}`` once."""
        ...


@runtime_checkable
class ChatTokenizer(Protocol):
    """What prompts ask of a Hugging Face tokenizer."""

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> Any:
        """The conversation as the model's own text, when `tokenize` is False."""
        ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """The token ids of a text."""
        ...


def fill_verbalizer_template(sidecar: PromptContract) -> str:
    """What the user says to the verbalizer: its template with the injection char in place."""
    return sidecar.verbalizer_template.replace("{injection_char}", sidecar.injection_char)


def is_asked_raw(tokenizer: ChatTokenizer, sidecar: PromptContract) -> bool:
    """Whether the verbalizer is asked its template alone, and not through a chat template."""
    if sidecar.is_raw_prompt is not None:
        return sidecar.is_raw_prompt
    return getattr(tokenizer, "chat_template", "") is None


def verbalizer_prompt(tokenizer: ChatTokenizer, sidecar: PromptContract) -> str:
    """The verbalizer's whole prompt as text, its chat template rendered where it has one.

    Raises:
        ChatTemplateFails: the template raises, is not written in Jinja, does not end, or gives no prompt.
    """
    if is_asked_raw(tokenizer, sidecar):
        return fill_verbalizer_template(sidecar)
    messages = [{"role": "user", "content": fill_verbalizer_template(sidecar)}]
    return render_chat(tokenizer, messages, is_asked=True)


def verbalizer_prompt_ids(tokenizer: ChatTokenizer, sidecar: PromptContract) -> tuple[list[int], int]:
    """The verbalizer's whole prompt as token ids, and the index of the one marker in it.

    Raises:
        ChatTemplateFails: the chat template does not render.
        CheckpointDrift: the prompt holds two BOS, or not exactly one marker between its two recorded neighbours.
    """
    # In two steps: tokenizing inside the template may split the marker. A chat's text already starts with its BOS.
    is_raw = is_asked_raw(tokenizer, sidecar)
    ids = list(tokenizer.encode(verbalizer_prompt(tokenizer, sidecar), add_special_tokens=is_raw))
    if bos_twice(ids, tokenizer):
        raise CheckpointDrift(
            f"the verbalizer prompt holds BOS (id {bos_id(tokenizer)}) twice, and must hold it once. "
            "Remove one from the chat template or the sidecar's template, as the verbalizer was trained."
        )
    return ids, marker_index(ids, sidecar)


def live_marker(tokenizer: ChatTokenizer, sidecar: PromptContract) -> tuple[int, int, int]:
    """The marker's token and its two neighbours in the prompt, as the tokenizer has them.

    Those that cannot be said are `UNRECORDED`: the marker is several tokens, or is not once within the prompt.

    Raises:
        ChatTemplateFails: the chat template does not render.
    """
    char_ids = list(tokenizer.encode(sidecar.injection_char, add_special_tokens=False))
    if len(char_ids) != 1:
        return UNRECORDED, UNRECORDED, UNRECORDED
    is_raw = is_asked_raw(tokenizer, sidecar)
    ids = list(tokenizer.encode(verbalizer_prompt(tokenizer, sidecar), add_special_tokens=is_raw))
    if ids.count(char_ids[0]) != 1 or char_ids[0] in (ids[0], ids[-1]):
        return char_ids[0], UNRECORDED, UNRECORDED
    place = ids.index(char_ids[0])
    return char_ids[0], ids[place - 1], ids[place + 1]


def marker_index(ids: Sequence[int], sidecar: PromptContract) -> int:
    """The index of the one marker in a verbalizer prompt.

    Raises:
        CheckpointDrift: the prompt does not hold exactly one marker between its two recorded neighbours.
    """
    places = [index for index, token_id in enumerate(ids) if token_id == sidecar.injection_token_id]
    if len(places) != 1:
        raise CheckpointDrift(
            f"the verbalizer prompt holds the injection token {sidecar.injection_token_id} {len(places)} times, "
            "it must hold it once. Use the tokenizer, chat template and sidecar that were released together."
        )
    place = places[0]
    neighbors = (ids[place - 1] if place else None, ids[place + 1] if place + 1 < len(ids) else None)
    recorded = (sidecar.injection_left_neighbor_id, sidecar.injection_right_neighbor_id)
    if neighbors != recorded:
        raise CheckpointDrift(
            f"the injection token is between the ids {neighbors[0]} and {neighbors[1]}, the sidecar says "
            f"{recorded[0]} and {recorded[1]}. "
            "Use the tokenizer, chat template and sidecar that were released together."
        )
    return place


def reconstructor_prompt(sidecar: PromptContract, explanation: str) -> str:
    """What the reconstructor reads: its template with the explanation in place, also one that holds braces."""
    return sidecar.reconstructor_template.replace("{explanation}", explanation)


def explanation_in(completion: str) -> str | None:
    """The text between the first opening tag and its closing tag, stripped, possibly empty; None without such a pair.

    The public release reads an answer in the same way. Oddities of its form are for `nlareport.checkpoints.answers`.
    """
    _, _, opened = completion.partition(OPENING_TAG)
    text, closing_tag, _ = opened.partition(CLOSING_TAG)
    return text.strip() if closing_tag else None


def check_against_tokenizer(
    sidecar: PromptContract, tokenizer: ChatTokenizer, name: str
) -> tuple[list[int], int] | None:
    """Checks a sidecar against the live tokenizer; `name` is the pair that errors speak of.

    An AV's gives `verbalizer_prompt_ids`, made once, since a template may write the time; an AR's gives None. Checked
    are the injection char, an AV's prompt, and the beginning and the end of an AR's prompt.

    Raises:
        ChatTemplateFails: an AV's chat template does not render.
        CheckpointDrift: they disagree; the message says in what, and what to do.
    """
    char_ids = list(tokenizer.encode(sidecar.injection_char, add_special_tokens=False))
    # An AR may say nothing of a marker, which it never sees, or nothing of its token.
    is_said = bool(sidecar.injection_char) and (sidecar.role == "av" or sidecar.injection_token_id != UNRECORDED)
    if is_said and char_ids != [sidecar.injection_token_id]:
        said = (
            f"{len(char_ids)} ids {char_ids}, the sidecar says 1"
            if len(char_ids) != 1
            else (f"id {char_ids[0]}, the sidecar says {sidecar.injection_token_id}")
        )
        raise CheckpointDrift(f"Pair {name}: the injection char tokenizes to {said}. {_what_next(name)}")
    what = f"Pair {name}: the {sidecar.role.upper()}"
    refuse_missing_bos(tokenizer, sidecar.adds_bos, what, "its nla_meta.yaml")
    if sidecar.role == "av":
        try:
            prompt = verbalizer_prompt_ids(tokenizer, sidecar)
        except (ChatTemplateFails, CheckpointDrift) as error:
            raise type(error)(f"Pair {name}: {error}") from error
        refuse_prompt_without_bos(prompt[0], tokenizer, sidecar.adds_bos, what)
        return prompt
    refuse_other_beginning(tokenizer, sidecar.adds_bos, what)
    if bos_twice(tokenizer.encode(reconstructor_prompt(sidecar, _PROBES[0]), add_special_tokens=True), tokenizer):
        raise CheckpointDrift(
            f"Pair {name}: the reconstructor prompt holds BOS (id {bos_id(tokenizer)}) twice: the tokenizer adds one, "
            "and the sidecar's template writes one. Remove it from prompt_templates in the sidecar."
        )
    if sidecar.reconstructor_suffix_ids is not None:
        _check_suffix(sidecar, tokenizer, sidecar.reconstructor_suffix_ids, name)
    return None


def _check_suffix(sidecar: PromptContract, tokenizer: ChatTokenizer, suffix_ids: tuple[int, ...], name: str) -> None:
    for probe in _PROBES:
        ids = tokenizer.encode(reconstructor_prompt(sidecar, probe), add_special_tokens=True)
        tail = tuple(ids[len(ids) - len(suffix_ids) :])
        if tail != suffix_ids:
            raise CheckpointDrift(
                f"Pair {name}: the reconstructor prompt ends in the ids {list(tail)}, the sidecar says "
                f"{list(suffix_ids)}. {_what_next(name)}"
            )


def _what_next(name: str) -> str:
    return (
        "Use the tokenizer and sidecar that were released together; a pocket pair is rebuilt with "
        f'"nlareport pairs build {name}".'
    )
