"""Opens checkpoint directories with Transformers: reads the configuration and the weights, refuses surprises.

Takes a directory, returns torch modules ready for inference. Knows neither prompts nor vectors.
"""

import re
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import AutoModel, AutoModelForCausalLM, GenerationConfig

from nlareport.backends.checkpoint_files import refuse_damaged_weights
from nlareport.backends.memory import free_memory, is_out_of_memory
from nlareport.backends.quiet import quiet
from nlareport.backends.wall import foreign_errors
from nlareport.errors import CheckpointDrift, CheckpointMissing, DeviceMissing, MemoryTooSmall

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

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
        free_memory()

    def __enter__(self: _Model) -> _Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


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


def refuse_unknown_block(directory: Path, config: Any, block_index: int) -> None:
    """Pass when the model has a block of this index.

    Raises:
        CheckpointDrift: it has fewer.
    """
    if block_index >= config.num_hidden_layers:
        raise CheckpointDrift(
            f"{directory}: has {config.num_hidden_layers} blocks, so there is no block {block_index}. "
            "Correct block_index, or give the base model it was written for."
        )


def load_blocks(
    directory: Path,
    config: Any,
    n_blocks: int,
    *,
    device: str,
    dtype: str,
    used_elsewhere: frozenset[str] = frozenset(),
) -> Any:
    """Embedding and the first `n_blocks` decoder blocks; what the model returns is the last block's own output.

    Weights of the names `used_elsewhere` may stand among the model's without a place in it.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights.
        CheckpointDrift: it has fewer blocks, or a weight is missing, superfluous or of another shape.
    """
    refuse_unknown_block(directory, config, n_blocks - 1)
    first_left_out = n_blocks if n_blocks < config.num_hidden_layers else None
    config.num_hidden_layers = n_blocks
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:n_blocks]
    model, faults = _load(AutoModel, directory, config, device, dtype)
    # The vector is the residual stream itself; Transformers would hand it through the final norm.
    model.norm = torch.nn.Identity()
    faults["unexpected_keys"] = set(faults["unexpected_keys"]) - used_elsewhere
    _refuse(directory, faults, may_miss=_FINAL_NORM, may_ignore=_LM_HEAD, first_left_out=first_left_out)
    return model


def load_writer(directory: Path, config: Any, stop_ids: list[int], *, device: str, dtype: str) -> Any:
    """The whole language model, which will decode greedily and stop at these ids.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights.
        CheckpointDrift: a weight is missing, superfluous or of another shape.
    """
    model, faults = _load(AutoModelForCausalLM, directory, config, device, dtype)
    _refuse(directory, faults, may_miss=None, may_ignore=None, first_left_out=None)
    # Replaced whole: a checkpoint's sampling flags and penalties would otherwise come back as defaults.
    model.generation_config = GenerationConfig(
        do_sample=False, num_beams=1, eos_token_id=stop_ids, pad_token_id=stop_ids[0]
    )
    return model


def _load(auto_class: Any, directory: Path, config: Any, device: str, dtype: str) -> tuple[Any, dict[str, Any]]:
    refuse_damaged_weights(directory)
    place = placement(device)
    try:
        with (
            quiet(),
            foreign_errors(
                CheckpointMissing, f"{directory}: its weights cannot be opened", "Use files released together."
            ),
        ):
            model, faults = _opened(auto_class, directory, config, place, dtype)
    except CheckpointMissing as error:
        if error.__cause__ is None or not is_out_of_memory(error.__cause__):
            raise
        raise MemoryTooSmall(
            f"{directory}: the model does not fit into the memory of {place} in {dtype}. "
            "Use a device with more memory, or start a run whose compute.dtype takes less."
        ) from error
    return model.eval().requires_grad_(False), faults


def _opened(auto_class: Any, directory: Path, config: Any, place: str, dtype: str) -> Any:
    return auto_class.from_pretrained(
        directory,
        config=config,
        dtype=DTYPES[dtype],
        device_map=None if place == "cpu" else place,
        key_mapping=_LANGUAGE_MODEL_KEYS,
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
        # Reported by `_refuse` with the rest, instead of an error that names one.
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )


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
            fault = (
                f"its files lack the weights {shown}"
                if what == "lacks"
                else f"the model its config.json describes {what} the weights {shown}"
            )
            raise CheckpointDrift(
                f"{directory}: {fault}. Use the config.json and the weights that were released together."
            )


def _is_left_out(key: str, first_left_out: int | None) -> bool:
    block = _BLOCK.search(key)
    return first_left_out is not None and block is not None and int(block.group(1)) >= first_left_out
