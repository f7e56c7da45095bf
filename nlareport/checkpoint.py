"""The sidecar contract: what ``nla_meta.yaml`` says of a verbalizer or a reconstructor.

Enters a checkpoint directory or a parsed YAML mapping in any released spelling; leaves one `Sidecar`, or one error
that lists every fault. Knows no tokenizer and no model: holding the sidecar against those is for `prompts` and the
backends.
"""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nlareport.errors import CheckpointInvalid, CheckpointMissing
from nlareport.shown import listed, shown
from nlareport.sidecar_keys import keys_not_done
from nlareport.user_cache import file_sha256
from nlareport.yaml_files import mapping_in, yaml_text

Role = Literal["av", "ar"]

SIDECAR_NAME = "nla_meta.yaml"
_ROLES: dict[str, Role] = {
    "av": "av",
    "actor": "av",
    "verbalizer": "av",
    "ar": "ar",
    "critic": "ar",
    "reconstructor": "ar",
}
_ABSENT = object()
KNOWN_SCHEMA_VERSION = 2
MOST_SCALE = 1e12
MOST_WHOLE = 2**31 - 1
"""Largest whole number of a sidecar: a width, a block or a token id beyond it is a slip."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What one checkpoint says of itself."""

    role: Role
    d_model: int
    block_index: int | None
    """K: the vector is the output of decoder block K, after its residual add. None: the file does not say."""
    injection_scale: float | None
    """Norm a vector is rescaled to before injection. None: the vector keeps its own. An AR has none."""
    mse_scale: float | None
    """Norm both vectors had in the training loss, sqrt(d_model) unless the file says otherwise.
    None: it was trained on raw vectors. Scoring uses sqrt(d_model) whatever stands here."""
    injection_char: str
    injection_token_id: int
    injection_left_neighbor_id: int
    injection_right_neighbor_id: int
    reconstructor_suffix_ids: tuple[int, ...] | None
    """The last ids of every reconstructor prompt; empty when its template ends with the explanation.
    None for an AV, and for an AR that does not record them."""
    verbalizer_template: str
    """Empty in an AR that does not name it."""
    reconstructor_template: str
    """Empty in an AV that does not name it."""
    adds_bos: bool | None = None
    """Whether texts began with the tokenizer's BOS in training. None: as the tokenizer has it, which must add it."""
    schema_version: int = KNOWN_SCHEMA_VERSION
    """A newer one than is known is read as far as it is alike. Version 1 only spells otherwise, and counts as 2."""

    @property
    def named_block(self) -> int:
        """The block it names, for those who have no experiment to ask.

        Raises:
            CheckpointInvalid: it names none.
        """
        if self.block_index is None:
            raise CheckpointInvalid(f"The {self.role.upper()}'s sidecar names no block; add extraction_layer_index.")
        return self.block_index


def read_sidecar(directory: Path) -> Sidecar:
    """The sidecar of the checkpoint in a directory.

    Raises:
        CheckpointMissing: there is no such directory, or no ``nla_meta.yaml`` in it.
        CheckpointInvalid: the file is no ordinary file, not UTF-8, not YAML, or has faults; every fault is listed.
    """
    path = directory / SIDECAR_NAME
    refusal = CheckpointInvalid if os.path.exists(path) else CheckpointMissing
    text = yaml_text(path, refusal, f"Give a checkpoint directory that holds its {SIDECAR_NAME}.")
    content = mapping_in(text, path, CheckpointInvalid, "sidecar", "`role` and `d_model`")
    return parse_sidecar(content, path)


def parse_sidecar(content: dict[str, Any], path: Path) -> Sidecar:
    """The sidecar in a parsed YAML mapping, in any released spelling; `path` is what faults are reported under.

    Raises:
        CheckpointInvalid: the mapping has faults; every fault is listed with its key and what would be right.
    """
    reading = _Reading(content, path)
    reading.expect("kind", {"nla_model"})
    version = reading.schema_version()
    role = reading.role()
    d_model = reading.integer("d_model", minimum=1)
    sidecar = Sidecar(
        role=role,
        d_model=d_model,
        block_index=reading.block_index(),
        # A scale is a hyperparameter of the training: guessing one for a verbalizer would give fluent nonsense.
        injection_scale=reading.scale("extraction.injection_scale", d_model, None if role == "ar" else _ABSENT),
        mse_scale=reading.scale("extraction.mse_scale", d_model, "sqrt_d_model"),
        injection_char=reading.text("tokens.injection_char", required=True),
        injection_token_id=reading.integer("tokens.injection_token_id"),
        injection_left_neighbor_id=reading.integer("tokens.injection_left_neighbor_id"),
        injection_right_neighbor_id=reading.integer("tokens.injection_right_neighbor_id"),
        reconstructor_suffix_ids=reading.ids("tokens.critic_suffix_ids"),
        verbalizer_template=reading.template(("av", "actor", "verbalizer"), "{injection_char}", role == "av"),
        reconstructor_template=reading.template(("ar", "critic", "reconstructor"), "{explanation}", role == "ar"),
        adds_bos=reading.adds_bos(),
        schema_version=version,
    )
    reading.refuse_another_width()
    reading.refuse_what_is_not_done()
    if reading.faults:
        raise CheckpointInvalid("\n".join(reading.faults))
    return sidecar


def sidecar_content(sidecar: Sidecar) -> dict[str, Any]:
    """What ``nla_meta.yaml`` holds for a sidecar, in the released spelling.

    Parsing it gives the same sidecar back.
    """
    suffix_ids = sidecar.reconstructor_suffix_ids
    content: dict[str, Any] = {
        "kind": "nla_model",
        "schema_version": sidecar.schema_version,
        "role": sidecar.role,
        "d_model": sidecar.d_model,
        "extraction": {"injection_scale": sidecar.injection_scale, "mse_scale": sidecar.mse_scale},
        "tokens": {
            "injection_char": sidecar.injection_char,
            "injection_token_id": sidecar.injection_token_id,
            "injection_left_neighbor_id": sidecar.injection_left_neighbor_id,
            "injection_right_neighbor_id": sidecar.injection_right_neighbor_id,
            "critic_suffix_ids": None if suffix_ids is None else list(suffix_ids),
        },
        "prompt_templates": {"av": sidecar.verbalizer_template, "ar": sidecar.reconstructor_template},
    }
    if sidecar.adds_bos is not None:
        content["tokens"]["adds_bos"] = sidecar.adds_bos
    if sidecar.block_index is not None:
        if sidecar.role == "ar":
            content["critic"] = {"extraction_layer_index": sidecar.block_index}
        content["extraction_layer_index"] = sidecar.block_index
    return content


def checkpoint_sha256(directory: Path, advance: Callable[[int], None] | None = None) -> str:
    """One digest over the weight files of a checkpoint (every ``*.safetensors``, by name), in hex.

    A large file that has not changed since is not read again (`user_cache.file_sha256`); `advance` hears how many bytes
    were read.

    Raises:
        CheckpointMissing: the directory holds none.
        CheckpointChanged: somebody writes to one meanwhile.
    """
    paths = sorted(directory.glob("*.safetensors"))
    if not paths:
        raise CheckpointMissing(f"{directory}: holds no *.safetensors; give a checkpoint directory with its weights.")
    lines = [f"{path.name} {file_sha256(path, advance)}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(slots=True)
class _Reading:
    """One mapping being read: gives values in the types asked for, and keeps a list of what was wrong."""

    content: dict[str, Any]
    path: Path
    faults: list[str] = field(default_factory=list)

    def at(self, key: str) -> Any:
        """The value under a dotted key, or `_ABSENT`; a null stays None."""
        value: Any = self.content
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return _ABSENT
            value = value[part]
        return value

    def fault(self, key: str, what: str) -> None:
        self.faults.append(f"{self.path}: {key}: {what}.")

    def expect(self, key: str, allowed: set[Any]) -> None:
        value = self.at(key)
        if value is not _ABSENT and (type(value) not in (str, int) or value not in allowed):
            choices = " or ".join(str(choice) for choice in sorted(allowed))
            self.fault(key, f"must be {choices}; it says {shown(value)}")

    def role(self) -> Role:
        value = self.at("role")
        if isinstance(value, str) and value in _ROLES:
            return _ROLES[value]
        said = "is missing" if value is _ABSENT else f"says {shown(value)}"
        self.fault("role", f"{said}; it must be `av` or `ar`")
        return "ar"

    def integer(self, key: str, minimum: int = 0) -> int:
        value = self.at(key)
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= MOST_WHOLE:
            return value
        said = "is missing" if value is _ABSENT else f"says {shown(value)}"
        self.fault(key, f"{said}; it must be a whole number from {minimum} to {MOST_WHOLE}")
        return minimum

    def schema_version(self) -> int:
        value = self.at("schema_version")
        if value is _ABSENT:
            return KNOWN_SCHEMA_VERSION
        if type(value) is int and 1 <= value <= MOST_WHOLE:
            return max(value, KNOWN_SCHEMA_VERSION)
        self.fault("schema_version", f"says {shown(value)}; it must be a whole number from 1 to {MOST_WHOLE}")
        return KNOWN_SCHEMA_VERSION

    def block_index(self) -> int | None:
        # Schema 1 called K `num_hidden_layers`; it is not the K+1 that config.json calls so.
        spellings = ("critic.extraction_layer_index", "critic.num_hidden_layers", "extraction.layer_index")
        written = [key for key in ("extraction_layer_index", *spellings) if self.has(key)]
        found = {key: self.integer(key) for key in written}
        for key in written:
            if found[key] != found[written[0]]:
                self.fault(
                    written[0],
                    f"says {found[written[0]]}, {key} says {found[key]}; both must be the same block index",
                )
                break
        return found[written[0]] if written else None

    def adds_bos(self) -> bool | None:
        value = self.at("tokens.adds_bos")
        if value in (_ABSENT, None) or isinstance(value, bool):
            return value if isinstance(value, bool) else None
        self.fault("tokens.adds_bos", f"says {shown(value)}; it must be true, false or null")
        return None

    def refuse_another_width(self) -> None:
        width = self.at("extraction.d_model")
        if self.has("d_model") and width not in (_ABSENT, None, self.at("d_model")):
            self.fault("extraction.d_model", f"says {shown(width)}; it must be the width that d_model says")

    def refuse_what_is_not_done(self) -> None:
        if keys := keys_not_done(self.content):
            asks = "asks" if len(keys) == 1 else "ask"
            self.fault(
                listed(keys),
                f"{asks} for what nothing here does, and vectors would go in or out otherwise than in training; "
                "use a checkpoint that does without, or take out what only informs",
            )

    def has(self, key: str) -> bool:
        return self.at(key) not in (_ABSENT, None)

    def scale(self, key: str, d_model: int, default: Any) -> float | None:
        value = self.at(key)
        if value is _ABSENT:
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
        said = "is missing" if value is _ABSENT else f"says {shown(value)}"
        self.fault(
            key,
            f"{said}; it must be a number above 0 and up to {MOST_SCALE:g}, `sqrt_d_model`, or null for the "
            "vector's own norm",
        )
        return None

    def text(self, key: str, required: bool) -> str:
        value = self.at(key)
        if isinstance(value, str) and value:
            return value
        if required or value not in (_ABSENT, None, ""):
            said = "is missing" if value is _ABSENT else f"says {shown(value)}"
            self.fault(key, f"{said}; it must be a text")
        return ""

    def ids(self, key: str) -> tuple[int, ...] | None:
        value = self.at(key)
        if value in (_ABSENT, None):
            return None
        if isinstance(value, list) and all(type(entry) is int and 0 <= entry <= MOST_WHOLE for entry in value):
            return tuple(value)
        self.fault(key, f"says {shown(value)}; it must be a list of token ids, or null")
        return None

    def template(self, spellings: Sequence[str], placeholder: str, required: bool) -> str:
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
