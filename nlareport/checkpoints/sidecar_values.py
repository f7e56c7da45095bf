"""Reads a sidecar's values one by one, each in the type asked for, and collects what is wrong with them.

Takes the mapping of a sidecar in any released spelling, returns values. Which of them make a sidecar is for `sidecar`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nlareport.checkpoints.sidecar_keys import SECTIONS, keys_not_done
from nlareport.shown import listed, shown

Role = Literal["av", "ar"]

_ROLES: dict[str, Role] = {
    "av": "av",
    "actor": "av",
    "verbalizer": "av",
    "ar": "ar",
    "critic": "ar",
    "reconstructor": "ar",
}
ABSENT = object()
"""Stands for a key that is not there; a null is None."""
MARKER = ("injection_char", "injection_token_id", "injection_left_neighbor_id", "injection_right_neighbor_id")
"""The keys of `tokens` that say what the marker is and what is around it."""
UNRECORDED = -1
"""In place of a token id that is left to the tokenizer."""
KNOWN_SCHEMA_VERSION = 2
MOST_SCALE = 1e12
MOST_WHOLE = 2**31 - 1
"""Largest whole number of a sidecar: a width, a block or a token id beyond it is a slip."""


@dataclass(slots=True)
class SidecarValues:
    """One mapping being read: gives values in the types asked for, and keeps a list of what was wrong."""

    content: dict[str, Any]
    path: Path
    records_tokens: bool = True
    """Whether a marker's tokens must be there, as they are in what a training wrote."""
    faults: list[str] = field(default_factory=list)

    def at(self, key: str) -> Any:
        """The value under a dotted key, or `ABSENT`; a null stays None."""
        value: Any = self.content
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return ABSENT
            value = value[part]
        return value

    def fault(self, key: str, what: str) -> None:
        """Notes what is wrong with the value under a key."""
        self.faults.append(f"{self.path}: {key}: {what}.")

    def expect(self, key: str, *known: str) -> None:
        """Notes a value under a key that is there and is another one."""
        value = self.at(key)
        if value is not ABSENT and value not in known:
            self.fault(key, f"must be {' or '.join(known)}; it says {shown(value)}")

    def role(self, slot: Role | None = None) -> Role:
        """Which half the checkpoint is; `slot` is what it is used as, where the file does not say."""
        value = self.at("role")
        if value in (ABSENT, None) and slot is not None:
            return slot
        if isinstance(value, str) and value in _ROLES:
            return _ROLES[value]
        said = "is missing" if value is ABSENT else f"says {shown(value)}"
        self.fault("role", f"{said}; it must be `av` or `ar`")
        return "ar"

    def integer(self, key: str, minimum: int = 0) -> int:
        """The whole number under a key; where it is at fault, a placeholder that must not be used."""
        value = self.at(key)
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= MOST_WHOLE:
            return value
        said = "is missing" if value is ABSENT else f"says {shown(value)}"
        self.fault(key, f"{said}; it must be a whole number from {minimum} to {MOST_WHOLE}")
        return minimum

    def schema_version(self) -> int:
        """The version the file was written in, at least the one that is known."""
        value = self.at("schema_version")
        if value is ABSENT:
            return KNOWN_SCHEMA_VERSION
        if type(value) is int and 1 <= value <= MOST_WHOLE:
            return max(value, KNOWN_SCHEMA_VERSION)
        self.fault("schema_version", f"says {shown(value)}; it must be a whole number from 1 to {MOST_WHOLE}")
        return KNOWN_SCHEMA_VERSION

    def block_index(self) -> int | None:
        """The block, wherever the file names it; None when it does not."""
        # Schema 1 called K `num_hidden_layers`; it is not the K+1 that config.json calls so.
        spellings = (
            *("extraction_layer_index", "critic.extraction_layer_index", "critic.num_hidden_layers"),
            *("extraction.layer_index", "extraction.layer", "layer_index"),
        )
        written = [key for key in spellings if self.has(key)]
        found = {key: self.integer(key) for key in written}
        for key in written:
            if found[key] != found[written[0]]:
                self.fault(
                    written[0],
                    f"says {found[written[0]]}, {key} says {found[key]}; both must be the same block index",
                )
                break
        return found[written[0]] if written else None

    def block_indexes(self) -> tuple[int, ...]:
        """The blocks, where one checkpoint was trained at several; none where the file lists none."""
        key = next((key for key in ("layer_indices", "extraction.layer_indices") if self.has(key)), None)
        return () if key is None else tuple(sorted(set(self.ids(key) or ())))

    def is_raw_prompt(self) -> bool | None:
        """Whether the verbalizer's prompt is its template alone, without a chat template; None when it does not say."""
        value = self.at("prompt_format")
        if value is ABSENT and isinstance(self.at("use_chat_template"), bool):
            value = "chat" if self.at("use_chat_template") else "raw"
        if value in ("raw", "plain"):
            return True
        if value not in (ABSENT, None, "chat"):
            self.fault("prompt_format", f"says {shown(value)}; it must be `raw` or `chat`")
        return False if value == "chat" else None

    def adds_bos(self) -> bool | None:
        """Whether texts began with BOS in training; None when the file does not say."""
        value = self.at("tokens.adds_bos")
        if value in (ABSENT, None) or isinstance(value, bool):
            return value if isinstance(value, bool) else None
        self.fault("tokens.adds_bos", f"says {shown(value)}; it must be true, false or null")
        return None

    def marker(self, role: Role) -> dict[str, Any]:
        """The marker and its tokens, by key; an AR, which never sees it, may say nothing of any."""
        if role == "ar" and not any(self.has(f"tokens.{key}") for key in MARKER):
            return {MARKER[0]: "", **dict.fromkeys(MARKER[1:], 0)}
        ids = {
            key: self.integer(f"tokens.{key}") if self.records_tokens or self.has(f"tokens.{key}") else UNRECORDED
            for key in MARKER[1:]
        }
        return {MARKER[0]: self.text(f"tokens.{MARKER[0]}", required=True), **ids}

    def d_model(self) -> int:
        """The width, wherever the file names it."""
        at_top = self.has("d_model") or not self.has("extraction.d_model")
        return self.integer("d_model" if at_top else "extraction.d_model", minimum=1)

    def refuse_another_width(self) -> None:
        """Notes a second width that is not the first."""
        width = self.at("extraction.d_model")
        if self.has("d_model") and width not in (ABSENT, None, self.at("d_model")):
            self.fault("extraction.d_model", f"says {shown(width)}; it must be the width that d_model says")

    def refuse_sections_without_keys(self) -> None:
        """Notes every section that holds one value where keys belong: all of them would be passed over."""
        for section in SECTIONS:
            if self.has(section) and not isinstance(self.at(section), dict):
                self.fault(section, f"says {shown(self.at(section))}; it must be a mapping of keys, or null")

    def refuse_what_is_not_done(self) -> None:
        """Notes all keys that ask for something nlareport does not do, in one sentence."""
        if keys := keys_not_done(self.content):
            asks = "asks" if len(keys) == 1 else "ask"
            self.fault(
                listed(keys),
                f"{asks} for something nlareport does not do, so vectors would be handled differently than in "
                "training; use a checkpoint that does not need it, or remove keys that are only informative",
            )

    def has(self, key: str) -> bool:
        """Whether there is a value other than null under a key."""
        return self.at(key) not in (ABSENT, None)

    def scale(self, key: str, d_model: int, default: Any) -> float | None:
        """The norm under a key, or None for a vector's own; `default` is what an absent key says."""
        value = self.at(key)
        if value is ABSENT:
            value = default
        if value is None or value in ("raw", "none"):
            return None
        if value == "sqrt_d_model":
            return math.sqrt(d_model)
        if isinstance(value, str):
            # YAML 1.1 reads `8e4` as a text.
            value = _number_in(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_SCALE:
            return float(value)
        said = "is missing" if value is ABSENT else f"says {shown(value)}"
        self.fault(
            key,
            f"{said}; it must be a number above 0 and up to {MOST_SCALE:g}, `sqrt_d_model`, or null for the "
            "vector's own norm",
        )
        return None

    def text(self, key: str, required: bool) -> str:
        """The text under a key; empty when there is none."""
        value = self.at(key)
        if isinstance(value, str) and value:
            return value
        if required or value not in (ABSENT, None, ""):
            said = "is missing" if value is ABSENT else f"says {shown(value)}"
            self.fault(key, f"{said}; it must be a text")
        return ""

    def ids(self, key: str) -> tuple[int, ...] | None:
        """The token ids under a key; None when there are none."""
        value = self.at(key)
        if value in (ABSENT, None):
            return None
        if isinstance(value, list) and all(type(entry) is int and 0 <= entry <= MOST_WHOLE for entry in value):
            return tuple(value)
        self.fault(key, f"says {shown(value)}; it must be a list of token ids, or null")
        return None

    def template(self, spellings: Sequence[str], placeholder: str, required: bool) -> str:
        """The template under any of its names, which holds its placeholder once."""
        keys = [f"prompt_templates.{spelling}" for spelling in spellings]
        written = [key for key in keys if self.has(key)]
        key = written[0] if written else keys[0]
        for other in written:
            if self.at(other) != self.at(key):
                self.fault(key, f"is another template than {other}; take out the one that was not trained with")
        template = self.text(key, required)
        if template and template.count(placeholder) != 1:
            self.fault(key, f"holds {placeholder} {template.count(placeholder)} times; it must hold it once")
        return template


def _number_in(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
