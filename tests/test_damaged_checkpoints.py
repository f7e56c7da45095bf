"""Checkpoints with one thing wrong: each is refused by name before any weight is read, and opens once it is mended."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from support.tiny_checkpoints import Architecture, TinyPair, copied_pair

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.contract import open_verbalizer_contract, refuse_non_finite
from nlareport.backends.transformers_local import (
    TransformersExtractor,
    TransformersTokenizer,
    TransformersVerbalizer,
)
from nlareport.checkpoints import chat_templates
from nlareport.errors import (
    ChatTemplateFails,
    CheckpointDamaged,
    CheckpointDrift,
    CheckpointMissing,
    ContextTooShort,
    NlareportError,
    NonFiniteWeights,
    QuantizationUnsupported,
)
from nlareport.models.checkpoint_files import refuse_damaged_weights
from nlareport.models.configuration import context_tokens, load_text_config, read_stop_ids
from nlareport.models.value_head import load_value_head

SETTINGS = EngineSettings(device="cpu", dtype="float32", batch_size=2, max_new_tokens=8)


@pytest.fixture
def pair(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> TinyPair:
    """A copy of the tiny Llama pair that may be broken."""
    return copied_pair(tiny_pairs["llama"], tmp_path)


def check(pair: TinyPair) -> None:
    load_engine("transformers", SETTINGS).check(pair.pair_spec)


@contextmanager
def replaced(path: Path, content: bytes | None) -> Iterator[None]:
    """Inside, the file holds other bytes, or is away; afterwards it is as it was."""
    former = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if former is not None:
            path.write_bytes(former)


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | values))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "emptied": lambda _: b"",
    "not UTF-8": lambda content: b"\xff\xfe" + content,
    "not JSON": lambda _: b"<html>Sign in to the hotel network</html>",
    "a list": lambda _: b'["eos_token_id", 1]',
    "a number": lambda _: b"17",
    "too deep": lambda _: b'{"a":' * 100_000,
    "one byte less": lambda content: content.rstrip()[:-1],
}
JSON_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
)


@pytest.mark.parametrize("name", JSON_FILES)
def test_a_damaged_file_of_names_is_refused_by_its_path(pair: TinyPair, name: str) -> None:
    path = pair.verbalizer / name
    if not path.exists():
        path.write_text("{}")
    content = path.read_bytes()
    for damage in DAMAGES.values():
        with replaced(path, damage(content)), pytest.raises(CheckpointDamaged, match=rf"^{path}: "):
            open_verbalizer_contract(pair.verbalizer, "tiny", 8)
    if name not in ("special_tokens_map.json", "added_tokens.json"):
        open_verbalizer_contract(pair.verbalizer, "tiny", 8)


def test_a_folder_a_dead_link_and_a_pipe_in_a_files_place_are_refused(pair: TinyPair) -> None:
    path = pair.verbalizer / "config.json"
    path.rename(pair.verbalizer / "config.json.kept")
    path.mkdir()
    with pytest.raises(CheckpointDamaged, match="is no file of text"):
        open_verbalizer_contract(pair.verbalizer, "tiny", 8)
    path.rmdir()
    path.symlink_to(pair.verbalizer / "blob")
    with pytest.raises(CheckpointDamaged, match="is a link to a file that is no longer there"):
        open_verbalizer_contract(pair.verbalizer, "tiny", 8)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointDamaged, match="is no file of text"):
        open_verbalizer_contract(pair.verbalizer, "tiny", 8)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"eos_token_id": "</s>"}, "gives eos_token_id as '</s>'; expected ids under"),
        ({"eos_token_id": [1, 2.5]}, "gives eos_token_id as"),
        ({"eos_token_id": True}, "gives eos_token_id as True"),
        ({"eos_token_id": -1}, "gives eos_token_id as -1"),
        ({"eos_token_id": 10**9}, "gives eos_token_id as 1000000000"),
        ({"eos_token_id": []}, "names no eos_token_id"),
        ({"eos_token_id": None}, "names no eos_token_id"),
    ],
)
def test_stop_ids_that_are_no_tokens_are_refused(pair: TinyPair, values: dict[str, Any], match: str) -> None:
    change(pair.verbalizer / "generation_config.json", **values)
    with pytest.raises((CheckpointDamaged, CheckpointMissing), match=rf"generation_config.json: {match}"):
        check(pair)


def test_without_a_generation_config_the_stop_ids_of_the_configuration_count(pair: TinyPair) -> None:
    (pair.verbalizer / "generation_config.json").unlink()
    config = load_text_config(pair.verbalizer)
    with pytest.raises(CheckpointMissing, match=r"config.json: names no eos_token_id"):
        read_stop_ids(pair.verbalizer, config)
    assert read_stop_ids(pair.verbalizer, config, 3) == ([3], 3)
    change(pair.verbalizer / "config.json", eos_token_id=4)
    assert read_stop_ids(pair.verbalizer, config) == ([4], None)
    assert read_stop_ids(pair.verbalizer, config, 4) == ([4], None)
    assert read_stop_ids(pair.verbalizer, config, 3) == ([4, 3], 3)
    change(pair.verbalizer / "config.json", text_config={"eos_token_id": [4, 2]})
    assert read_stop_ids(pair.verbalizer, config) == ([4, 2], None)
    change(pair.verbalizer / "config.json", eos_token_id=None, text_config={})
    config.eos_token_id = 1
    assert read_stop_ids(pair.verbalizer, config, 3) == ([1, 3], 3)


@pytest.mark.parametrize("part", ["base", "verbalizer", "reconstructor"])
@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": "wide"},
        {"num_hidden_layers": 0},
        {"vocab_size": -5},
        {"model_type": ["llama"]},
        {"rope_parameters": 7},
    ],
)
def test_a_configuration_of_wrong_types_is_refused(pair: TinyPair, part: str, values: dict[str, Any]) -> None:
    directory: Path = getattr(pair, part)
    change(directory / "config.json", **values)
    with pytest.raises((CheckpointDamaged, CheckpointMissing), match=rf"^{directory}: .*config.json"):
        check(pair)


def test_code_of_a_checkpoints_own_is_never_run(pair: TinyPair) -> None:
    """Only a kind that Transformers knows is opened; for that one `auto_map` changes nothing."""
    witness = pair.base / "ran"
    (pair.base / "modeling_own.py").write_text(f"open({str(witness)!r}, 'w').close()\n")
    own = {
        "AutoConfig": "modeling_own.Own",
        "AutoModel": "modeling_own.Own",
        "AutoTokenizer": ["modeling_own.Own", None],
    }
    change(pair.base / "config.json", auto_map=own)
    change(pair.base / "tokenizer_config.json", auto_map=own)
    check(pair)
    change(pair.base / "config.json", model_type="own")
    with pytest.raises(CheckpointMissing, match=r"asks to run code of its own \(auto_map\), which is never done"):
        check(pair)
    assert not witness.exists()


def test_an_adapter_is_no_base_model(pair: TinyPair) -> None:
    (pair.base / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (pair.base / "model.safetensors").rename(pair.base / "adapter_model.safetensors")
    with pytest.raises(
        CheckpointMissing, match=r"is an adapter \(adapter_config.json\), not a whole checkpoint. Merge it"
    ):
        check(pair)


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "gemma3"])
@pytest.mark.parametrize(
    "gone", [["tokenizer.json"], ["tokenizer.json", "tokenizer_config.json"], ["tokenizer_config.json"]]
)
def test_a_tokenizer_that_reads_nothing_is_refused(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, architecture: Architecture, gone: list[str]
) -> None:
    pair = copied_pair(tiny_pairs[architecture], tmp_path)
    for name in gone:
        (pair.base / name).unlink()
    with pytest.raises((CheckpointDamaged, CheckpointMissing), match=rf"^{pair.base}: .*tokenizer"):
        TransformersTokenizer(pair.base)
    for name in gone:
        shutil.copyfile(tiny_pairs[architecture].base / name, pair.base / name)
    assert TransformersTokenizer(pair.base).tokenize("The river rose.", None).token_ids


def test_another_models_tokenizer_is_refused(tiny_pairs: dict[Architecture, TinyPair], pair: TinyPair) -> None:
    change(pair.base / "config.json", vocab_size=300)
    with pytest.raises(CheckpointDrift, match=r"has 40\d tokens, its config.json only 300, so it is another model's"):
        TransformersTokenizer(pair.base)
    # Gemma's is smaller than Llama's: what a sidecar records tells them apart.
    shutil.copyfile(tiny_pairs["gemma3"].base / "tokenizer.json", pair.verbalizer / "tokenizer.json")
    with pytest.raises(NlareportError, match=r"injection char|tokenizer"):
        check(pair)


def test_tokens_added_beyond_the_embedding_are_no_fault_until_a_text_holds_them(pair: TinyPair) -> None:
    vocab_size = load_text_config(pair.base).vocab_size
    tokenizer = json.loads((pair.base / "tokenizer.json").read_text())
    added = {**tokenizer["added_tokens"][-1], "id": vocab_size, "content": "<image>", "special": True}
    tokenizer["added_tokens"].append(added)
    (pair.base / "tokenizer.json").write_text(json.dumps(tokenizer))
    tokens = TransformersTokenizer(pair.base).tokenize("The river <image> rose.", None).token_ids
    assert vocab_size in tokens
    limits = load_engine("transformers", SETTINGS).limits(pair.pair_spec)
    assert limits.why_unreadable(tokens) == "holds a token without an embedding"
    assert limits.why_unreadable([token for token in tokens if token < vocab_size]) is None


FAILING_TEMPLATES = {
    "{{ raise_exception('Only assistants may speak') }}": "Only assistants may speak",
    "{% for m in messages %}{{ m['content'] ": "unexpected end of template",
    "{{ conversation.turns[0].text }}": "'conversation' is undefined",
    "{{ messages[3]['content'] }}": "list object has no element 3|undefined",
    "{% include 'other.jinja' %}": "loader",
    "{{ messages | no_such_filter }}": "No filter named",
    "{{ 1 / 0 }}": "division by zero",
    "": "has no chat template",
    "{# nothing #}": "gives 0 characters",
    "{{ 'a' * 200000 }}": "gives 200,000 characters",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "did not end within",
    "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}": "recursion",
}


@pytest.mark.parametrize("template", FAILING_TEMPLATES)
def test_a_chat_template_that_fails_is_refused_by_pair_and_file(
    pair: TinyPair, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_templates, "TEMPLATE_SECONDS", 2.0)
    path = pair.verbalizer / "chat_template.jinja"
    path.write_text(template)
    with pytest.raises((ChatTemplateFails, CheckpointMissing), match=FAILING_TEMPLATES[template]) as caught:
        check(pair)
    assert str(pair.verbalizer) in str(caught.value)
    if template:
        assert str(caught.value).startswith(f"{path}: Pair tiny-llama: the chat template")
    assert "\n" not in str(caught.value)


def test_a_chat_template_that_is_not_utf_8_is_refused(pair: TinyPair) -> None:
    (pair.verbalizer / "chat_template.jinja").write_bytes(b"caf\xe9 {{ messages }}")
    with pytest.raises(CheckpointDamaged, match=r"chat_template.jinja: is not UTF-8 text \(byte 3\)"):
        check(pair)


def test_a_prompt_that_holds_a_date_is_one_value_while_an_engine_lives(pair: TinyPair) -> None:
    path = pair.verbalizer / "chat_template.jinja"
    path.write_text(
        "{{ bos_token }}{{ strftime_now('%H%M%S%f') }}" + path.read_text().replace("{{ bos_token }}", "", 1)
    )
    engine = load_engine("transformers", SETTINGS)
    engine.check(pair.pair_spec)
    asked = engine.prompt_ids(pair.pair_spec)
    assert asked == engine.prompt_ids(pair.pair_spec)
    with engine.verbalizer(pair.pair_spec) as verbalizer:
        assert isinstance(verbalizer, TransformersVerbalizer)
        assert tuple(verbalizer._prompt_ids[0].tolist()) == asked
    assert load_engine("transformers", SETTINGS).prompt_ids(pair.pair_spec) != asked


def test_two_bos_are_refused_wherever_they_come_from(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    for architecture, bos in (("gemma3", "<bos>"), ("llama", "<|begin_of_text|>")):
        pair = copied_pair(tiny_pairs[architecture], tmp_path / architecture)
        sidecar = yaml.safe_load((pair.reconstructor / "nla_meta.yaml").read_text(encoding="utf-8"))
        sound = (pair.reconstructor / "nla_meta.yaml").read_bytes()
        sidecar["prompt_templates"]["ar"] = f"{bos}{sidecar['prompt_templates']['ar']}"
        written = yaml.safe_dump(sidecar, allow_unicode=True).encode()
        with (
            replaced(pair.reconstructor / "nla_meta.yaml", written),
            pytest.raises(CheckpointDrift, match=rf"Pair tiny-{architecture}: the reconstructor prompt holds BOS"),
        ):
            check(pair)
        assert (pair.reconstructor / "nla_meta.yaml").read_bytes() == sound
        check(pair)
        template = pair.verbalizer / "chat_template.jinja"
        for doubled in ("{{ bos_token }}" + template.read_text(), template.read_text() + "\n" + bos):
            with (
                replaced(template, doubled.encode()),
                pytest.raises(CheckpointDrift, match=r"the verbalizer prompt holds BOS .* twice"),
            ):
                check(pair)


def test_a_tokenizer_that_adds_two_bos_is_refused(pair: TinyPair) -> None:
    path = pair.base / "tokenizer.json"
    content = json.loads(path.read_text())
    content["post_processor"]["single"].insert(0, content["post_processor"]["single"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointDrift, match=r"begins a text with BOS \(id 0\) twice"):
        TransformersTokenizer(pair.base)


def test_a_prompt_and_answer_beyond_the_context_are_refused_with_what_fits(pair: TinyPair) -> None:
    n_prompt = len(load_engine("transformers", SETTINGS).prompt_ids(pair.pair_spec))
    change(pair.verbalizer / "config.json", max_position_embeddings=n_prompt + 20)
    with pytest.raises(ContextTooShort, match=r"Set decoding.max_new_tokens to 20 or less"):
        TransformersVerbalizer(pair.verbalizer, device="cpu", max_new_tokens=21)
    with TransformersVerbalizer(pair.verbalizer, device="cpu", max_new_tokens=20):
        pass
    change(pair.verbalizer / "config.json", max_position_embeddings=n_prompt - 1)
    with pytest.raises(ContextTooShort, match="Use another verbalizer"):
        check(pair)


@pytest.mark.parametrize(
    ("rope", "expected"),
    [
        (None, 1024),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024, "rope_theta": 1e4}, 4096),
        ({"rope_type": "linear", "factor": 8.0, "rope_theta": 1e4}, 1024),
    ],
)
def test_the_context_is_what_the_configuration_says_stretched_or_not(
    pair: TinyPair, rope: dict[str, Any] | None, expected: int
) -> None:
    if rope:
        change(pair.base / "config.json", rope_parameters=rope)
    assert context_tokens(load_text_config(pair.base)) == expected


@pytest.mark.parametrize(
    ("quantization", "named"),
    [
        ({"quant_method": "gptq", "bits": 4}, r"'gptq'.* optimum and gptqmodel, which are not installed"),
        ({"quant_method": "awq", "bits": 4}, r"'awq'.* gptqmodel, which is not installed"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            r"'bitsandbytes'.* bitsandbytes, which is not installed",
        ),
        ({"load_in_8bit": True}, r"'bitsandbytes'.* bitsandbytes, which is not installed"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, r"compressed-tensors, which is not installed"),
        ({"quant_method": "eetq"}, r"'eetq'.* requires kernels"),
        ({"quant_method": "of-my-own"}, r"'of-my-own'.* Unknown quantization type"),
        ({"bits": 4}, r"None.* cannot be opened here"),
        ("int4", r"gives quantization_config as 'int4'"),
    ],
)
def test_quantized_weights_that_cannot_be_opened_are_refused_by_kind_and_package(
    pair: TinyPair, quantization: Any, named: str
) -> None:
    change(pair.base / "config.json", quantization_config=quantization)
    with pytest.raises((QuantizationUnsupported, CheckpointDamaged), match=named) as caught:
        check(pair)
    assert "\n" not in str(caught.value)


def test_weights_of_eight_bits_are_opened_as_they_were_meant(pair: TinyPair) -> None:
    """FP8 needs no package here: without a GPU Transformers multiplies the scales back in."""
    token_ids = [[5, 90, 33, 44], [100, 200]]
    with TransformersExtractor(pair.base, 1, device="cpu", dtype="float32") as extractor:
        whole = extractor.extract(token_ids)
    weights = load_file(pair.base / "model.safetensors")
    for name in [name for name in weights if name.endswith("proj.weight")]:
        scale = weights[name].abs().max() / 448
        weights[name] = (weights[name] / scale).to(torch.float8_e4m3fn)
        weights[name.replace(".weight", ".weight_scale_inv")] = scale.reshape(1, 1)
    save_file(weights, pair.base / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointDrift, match="has no place for the weights"):
        TransformersExtractor(pair.base, 1, device="cpu", dtype="float32")
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
    change(pair.base / "config.json", quantization_config=fp8)
    with TransformersExtractor(pair.base, 1, device="cpu", dtype="float32") as extractor:
        found = extractor.extract(token_ids)
    cosines = (whole * found).sum(axis=1) / np.linalg.norm(whole, axis=1) / np.linalg.norm(found, axis=1)
    assert (cosines > 0.98).all()
    assert (cosines < 1).all()


def test_weights_of_any_kind_are_asked_whether_they_are_finite() -> None:
    model = torch.nn.Module()
    for name, dtype in (("a", torch.float8_e4m3fn), ("b", torch.int8), ("c", torch.bfloat16)):
        model.register_parameter(name, torch.nn.Parameter(torch.ones(3).to(dtype), requires_grad=False))
    refuse_non_finite(model, Path("somewhere"), "bfloat16")
    model.a = torch.nn.Parameter(torch.tensor([1.0, float("nan")]).to(torch.float8_e4m3fn), requires_grad=False)
    with pytest.raises(NonFiniteWeights, match=r"somewhere: the weights of a are not all finite in bfloat16"):
        refuse_non_finite(model, Path("somewhere"), "bfloat16")


def sharded(directory: Path) -> list[Path]:
    """The checkpoint's weights in three shards with an index."""
    weights = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    names = sorted(weights)
    placed = {name: f"model-{place % 3 + 1:05d}-of-00003.safetensors" for place, name in enumerate(names)}
    for shard in sorted(set(placed.values())):
        save_file({name: weights[name] for name in names if placed[name] == shard}, directory / shard, {"format": "pt"})
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return [directory / shard for shard in sorted(set(placed.values()))]


def test_shards_that_are_cut_missing_or_elsewhere_are_refused(pair: TinyPair, tmp_path: Path) -> None:
    shards = sharded(pair.verbalizer)
    refuse_damaged_weights(pair.verbalizer)
    content = shards[1].read_bytes()
    n_header = int.from_bytes(content[:8], "little")
    for damaged in (
        content[:-1],
        content + b"\0",
        content[: n_header // 2],
        b"",
        b"\x00" * 8,
        (2**62).to_bytes(8, "little") + content[8:],
        (99_000_000).to_bytes(8, "little") + content[8:],
        content[:8] + b"[" + content[9:],
        n_header.to_bytes(8, "little") + b" " * n_header,
        (9).to_bytes(8, "little") + b'{"a":"b"}',
    ):
        with replaced(shards[1], damaged), pytest.raises(CheckpointDamaged, match=rf"^{shards[1]}: "):
            refuse_damaged_weights(pair.verbalizer)
    with (
        replaced(shards[1], None),
        pytest.raises(CheckpointMissing, match=rf"1 of its 3 shards are not there, {shards[1].name} is the first"),
    ):
        refuse_damaged_weights(pair.verbalizer)
    shutil.copyfile(shards[1], tmp_path / "x.safetensors")
    for elsewhere in ("../x.safetensors", str(tmp_path / "x.safetensors"), "a\\x.safetensors", "pickled.bin", ""):
        index = {"weight_map": {"a": shards[0].name, "b": elsewhere}}
        with (
            replaced(pair.verbalizer / "model.safetensors.index.json", json.dumps(index).encode()),
            pytest.raises(CheckpointDamaged, match="which is no safetensors file of this folder"),
        ):
            refuse_damaged_weights(pair.verbalizer)
    for faulty in (b"{}", b'{"weight_map": []}', b'{"weight_map": {"a": 1}}', b"{"):
        with (
            replaced(pair.verbalizer / "model.safetensors.index.json", faulty),
            pytest.raises(CheckpointDamaged, match=r"model.safetensors.index.json: "),
        ):
            refuse_damaged_weights(pair.verbalizer)
    with TransformersVerbalizer(pair.verbalizer, device="cpu", max_new_tokens=2):
        check(pair)
    with replaced(shards[2], content[:100]), pytest.raises(CheckpointDamaged, match="is truncated"):
        check(pair)


def test_a_cut_head_is_refused(pair: TinyPair) -> None:
    path = pair.reconstructor / "value_head.safetensors"
    with (
        replaced(path, path.read_bytes()[:-5]),
        pytest.raises(CheckpointDamaged, match=r"value_head.safetensors: has [\d,]+ bytes, its header says [\d,]+"),
    ):
        load_value_head(pair.reconstructor, 32)
