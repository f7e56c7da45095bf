"""Reads what a LoRA adapter directory says of itself: the PEFT configuration, its base model, its file of weights.

Takes a checkpoint directory, returns an `Adapter`, or None where it is a whole checkpoint. Two layouts are known:
PEFT's own (``adapter_config.json``), and a reconstructor trained with LoRA inside its own model class
(``ar_meta.json`` and ``ar_lora_value_head.safetensors``). Imports no torch; merging is for `merging`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlareport.errors import AdapterUnsupported, CheckpointDamaged, CheckpointMissing
from nlareport.models.checkpoint_files import INDEX_NAME, PUT_BACK, json_object
from nlareport.shown import shown

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
CRITIC_META, CRITIC_WEIGHTS = "ar_meta.json", "ar_lora_value_head.safetensors"

_MERGED = "Merge it into its base model with the code it was trained with, and give the merged directory."
_NOT_MERGED = ("alora_invocation_tokens", "layer_replication", "target_parameters", "trainable_token_indices")
"""Keys of PEFT's configuration that ask for what merging into linear maps cannot give, or what is not done here."""
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin an adapter that also change the base model's own weights, of which the adapter's file says nothing."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter as it is shipped."""

    path: Path
    """Its file of weights."""
    config: Mapping[str, Any]
    """Its keys as in ``adapter_config.json``."""

    @property
    def base_model(self) -> str | None:
        """The name of the model that it was trained on, with the revision; None when it does not say."""
        name, revision = self.config.get("base_model_name_or_path"), self.config.get("revision")
        if not isinstance(name, str) or not name:
            return None
        return f"{name}@{revision}" if isinstance(revision, str) and revision and "@" not in name else name


def read_adapter(directory: Path) -> Adapter | None:
    """The adapter in a directory; None when the directory holds none.

    Raises:
        AdapterUnsupported: it is no LoRA, or a kind of it that cannot be merged exactly.
        CheckpointMissing: its weights are not there.
        CheckpointDamaged: its configuration is damaged, or whole weights are in the same directory.
    """
    content = json_object(directory / ADAPTER_CONFIG)
    if content is not None:
        adapter = Adapter(directory / ADAPTER_WEIGHTS, content)
    elif (directory / CRITIC_WEIGHTS).exists():
        adapter = Adapter(directory / CRITIC_WEIGHTS, _critic_config(directory))
    else:
        return None
    _refuse_two_models(directory)
    _refuse_unmergeable(directory, adapter.config)
    return adapter


def adapter_weights(adapter: Adapter) -> Path:
    """The adapter's file of weights.

    Raises:
        CheckpointMissing: it is not there, or only as a pickle.
    """
    if not adapter.path.exists():
        pickled = adapter.path.with_suffix(".bin")
        said = f"only {pickled.name}, a pickle, which is not opened; convert it" if pickled.exists() else "not there"
        raise CheckpointMissing(
            f"{adapter.path}: the adapter's weights are {said}."
            + ("" if pickled.exists() else " Fetch the whole checkpoint.")
        )
    return adapter.path


def _critic_config(directory: Path) -> dict[str, Any]:
    """The LoRA of a reconstructor that was trained inside its own class, as PEFT would write it."""
    meta = json_object(directory / CRITIC_META)
    if meta is None:
        raise CheckpointMissing(
            f"{directory}: holds {CRITIC_WEIGHTS} without {CRITIC_META}, which says how it is scaled. Fetch that file."
        )
    for key in ("lora_r", "lora_alpha"):
        if not isinstance(meta.get(key), int) or isinstance(meta[key], bool):
            raise CheckpointDamaged(f"{directory / CRITIC_META}: gives {key} as {shown(meta.get(key))}. {PUT_BACK}")
    # Its trainer scales by the root of the rank, and has no key for it.
    return {"peft_type": "LORA", "r": meta["lora_r"], "lora_alpha": meta["lora_alpha"], "use_rslora": True}


def _refuse_two_models(directory: Path) -> None:
    whole = next((name for name in ("model.safetensors", INDEX_NAME) if (directory / name).exists()), None)
    if whole is not None:
        raise CheckpointDamaged(
            f"{directory}: holds whole weights ({whole}) as well as an adapter, and only one of them is the "
            "checkpoint. Move the other to a folder of its own."
        )


def _refuse_unmergeable(directory: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise AdapterUnsupported(
            f"{directory}: is an adapter of the kind {shown(kind)}; only LORA is merged. {_MERGED}"
        )
    asked = next((key for key in _NOT_MERGED if config.get(key)), None)
    start = config.get("init_lora_weights")
    if asked is None and isinstance(start, str) and start.lower().startswith(_CHANGES_THE_BASE):
        asked = "init_lora_weights"
    if asked is not None:
        raise AdapterUnsupported(
            f"{directory}: its adapter says {asked} {shown(config[asked])}, which is not merged here. {_MERGED}"
        )


def cut_after(directory: Path) -> int | None:
    """The block that a reconstructor was cut after in training, where a file of its trainer says so.

    Raises:
        CheckpointDamaged: the file is damaged.
        AdapterUnsupported: it was trained with the model's final norm before its head.
    """
    meta = json_object(directory / CRITIC_META)
    if meta is None:
        return None
    n_blocks = meta.get("ar_num_layers")
    if not isinstance(n_blocks, int) or isinstance(n_blocks, bool) or n_blocks < 1:
        raise CheckpointDamaged(f"{directory / CRITIC_META}: gives ar_num_layers as {shown(n_blocks)}. {PUT_BACK}")
    if meta.get("final_norm_stripped") is not True:
        raise AdapterUnsupported(
            f"{directory / CRITIC_META}: says that the head was trained on the final norm's output "
            "(final_norm_stripped is not true); here a head reads the block's own output. Give another reconstructor."
        )
    return n_blocks - 1
