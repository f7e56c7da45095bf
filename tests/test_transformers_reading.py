import json
import shutil
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_checkpoints import (
    ARCHITECTURES,
    D_MODEL,
    N_BLOCKS,
    Architecture,
    TinyPair,
    build_tiny_pair,
    tiny_tokenizer,
    write_sidecar,
)
from transformers import AutoModelForCausalLM, AutoTokenizer, ByT5Tokenizer

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.hub import checkpoint_directory
from nlareport.backends.transformers_local import (
    TransformersExtractor,
    TransformersReconstructor,
    TransformersTokenizer,
)
from nlareport.checkpoints.prompts import reconstructor_prompt
from nlareport.checkpoints.sidecar import read_sidecar
from nlareport.errors import CheckpointDamaged, CheckpointDrift, CheckpointMissing, DeviceMissing, NonFiniteWeights
from nlareport.models.loading import placement
from nlareport.models.quiet import quiet
from nlareport.run.checkpoint_changes import ROLE_NAMES

torch.set_num_threads(1)

TEXTS = [
    "The river rose by 14 metres in the spring of 1998, and the old bridge was swept away.",
    "Shares fell.",
    "“Größe, naïve café” — she said — is not what I'd call plain English…" * 2,
    "A",
    "Shares of the company fell 3.2% after the report; analysts had expected worse.",
]
architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    return np.asarray((left * right).sum(axis=-1) / np.linalg.norm(left, axis=-1) / np.linalg.norm(right, axis=-1))


def copied(directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(directory, tmp_path / directory.name))


def sequences(pair: TinyPair) -> list[list[int]]:
    tokenizer = TransformersTokenizer(pair.base)
    return [tokenizer.tokenize(text, None).token_ids for text in TEXTS]


@architectures
@pytest.mark.parametrize("block_index", [0, 2])
def test_an_activation_is_the_hidden_state_after_its_block(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture, block_index: int
) -> None:
    pair = tiny_pairs[architecture]
    token_ids = sequences(pair)
    with TransformersExtractor(pair.base, block_index, dtype="float32", batch_size=2) as extractor:
        assert extractor.d_model == D_MODEL
        vectors = extractor.extract(token_ids)
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(pair.base, dtype=torch.float32).eval()
    for vector, sequence in zip(vectors, token_ids, strict=True):
        with torch.inference_mode():
            hidden_states = model(torch.tensor([sequence]), output_hidden_states=True).hidden_states
        np.testing.assert_allclose(vector, hidden_states[block_index + 1][0, -1].numpy(), rtol=1e-4, atol=1e-4)


@architectures
def test_the_last_block_is_read_before_the_final_norm(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture
) -> None:
    pair = tiny_pairs[architecture]
    token_ids = sequences(pair)[:1]
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(pair.base, dtype=torch.float32).eval()
    seen: list[torch.Tensor] = []
    layers = next(module for name, module in model.named_modules() if name.endswith("layers") and "vision" not in name)
    layers[-1].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.inference_mode():
        after_norm = model(torch.tensor(token_ids), output_hidden_states=True).hidden_states[-1][0, -1].numpy()
    with TransformersExtractor(pair.base, N_BLOCKS - 1, dtype="float32") as extractor:
        (vector,) = extractor.extract(token_ids)
    np.testing.assert_allclose(vector, seen[0][0, -1].numpy(), rtol=1e-4, atol=1e-4)
    assert cosine(vector, after_norm) < 0.999


@architectures
def test_a_reconstruction_is_that_of_its_text_alone(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture
) -> None:
    pair = tiny_pairs[architecture]
    with TransformersReconstructor(pair.reconstructor, dtype="float32", batch_size=3) as reconstructor:
        together = reconstructor.reconstruct(TEXTS)
        backwards = reconstructor.reconstruct(TEXTS[::-1])[::-1]
    np.testing.assert_allclose(cosine(together, backwards), 1, atol=1e-5)
    # The plain way: the whole model, one text at a time, its norm taken out by hand.
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(pair.reconstructor, dtype=torch.float32).eval()
    seen: list[torch.Tensor] = []
    layers = next(module for name, module in model.named_modules() if name.endswith("layers") and "vision" not in name)
    layers[-1].register_forward_hook(lambda _module, _inputs, output: seen.append(output[0, -1]))
    tokenizer = AutoTokenizer.from_pretrained(pair.reconstructor)
    sidecar = read_sidecar(pair.reconstructor)
    for text in TEXTS:
        with torch.inference_mode():
            model(tokenizer(reconstructor_prompt(sidecar, text), return_tensors="pt")["input_ids"])
    head = load_file(pair.reconstructor / "value_head.safetensors")["weight"]
    plain = (torch.stack(seen) @ head.T).numpy()
    np.testing.assert_allclose(cosine(together, plain), 1, atol=1e-5)
    np.testing.assert_allclose(together, plain, rtol=1e-3, atol=1e-3)


def test_bfloat16_reads_nearly_the_same(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    vectors = []
    for dtype in ("float32", "bfloat16"):
        with TransformersReconstructor(tiny_pairs["llama"].reconstructor, dtype=dtype) as reconstructor:
            vectors.append(reconstructor.reconstruct(TEXTS))
    assert vectors[1].dtype == np.float32
    assert cosine(*vectors).min() > 0.99


@architectures
def test_the_beginning_of_a_reconstructor_prompt_is_its_bos(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture
) -> None:
    with TransformersReconstructor(tiny_pairs[architecture].reconstructor, dtype="float32") as reconstructor:
        first = reconstructor.prompt_ids("text")[0]
    tokenizer = tiny_tokenizer(architecture)
    assert (first == tokenizer.bos_token_id) == (architecture != "qwen2")


def test_an_empty_explanation_under_a_bare_template_still_has_a_token(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = copied(tiny_pairs["qwen2"].reconstructor, tmp_path)
    bare = replace(read_sidecar(directory), reconstructor_template="{explanation}", reconstructor_suffix_ids=None)
    write_sidecar(directory, bare)
    with TransformersReconstructor(directory, dtype="float32") as reconstructor:
        assert np.isfinite(reconstructor.reconstruct(["", "text"])).all()


@architectures
def test_tokens_say_which_characters_they_cover(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture
) -> None:
    tokenizer = TransformersTokenizer(tiny_pairs[architecture].base)
    for text in TEXTS:
        tokens = tokenizer.tokenize(text, None)
        assert tokens.char_ends[-1] == len(text)
        assert tokens.char_ends == sorted(tokens.char_ends)
        covered = {i for a, b in zip(tokens.char_starts, tokens.char_ends, strict=True) for i in range(a, b)}
        assert covered == set(range(len(text)))
        for token_id, start, end in zip(tokens.token_ids, tokens.char_starts, tokens.char_ends, strict=True):
            assert start < end or token_id in tokenizer.special_ids
        assert (tokens.char_ends[0] == 0) == (architecture != "qwen2"), "only a BOS covers nothing"
    cut = tokenizer.tokenize(TEXTS[0], 5)
    assert cut.token_ids == tokenizer.tokenize(TEXTS[0], None).token_ids[:5]


def test_a_tokenizer_without_offsets_is_refused(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    directory = copied(tiny_pairs["llama"].base, tmp_path)
    (directory / "tokenizer.json").unlink()
    ByT5Tokenizer().save_pretrained(directory)
    with pytest.raises(CheckpointMissing, match=r"gives no character offsets. Put its tokenizer.json into"):
        TransformersTokenizer(directory)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_head_that_is_not_finite_is_refused_by_its_file(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, bad: float
) -> None:
    directory = copied(tiny_pairs["qwen2"].reconstructor, tmp_path)
    head = load_file(directory / "value_head.safetensors")["weight"].clone()
    head[3, 4:6] = bad
    save_file({"weight": head}, directory / "value_head.safetensors")
    with pytest.raises(NonFiniteWeights, match=r"2 of 1024 numbers of the head.s weight are not finite"):
        TransformersReconstructor(directory)


def test_a_block_that_is_not_finite_is_refused(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    weights = load_file(directory / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NonFiniteWeights, match=r"weights of layers.1.mlp.up_proj.weight are not all finite"):
        TransformersReconstructor(directory)


def test_a_head_that_gives_nothing_finite_is_refused_when_opened(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    save_file({"weight": torch.full((D_MODEL, D_MODEL), 3e38)}, directory / "value_head.safetensors")
    with pytest.raises(
        NonFiniteWeights, match=r"^Pair llama: .*value_head.safetensors gives no finite vector for a plain"
    ):
        TransformersReconstructor(directory, name="llama")


@pytest.mark.parametrize("missing", ["value_head.safetensors", "nla_meta.yaml", "config.json", "tokenizer.json"])
def test_a_missing_file_is_named(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, missing: str) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    (directory / missing).unlink()
    with pytest.raises(CheckpointMissing, match=r"value_head|nla_meta.yaml|config.json|tokenizer"):
        TransformersReconstructor(directory)


def test_pickled_weights_are_not_opened(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    directory = copied(tiny_pairs["llama"].base, tmp_path)
    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    with pytest.raises(CheckpointMissing, match=r"holds no safetensors weights. Pickled weights \(.bin\)"):
        TransformersExtractor(directory, 1)


def test_damaged_weights_are_refused(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    (directory / "value_head.safetensors").write_bytes(b"not weights")
    with pytest.raises(
        CheckpointDamaged, match=r"value_head.safetensors: is truncated, or no safetensors file \(11 bytes\)"
    ):
        TransformersReconstructor(directory)
    directory = copied(tiny_pairs["llama"].base, tmp_path)
    (directory / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointDamaged, match=r"model.safetensors: is truncated, or no safetensors file"):
        TransformersExtractor(directory, 1)


def test_a_head_of_another_shape_is_drift(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    save_file({"weight": torch.ones(3, D_MODEL)}, directory / "value_head.safetensors")
    with pytest.raises(CheckpointDrift, match=r"head's weight is \[3, 32\] of torch.float32, .* asks for \[32, 32\]"):
        TransformersReconstructor(directory)
    save_file({"bias": torch.ones(D_MODEL)}, directory / "value_head.safetensors")
    with pytest.raises(CheckpointMissing, match=r"holds no weight, but only \['bias'\]"):
        TransformersReconstructor(directory)


@architectures
def test_an_unexpected_missing_weight_is_not_hidden_by_the_missing_norm(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, architecture: Architecture
) -> None:
    directory = copied(tiny_pairs[architecture].reconstructor, tmp_path)
    weights = load_file(directory / "model.safetensors")
    gone = next(name for name in weights if name.endswith("layers.1.mlp.up_proj.weight") and "vision" not in name)
    del weights[gone]
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointDrift, match=r"its files lack the weights layers.1.mlp.up_proj.weight\."):
        TransformersReconstructor(directory)


def test_weights_of_another_shape_or_too_many_are_drift(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    weights = load_file(directory / "model.safetensors")
    changed = weights | {"model.layers.1.mlp.up_proj.weight": torch.ones(2, 2)}
    save_file(changed, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointDrift, match=r"has other shapes for the weights layers.1.mlp.up_proj.weight"):
        TransformersReconstructor(directory)
    changed = weights | {"model.layers.2.mlp.up_proj.weight": torch.ones(2, 2)}
    save_file(changed, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointDrift, match=r"has no place for the weights .*layers.2.mlp.up_proj.weight"):
        TransformersReconstructor(directory)


def test_a_reconstructor_keeps_one_block_more_than_its_index(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    write_sidecar(directory, replace(read_sidecar(directory), block_index=2))
    with pytest.raises(CheckpointDrift, match=r"has 2 blocks, a reconstructor for block 2 keeps 3"):
        TransformersReconstructor(directory)


def test_the_width_of_sidecar_and_model_must_agree(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    directory = copied(tiny_pairs["llama"].reconstructor, tmp_path)
    write_sidecar(directory, replace(read_sidecar(directory), d_model=48))
    with pytest.raises(CheckpointDrift, match=r"hidden_size 32, its sidecar d_model 48"):
        TransformersReconstructor(directory)


def test_a_tokenizer_that_disagrees_is_drift_named_by_pair(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = copied(tiny_pairs["gemma3"].reconstructor, tmp_path)
    write_sidecar(directory, replace(read_sidecar(directory), reconstructor_suffix_ids=(1, 2)))
    with pytest.raises(CheckpointDrift, match=r"^Pair gemma: the reconstructor prompt ends in the ids"):
        TransformersReconstructor(directory, name="gemma")


def test_the_wrong_half_of_a_pair_is_refused(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    with pytest.raises(CheckpointDrift, match="calls itself an AV, it is used as the AR"):
        TransformersReconstructor(tiny_pairs["llama"].verbalizer)


def test_a_block_the_model_does_not_have_is_drift(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    with pytest.raises(CheckpointDrift, match=r"has 4 blocks, so there is no block 4"):
        TransformersExtractor(tiny_pairs["llama"].base, 4)


def test_what_is_neither_directory_nor_hub_id_never_asks_the_network(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match="is neither a directory nor a hub id"):
        checkpoint_directory(tmp_path / "nowhere")


def test_a_hub_id_is_downloaded_without_pickles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {}

    def snapshot(repository: str, *, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked[repository] = allow_patterns
        return str(tmp_path)

    monkeypatch.setattr("nlareport.backends.hub.snapshot_download", snapshot)
    assert checkpoint_directory("kitft/nla-qwen2.5-7b-L20-av") == tmp_path
    assert checkpoint_directory("Qwen/Qwen2.5-7B-Instruct", with_weights=False) == tmp_path
    assert "*.safetensors" in asked["kitft/nla-qwen2.5-7b-L20-av"]
    assert "*.safetensors" not in asked["Qwen/Qwen2.5-7B-Instruct"]
    assert not any(fnmatch("pytorch_model.bin", pattern) for patterns in asked.values() for pattern in patterns)


def test_the_device_is_the_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for n_gpus, place in ((0, "cpu"), (1, "cuda"), (4, "auto")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda n_gpus=n_gpus: n_gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda n_gpus=n_gpus: n_gpus)
        assert placement("auto") == place
        assert placement("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceMissing, match="no 'cuda' device here"):
        placement("cuda")


def test_nothing_is_said_while_loading(
    tiny_pairs: dict[Architecture, TinyPair], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with TransformersReconstructor(tiny_pairs["gemma3_multimodal"].reconstructor) as reconstructor:
        reconstructor.reconstruct(["text"])
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_the_engine_holds_sidecars_against_the_experiment_file(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32", batch_size=2))
    spec = tiny_pairs["gemma3"].pair_spec
    assert engine.device == "cpu"
    token_ids = engine.tokenizer(spec).tokenize(TEXTS[0], None).token_ids
    with engine.extractor(spec) as extractor:
        assert extractor.extract([token_ids]).shape == (1, D_MODEL)
    with engine.reconstructor(spec) as reconstructor:
        assert reconstructor.reconstruct(["text"]).shape == (1, D_MODEL)
    assert set(engine.fingerprints(spec, "base_model")) == {"weights", "config", "tokenizer"}
    of_reader = {"weights", "config", "tokenizer", "sidecar", "prompt"}
    assert set(engine.fingerprints(spec, "reconstructor")) == of_reader
    of_writer = engine.fingerprints(spec, "verbalizer")
    assert set(of_writer) == {*of_reader, "chat_template", "stop_ids"}
    assert {len(digest) for digest in of_writer.values()} == {64}
    with pytest.raises(CheckpointDrift, match=r"Pair tiny-gemma3: .* has d_model 32, the experiment file says 33"):
        engine.extractor(spec.model_copy(update={"d_model": 33}))
    with pytest.raises(CheckpointDrift, match=r"the AR's sidecar has block_index 1, the experiment file says 2\."):
        engine.reconstructor(spec.model_copy(update={"block_index": 2}))
    with pytest.raises(
        CheckpointDrift, match=r"the AV's sidecar has injection_scale 60000.0, the experiment file says"
    ):
        engine.verbalizer(spec.model_copy(update={"injection_scale": 5.0}))


def test_the_same_seed_builds_the_same_pair(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    again = build_tiny_pair(tmp_path, "qwen2")
    engine = load_engine("transformers")
    for role in ROLE_NAMES:
        assert engine.fingerprints(again.pair_spec, role) == engine.fingerprints(tiny_pairs["qwen2"].pair_spec, role)
    first, second = (json.loads((pair.base / "tokenizer.json").read_text()) for pair in (tiny_pairs["qwen2"], again))
    assert first == second
