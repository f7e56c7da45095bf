"""Tiny random base models of many families: what each calls its blocks and norms differs, what is read must not.

Weights are drawn from a seed; norms are varied, since Transformers starts them at one, where they would hide.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tiny_checkpoints import tiny_tokenizer
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from nlareport.backends.quiet import quiet

N_BLOCKS = 4
VOCABULARY = 420
SIZES: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_BLOCKS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
# Windows of 8 tokens: shorter than what is read, so that a wrong mask is noticed.
ALTERNATING = ["sliding_attention", "full_attention"] * (N_BLOCKS // 2)
WINDOWS = {"head_dim": 8, "sliding_window": 8, "layer_types": ALTERNATING}
EXPERTS = {"moe_intermediate_size": 16, "num_experts_per_tok": 2}
GEMMA_4 = {
    **WINDOWS,
    "global_head_dim": 8,
    "num_kv_shared_layers": 2,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": VOCABULARY,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}

FAMILIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "llama": ("llama", {}),
    "mistral": ("mistral", {"sliding_window": 8}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 8}),
    "qwen3_moe": ("qwen3_moe", {"head_dim": 8, "num_experts": 4, **EXPERTS}),
    "gpt_oss": ("gpt_oss", {**WINDOWS, "num_local_experts": 4, **EXPERTS}),
    "gemma2": ("gemma2", WINDOWS),
    "gemma3": ("gemma3_text", WINDOWS),
    "gemma3_multimodal": (
        "gemma3",
        {"text_config": {**SIZES, **WINDOWS}, "vision_config": VISION, "mm_tokens_per_image": 4},
    ),
    "gemma4_shared": ("gemma4_text", GEMMA_4),
    "phi": ("phi", {}),
    "phi3": ("phi3", {}),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "gpt2": ("gpt2", {}),
    "gpt_neo": ("gpt_neo", {"attention_types": [[["global", "local"], 2]], "window_size": 8}),
    "gpt_neox": ("gpt_neox", {}),
    "falcon": ("falcon", {}),
    "lfm2": ("lfm2", {"layer_types": ["conv", "full_attention"] * 2}),
    "olmo2": ("olmo2", {}),
    "mamba": ("mamba", {"state_size": 8}),
}
"""Name to Transformers' ``model_type`` and what its configuration needs beside the sizes."""


def build_family(model_type: str, more: Mapping[str, Any]) -> PreTrainedModel:
    """A whole random model of this kind, in float32."""
    torch.manual_seed(1)
    config_class = CONFIG_MAPPING[model_type]
    has_parts = "text_config" in more
    config = config_class(**(more if has_parts else {**SIZES, **more}))
    auto_class = AutoModelForImageTextToText if has_parts else AutoModelForCausalLM
    with quiet():
        model = auto_class.from_config(config, dtype=torch.float32).eval()
    for name, weight in model.named_parameters():
        if weight.ndim == 1 and "A_log" not in name and "dt_bias" not in name:
            torch.nn.init.normal_(weight, mean=weight.detach().mean().item(), std=0.3)
    return model


def save_family(path: Path, model_type: str, more: Mapping[str, Any]) -> PreTrainedModel:
    """The model as a checkpoint directory with a tokenizer; returns it."""
    model = build_family(model_type, more)
    with quiet():
        model.save_pretrained(path)
        tiny_tokenizer("qwen2").save_pretrained(path)
    return model
