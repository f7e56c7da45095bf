"""Reads the small files of a checkpoint directory and checks that its safetensors are whole, before a library opens it.

Takes a directory, returns the contents of its JSON and text files, or an error that names the file and its fault.
"""

import json
import os
from math import prod
from pathlib import Path
from typing import Any

from nlareport.errors import CheckpointDamaged, CheckpointMissing
from nlareport.shown import shown

VALUE_HEAD_NAME = "value_head.safetensors"
INDEX_NAME = "model.safetensors.index.json"

PUT_BACK = "Put back the file that was released with the checkpoint."

_MOST_BYTES = 64_000_000
"""Of a small file: the index of the largest released checkpoint has 2 MB."""

_MOST_HEADER_BYTES = 100_000_000
"""What safetensors itself allows."""


def json_object(path: Path) -> dict[str, Any] | None:
    """What a JSON file of a checkpoint holds; None when it is not there.

    Raises:
        CheckpointDamaged: it is there and is no file, or holds no JSON object in UTF-8.
    """
    text = small_text(path)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "is empty" if not text.strip() else f"is not JSON ({error})"
        raise CheckpointDamaged(f"{path}: {what}. {PUT_BACK}") from error
    if not isinstance(content, dict):
        raise CheckpointDamaged(f"{path}: holds {shown(content)} where an object of names is expected. {PUT_BACK}")
    return content


def named_stop_ids(generation: Any, config: Any) -> Any:
    """What the contents of ``generation_config.json``, or where there is none of ``config.json``, name as stop ids.

    A list, or what a file says instead of one; None when they name none. A multimodal configuration may name some in
    addition to its language model's own.
    """
    if generation is not None:
        return generation.get("eos_token_id") if isinstance(generation, dict) else None
    if not isinstance(config, dict):
        return None
    found: list[Any] = []
    for part in (config, config.get("text_config")):
        named = part.get("eos_token_id") if isinstance(part, dict) else None
        for stop_id in named if isinstance(named, list) else [named]:
            if stop_id is not None and stop_id not in found:
                found.append(stop_id)
    return found or None


def small_text(path: Path) -> str | None:
    """The text of a small file of a checkpoint; None when it is not there.

    Raises:
        CheckpointDamaged: it is there and cannot be read, or is not UTF-8.
    """
    if not path.exists():
        if path.is_symlink():
            raise CheckpointDamaged(f"{path}: is a link to a file that is no longer there. Download or copy it again.")
        return None
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise CheckpointDamaged(f"{path}: is no file of text under {_MOST_BYTES // 1_000_000} MB. {PUT_BACK}")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointDamaged(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise CheckpointDamaged(f"{path}: is not UTF-8 text (byte {error.start}). {PUT_BACK}") from error


def refuse_damaged_weights(directory: Path) -> None:
    """Pass when the directory holds its safetensors weights whole: every shard its index names, none of them cut.

    Only headers are read.

    Raises:
        CheckpointMissing: there are none, or a shard is not there.
        CheckpointDamaged: a file is cut or is no safetensors file, or the index leads out of the directory.
    """
    for path in weight_paths(directory):
        refuse_cut(path)


def n_weights(directory: Path) -> int:
    """How many numbers the directory's safetensors weights hold, by their headers.

    Raises:
        CheckpointMissing: there are none, or a shard is not there.
        CheckpointDamaged: a file is cut or is no safetensors file, or the index leads out of the directory.
    """
    return sum(prod(entry["shape"]) for path in weight_paths(directory) for entry in refuse_cut(path).values())


def weight_paths(directory: Path) -> list[Path]:
    """The files that a model's weights are read from: the one whole file, or every shard its index names.

    Raises:
        CheckpointMissing: there are none, or a shard is not there.
        CheckpointDamaged: the index leads out of the directory.
    """
    whole = directory / "model.safetensors"
    if whole.exists() or whole.is_symlink():
        return [whole]
    return [directory / name for name in _shards(directory)]


def refuse_cut(path: Path) -> dict[str, Any]:
    """What a safetensors file's header says of each tensor; passes when the file is as long as that.

    Raises:
        CheckpointDamaged: it is cut, or is no safetensors file.
    """
    again = "Fetch or copy this file again."
    try:
        with path.open("rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size
            n_header = int.from_bytes(file.read(8), "little")
            if n_bytes < 8 or n_header > min(n_bytes - 8, _MOST_HEADER_BYTES):
                raise CheckpointDamaged(f"{path}: is truncated, or no safetensors file ({n_bytes:,} bytes). {again}")
            header = json.loads(file.read(n_header))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        ends = [entry["data_offsets"][1] for entry in tensors.values()]
        n_expected = 8 + n_header + max(ends, default=0)
    except OSError as error:
        raise CheckpointDamaged(f"{path}: cannot be read ({error.strerror}). {again}") from error
    except (ValueError, RecursionError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise CheckpointDamaged(f"{path}: its header is damaged. {again}") from error
    if n_bytes != n_expected:
        raise CheckpointDamaged(f"{path}: has {n_bytes:,} bytes, its header says {n_expected:,}. {again}")
    return tensors


def _shards(directory: Path) -> list[str]:
    """The file names that the index gives, each once.

    Raises:
        CheckpointMissing: there is no index, or a file it names is not there.
        CheckpointDamaged: it names something that is no file of this directory.
    """
    path = directory / INDEX_NAME
    index = json_object(path)
    if index is None:
        raise CheckpointMissing(
            f"{directory}: holds no safetensors weights. Pickled weights (.bin) are not opened; convert them."
        )
    named = index.get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise CheckpointDamaged(f"{path}: has no weight_map of names. {PUT_BACK}")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors") or "\\" in name or "\0" in name:
            raise CheckpointDamaged(
                f"{path}: names {shown(name)}, which is no safetensors file of this folder. {PUT_BACK}"
            )
    missing = [name for name in names if not (directory / name).exists()]
    if missing:
        raise CheckpointMissing(
            f"{directory}: {len(missing)} of its {len(names)} shards are not there, {missing[0]} is the first. "
            "Fetch or copy them."
        )
    return names
