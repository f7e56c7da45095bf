"""Checkpoints as they are shipped elsewhere, end to end: Gemma 4, adapters, sidecars in the experiment, other heads."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from support.scripted_runs import run, scripted_content, write_corpus, write_experiment
from support.shipped_pairs import as_adapters, build_gemma4_base, tuned
from support.tiny_checkpoints import (
    D_MODEL,
    RECONSTRUCTOR_TEMPLATE,
    VERBALIZER_TEMPLATE,
    Architecture,
    TinyPair,
    copied_pair,
    injection_char,
)

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.contract import check_width
from nlareport.backends.transformers_local import TransformersReconstructor
from nlareport.checkpoints.sidecar import read_sidecar
from nlareport.errors import CheckpointChanged, CheckpointDamaged, CheckpointDrift, CheckpointInvalid, CheckpointMissing
from nlareport.experiment.pair_section import PairSpec
from nlareport.models.value_head import load_value_head
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import Choice, Making, SelfTest
from nlareport.store.whole_run import read_run

SETTINGS = EngineSettings(device="cpu", dtype="float32", batch_size=3, max_new_tokens=6)
TEXTS = ["A river rose.", "Shares fell by 3%, and the bank said so."]


def experiment_on(pairs: list[dict[str, Any]], folder: Path, n_items: int = 4) -> Path:
    """An experiment on real tiny checkpoints; whole answers are scored, since random models write no tags."""
    content = scripted_content(n_items) | {"pairs": pairs, "decoding": {"max_new_tokens": 5}}
    content["scoring"] = {"bootstrap_draws": 100, "unclean": "raw"}
    content["sampling"]["reference_pair"] = pairs[0]["pair_id"]
    write_corpus(folder, 12)
    return write_experiment(folder, content)


def reconstructed(directory: Path) -> np.ndarray:
    with TransformersReconstructor(directory, device="cpu", dtype="float32") as reconstructor:
        return reconstructor.reconstruct(TEXTS)


ATTENTION_OF_TEXT = r"(?!.*vision).*layers\.\d+\.self_attn\.(q_proj|o_proj)"


def gemma4_pair(folder: Path, *, sees: bool) -> dict[str, Any]:
    """A pair as one for Gemma-4-E2B is shipped: adapters without sidecars, a biased head in a pickle, another block."""
    base = folder / "gemma-4"
    tokenizer = build_gemma4_base(base, sees=sees)
    for number, name in enumerate(("av", "ar")):
        tuned(base, number, target_modules=ATTENTION_OF_TEXT).save_pretrained(folder / name)
    head = {"weight": torch.eye(D_MODEL) * 0.5, "bias": torch.linspace(-1, 1, D_MODEL)}
    torch.save(head, folder / "ar" / "linear_head.pt")
    ids = tokenizer.encode(VERBALIZER_TEMPLATE.replace("{injection_char}", injection_char("gemma3")))
    place = ids.index(tokenizer.convert_tokens_to_ids(injection_char("gemma3")))
    keys = ("injection_left_neighbor_id", "injection_token_id", "injection_right_neighbor_id")
    extraction = {"layer": 2, "d_model": D_MODEL, "mse_scale": "sqrt_d_model"}
    return {
        "pair_id": "gemma4",
        "label": "Gemma 4",
        "family": "gemma",
        "base_model": str(base),
        "block_index": 2,
        "d_model": D_MODEL,
        "verbalizer": str(folder / "av"),
        "reconstructor": str(folder / "ar"),
        "sidecars": {
            "verbalizer": {
                "extraction": extraction | {"injection_scale": 20_000.0},
                "tokens": {
                    "injection_char": injection_char("gemma3"),
                    **dict(zip(keys, ids[place - 1 : place + 2], strict=True)),
                },
                "prompt_templates": {"av": VERBALIZER_TEMPLATE},
            },
            "reconstructor": {
                "extraction": extraction,
                "critic": {"reads_block": 1},
                "prompt_templates": {"ar": RECONSTRUCTOR_TEMPLATE},
            },
        },
    }


@pytest.fixture(scope="module")
def shipped_run(tmp_path_factory: pytest.TempPathFactory, tiny_pairs: dict[Architecture, TinyPair]) -> Path:
    """The folder of a run of a Gemma 4 pair and of a pair of adapters that is injected by adding after a block."""
    folder = tmp_path_factory.mktemp("shipped")
    (folder / "lora").mkdir()
    lora = as_adapters(copied_pair(tiny_pairs["qwen2"], folder / "lora"))
    path = lora.verbalizer / "nla_meta.yaml"
    sidecar = yaml.safe_load(path.read_text())
    # As a trainer copies it from its data: no role, no scale, the block under extraction.
    del sidecar["role"], sidecar["extraction_layer_index"], sidecar["extraction"]["injection_scale"]
    sidecar |= {"kind": "nla_dataset", "schema_version": 1}
    sidecar["extraction"] |= {"layer_index": 1, "norm": "none"}
    path.write_text(yaml.safe_dump(sidecar, allow_unicode=True))
    spec = lora.pair_spec.model_dump(mode="json", exclude_none=True) | {"pair_id": "lora"}
    spec["sidecars"] = {"verbalizer": {"injection": {"mode": "add", "block": 1, "norm_match": True}}}
    spec.pop("injection_scale")
    run(experiment_on([spec, gemma4_pair(folder, sees=True)], folder), folder / "run.duckdb", engine="transformers")
    return folder


def test_an_adapter_pair_that_adds_and_a_gemma_4_pair_with_a_biased_head_run_end_to_end(shipped_run: Path) -> None:
    rows = read_run(shipped_run / "run.duckdb")
    scores = rows.of(Score)
    assert len(scores) == 4 * 4
    assert all(score.mse_nrm is not None for score in scores)
    assert [test.test for test in rows.of(SelfTest) if not test.passed] == []
    told = {(choice.pair_id, choice.role, choice.topic): choice.text for choice in rows.of(Choice)}
    assert "(rank 2), merged into the weights of gemma-4 when" in told["gemma4", "reconstructor", "adapter"]
    assert told["gemma4", "reconstructor", "reads_block"].startswith("It reads the output of block 1 and gives vectors")
    assert told["gemma4", "verbalizer", "sidecar"].startswith("It has no nla_meta.yaml; the experiment file says what")
    assert told["gemma4", "verbalizer", "prompt"].endswith("since its tokenizer has no chat template.")
    assert told["lora", "verbalizer", "sidecar"] == "Its sidecar does not say 'injection'; the experiment file does."
    assert "is added to what is at the marker at the output of block 1" in told["lora", "verbalizer", "injection"]
    kinds = {(row.pair_id, row.role, row.kind) for row in rows.of(Making)}
    assert {("lora", "verbalizer", "weights"), ("gemma4", "reconstructor", "weights")} <= kinds


def scaled(path: Path, part: str) -> None:
    tensors = {name: tensor * 1.5 if part in name else tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda folder: scaled(folder / "lora/av/adapter_model.safetensors", "lora_B"),
            r"weights .* of the verbalizer of pair lora",
        ),
        (
            lambda folder: scaled(folder / "lora/base/model.safetensors", "norm"),
            r"weights .* of the base model of pair lora",
        ),
        (
            lambda folder: torch.save({"weight": torch.eye(D_MODEL)}, folder / "ar" / "linear_head.pt"),
            r"weights .* of the reconstructor of pair gemma4",
        ),
    ],
    ids=["adapter", "base model", "pickled head"],
)
def test_a_run_is_not_continued_with_another_adapter_base_model_or_head(
    shipped_run: Path, change: Callable[[Path], None], named: str
) -> None:
    kept = {path: path.read_bytes() for path in shipped_run.rglob("*") if path.is_file()}
    try:
        change(shipped_run)
        with pytest.raises(CheckpointChanged, match=named):
            run(shipped_run / "experiment.yaml", shipped_run / "run.duckdb", engine="transformers")
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.mark.parametrize("sees", [True, False], ids=["with its eyes", "text alone"])
def test_gemma_4_is_asked_and_read_as_its_adapters_are_next_to_the_base_model(sees: bool, tmp_path: Path) -> None:
    spec = PairSpec(**gemma4_pair(tmp_path, sees=sees))
    engine, vector = load_engine("transformers", SETTINGS), np.linspace(-1, 1, D_MODEL, dtype=np.float32)
    with engine.verbalizer(spec) as verbalizer:
        (written,) = verbalizer.verbalize(vector[None])
        prompt, place = verbalizer._prompt_ids, verbalizer._marker_index
        (ids,) = verbalizer._written[1]
        assert prompt[0, 0] == verbalizer._tokenizer.bos_token_id
    model = tuned(Path(spec.base_model), 0, target_modules=ATTENTION_OF_TEXT)
    entering = torch.from_numpy(vector * (20_000 / np.linalg.norm(vector)))

    def put(_module: Any, _given: Any, output: torch.Tensor) -> torch.Tensor:
        changed = output.clone()
        changed[:, place] = entering
        return changed

    model.get_input_embeddings().register_forward_hook(put)
    with torch.inference_mode():
        scores = model(input_ids=torch.cat([prompt, torch.tensor([ids[:-1]])], dim=1)).logits[0, prompt.shape[1] - 1 :]
    assert scores.argmax(dim=1).tolist() == ids
    assert written.n_tokens == len(ids)

    model = tuned(Path(spec.base_model), 1, target_modules=ATTENTION_OF_TEXT)
    with engine.reconstructor(spec) as reconstructor, torch.inference_mode():
        found, tokens = reconstructor.reconstruct(TEXTS), [reconstructor.prompt_ids(text) for text in TEXTS]
        states = [model(torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0, -1] for ids in tokens]
    expected = torch.stack(states) * 0.5 + torch.linspace(-1, 1, D_MODEL)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=2e-5)


@pytest.fixture
def pair(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> TinyPair:
    """A copy of the tiny Gemma 3 pair that may be changed: its final norm would change every vector."""
    return copied_pair(tiny_pairs["gemma3"], tmp_path)


def test_a_reconstructor_that_keeps_all_its_blocks_is_read_at_its_own_before_the_final_norm(pair: TinyPair) -> None:
    engine, expected = load_engine("transformers", SETTINGS), None
    head = load_file(pair.reconstructor / "value_head.safetensors")["weight"]
    for name in ("config.json", "model.safetensors"):
        shutil.copy(pair.base / name, pair.reconstructor / name)
    with engine.reconstructor(pair.pair_spec) as reconstructor, engine.extractor(pair.pair_spec) as extractor:
        expected = extractor.extract([reconstructor.prompt_ids(text) for text in TEXTS]) @ head.numpy().T
        found = reconstructor.reconstruct(TEXTS)
        assert [f.test for f in reconstructor.self_tests(TEXTS, found) if not f.passed] == []
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    told = {(choice.role, choice.topic): choice.text for choice in engine.choices(pair.pair_spec)}
    assert told["reconstructor", "reads_block"].startswith("It keeps 4 blocks and is read at the output of block 1; no")


def test_a_reconstructor_that_was_cut_elsewhere_must_say_which_block_it_reads(pair: TinyPair) -> None:
    path = pair.reconstructor / "nla_meta.yaml"
    sidecar = yaml.safe_load(path.read_text()) | {"extraction_layer_index": 2, "critic": None}
    path.write_text(yaml.safe_dump(sidecar, allow_unicode=True))
    spec = pair.pair_spec.model_copy(update={"block_index": 2})
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32", roles=("reconstructor",)))
    with pytest.raises(CheckpointDrift, match=r"has 2 blocks, a reconstructor for block 2 keeps 3.*critic.reads_block"):
        engine.check(spec)
    stated = spec.model_dump() | {"sidecars": {"reconstructor": {"critic": {"reads_block": 1}}}}
    with engine.reconstructor(PairSpec(**stated)) as reconstructor:
        assert reconstructor.proof.value == 0.0
    stated["sidecars"] = {"reconstructor": {"critic": {"reads_block": 2}}}
    with pytest.raises(CheckpointDrift, match=r"has 2 blocks, and is said to read block 2"):
        engine.check(PairSpec(**stated))


def test_a_head_is_found_by_its_layer_in_file_names_and_in_names_of_tensors(pair: TinyPair) -> None:
    directory = pair.reconstructor
    expected, own = reconstructed(directory), directory / "value_head.safetensors"
    weight, other = load_file(own)["weight"], torch.eye(D_MODEL)
    own.unlink()
    for layer, tensor in ((1, weight), (3, other)):
        save_file({"linear.weight": tensor}, directory / f"value_head_L{layer}.safetensors")
    np.testing.assert_array_equal(reconstructed(directory), expected)
    with pytest.raises(CheckpointMissing, match=r"has heads for the layers 1, 3, and none for block 2"):
        load_value_head(directory, D_MODEL, 2)
    for layer in (1, 3):
        (directory / f"value_head_L{layer}.safetensors").unlink()
    save_file(
        {"module.value_heads.1.weight": weight, "module.value_heads.3.weight": other}, directory / "heads.safetensors"
    )
    np.testing.assert_array_equal(reconstructed(directory), expected)
    with pytest.raises(CheckpointMissing, match=r"heads for the layers 1, 3, and nothing says which block is read"):
        load_value_head(directory, D_MODEL)


class Unpickled:
    """What a pickle may hold that runs code."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("/tmp/nlareport-was-run"),)


def test_a_pickled_head_is_opened_only_as_plain_tensors(pair: TinyPair) -> None:
    directory = pair.reconstructor
    expected, weight = reconstructed(directory), load_file(directory / "value_head.safetensors")["weight"]
    (directory / "value_head.safetensors").unlink()
    path = directory / "linear_head.pt"
    for content in ({"weight": weight}, {"state_dict": {"module.value_head.weight": weight}}, weight):
        torch.save(content, path)
        np.testing.assert_array_equal(reconstructed(directory), expected)
    for unsafe, said in (
        (
            {"weight": weight, "hook": Unpickled()},
            r"linear_head.pt: is no pickle of plain tensors \(.*\). Save the head",
        ),
        ({"weight": weight, "step": 7}, r"holds more than tensors by name. Save the head as value_head.safetensors"),
        (torch.nn.Linear(2, 2), r"is no pickle of plain tensors"),
    ):
        torch.save(unsafe, path)
        with pytest.raises(CheckpointDamaged, match=said):
            load_value_head(directory, D_MODEL)
    assert not Path("/tmp/nlareport-was-run").exists()


def stated_pair(pair: TinyPair, **sidecar: Any) -> PairSpec:
    """The pair's spec with what is said of its verbalizer."""
    return PairSpec(**pair.pair_spec.model_dump() | {"sidecars": {"verbalizer": sidecar}})


def test_what_the_experiment_says_is_read_like_a_sidecar_and_never_against_it(pair: TinyPair) -> None:
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32", roles=("verbalizer",)))
    path = pair.verbalizer / "nla_meta.yaml"
    whole = yaml.safe_load(path.read_text())
    with pytest.raises(
        CheckpointInvalid, match=r"nla_meta.yaml: tokens.injection_token_id: says \d+, the experiment file, "
    ):
        engine.check(stated_pair(pair, tokens={"injection_token_id": 3}))
    engine.check(stated_pair(pair, **whole))
    path.unlink()
    with pytest.raises(CheckpointMissing, match=r"nla_meta.yaml"):
        engine.check(pair.pair_spec)
    with pytest.raises(
        CheckpointInvalid, match=r"^the experiment file, pairs.tiny-gemma3.sidecars.verbalizer: extraction.inj"
    ):
        engine.check(stated_pair(pair, prompt_format="raw"))
    engine.check(stated_pair(pair, **{key: value for key, value in whole.items() if key not in ("role", "kind")}))
    with pytest.raises(CheckpointInvalid, match=r"'whitening': asks for something nlareport does not do"):
        engine.check(stated_pair(pair, **whole, whitening="zca"))


def test_a_verbalizer_of_several_blocks_is_asked_for_that_of_its_pair(pair: TinyPair) -> None:
    path = pair.verbalizer / "nla_meta.yaml"
    sidecar = yaml.safe_load(path.read_text())
    del sidecar["extraction_layer_index"]
    sidecar["layer_indices"] = [1, 3]
    sidecar["prompt_templates"]["av"] = "Layer {layer}. " + sidecar["prompt_templates"]["av"]
    path.write_text(yaml.safe_dump(sidecar, allow_unicode=True))
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32", roles=("verbalizer",)))
    prompts = [engine.prompt_ids(pair.pair_spec.model_copy(update={"block_index": block})) for block in (1, 3)]
    texts = [engine._verbalizer(pair.pair_spec).tokenizer.decode(prompt) for prompt in prompts]
    assert ["Layer 1." in texts[0], "Layer 3." in texts[1]] == [True, True]
    with pytest.raises(CheckpointDrift, match=r"has the blocks 1, 3, the experiment file says 2"):
        engine.check(pair.pair_spec.model_copy(update={"block_index": 2}))


def test_a_prompt_is_the_template_alone_where_the_sidecar_says_so_or_there_is_no_chat_template(pair: TinyPair) -> None:
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32", roles=("verbalizer",)))
    chat, raw = engine.prompt_ids(pair.pair_spec), engine.prompt_ids(stated_pair(pair, prompt_format="raw"))
    tokenizer = engine._verbalizer(pair.pair_spec).tokenizer
    assert list(raw) == tokenizer.encode(VERBALIZER_TEMPLATE.replace("{injection_char}", injection_char("gemma3")))
    assert len(chat) > len(raw)
    (pair.verbalizer / "chat_template.jinja").unlink()
    assert load_engine("transformers", engine._settings).prompt_ids(pair.pair_spec) == raw
    with pytest.raises(
        CheckpointMissing, match=r"has no chat template, and its sidecar says that it is prompted through"
    ):
        load_engine("transformers", engine._settings).check(stated_pair(pair, prompt_format="chat"))


def test_a_vector_of_several_blocks_joined_is_refused_as_that(pair: TinyPair) -> None:
    with pytest.raises(
        CheckpointDrift, match=r"2 times its config.json's hidden_size 16; vectors of several blocks joined"
    ):
        check_width(read_sidecar(pair.verbalizer), SimpleNamespace(hidden_size=16), pair.verbalizer)


def test_without_a_sidecar_the_width_is_the_pairs_and_the_markers_tokens_are_the_tokenizers(pair: TinyPair) -> None:
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32", roles=("verbalizer",)))
    recorded = engine._verbalizer(pair.pair_spec)
    (pair.verbalizer / "nla_meta.yaml").unlink()
    said: dict[str, Any] = {
        "extraction": {"injection_scale": 60_000.0},
        "tokens": {"injection_char": injection_char("gemma3")},
        "prompt_templates": {"av": VERBALIZER_TEMPLATE},
    }
    live = engine._verbalizer(stated_pair(pair, **said))
    for key in ("d_model", "injection_token_id", "injection_left_neighbor_id", "injection_right_neighbor_id"):
        assert getattr(live.sidecar, key) == getattr(recorded.sidecar, key)
    assert (live.prompt_ids, live.marker_index) == (recorded.prompt_ids, recorded.marker_index)
    for tokens, template, sentence in (
        ({"injection_char": "two words"}, VERBALIZER_TEMPLATE, r"the injection char tokenizes to \d+ ids"),
        (said["tokens"], "{injection_char} and " + injection_char("gemma3"), r"holds the injection token \d+ 2 times"),
        (said["tokens"] | {"injection_left_neighbor_id": 3}, VERBALIZER_TEMPLATE, r"between the ids \d+ and \d+, the"),
    ):
        with pytest.raises(CheckpointDrift, match=sentence):
            engine.check(stated_pair(pair, **said | {"tokens": tokens, "prompt_templates": {"av": template}}))
