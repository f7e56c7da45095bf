"""Reads and checks a checkpoint's configuration before any weight is read: sizes, context, stop ids, quantization.

Takes a checkpoint directory, returns Transformers' configuration of its language model.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import AutoConfig, GenerationConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.quantizers import AutoHfQuantizer

from nlareport.errors import CheckpointDamaged, CheckpointMissing, QuantizationUnsupported
from nlareport.models.checkpoint_files import PUT_BACK, json_object, named_stop_ids
from nlareport.models.quiet import quiet
from nlareport.models.wall import foreign_errors, is_an_end, named_line
from nlareport.shown import shown

_SIZES = ("hidden_size", "num_hidden_layers", "vocab_size")

_PACKAGES = {
    "gptq": ("optimum", "gptqmodel"),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",),
    "aqlm": ("aqlm",),
    "hqq": ("hqq",),
    "quanto": ("optimum.quanto",),
    "torchao": ("torchao",),
    "auto-round": ("auto_round",),
}
"""Modules that the usual kinds of quantization need; of the others Transformers itself names what is missing."""

_PACKAGE_NAMES = {
    "compressed_tensors": "compressed-tensors",
    "optimum.quanto": "optimum-quanto",
    "auto_round": "auto-round",
}


def load_text_config(directory: Path) -> Any:
    """The configuration of a checkpoint's language model, without any multimodal wrapper.

    Raises:
        CheckpointMissing: there is no ``config.json``, or none of a model that Transformers knows.
        CheckpointDamaged: it is damaged, or does not give a size.
        QuantizationUnsupported: the weights are quantized in a way that cannot be opened here.
    """
    content = _raw_config(directory)
    what = f"{directory}: its config.json cannot be used"
    with quiet(), foreign_errors(CheckpointDamaged, what, PUT_BACK):
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
        text_config = config.get_text_config()
        sizes = {name: getattr(text_config, name, None) for name in _SIZES}
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise CheckpointDamaged(f"{directory}: its config.json gives {name} as {shown(size)}. {PUT_BACK}")
    quantization = content.get("quantization_config", getattr(text_config, "quantization_config", None))
    if quantization is not None:
        _refuse_quantization(directory, quantization)
        # A multimodal wrapper keeps it outside the language model's own configuration.
        text_config.quantization_config = quantization
    return text_config


def context_tokens(config: Any) -> int | None:
    """How many tokens the model was made to read at most; None when its configuration does not say.

    A sliding window is no bound: later blocks still see what earlier ones took in.
    """
    # Transformers gives most families' own names under the first; MPT and DBRX keep theirs.
    names = ("max_position_embeddings", "max_seq_len", "n_positions", "n_ctx")
    n_tokens = next((found for name in names if isinstance(found := getattr(config, name, None), int)), None)
    if n_tokens is None or n_tokens < 1:
        return None
    rope = getattr(config, "rope_parameters", None)
    rope = rope if isinstance(rope, dict) else {}
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    # With YaRN some files give the context before it is stretched.
    if isinstance(original, int) and isinstance(factor, int | float):
        return max(n_tokens, int(original * factor))
    return n_tokens


def read_stop_ids(directory: Path, config: Any, end_of_turn: int | None = None) -> tuple[list[int], int | None]:
    """The tokens that end an answer, and of these the one that no file names.

    Files name them in ``generation_config.json``, or where that is not there in ``config.json``. `end_of_turn` is what
    ends a turn in the chat template: what is written after it is no part of the answer.

    Raises:
        CheckpointMissing: nothing names one, or the generation's own file names none.
        CheckpointDamaged: the file is damaged, or what it names are no tokens of the model.
    """
    path = directory / "generation_config.json"
    generation = json_object(path)
    named = named_stop_ids(generation, json_object(directory / "config.json"))
    if generation is not None:
        with quiet(), foreign_errors(CheckpointDamaged, f"{path}: cannot be used", PUT_BACK):
            GenerationConfig.from_dict(generation)
    else:
        path = directory / "config.json"
        # What Transformers takes for this kind of model.
        named = getattr(config, "eos_token_id", None) if named is None else named
        if named is None and end_of_turn is not None:
            return [end_of_turn], end_of_turn
    if named is None or named == []:
        raise CheckpointMissing(f"{path}: names no eos_token_id, so no answer would end. {PUT_BACK}")
    found = named if isinstance(named, list) else [named]
    for stop_id in found:
        if not isinstance(stop_id, int) or isinstance(stop_id, bool) or not 0 <= stop_id < config.vocab_size:
            raise CheckpointDamaged(
                f"{path}: gives eos_token_id as {shown(named)}; expected ids under {config.vocab_size}. {PUT_BACK}"
            )
    return (found, None) if end_of_turn is None or end_of_turn in found else ([*found, end_of_turn], end_of_turn)


def _raw_config(directory: Path) -> dict[str, Any]:
    """What ``config.json`` holds, once it is known to need neither foreign code nor an adapter's base model."""
    content = json_object(directory / "config.json")
    if (directory / "adapter_config.json").exists():
        raise CheckpointMissing(
            f"{directory}: is an adapter (adapter_config.json), not a whole checkpoint. Merge it into its base model, "
            "save that, and give its directory."
        )
    if content is None:
        raise CheckpointMissing(f"{directory}: has no config.json. Give a checkpoint directory, or fetch the file.")
    quantization = content.get("quantization_config")
    if quantization is not None and not isinstance(quantization, dict):
        raise CheckpointDamaged(
            f"{directory}: its config.json gives quantization_config as {shown(quantization)}. {PUT_BACK}"
        )
    model_type = content.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        if "auto_map" in content:
            raise CheckpointMissing(
                f"{directory}: its config.json asks to run code of its own (auto_map), which is never done, and "
                f"Transformers knows no model_type {shown(model_type)}. Give a checkpoint of a kind it knows."
            )
        raise CheckpointMissing(
            f"{directory}: has no usable config.json (model_type {shown(model_type)} is none that Transformers knows). "
            f"{PUT_BACK}"
        )
    return content


def _refuse_quantization(directory: Path, quantization: dict[str, Any]) -> None:
    """Pass when weights quantized so can be opened on this machine."""
    kind = quantization.get("quant_method")
    if kind is None and {"load_in_4bit", "load_in_8bit"} & set(quantization):
        kind = "bitsandbytes"
    what = f"{directory}: its weights are quantized ({shown(kind)})"
    modules = _PACKAGES.get(kind, ()) if isinstance(kind, str) else ()
    if missing := [_PACKAGE_NAMES.get(module, module) for module in modules if not _is_here(module)]:
        raise QuantizationUnsupported(
            f"{what} and need {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. "
            f"Run: pip install {' '.join(missing)}; or give the checkpoint as it was before it was quantized."
        )
    try:
        with quiet():
            AutoHfQuantizer.from_config(quantization, pre_quantized=True).validate_environment(device_map=None)
    except BaseException as error:
        if is_an_end(error):
            raise
        raise QuantizationUnsupported(
            f"{what} and cannot be opened here: {named_line(error)}. "
            "Do what that says, or give the checkpoint as it was before it was quantized."
        ) from error


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
