"""Templates and tags: the two prompts of a pair, and the explanation inside an answer.

Enter a sidecar's templates and a tokenizer; leave texts and token ids, or an error saying how the two disagree.
Knows neither files nor models. `checkpoint.Sidecar` is a `PromptContract`; any other object with these fields is too.
"""

import re
from typing import Any, Protocol, runtime_checkable

from nlareport.errors import CheckpointDrift

_EXPLANATION = re.compile(r"<explanation>(.*?)</explanation>", re.DOTALL)
_CLOSING_TAG = "</explanation>"
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


def verbalizer_prompt_ids(tokenizer: ChatTokenizer, sidecar: PromptContract) -> tuple[list[int], int]:
    """The verbalizer's whole prompt as token ids, and the index of the one marker in it.

    Raises:
        CheckpointDrift: the prompt does not hold exactly one marker between its two recorded neighbours.
    """
    messages = [{"role": "user", "content": fill_verbalizer_template(sidecar)}]
    # In two steps: tokenizing inside the template may split the marker. The text already starts with its BOS.
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = list(tokenizer.encode(text, add_special_tokens=False))
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
            f"the injection token stands between the ids {neighbors[0]} and {neighbors[1]}, the sidecar says "
            f"{recorded[0]} and {recorded[1]}. "
            "Use the tokenizer, chat template and sidecar that were released together."
        )
    return ids, place


def reconstructor_prompt(sidecar: PromptContract, explanation: str) -> str:
    """What the reconstructor reads: its template with the explanation in place, whatever braces the text holds."""
    return sidecar.reconstructor_template.replace("{explanation}", explanation)


def explanation_in(completion: str) -> str | None:
    """The text between the tags, stripped, possibly empty; None when the closing tag is not there.

    The first closed pair of tags counts. An answer that closes a tag it never opened is read from its start: the
    protocol calls an answer clean by its closing tag.
    """
    tagged = _EXPLANATION.search(completion)
    if tagged:
        return tagged.group(1).strip()
    before, closing_tag, _ = completion.partition(_CLOSING_TAG)
    return before.strip() if closing_tag else None


def check_against_tokenizer(sidecar: PromptContract, tokenizer: ChatTokenizer, name: str) -> None:
    """Hold a sidecar against the live tokenizer; `name` is the pair that errors speak of.

    Checked are the injection char, an AV's prompt, and the end of an AR's prompt.

    Raises:
        CheckpointDrift: they disagree; the message says in what, and what to do.
    """
    char_ids = list(tokenizer.encode(sidecar.injection_char, add_special_tokens=False))
    if char_ids != [sidecar.injection_token_id]:
        said = (
            f"{len(char_ids)} ids {char_ids}, the sidecar says 1"
            if len(char_ids) != 1
            else (f"id {char_ids[0]}, the sidecar says {sidecar.injection_token_id}")
        )
        raise CheckpointDrift(f"Pair {name}: the injection char tokenizes to {said}. {_what_next(name)}")
    if sidecar.role == "av":
        try:
            verbalizer_prompt_ids(tokenizer, sidecar)
        except CheckpointDrift as error:
            raise CheckpointDrift(f"Pair {name}: {error}") from error
    elif sidecar.reconstructor_suffix_ids is not None:
        _check_suffix(sidecar, tokenizer, sidecar.reconstructor_suffix_ids, name)


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
