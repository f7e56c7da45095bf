"""LoRA adapters over a base model: read as the merged model they mean, and refused by name where they cannot be."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.shipped_pairs import as_adapters, renamed, tuned
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair
from support.tiny_families import FAMILIES, save_family

from nlareport.backends import EngineSettings, load_engine
from nlareport.errors import AdapterUnsupported, CheckpointDamaged, CheckpointDrift, CheckpointMissing, ExtraMissing
from nlareport.models.adapter_files import read_adapter
from nlareport.models.block_reader import BlockReader
from nlareport.models.blocks import find_blocks
from nlareport.models.configuration import load_text_config
from nlareport.models.loading import load_blocks

SETTINGS = EngineSettings(device="cpu", dtype="float32", batch_size=3, max_new_tokens=6)
TEXTS = ["A river rose.", "Shares fell by 3%, and the bank said so."]
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def pair(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> TinyPair:
    """The tiny Qwen pair as two adapters that may be changed."""
    return as_adapters(copied_pair(tiny_pairs["qwen2"], tmp_path))


def reconstructed(pair: TinyPair) -> np.ndarray:
    with load_engine("transformers", SETTINGS).reconstructor(pair.pair_spec) as reconstructor:
        return reconstructor.reconstruct(TEXTS)


def unmerged(pair: TinyPair, **options: Any) -> np.ndarray:
    """What the reconstructor's adapter gives when PEFT runs it next to its base model, read at block 1."""
    model = tuned(pair.base, 1, **options)
    head = load_file(pair.reconstructor / "value_head.safetensors")["weight"]
    with load_engine("transformers", SETTINGS).reconstructor(pair.pair_spec) as reconstructor:
        prompts = [reconstructor.prompt_ids(text) for text in TEXTS]
    with torch.inference_mode():
        states = [model(torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0, -1] for ids in prompts]
    return (torch.stack(states) @ head.T).numpy()


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ALL, "use_rslora": True, "r": 3},
        {"target_modules": r".*layers\.\d+\.(self_attn\.v_proj|mlp\.up_proj)", "use_dora": True},
        {"rank_pattern": {"q_proj": 5}, "alpha_pattern": {"layers.0.self_attn.q_proj": 9}},
        {"target_modules": ["embed_tokens", "o_proj"]},
        {"modules_to_save": ["embed_tokens"]},
    ],
    ids=["scaled by the root of the rank", "a pattern of names, DoRA", "ranks of their own", "embeddings", "whole"],
)
def test_a_merged_adapter_reads_as_it_does_next_to_its_base_model(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, options: dict[str, Any]
) -> None:
    pair = as_adapters(copied_pair(tiny_pairs["llama"], tmp_path), **options)
    np.testing.assert_allclose(reconstructed(pair), unmerged(pair, **options), rtol=0, atol=2e-5)


def test_a_verbalizer_writes_from_the_merged_weights_and_the_base_model_stays_as_it_is(pair: TinyPair) -> None:
    engine, ids, model = load_engine("transformers", SETTINGS), torch.tensor([[5, 6, 7, 8]]), tuned(pair.base, 0)
    with engine.verbalizer(pair.pair_spec) as verbalizer, torch.inference_mode():
        torch.testing.assert_close(verbalizer._model(ids).logits, model(ids).logits, rtol=0, atol=2e-5)
    with engine.extractor(pair.pair_spec) as extractor, torch.inference_mode(), model.disable_adapter():
        plain = model(ids, output_hidden_states=True).hidden_states[2][0, -1]
        np.testing.assert_allclose(extractor.extract(ids.tolist())[0], plain.numpy(), rtol=0, atol=2e-5)


def test_an_adapter_of_one_side_of_tied_embeddings_leaves_the_other_as_it_was(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    for number, options in enumerate(
        (
            {"target_modules": ["embed_tokens"]},
            {"target_modules": ["lm_head", "q_proj"]},
            {"modules_to_save": ["lm_head"]},
        )
    ):
        (tmp_path / str(number)).mkdir()
        pair = as_adapters(copied_pair(tiny_pairs["gemma3"], tmp_path / str(number)), **options)
        ids, model = torch.tensor([[5, 6, 7, 8]]), tuned(pair.base, 0, **options)
        with load_engine("transformers", SETTINGS).verbalizer(pair.pair_spec) as verbalizer, torch.inference_mode():
            torch.testing.assert_close(verbalizer._model(ids).logits, model(ids).logits, rtol=0, atol=1e-4)


def test_names_of_another_wrapping_class_and_weights_that_are_not_needed_are_understood(pair: TinyPair) -> None:
    expected, path = reconstructed(pair), pair.reconstructor / "adapter_model.safetensors"
    renamed(path, {"model.model.": "model.model.language_model."})
    tensors = load_file(path)
    first = next(iter(tensors.values()))
    further = {
        "base_model.model.model.vision_tower.layers.0.q_proj.lora_A.weight": first,
        "base_model.model.lm_head.lora_A.weight": first,
    }
    save_file({**tensors, **{name: tensor.clone() for name, tensor in further.items()}}, path)
    np.testing.assert_array_equal(reconstructed(pair), expected)


def test_a_reconstructor_trained_inside_its_own_class_is_read_with_the_head_among_its_weights(pair: TinyPair) -> None:
    expected = unmerged(pair)
    directory = pair.reconstructor
    path, head = directory / "ar_lora_value_head.safetensors", load_file(directory / "value_head.safetensors")["weight"]
    (directory / "adapter_model.safetensors").rename(path)
    renamed(path, {"base_model.model.": "backbone.", "lora_A.": "lora_A.default.", "lora_B.": "lora_B.default."})
    save_file({**load_file(path), "value_head.weight": head}, path)
    for name in ("adapter_config.json", "value_head.safetensors"):
        (directory / name).unlink()
    # Its trainer scales by alpha over the root of the rank; 4 over 2, as before, for an alpha of 3.
    meta = {"lora_r": 2, "lora_alpha": 3, "ar_num_layers": 2, "final_norm_stripped": True}
    (directory / "ar_meta.json").write_text(json.dumps(meta))
    factor = (4 / 2) / (3 / 2**0.5)
    save_file({name: tensor * factor if "lora_B" in name else tensor for name, tensor in load_file(path).items()}, path)
    np.testing.assert_allclose(reconstructed(pair), expected, rtol=0, atol=2e-5)
    (directory / "ar_meta.json").write_text(json.dumps(meta | {"final_norm_stripped": False}))
    with pytest.raises(AdapterUnsupported, match=r"ar_meta.json: says that the head was trained on the final norm's"):
        reconstructed(pair)
    (directory / "ar_meta.json").unlink()
    with pytest.raises(CheckpointMissing, match=r"holds ar_lora_value_head.safetensors without ar_meta.json"):
        reconstructed(pair)


CONFIGURATIONS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "another kind": ({"peft_type": "IA3"}, AdapterUnsupported, r"of the kind 'IA3'; only LORA is merged"),
    "experts": ({"target_parameters": ["experts.up"]}, AdapterUnsupported, r"says target_parameters \['experts.up'\]"),
    "a changed base": (
        {"init_lora_weights": "pissa_niter_4"},
        AdapterUnsupported,
        r"init_lora_weights 'pissa_niter_4'",
    ),
    "another rank": ({"r": 3}, CheckpointDrift, r"has rank 2, the adapter's configuration says 3"),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_an_adapter_that_cannot_be_merged_exactly_is_refused(pair: TinyPair, name: str) -> None:
    values, error, said = CONFIGURATIONS[name]
    path = pair.reconstructor / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(error, match=said):
        reconstructed(pair)


def test_an_adapter_of_another_model_or_with_a_part_missing_is_refused_by_name(pair: TinyPair) -> None:
    path = pair.reconstructor / "adapter_model.safetensors"
    tensors = load_file(path)
    gone = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"
    save_file({name: tensor for name, tensor in tensors.items() if name != gone}, path)
    with pytest.raises(CheckpointDrift, match=r"does not fit the base model .*layers.1.self_attn.q_proj.lora_B"):
        reconstructed(pair)
    save_file({**tensors, "base_model.model.model.layers.1.mixer.lora_A.weight": tensors[gone].clone()}, path)
    with pytest.raises(
        CheckpointDrift, match=r"merged into: base_model.model.model.layers.1.mixer.lora_A.weight. Give"
    ):
        reconstructed(pair)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointDamaged, match=r"adapter_model.safetensors: has .* bytes, its header says"):
        load_engine("transformers", SETTINGS).check(pair.pair_spec)
    path.unlink()
    torch.save({}, path.with_suffix(".bin"))
    with pytest.raises(
        CheckpointMissing, match=r"only adapter_model.bin, a pickle, which is not opened; convert it\.$"
    ):
        reconstructed(pair)


def test_whole_weights_in_an_adapters_directory_are_told(pair: TinyPair) -> None:
    (pair.reconstructor / "model.safetensors").write_bytes((pair.base / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointDamaged, match=r"holds whole weights \(model.safetensors\) as well as an adapter"):
        load_engine("transformers", SETTINGS).check(pair.pair_spec)


@pytest.mark.parametrize("named", ["/mnt/of/another/machine", "", "some-lab/BASE", None])
def test_the_base_model_is_that_of_the_experiment_where_the_adapter_names_none_that_is_better(
    pair: TinyPair, named: str | None
) -> None:
    expected, path = reconstructed(pair), pair.reconstructor / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": named}))
    np.testing.assert_array_equal(reconstructed(pair), expected)


def test_the_experiment_may_say_which_model_an_adapter_belongs_to(pair: TinyPair, tmp_path: Path) -> None:
    path = pair.reconstructor / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(tmp_path / "elsewhere")}))
    spec = pair.pair_spec.model_dump() | {"base_model": "some-lab/other"}
    stated = type(pair.pair_spec)(**spec | {"sidecars": {"reconstructor": {"base_model": str(pair.base)}}})
    with load_engine("transformers", SETTINGS).reconstructor(stated) as reconstructor:
        assert reconstructor.reconstruct(TEXTS).shape == (2, D_MODEL)


def test_an_adapter_over_quantized_weights_or_over_an_adapter_is_refused(pair: TinyPair, tmp_path: Path) -> None:
    quantized = Path(shutil.copytree(pair.base, tmp_path / "quantized"))
    config = json.loads((pair.base / "config.json").read_text())
    (quantized / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    path = pair.reconstructor / "adapter_config.json"
    for base, error, said in (
        (quantized, AdapterUnsupported, r"whose weights are quantized, so merging would round them once more"),
        (pair.verbalizer, CheckpointMissing, r"/av: is an adapter \(adapter_config.json\), not a whole checkpoint"),
    ):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(base)}))
        with pytest.raises(error, match=said):
            load_engine("transformers", SETTINGS).check(pair.pair_spec)


def test_without_peft_an_adapter_says_what_to_install(pair: TinyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ExtraMissing, match=r"A LoRA adapter needs PEFT. Run: pip install"):
        reconstructed(pair)


@pytest.mark.parametrize(
    ("family", "modules"),
    [("gpt2", ["c_attn", "c_proj"]), ("gpt_neox", ["query_key_value"]), ("opt", ["q_proj", "fc1"])],
)
def test_families_that_name_their_parts_otherwise_are_merged_as_well(
    family: str, modules: list[str], tmp_path: Path
) -> None:
    base = tmp_path / "base"
    save_family(base, *FAMILIES[family])
    model = tuned(base, 3, target_modules=modules)
    model.save_pretrained(tmp_path / "adapter")
    config, adapter = load_text_config(base), read_adapter(tmp_path / "adapter")
    cut, blocks = load_blocks(base, config, 2, device="cpu", dtype="float32", adapter=adapter)
    whole = BlockReader(model.get_base_model(), find_blocks(model.get_base_model(), config, base), 1, config, base)
    found, expected = BlockReader(cut, blocks, 1, config, base).read([[5, 6, 7, 8]]), whole.read([[5, 6, 7, 8]])
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
