"""Reads and writes the sidecar ``nla_meta.yaml``: what a verbalizer or a reconstructor says of itself.

Takes a checkpoint directory or a parsed YAML mapping in any released spelling, returns one `Sidecar`, or raises one
error that lists every fault. Knows no tokenizer and no model: checking the sidecar against those is for `prompts` and
the backends.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlareport.checkpoints.injection_rule import RELEASED, Injection, read_injection, spelled_out
from nlareport.checkpoints.sidecar_values import ABSENT, KNOWN_SCHEMA_VERSION, MARKER, UNRECORDED, Role, SidecarValues
from nlareport.errors import CheckpointInvalid, CheckpointMissing
from nlareport.files.user_cache import file_sha256
from nlareport.files.yaml_files import mapping_in, yaml_text
from nlareport.shown import shown

SIDECAR_NAME = "nla_meta.yaml"


@dataclass(frozen=True, slots=True)
class Stated:
    """What an experiment says of a checkpoint that comes without a sidecar, or with one that says less."""

    content: Mapping[str, Any] = field(default_factory=dict)
    """As the sidecar's own mapping would have it."""
    where: str = "the experiment file"
    """What errors call the place where it is said."""
    role: Role | None = None
    """The half that the checkpoint is used as."""
    d_model: int | None = None
    """The width of the pair, where there is no sidecar to name one."""


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
    None: it was trained on raw vectors. Scoring uses sqrt(d_model) in any case."""
    injection_char: str
    """Empty in an AR that says nothing of a marker, which then has no token either."""
    injection_token_id: int
    """`UNRECORDED`, like its neighbours, where only an experiment speaks of the marker and leaves its tokens out."""
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
    """A newer one than is known is read as far as it is alike. Version 1 differs only in spelling, and counts as 2."""
    injection: Injection = RELEASED
    """How the vector enters an AV's prompt."""
    block_indexes: tuple[int, ...] = ()
    """The blocks of one that was trained at several, of which the experiment names one; empty otherwise."""
    reads_block: int | None = None
    """The block that an AR reads, where that is another than the one whose vectors it gives."""
    is_raw_prompt: bool | None = None
    """Whether an AV is asked its template alone. None: through its chat template, where its tokenizer has one."""

    @property
    def named_block(self) -> int:
        """The block it names, for those who have no experiment to ask.

        Raises:
            CheckpointInvalid: it names none.
        """
        if self.block_index is None:
            raise CheckpointInvalid(f"The {self.role.upper()}'s sidecar names no block; add extraction_layer_index.")
        return self.block_index


def read_sidecar(directory: Path, stated: Stated | None = None) -> Sidecar:
    """The sidecar of the checkpoint in a directory, with what the experiment states of it.

    Raises:
        CheckpointMissing: there is no such directory, or no ``nla_meta.yaml`` in it and nothing is stated.
        CheckpointInvalid: the file is no ordinary file, not UTF-8, not YAML, or has faults, or the experiment
            contradicts it; every fault is listed.
    """
    stated, path = stated or Stated(), directory / SIDECAR_NAME
    # Which model an adapter is merged into is no part of a sidecar.
    said = {key: value for key, value in stated.content.items() if key != "base_model"}
    if said and not os.path.lexists(path):
        width = {} if stated.d_model is None else {"d_model": stated.d_model}
        return parse_sidecar({**width, **said}, Path(stated.where), stated.role, records_tokens=False)
    refusal = CheckpointInvalid if os.path.exists(path) else CheckpointMissing
    advice = f"Give a checkpoint directory that holds its {SIDECAR_NAME}, or say what it would under sidecars in the "
    text = yaml_text(path, refusal, f"{advice}experiment file.")
    content = mapping_in(text, path, CheckpointInvalid, "sidecar", "`role` and `d_model`")
    faults: list[str] = []
    content = _completed(content, said, f"{path}: ", stated.where, faults)
    if faults:
        raise CheckpointInvalid("\n".join(faults))
    return parse_sidecar(content, path, stated.role)


def parse_sidecar(
    content: dict[str, Any], path: Path, slot: Role | None = None, *, records_tokens: bool = True
) -> Sidecar:
    """The sidecar in a parsed YAML mapping, in any released spelling; `path` is what faults are reported under.

    `slot` is the half that the checkpoint is used as, where the mapping names none. A mapping that was not written in
    training need not record the marker's tokens.

    Raises:
        CheckpointInvalid: the mapping has faults; every fault is listed with its key and what would be right.
    """
    reading = SidecarValues(spelled_out(content), path, records_tokens)
    # Some trainers copy the sidecar of the data they train on.
    reading.expect("kind", "nla_model", "nla_dataset")
    version = reading.schema_version()
    role = reading.role(slot)
    d_model = reading.d_model()
    injection = read_injection(reading)
    # A scale is a hyperparameter of the training: guessing one for a verbalizer would give fluent nonsense.
    needs_scale = role == "av" and not injection.norm_match
    sidecar = Sidecar(
        role=role,
        d_model=d_model,
        block_index=reading.block_index(),
        injection_scale=reading.scale("extraction.injection_scale", d_model, ABSENT if needs_scale else None),
        mse_scale=reading.scale("extraction.mse_scale", d_model, "sqrt_d_model"),
        **reading.marker(role),
        reconstructor_suffix_ids=reading.ids("tokens.critic_suffix_ids"),
        verbalizer_template=reading.template(("av", "actor", "verbalizer"), "{injection_char}", role == "av"),
        reconstructor_template=reading.template(("ar", "critic", "reconstructor"), "{explanation}", role == "ar"),
        adds_bos=reading.adds_bos(),
        schema_version=version,
        injection=injection,
        block_indexes=reading.block_indexes(),
        reads_block=reading.integer("critic.reads_block") if reading.has("critic.reads_block") else None,
        is_raw_prompt=reading.is_raw_prompt(),
    )
    reading.refuse_sections_without_keys()
    reading.refuse_another_width()
    reading.refuse_what_is_not_done()
    if reading.faults:
        raise CheckpointInvalid("\n".join(reading.faults))
    return sidecar


def _completed(
    content: dict[str, Any], stated: Mapping[str, Any], prefix: str, where: str, faults: list[str]
) -> dict[str, Any]:
    """A sidecar's mapping with what the experiment states and it does not; notes what contradicts it."""
    whole = dict(content)
    for key, value in stated.items():
        there = whole.get(key)
        if isinstance(there, dict) and isinstance(value, Mapping):
            whole[key] = _completed(there, value, f"{prefix}{key}.", where, faults)
        elif there is None:
            whole[key] = value
        elif there != value:
            faults.append(
                f"{prefix}{key}: says {shown(there)}, {where} says {shown(value)}; the file wins, so take the key out "
                "of the experiment, or name the checkpoint that was meant."
            )
    return whole


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
    content["tokens"] = {
        key: value
        for key, value in content["tokens"].items()
        if key not in MARKER or (sidecar.injection_char and value != UNRECORDED)
    }
    if sidecar.adds_bos is not None:
        content["tokens"]["adds_bos"] = sidecar.adds_bos
    if injection := sidecar.injection.content():
        content["injection"] = injection
    if sidecar.block_indexes:
        content["layer_indices"] = list(sidecar.block_indexes)
    if sidecar.is_raw_prompt is not None:
        content["prompt_format"] = "raw" if sidecar.is_raw_prompt else "chat"
    if sidecar.reads_block is not None:
        content["critic"] = {"reads_block": sidecar.reads_block}
    if sidecar.block_index is not None:
        if sidecar.role == "ar":
            content.setdefault("critic", {})["extraction_layer_index"] = sidecar.block_index
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
