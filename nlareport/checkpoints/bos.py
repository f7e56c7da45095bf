"""The beginning-of-sequence token (BOS): whether a tokenizer adds it, whether it is doubled, whether it may be missing.

Takes a tokenizer and what a sidecar says, returns an answer or raises an error that says what to do.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from nlareport.errors import CheckpointDrift

_RELEASED = "Use the tokenizer that was released with the checkpoint"
_SAY_SO = "if it was trained without one, write `adds_bos: false` under `tokens` in"


@runtime_checkable
class Encoder(Protocol):
    """A tokenizer, as far as its BOS goes."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """The token ids of a text."""
        ...


def bos_id(tokenizer: Encoder) -> int | None:
    """The token that the tokenizer calls the beginning of a sequence; None when it names none."""
    named: int | None = getattr(tokenizer, "bos_token_id", None)
    return named


def adds_bos(tokenizer: Encoder) -> bool:
    """Whether a text begins with the tokenizer's BOS where special tokens are added; False also when it names none."""
    bos = bos_id(tokenizer)
    return bos is not None and list(tokenizer.encode("a", add_special_tokens=True))[:1] == [bos]


def bos_twice(ids: Sequence[int], tokenizer: Encoder) -> bool:
    """Whether a prompt holds the beginning of a sequence twice.

    Where the tokenizer adds a BOS by itself it means a beginning at any place. Where it adds none the same token may
    also begin every turn of a chat; then only two in a row at the start are too many.
    """
    bos = bos_id(tokenizer)
    if bos is None:
        return False
    return list(ids).count(bos) > 1 if adds_bos(tokenizer) else list(ids[:2]) == [bos, bos]


def refuse_missing_bos(tokenizer: Encoder, said: bool | None, what: str, where: str) -> None:
    """Pass when texts begin with the BOS that the tokenizer names, or a sidecar says that they did not in training.

    `said` is what the sidecar says (`Sidecar.adds_bos`), `what` the checkpoint, `where` the sidecars to say it in.

    Raises:
        CheckpointDrift: they do not.
    """
    if bos_id(tokenizer) is not None and not adds_bos(tokenizer) and said is not False:
        raise CheckpointDrift(
            f"{what}: its tokenizer names {_named(tokenizer)} and does not add it to a text, without which a model "
            f"that was trained with it reads almost nothing. {_RELEASED}; {_SAY_SO} {where}."
        )


def refuse_other_beginning(tokenizer: Encoder, said: bool | None, what: str) -> None:
    """Pass when the tokenizer begins texts as the sidecar says, where it says so.

    Raises:
        CheckpointDrift: it does not.
    """
    if said is not None and adds_bos(tokenizer) != said:
        does = f"adds {_named(tokenizer)}" if adds_bos(tokenizer) else "adds none"
        raise CheckpointDrift(
            f"{what}: its sidecar says tokens.adds_bos {str(said).lower()}, its tokenizer {does}. "
            f"{_RELEASED}, or remove adds_bos from the sidecar."
        )


def refuse_prompt_without_bos(ids: Sequence[int], tokenizer: Encoder, said: bool | None, what: str) -> None:
    """Pass when a verbalizer's prompt begins with BOS just where its sidecar says, else just where texts do.

    Raises:
        CheckpointDrift: it does not.
    """
    begins = bool(ids) and ids[0] == bos_id(tokenizer)
    if (said is True or (said is None and adds_bos(tokenizer))) and not begins:
        raise CheckpointDrift(
            f"{what}: the verbalizer prompt does not begin with {_named(tokenizer)}, as every other text does. "
            f"Use the chat template that was released with the verbalizer; {_SAY_SO} its nla_meta.yaml."
        )
    if said is False and begins and adds_bos(tokenizer):
        raise CheckpointDrift(
            f"{what}: its sidecar says tokens.adds_bos false, and the verbalizer prompt begins with "
            f"{_named(tokenizer)}. Remove adds_bos from the sidecar, or use the chat template that was released."
        )


def _named(tokenizer: Encoder) -> str:
    bos, token = bos_id(tokenizer), getattr(tokenizer, "bos_token", None)
    if bos is None:
        return "a BOS (its tokenizer names none)"
    return f"the BOS {token!r} (id {bos})" if token else f"BOS (id {bos})"
