"""Builds tiny random base models of many families, which name their blocks and norms differently.

Weights are drawn from a seed; norms are varied, since Transformers starts them at one, where they would hide.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from nlareport.models.quiet import quiet
from support.tiny_checkpoints import tiny_tokenizer

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
"""Name to Transformers' ``model_type`` and what its configuration needs in addition to the sizes."""


ALTERNATING_LINEAR = ["linear_attention", "full_attention"] * (N_BLOCKS // 2)
LINEAR = {
    "head_dim": 8,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": ALTERNATING_LINEAR,
}
CHOSEN = {"num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, **EXPERTS}
GROUPED = {**CHOSEN, "n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}
LATENT = {
    **GROUPED,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "head_dim": 4,
    "num_key_value_heads": 4,
}
INDEXED = {**LATENT, "index_topk": 8, "index_n_heads": 2, "index_head_dim": 8}
STATES = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_expand": 2}
ZAMBA = {
    "attention_hidden_size": 64,
    "attention_head_dim": 16,
    "mamba_d_state": 8,
    "layers_block_type": ["mamba", "hybrid"] * (N_BLOCKS // 2),
    "use_mamba_kernels": False,
}
GEMMA_3N = {
    **GEMMA_4,
    "laurel_rank": 4,
    "activation_sparsity_pattern": [0.0] * N_BLOCKS,
    "altup_num_inputs": 2,
    "intermediate_size": [48] * N_BLOCKS,
}
QWEN_VISION = {
    "depth": 1,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_heads": 2,
    "out_hidden_size": 32,
    "num_position_embeddings": 16,
    "deepstack_visual_indexes": [0],
}
SECTIONS = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}
SIGLIP = {**VISION, "model_type": "siglip_vision_model"}
CLIP = {**VISION, "model_type": "clip_vision_model", "projection_dim": 16}

OTHER_FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "afmoe": {**CHOSEN, **WINDOWS, "num_shared_experts": 1, "num_dense_layers": 1},
    "apertus": {},
    "arcee": {},
    "bamba": {"attn_layer_indices": [1, 3], **STATES},
    "biogpt": {},
    "bitnet": {},
    "bloom": {},
    "codegen": {"rotary_dim": 4, "n_head": 4},
    "cohere": {},
    "cohere2": WINDOWS,
    "dbrx": {
        "d_model": 32,
        "n_layers": N_BLOCKS,
        "n_heads": 4,
        "max_seq_len": 128,
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 1e4},
        "ffn_config": {"ffn_hidden_size": 16, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": {**LATENT, "q_lora_rank": None, "topk_method": "greedy"},
    "deepseek_v3": LATENT,
    "deepseek_v32": INDEXED,
    "diffllama": {},
    "doge": {},
    "ernie4_5": {"head_dim": 8},
    "exaone4": WINDOWS,
    "falcon_h1": {"mamba_d_ssm": 64, **STATES},
    "falcon_mamba": {"state_size": 8},
    "gemma": {"head_dim": 8},
    "gemma3n_text": GEMMA_3N,
    "glm": {"head_dim": 8},
    "glm4": {"head_dim": 8},
    "glm4_moe": {**GROUPED, "head_dim": 8},
    "gpt_bigcode": {},
    "gptj": {"rotary_dim": 4},
    "granite": {},
    "granitemoe": {"num_local_experts": 4},
    "granitemoehybrid": {
        "num_local_experts": 4,
        "shared_intermediate_size": 16,
        "layer_types": ["mamba", "attention"] * (N_BLOCKS // 2),
        **STATES,
    },
    "helium": {"head_dim": 8},
    "hunyuan_v1_dense": {"head_dim": 8},
    "jamba": {
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "num_experts": 4,
        "mamba_dt_rank": 4,
        "mamba_d_state": 8,
        "use_mamba_kernels": False,
    },
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2, "num_dense_layers": 1, "num_experts": 4, **EXPERTS},
    "llama4_text": {
        "intermediate_size_mlp": 48,
        "num_local_experts": 4,
        "num_experts_per_tok": 1,
        "head_dim": 8,
        "attention_chunk_size": 8,
        "pad_token_id": 0,
    },
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1, "expand": 2},
    "minimax": {"num_local_experts": 4, "head_dim": 8, "layer_types": ALTERNATING_LINEAR, "block_size": 8},
    "mixtral": {"num_local_experts": 4},
    "mpt": {"d_model": 32, "n_layers": N_BLOCKS, "n_heads": 4, "max_seq_len": 128},
    "nemotron": {},
    "nemotron_h": {
        "hybrid_override_pattern": "M*M-",
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "ssm_state_size": 8,
        "n_groups": 1,
        "head_dim": 8,
    },
    "olmo": {},
    "olmo3": WINDOWS,
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "persimmon": {},
    "phimoe": {"num_local_experts": 4},
    "qwen2_moe": {"num_experts": 4, **EXPERTS, "shared_expert_intermediate_size": 16},
    "qwen3_5_text": LINEAR,
    "qwen3_next": {**LINEAR, **CHOSEN, "shared_expert_intermediate_size": 16},
    "recurrent_gemma": {"lru_width": 32, "attention_window_size": 8, "block_types": ["recurrent", "attention"]},
    "seed_oss": {"head_dim": 8},
    "smollm3": {},
    "stablelm": {},
    "starcoder2": {},
    "xglm": {"ffn_dim": 48, "attention_heads": 4, "num_layers": N_BLOCKS, "d_model": 32},
    "zamba": {**ZAMBA, "n_mamba_heads": 2},
    "zamba2": {
        **ZAMBA,
        "mamba_ngroups": 1,
        "mamba_headdim": 8,
        "n_mamba_heads": 8,
        "hybrid_layer_ids": [1, 3],
        "num_mem_blocks": 1,
        "adapter_rank": 4,
    },
    "llava": {"text_config": {**SIZES, "model_type": "llama"}, "vision_config": CLIP},
    "idefics3": {"text_config": {**SIZES, "model_type": "llama"}, "vision_config": VISION},
    "aya_vision": {"text_config": {**SIZES, **WINDOWS, "model_type": "cohere2"}, "vision_config": SIGLIP},
    "qwen2_vl": {
        "text_config": {**SIZES, "rope_scaling": SECTIONS},
        "vision_config": {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 1},
    },
    "qwen3_vl": {
        "text_config": {**SIZES, "head_dim": 8, "rope_scaling": {**SECTIONS, "mrope_interleaved": True}},
        "vision_config": QWEN_VISION,
    },
    "qwen3_5": {"text_config": {**SIZES, **LINEAR}, "vision_config": QWEN_VISION},
}
"""Tried by the soak alone: Transformers' ``model_type`` and what its configuration needs in addition to the sizes."""


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
