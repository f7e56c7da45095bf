"""Loads checkpoint weights with Transformers: whole models, or only the first blocks; refuses what does not fit.

Takes a directory and its configuration, returns torch modules ready for inference. Knows neither prompts nor vectors.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, TypeVar
from weakref import finalize

import torch
from transformers import AutoModel, AutoModelForCausalLM, GenerationConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_MAPPING,
)

from nlareport.errors import CheckpointDrift, CheckpointMissing, DeviceMissing, MemoryTooSmall
from nlareport.models.adapter_files import Adapter
from nlareport.models.blocks import BlockList, blocks_of, cut_class, family_refused
from nlareport.models.checkpoint_files import refuse_damaged_weights
from nlareport.models.memory import BatchSize, free_memory, is_out_of_memory
from nlareport.models.merging import merge_adapter
from nlareport.models.quiet import quiet
from nlareport.models.wall import foreign_errors
from nlareport.models.weight_faults import WeightFaults, refuse_faults, refuse_faults_of_blocks

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# A multimodal model keeps its language model under a prefix, older files under another one, Idefics under its own.
_LANGUAGE_MODEL_KEYS = {
    r"^model\.text_model\.": "model.",
    r"^model\.language_model\.": "model.",
    r"^language_model\.model\.": "model.",
    r"^language_model\.lm_head\.": "lm_head.",
}


_Model = TypeVar("_Model", bound="OpenModel")


class OpenModel:
    """A model in memory until it is closed."""

    _batch: BatchSize

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def rows_that_fit(self) -> int | None:
        """How many rows fit into memory at once; None while all that are asked for at once do."""
        return self._batch.rows_that_fit

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
        raise DeviceMissing(f"There is no {device!r} device here. Choose --device cpu or auto.")
    return device


def machine(device: str) -> dict[str, str | int]:
    """What of this machine decides how sums are rounded: greedy answers of small models change with less.

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


def refuse_unreadable_family(directory: Path, config: Any) -> None:
    """Pass when the family is one whose blocks read text from left to right, as far as its configuration says.

    Raises:
        FamilyUnsupported: it is an encoder with a decoder, or Transformers has no language model of it alone.
    """
    # A model saved without its encoder still says how large that was.
    if config.is_encoder_decoder or hasattr(config, "encoder_layers"):
        raise family_refused(directory, config, "which reads a text with an encoder before it writes with a decoder")
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False):
        raise family_refused(directory, config, "which reads a text in both directions")
    if type(config) not in MODEL_MAPPING:
        raise family_refused(directory, config, "of which Transformers has no language model alone")


def load_blocks(
    directory: Path,
    config: Any,
    n_blocks: int,
    *,
    device: str,
    dtype: str,
    used_elsewhere: frozenset[str] | None = None,
    spreads: bool = True,
    keeps_head: bool = False,
    adapter: Adapter | None = None,
) -> tuple[Any, BlockList]:
    """Embedding and the first `n_blocks` decoder blocks, and where the blocks are; later ones are not read.

    Of a base model the files may hold other parts as well. Where `used_elsewhere` is given they may hold nothing that
    is not used, but for a language-model head and what reads images; weights of these names are used elsewhere. With
    `keeps_head` it is a language model with its head, whose weights are named as in its files: to be trained and saved.
    An `adapter` is merged into what is read.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights.
        CheckpointDrift: it has fewer blocks, or a weight is missing, superfluous or of another shape.
        FamilyUnsupported: its blocks cannot be found.
        MemoryTooSmall: it does not fit into memory.
    """
    refuse_unreadable_family(directory, config)
    refuse_unknown_block(directory, config, n_blocks - 1)
    model_class = (MODEL_FOR_CAUSAL_LM_MAPPING if keeps_head else MODEL_MAPPING)[type(config)]
    model_class = model_class[0] if isinstance(model_class, tuple) else model_class
    cut = cut_class(model_class, config, n_blocks, directory)
    model, faults = _load(
        cut.from_pretrained,
        directory,
        device,
        dtype,
        spreads=spreads,
        config=config,
        key_mapping=_LANGUAGE_MODEL_KEYS,
    )
    blocks = blocks_of(model)
    # An adapter's base model holds what any base model does; what the adapter holds is checked when it is merged.
    refuse_faults_of_blocks(directory, config, model, blocks, faults, None if adapter else used_elsewhere)
    if adapter is not None:
        merge_adapter(model, adapter, n_blocks)
    return model, blocks


def load_whole(directory: Path, *, device: str, dtype: str, adapter: Adapter | None = None) -> Any:
    """The model as its own files describe it and Transformers opens it, with all blocks and no language-model head.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights, or none that open so.
        MemoryTooSmall: it does not fit into memory.
    """
    model, _ = _load(AutoModel.from_pretrained, directory, device, dtype, spreads=False, trust_remote_code=False)
    if adapter is not None:
        merge_adapter(model, adapter, model.config.get_text_config().num_hidden_layers)
    return model


def load_language_model(directory: Path, config: Any, *, device: str, dtype: str, **how: Any) -> Any:
    """The whole language model, with its head; `how` are further arguments of Transformers.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights.
        CheckpointDrift: a weight is missing, superfluous or of another shape.
        MemoryTooSmall: it does not fit into memory.
    """
    model, faults = _load(
        AutoModelForCausalLM.from_pretrained,
        directory,
        device,
        dtype,
        config=config,
        key_mapping=_LANGUAGE_MODEL_KEYS,
        trust_remote_code=False,
        **how,
    )
    refuse_faults(directory, faults)
    return model


def load_writer(
    directory: Path, config: Any, stop_ids: list[int], *, device: str, dtype: str, adapter: Adapter | None = None
) -> Any:
    """The whole language model, which decodes greedily and stops at these ids; an `adapter` is merged into it.

    Raises:
        NlareportError: as `load_language_model` and `merge_adapter`.
    """
    model = load_language_model(directory, config, device=device, dtype=dtype)
    if adapter is not None:
        merge_adapter(model, adapter)
    # Replaced whole: a checkpoint's sampling flags and penalties would otherwise come back as defaults.
    model.generation_config = GenerationConfig(
        do_sample=False, num_beams=1, eos_token_id=stop_ids, pad_token_id=stop_ids[0]
    )
    return model


def _load(
    open_model: Callable[..., Any], directory: Path, device: str, dtype: str, *, spreads: bool = True, **more: Any
) -> Any:
    """The model and what was wrong with its weights; spread over GPU and CPU where the GPU alone is too small."""
    refuse_damaged_weights(directory)
    place = placement(device)
    try:
        return _opened(open_model, directory, place, dtype, **more)
    except MemoryTooSmall:
        if not (spreads and place.startswith("cuda")):
            raise
    # Outside the handler the error and its frames are gone, and with them the weights that did fit.
    free_memory()
    print(
        f"nlareport: {directory} does not fit into the memory of {place} in {dtype}, so a part of it waits in main "
        "memory or on disk, which is slower.",
        file=sys.stderr,
    )
    return _opened(open_model, directory, "auto", dtype, **more)


def each_weight(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Every weight of a model by name, also those that wait off the device, which are read one by one."""
    for place, module in model.named_modules():
        hook = getattr(module, "_hf_hook", None)
        waiting = next(
            (part.weights_map for part in getattr(hook, "hooks", [hook]) if getattr(part, "weights_map", None)), None
        )
        for name, weight in module.named_parameters(recurse=False):
            value = waiting[name] if weight.is_meta and waiting is not None else weight
            yield f"{place}.{name}" if place else name, value


def _opened(open_model: Callable[..., Any], directory: Path, place: str, dtype: str, **more: Any) -> Any:
    # Weights that do not even fit on the CPU are read from this folder each time, most from the checkpoint itself.
    folder = mkdtemp(prefix="nlareport-") if place == "auto" else None
    try:
        with (
            quiet(),
            foreign_errors(
                CheckpointMissing, f"{directory}: its weights cannot be opened", "Use files released together."
            ),
        ):
            model, faults = open_model(
                directory,
                dtype=DTYPES[dtype],
                device_map=None if place == "cpu" else place,
                offload_folder=folder,
                use_safetensors=True,
                local_files_only=True,
                # Reported with the rest, instead of an error that names one.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **more,
            )
    except BaseException as error:
        _remove(folder)
        if not isinstance(error, CheckpointMissing) or error.__cause__ is None or not is_out_of_memory(error.__cause__):
            raise
        raise MemoryTooSmall(
            f"{directory}: the model does not fit into the memory of {place} in {dtype}. "
            "Use a device with more memory, or start a run whose compute.dtype takes less."
        ) from error
    # The folder lives as long as the model.
    finalize(model, _remove, folder)
    return model.eval().requires_grad_(False), WeightFaults.of(faults)


def _remove(folder: str | None) -> None:
    if folder is not None:
        rmtree(folder, ignore_errors=True)
