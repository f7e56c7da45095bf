"""How a vector enters a verbalizer: in a token's place or added to it, at the embedding or at a block's output.

Takes the values of a sidecar in any spelling that is met, returns an `Injection`, or notes what is wrong with them.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from nlareport.checkpoints.sidecar_values import ABSENT, SidecarValues
from nlareport.shown import shown

Mode = Literal["replace", "add"]

_MODES: dict[str, Mode] = {
    "replace": "replace",
    "replacement": "replace",
    "overwrite": "replace",
    "add": "add",
    "additive": "add",
    "addition": "add",
    "karvonen": "add",
}
_NORM_MATCHED = re.compile(r"(?:^|_)norm_match(?:ed|ing)?(?:_|$)")
_AT_EMBEDDING = ("embedding", "embeddings", "embed", "input")
_MODE_KEYS = ("injection.mode", "injection_mode", "extraction.injection_mode")
_BLOCK_KEYS = ("injection.block", "injection.layer", "injection_layer", "extraction.injection_layer", "hook_onto_layer")
_FACTOR_KEYS = ("injection.coefficient", "steering_coefficient")
_MOST_FACTOR = 1e6


@dataclass(frozen=True, slots=True)
class Injection:
    """What is done with a vector at the marker of the verbalizer's prompt."""

    mode: Mode = "replace"
    block_index: int | None = None
    """The block at whose output it enters. None: where tokens are embedded."""
    norm_match: bool = False
    """Whether the vector is given the norm of what is at the marker, in place of the injection scale."""
    coefficient: float = 1.0
    """What the vector is multiplied by once it has its norm."""

    @property
    def place(self) -> str:
        """Where the vector enters, in words."""
        return "the embedding" if self.block_index is None else f"the output of block {self.block_index}"

    def content(self) -> dict[str, Any]:
        """The section `injection` of a sidecar; empty for what a sidecar without it means."""
        if self == RELEASED:
            return {}
        block = "embedding" if self.block_index is None else self.block_index
        return {
            "mode": self.mode,
            "block": block,
            "norm_match": self.norm_match,
            "coefficient": self.coefficient,
        }


RELEASED = Injection()
"""What the first release does, and a sidecar means that says nothing of it: the vector takes the marker's place."""


def spelled_out(content: dict[str, Any]) -> dict[str, Any]:
    """A sidecar's mapping in which `injection` has keys, also where it is the mode alone."""
    said = content.get("injection")
    return {**content, "injection": {"mode": said}} if isinstance(said, str) else content


def read_injection(reading: SidecarValues) -> Injection:
    """What a sidecar asks for, in any spelling; what it asks wrongly is noted."""
    mode_key, said = _first(reading, _MODE_KEYS)
    mode, matched = _mode(reading, mode_key, said)
    block_key, block = _first(reading, _BLOCK_KEYS)
    block_index = _block(reading, block_key, block)
    if said is ABSENT and block_index is not None:
        reading.fault(
            block_key, "names a block and not whether a vector replaces or is added there; give injection.mode"
        )
    norm_match = reading.at("injection.norm_match")
    if norm_match not in (ABSENT, None) and not isinstance(norm_match, bool):
        reading.fault("injection.norm_match", f"says {shown(norm_match)}; it must be true or false")
    if norm_match is False and matched:
        reading.fault("injection.norm_match", f"says false, {mode_key} says {shown(said)}; both must be the same")
    return Injection(
        mode=mode,
        block_index=block_index,
        norm_match=matched or norm_match is True,
        coefficient=_factor(reading),
    )


def _first(reading: SidecarValues, keys: tuple[str, ...]) -> tuple[str, Any]:
    """The first of some keys that is written, and its value; notes one that says otherwise."""
    written = [key for key in keys if reading.has(key)]
    if not written:
        return keys[0], ABSENT
    for other in written[1:]:
        if reading.at(other) != reading.at(written[0]):
            reading.fault(written[0], f"says {shown(reading.at(written[0]))}, {other} says {shown(reading.at(other))}")
    return written[0], reading.at(written[0])


def _mode(reading: SidecarValues, key: str, said: Any) -> tuple[Mode, bool]:
    """What a mode means, and whether its name says that norms are matched."""
    if said is ABSENT:
        return "replace", False
    words = re.sub(r"[^a-z]+", "_", said.lower()).strip("_") if isinstance(said, str) else ""
    rest = _NORM_MATCHED.sub("_", words).strip("_")
    if rest not in _MODES:
        reading.fault(
            key, f"says {shown(said)}; a vector can `replace` what is at the marker or be `add`ed to it, nothing else"
        )
        return "replace", False
    return _MODES[rest], rest == "karvonen" or rest != words


def _block(reading: SidecarValues, key: str, said: Any) -> int | None:
    if said is ABSENT or said in _AT_EMBEDDING:
        return None
    return reading.integer(key)


def _factor(reading: SidecarValues) -> float:
    key, said = _first(reading, _FACTOR_KEYS)
    if said is ABSENT:
        return 1.0
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 < said <= _MOST_FACTOR:
        return float(said)
    reading.fault(key, f"says {shown(said)}; it must be a number above 0 and up to {_MOST_FACTOR:g}")
    return 1.0
