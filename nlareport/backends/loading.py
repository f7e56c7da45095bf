"""Opens checkpoint directories with Transformers: finds them, reads config, tokenizer and weights, refuses surprises.

Enters a directory or hub id; leaves torch modules ready for inference. Knows neither prompts nor vectors. Foreign
errors of Transformers, safetensors and the hub become ours here.
"""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging as transformers_logging

from nlareport.errors import CheckpointDrift, CheckpointMissing, DeviceMissing

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
VALUE_HEAD_NAME = "value_head.safetensors"

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_TOKENIZER_FILES = ["*.json", "*.yaml", "*.jinja", "*.model", "*.txt"]
# A multimodal Gemma 3 keeps its language model under a prefix, older files under another one.
_LANGUAGE_MODEL_KEYS = {
    r"^model\.language_model\.": "model.",
    r"^language_model\.model\.": "model.",
    r"^language_model\.lm_head\.": "lm_head.",
}
_VISION = re.compile(r"vision_tower|multi_modal_projector")
_FINAL_NORM = re.compile(r"^(model\.)?norm\.weight$")
_LM_HEAD = re.compile(r"lm_head\.")
_BLOCK = re.compile(r"(?:^|\.)layers\.(\d+)\.")


_Model = TypeVar("_Model", bound="OpenModel")


class OpenModel:
    """A model in memory until it is closed."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def close(self) -> None:
        """Free the memory; the object answers no more."""
        self._model = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def __enter__(self: _Model) -> _Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def checkpoint_directory(checkpoint: str | Path, *, with_weights: bool = True) -> Path:
    """Where a checkpoint is on this machine; a hub id is downloaded first, a directory never asks the network.

    Raises:
        CheckpointMissing: it is neither, or the hub does not hand it over.
    """
    directory = Path(checkpoint)
    if directory.is_dir():
        return directory
    if not _HUB_ID.fullmatch(str(checkpoint)):
        raise CheckpointMissing(f"{checkpoint}: is no directory and no hub id. Give one of them.")
    patterns = [*_TOKENIZER_FILES, "*.safetensors"] if with_weights else _TOKENIZER_FILES
    try:
        # `original/` holds the same weights a second time.
        return Path(snapshot_download(str(checkpoint), allow_patterns=patterns, ignore_patterns=["original/*"]))
    except (OSError, ValueError) as error:
        raise CheckpointMissing(
            f"{checkpoint}: is no directory here, and the hub does not hand it over ({first_line(error)}). "
            "Check the name, the network, and that its licence was accepted (HF_TOKEN)."
        ) from error


def placement(device: str) -> str:
    """The device a model goes to: ``auto`` is every GPU there is, else the CPU.

    Raises:
        DeviceMissing: a GPU was asked for by name and there is none.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cpu" if n_gpus == 0 else "cuda" if n_gpus == 1 else "auto"
    if device.startswith("cuda") and n_gpus == 0:
        raise DeviceMissing(f"There is no {device!r} device here. Say --device cpu, or auto.")
    return device


def machine(device: str) -> dict[str, str | int]:
    """What of this machine decides how sums are rounded: greedy answers of small models part over less.

    On a CPU the threads that share a sum and the instructions that take it, else the GPU.
    """
    if device == "cpu":
        return {"threads": torch.get_num_threads(), "instructions": torch.backends.cpu.get_cpu_capability()}
    return {"gpu": torch.cuda.get_device_name()}


def load_text_config(directory: Path) -> Any:
    """The configuration of a checkpoint's language model, without any multimodal wrapper.

    Raises:
        CheckpointMissing: there is no configuration that Transformers knows.
    """
    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointMissing(f"{directory}: has no usable config.json ({first_line(error)}).") from error
    return config.get_text_config()


def load_tokenizer(directory: Path) -> Any:
    """The checkpoint's own tokenizer.

    Raises:
        CheckpointMissing: there is none that Transformers can open.
    """
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointMissing(f"{directory}: has no usable tokenizer ({first_line(error)}).") from error


def load_blocks(directory: Path, config: Any, n_blocks: int, *, device: str, dtype: str) -> Any:
    """Embedding and the first `n_blocks` decoder blocks; what the model returns is the last block's own output.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights.
        CheckpointDrift: it has fewer blocks, or a weight is missing, superfluous or of another shape.
    """
    if n_blocks > config.num_hidden_layers:
        raise CheckpointDrift(
            f"{directory}: has {config.num_hidden_layers} blocks, so there is no block {n_blocks - 1}. "
            "Correct block_index, or give the base model it was written for."
        )
    first_left_out = n_blocks if n_blocks < config.num_hidden_layers else None
    config.num_hidden_layers = n_blocks
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:n_blocks]
    model, faults = _load(AutoModel, directory, config, device, dtype)
    # The vector is the residual stream itself; Transformers would hand it through the final norm.
    model.norm = torch.nn.Identity()
    _refuse(directory, faults, may_miss=_FINAL_NORM, may_ignore=_LM_HEAD, first_left_out=first_left_out)
    return model


def load_writer(directory: Path, config: Any, *, device: str, dtype: str) -> Any:
    """The whole language model, which will decode greedily and stop at the stop ids of ``generation_config``.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights, or names no stop id.
        CheckpointDrift: a weight is missing, superfluous or of another shape.
    """
    stop_ids = _stop_ids(directory, config)
    model, faults = _load(AutoModelForCausalLM, directory, config, device, dtype)
    _refuse(directory, faults, may_miss=None, may_ignore=None, first_left_out=None)
    # Replaced whole: a checkpoint's sampling flags and penalties would otherwise come back as defaults.
    model.generation_config = GenerationConfig(
        do_sample=False, num_beams=1, eos_token_id=stop_ids, pad_token_id=stop_ids[0]
    )
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no talk from Transformers inside; what matters of it is checked and raised instead."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _load(auto_class: Any, directory: Path, config: Any, device: str, dtype: str) -> tuple[Any, dict[str, Any]]:
    if not any(path.name != VALUE_HEAD_NAME for path in directory.glob("*.safetensors")):
        raise CheckpointMissing(
            f"{directory}: holds no safetensors weights. Pickled weights (.bin) are not opened; convert them."
        )
    place = placement(device)
    try:
        with quiet():
            model, faults = auto_class.from_pretrained(
                directory,
                config=config,
                dtype=DTYPES[dtype],
                device_map=None if place == "cpu" else place,
                key_mapping=_LANGUAGE_MODEL_KEYS,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                # Reported below with the rest, instead of an error that names one.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointMissing(f"{directory}: its weights cannot be opened ({first_line(error)}).") from error
    return model.eval().requires_grad_(False), faults


def _refuse(
    directory: Path,
    faults: dict[str, Any],
    *,
    may_miss: re.Pattern[str] | None,
    may_ignore: re.Pattern[str] | None,
    first_left_out: int | None,
) -> None:
    missing = sorted(key for key in faults["missing_keys"] if not (may_miss and may_miss.search(key)))
    ignored = sorted(
        key
        for key in faults["unexpected_keys"]
        if not _VISION.search(key)
        and not (may_ignore and may_ignore.search(key))
        and not _is_left_out(key, first_left_out)
    )
    reshaped = sorted(str(entry[0]) for entry in faults["mismatched_keys"])
    for what, keys in (("lacks", missing), ("has no place for", ignored), ("has other shapes for", reshaped)):
        if keys:
            shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            raise CheckpointDrift(
                f"{directory}: the model its config.json describes {what} the weights {shown}. "
                "Fetch or build the checkpoint again."
                if what != "lacks"
                else f"{directory}: its files lack the weights {shown}. Fetch or build the checkpoint again."
            )


def _is_left_out(key: str, first_left_out: int | None) -> bool:
    block = _BLOCK.search(key)
    return first_left_out is not None and block is not None and int(block.group(1)) >= first_left_out


def _stop_ids(directory: Path, config: Any) -> list[int]:
    try:
        stop_ids = GenerationConfig.from_pretrained(directory, local_files_only=True).eos_token_id
    except OSError:
        stop_ids = getattr(config, "eos_token_id", None)
    if stop_ids is None:
        raise CheckpointMissing(
            f"{directory}: its generation_config.json names no eos_token_id, so no answer would end."
        )
    return [stop_ids] if isinstance(stop_ids, int) else list(stop_ids)


def first_line(error: Exception) -> str:
    """What a foreign error says, without its tail of advice."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
