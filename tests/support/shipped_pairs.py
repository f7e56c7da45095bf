"""Gives tiny pairs the layouts that checkpoints are shipped in: as LoRA adapters over their base model, as Gemma 4."""

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    Gemma4Config,
    Gemma4ForCausalLM,
    Gemma4ForConditionalGeneration,
    Gemma4TextConfig,
)

from nlareport.models.quiet import quiet
from support.scripted_runs import write_corpus
from support.tiny_checkpoints import (
    D_MODEL,
    N_BLOCKS,
    TinyPair,
    _metaspace_tokenizer,
    build_tiny_pair,
)

FILES_OF_A_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")


def as_adapters(pair: TinyPair, **options: Any) -> TinyPair:
    """The pair with both halves replaced, in place, by LoRA adapters over its base model, as PEFT saves them.

    The sidecars and the head stay; the reconstructor keeps a tokenizer of its own.
    """
    for number, directory in enumerate((pair.verbalizer, pair.reconstructor)):
        kept = ["nla_meta.yaml", "value_head.safetensors", *(FILES_OF_A_TOKENIZER if number else ())]
        files = {name: (directory / name).read_bytes() for name in kept if (directory / name).exists()}
        shutil.rmtree(directory)
        with quiet(), warnings.catch_warnings():
            # PEFT says that it saves embeddings, where they were trained.
            warnings.simplefilter("ignore")
            tuned(pair.base, number, **options).save_pretrained(directory)
        for name, content in files.items():
            (directory / name).write_bytes(content)
    return pair


def tuned(base: Path, seed: int, **options: Any) -> PeftModel:
    """The base model with a random adapter that is not merged, float32."""
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    torch.manual_seed(seed)
    asked = {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"], **options}
    with warnings.catch_warnings():
        # PEFT asks Transformers 5 for an attribute under its old name.
        warnings.simplefilter("ignore")
        wrapped = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **asked))
    numbers = torch.Generator().manual_seed(seed + 40)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name or "lora_embedding_A" in name:
            weight.data = torch.randn(weight.shape, generator=numbers) * 0.2
        elif "lora_" in name or "modules_to_save" in name:
            weight.data = weight.data + torch.randn(weight.shape, generator=numbers) * 0.01
    return wrapped.eval()


def renamed(path: Path, names: Mapping[str, str]) -> None:
    """A safetensors file with a part of every tensor's name replaced."""
    tensors = {}
    for name, tensor in load_file(path).items():
        for old, new in names.items():
            name = name.replace(old, new)
        tensors[name] = tensor
    save_file(tensors, path, metadata={"format": "pt"})


def build_gemma4_base(directory: Path, *, sees: bool) -> Any:
    """A tiny Gemma 4 with per-layer embeddings and shared keys and values, without a chat template; its tokenizer.

    One that `sees` is the model that is released, of which the language model is a part.
    """
    tokenizer = _metaspace_tokenizer("gemma3")
    tokenizer.chat_template = None
    config = Gemma4TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=D_MODEL,
        intermediate_size=48,
        num_hidden_layers=N_BLOCKS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        global_head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"] * (N_BLOCKS // 2),
        num_kv_shared_layers=2,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=len(tokenizer),
        max_position_embeddings=1024,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "global_head_dim": 8,
    }
    torch.manual_seed(5)
    with quiet():
        if sees:
            whole = Gemma4Config(text_config=config.to_dict(), vision_config=vision, audio_config=None)
            Gemma4ForConditionalGeneration(whole).eval().save_pretrained(directory)
        else:
            Gemma4ForCausalLM(config).eval().save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return tokenizer


def give_adapters(folder: Path) -> None:
    """Fills a reader's folder: a base model, two adapters over it without sidecars, a biased head, a corpus."""
    pair = as_adapters(build_tiny_pair(folder, "qwen2"))
    head = load_file(pair.reconstructor / "value_head.safetensors")["weight"]
    torch.save({"weight": head, "bias": torch.linspace(-1, 1, D_MODEL)}, pair.reconstructor / "linear_head.pt")
    for path in (*folder.glob("a?/nla_meta.yaml"), pair.reconstructor / "value_head.safetensors"):
        path.unlink()
    for adapter in (pair.verbalizer, pair.reconstructor):
        path = adapter / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "/somewhere/base"}))
    write_corpus(folder, 12)
