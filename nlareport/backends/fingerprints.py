"""Digests of what decides a checkpoint's answers: weights, configuration, tokenizer, sidecar, template, stop ids.

Takes a checkpoint's name, returns digests of the files that are on this machine. Nothing is downloaded and no torch is
needed: a finished run is compared with its checkpoints at once. Only contents count: a comment in a sidecar or another
layout of JSON changes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlareport.backends.shipped import Shipped
from nlareport.checkpoints.sidecar import checkpoint_sha256, sidecar_content
from nlareport.errors import CheckpointInvalid, CheckpointMissing
from nlareport.files.user_cache import file_sha256
from nlareport.models.adapter_files import Adapter
from nlareport.models.checkpoint_files import named_stop_ids
from nlareport.models.head_names import own_files
from nlareport.models.hub_names import LEFT_OUT, hub_name
from nlareport.rows.run_rows import CheckpointRole, MakingKind

TOKENIZER_FILES = (
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
TOKENIZER_CONFIG = "tokenizer_config.json"
SAYS_NOTHING = ("_name_or_path", "name_or_path", "transformers_version", "torch_dtype", "dtype")
"""Keys of configurations that say where files came from; the dtype is the experiment's."""

ADAPTER_SAYS_NOTHING = ("base_model_name_or_path", "revision", "peft_version", "inference_mode")
"""Such keys of an adapter's configuration: what its base model is, its own digest says."""

Digests = dict[MakingKind, str]


def checkpoint_here(checkpoint: str) -> Path | None:
    """Where a checkpoint is on this machine, whole or in part; None when it is not; nothing is downloaded."""
    directory = Path(checkpoint)
    if directory.is_dir():
        return directory
    # Not installed where only pages are made; then nothing with a hub's name can be here.
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        return None
    if (name := hub_name(checkpoint)) is None:
        return None
    for with_weights in (True, False):
        patterns = name.patterns(with_weights=with_weights)
        # The hub's client raises a ValueError for what is no repository name, an OSError for what is not here, also
        # where a part of what is asked for is missing.
        with suppress(OSError, ValueError, CheckpointMissing):
            snapshot = snapshot_download(
                name.repository,
                revision=name.revision,
                allow_patterns=patterns,
                ignore_patterns=LEFT_OUT,
                local_files_only=True,
            )
            return name.inside(Path(snapshot))
    return None


def file_digests(
    shipped: Shipped, role: CheckpointRole, advance: Callable[[int], None] | None = None, *, with_chats: bool = False
) -> Digests:
    """The digests that files alone give; a kind is left out where its files are not there or cannot be read.

    Those of an adapter cover its base model too. `advance` hears how many bytes of weights were read. A base model's
    chat template counts only `with_chats`.

    Raises:
        CheckpointChanged: somebody writes to the weights meanwhile.
    """
    digests: Digests = {}
    if weights := _weights_digest(shipped, role, advance):
        digests["weights"] = weights
    if (shipped.model / "config.json").exists():
        config = _content(shipped.model / "config.json")
        digests["config"] = _digest(config if shipped.adapter is None else [_adapter_content(shipped.adapter), config])
    tokenizer = _tokenizer_content(shipped.tokenizer)
    if tokenizer:
        digests["tokenizer"] = _digest(tokenizer)
    if role == "base_model":
        return digests | ({"chat_template": _digest(_chat_template(shipped.tokenizer))} if with_chats else {})
    # A faulty sidecar is refused where it is used.
    with suppress(CheckpointMissing, CheckpointInvalid):
        sidecar = shipped.sidecar()
        # Whether a BOS may be missing is a permission: what the tokenizer does is in its own digest.
        digests["sidecar"] = _digest(sidecar_content(replace(sidecar, adds_bos=None)))
        if role == "reconstructor":
            digests["prompt"] = _digest(sidecar.reconstructor_template)
    if role == "verbalizer":
        digests["stop_ids"] = _digest(_stop_ids(shipped.generation))
        digests["chat_template"] = _digest(_chat_template(shipped.tokenizer))
    return digests


def weight_files_of(shipped: Shipped) -> list[Path]:
    """All files that a checkpoint's weights are read from."""
    if shipped.adapter is None:
        return weight_files(shipped.directory)
    return [*weight_files(shipped.model), *sorted(shipped.directory.glob("*.safetensors"))]


def _weights_digest(shipped: Shipped, role: CheckpointRole, advance: Callable[[int], None] | None) -> str | None:
    """One digest over the weights; None while a part of them is missing."""
    if not weight_files(shipped.model) or (shipped.adapter is not None and not shipped.adapter.path.is_file()):
        return None
    digest = checkpoint_sha256(shipped.model, advance)
    further = [shipped.directory / name for name in sorted(_pickled_heads(shipped.directory))]
    further = further if role == "reconstructor" else []
    if shipped.adapter is not None:
        further += sorted(shipped.directory.glob("*.safetensors"))
    if further:
        return _digest([digest, *([path.name, file_sha256(path, advance)] for path in further)])
    return digest


def _adapter_content(adapter: Adapter) -> dict[str, Any]:
    return {key: value for key, value in adapter.config.items() if key not in ADAPTER_SAYS_NOTHING}


def _pickled_heads(directory: Path) -> list[str]:
    """The names of heads in files that are no safetensors."""
    names = own_files(path.name for path in directory.iterdir() if path.is_file())
    return [name for name in names if not name.endswith(".safetensors")]


def weight_files(directory: Path) -> list[Path]:
    """A checkpoint's safetensors by name; none while a part of them is still missing."""
    found = sorted(path for path in directory.glob("*.safetensors") if path.is_file())
    index = _content(directory / "model.safetensors.index.json")
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if isinstance(shards, dict) and not {str(name) for name in shards.values()} <= {path.name for path in found}:
        return []
    return found


def prompt_digest(token_ids: Iterable[int], further_stop_ids: Iterable[int] = ()) -> str:
    """The digest of a prompt as it is sent, and of stop ids that its chat template gives and no file names."""
    further = list(further_stop_ids)
    return _digest([list(token_ids), further] if further else list(token_ids))


def _tokenizer_content(directory: Path) -> dict[str, Any]:
    """What each of a tokenizer's files says, by name; without the chat template."""
    content: dict[str, Any] = {}
    for name in TOKENIZER_FILES:
        if (path := directory / name).is_file():
            # Raw: a vocabulary may be tens of megabytes of JSON, and nobody reformats it.
            content[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    config = _content(directory / TOKENIZER_CONFIG)
    if isinstance(config, dict):
        config = {key: value for key, value in config.items() if key != "chat_template"}
    return content if config is None else {**content, TOKENIZER_CONFIG: config}


def _chat_template(directory: Path) -> list[Any]:
    config = _content(directory / TOKENIZER_CONFIG)
    inside = config.get("chat_template") if isinstance(config, dict) else None
    return [inside, *(_content(directory / name) for name in ("chat_template.jinja", "chat_template.json"))]


def _stop_ids(directory: Path) -> Any:
    """The stop ids that a verbalizer's files name; the one of its chat template is part of the prompt's digest."""
    stop_ids = named_stop_ids(_content(directory / "generation_config.json"), _content(directory / "config.json"))
    return [stop_ids] if isinstance(stop_ids, int) else stop_ids


def _content(path: Path) -> Any:
    """What a file says: JSON without its layout and keys that decide nothing, else its text; None without a file."""
    if not path.is_file():
        return None
    try:
        text = path.read_bytes().decode("utf-8", errors="backslashreplace")
    except OSError:
        return None
    if path.suffix != ".json":
        return text
    try:
        return _without_origin(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _without_origin(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _without_origin(value) for key, value in content.items() if key not in SAYS_NOTHING}
    return content


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
