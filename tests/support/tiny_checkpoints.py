"""Builds tiny random NLA pairs of every architecture: real checkpoint directories that Transformers opens.

The tokenizers are trained here on a few sentences, the weights are drawn from a seed; the same call gives the same
files. Nothing is downloaded.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    Gemma3Config,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from nlareport.checkpoints.sidecar import Sidecar, sidecar_content
from nlareport.experiment.pair_section import PairSpec
from nlareport.models.quiet import quiet

Architecture = Literal["qwen2", "llama", "gemma3", "gemma3_multimodal"]
ARCHITECTURES: tuple[Architecture, ...] = ("qwen2", "llama", "gemma3", "gemma3_multimodal")

N_BLOCKS = 4
D_MODEL = 32
MAX_POSITIONS = 1024
VERBALIZER_TEMPLATE = "Explain the vector.\n\n<concept>{injection_char}</concept>\n\nPlease explain."
RECONSTRUCTOR_TEMPLATE = "Summary of the following text: <text>{explanation}</text> <summary>"
SCALES: dict[Architecture, float] = {"qwen2": 150.0, "llama": 30.0, "gemma3": 60_000.0, "gemma3_multimodal": 80_000.0}

_SENTENCES = [
    "The river rose by 14 metres in the spring of 1998, and the old bridge was swept away.",
    "Shares of the company fell 3.2% after the bank's report; analysts had expected worse.",
    "<explanation>A snippet about weather.\n\nA snippet about markets.</explanation>",
    "Explain the vector. <concept> </concept> Please explain. Summary of the following text: <text> </text> <summary>",
    "“Größe, naïve café” — she said — is not what I'd call plain English…",
]
_QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{{ message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


@dataclass(frozen=True)
class TinyPair:
    base: Path
    verbalizer: Path
    reconstructor: Path
    pair_spec: PairSpec


def build_tiny_pair(directory: Path, architecture: Architecture, block_index: int = 1, seed: int = 0) -> TinyPair:
    """A pair under `directory`: base/, av/ and ar/, the latter two with sidecars that fit their tokenizer."""
    base, verbalizer, reconstructor = (directory / name for name in ("base", "av", "ar"))
    tokenizer = tiny_tokenizer(architecture)
    with quiet():
        for place, (path, n_blocks) in enumerate(
            ((base, N_BLOCKS), (verbalizer, N_BLOCKS), (reconstructor, block_index + 1))
        ):
            _save_model(path, architecture, tokenizer, n_blocks, seed * 10 + place)
    _drop_final_norm(reconstructor)
    head = torch.randn(D_MODEL, D_MODEL, generator=torch.Generator().manual_seed(seed + 7)) / D_MODEL**0.5
    save_file({"weight": head}, reconstructor / "value_head.safetensors")
    for path, role in ((verbalizer, "av"), (reconstructor, "ar")):
        write_sidecar(path, tiny_sidecar(tokenizer, architecture, role, block_index))
    pair_spec = PairSpec(
        pair_id=f"tiny-{architecture}",
        label=f"Tiny {architecture}",
        family=architecture,
        base_model=str(base),
        block_index=block_index,
        d_model=D_MODEL,
        injection_scale=SCALES[architecture],
        verbalizer=str(verbalizer),
        reconstructor=str(reconstructor),
    )
    return TinyPair(base, verbalizer, reconstructor, pair_spec)


def copied_pair(pair: TinyPair, folder: Path) -> TinyPair:
    """The pair's three directories copied into a folder, where they may be changed."""
    base, verbalizer, reconstructor = (
        Path(shutil.copytree(directory, folder / directory.name))
        for directory in (pair.base, pair.verbalizer, pair.reconstructor)
    )
    places = {"base_model": str(base), "verbalizer": str(verbalizer), "reconstructor": str(reconstructor)}
    return TinyPair(base, verbalizer, reconstructor, pair.pair_spec.model_copy(update=places))


def tiny_sidecar(tokenizer: Any, architecture: Architecture, role: Any, block_index: int) -> Sidecar:
    char = injection_char(architecture)
    content = VERBALIZER_TEMPLATE.replace("{injection_char}", char)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer.encode(text, add_special_tokens=False)
    (token_id,) = tokenizer.encode(char, add_special_tokens=False)
    place = ids.index(token_id)
    prompt = RECONSTRUCTOR_TEMPLATE.replace("{explanation}", "text")
    return Sidecar(
        role=role,
        d_model=D_MODEL,
        block_index=block_index,
        injection_scale=SCALES[architecture] if role == "av" else None,
        mse_scale=D_MODEL**0.5,
        injection_char=char,
        injection_token_id=token_id,
        injection_left_neighbor_id=ids[place - 1],
        injection_right_neighbor_id=ids[place + 1],
        reconstructor_suffix_ids=tuple(tokenizer.encode(prompt)[-2:]) if role == "ar" else None,
        verbalizer_template=VERBALIZER_TEMPLATE,
        reconstructor_template=RECONSTRUCTOR_TEMPLATE,
    )


def write_sidecar(directory: Path, sidecar: Sidecar) -> None:
    text = yaml.safe_dump(sidecar_content(sidecar), allow_unicode=True, sort_keys=False)
    (directory / "nla_meta.yaml").write_text(text, encoding="utf-8")


def injection_char(architecture: Architecture) -> str:
    return "㈜" if architecture.startswith("gemma3") else "㈎"


def tiny_tokenizer(architecture: Architecture) -> PreTrainedTokenizerFast:
    if architecture.startswith("gemma3"):
        return _metaspace_tokenizer(architecture)
    return _byte_level_tokenizer(architecture)


def _byte_level_tokenizer(architecture: Architecture) -> PreTrainedTokenizerFast:
    is_qwen = architecture == "qwen2"
    special = (
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        if is_qwen
        else ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        _SENTENCES,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.add_tokens([AddedToken(injection_char(architecture), normalized=False)])
    if not is_qwen:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|begin_of_text|> $A",
            special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=None if is_qwen else special[0],
        eos_token=special[-1],
        pad_token=special[0] if is_qwen else special[1],
        chat_template=_QWEN_TEMPLATE if is_qwen else _LLAMA_TEMPLATE,
        extra_special_tokens=special,
    )


def _metaspace_tokenizer(architecture: Architecture) -> PreTrainedTokenizerFast:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # A tag's characters stay apart, as in the real one, so that the marker's neighbours are of one character each.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("▁", "merged_with_next"),
            pre_tokenizers.Split(Regex(r"[<>]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    alphabet = [chr(code) for code in range(32, 127)] + ["\n", "▁"]
    tokenizer.train_from_iterator(
        _SENTENCES,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.add_tokens([AddedToken(injection_char(architecture), normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.token_to_id("<bos>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        chat_template=_GEMMA_TEMPLATE,
        extra_special_tokens=["<start_of_turn>", "<end_of_turn>"],
    )


def _save_model(path: Path, architecture: Architecture, tokenizer: Any, n_blocks: int, seed: int) -> None:
    torch.manual_seed(seed)
    model = _tiny_model(architecture, n_blocks, len(tokenizer))
    # Transformers starts norms at one; varied ones show when a norm was left in.
    for name, weight in model.named_parameters():
        if name.endswith("norm.weight"):
            torch.nn.init.normal_(weight, mean=weight.detach().flatten()[0].item(), std=0.3)
    stop = tokenizer.convert_tokens_to_ids([tokenizer.eos_token, tokenizer.pad_token])
    # Sampling flags as real checkpoints carry them: greedy decoding has to ignore them without a word.
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.3, eos_token_id=stop
    )
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)


def _tiny_model(architecture: Architecture, n_blocks: int, vocab_size: int) -> Any:
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": D_MODEL,
        "intermediate_size": 48,
        "num_hidden_layers": n_blocks,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": MAX_POSITIONS,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if architecture == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**sizes, tie_word_embeddings=False))
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=False))
    kinds = ["sliding_attention", "full_attention"] * N_BLOCKS
    # A window of 8 tokens: shorter than every prompt, so that a wrong mask is noticed.
    text = Gemma3TextConfig(
        **sizes, head_dim=8, sliding_window=8, layer_types=kinds[:n_blocks], query_pre_attn_scalar=8
    )
    if architecture == "gemma3":
        return Gemma3ForCausalLM(text)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config)


def _drop_final_norm(directory: Path) -> None:
    """Released reconstructors do not save the norm they do without, nor a language-model head."""
    path = directory / "model.safetensors"
    dropped = (".norm.weight", "lm_head.weight")
    weights = {name: weight for name, weight in load_file(path).items() if not name.endswith(dropped)}
    save_file(weights, path, metadata={"format": "pt"})


def set_stop_ids(directory: Path, stop_ids: list[int]) -> None:
    """Rewrite the stop ids of a checkpoint's generation_config.json."""
    path = directory / "generation_config.json"
    content = json.loads(path.read_text())
    content["eos_token_id"] = stop_ids
    path.write_text(json.dumps(content))
