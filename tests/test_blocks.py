"""The vector is the block's own output, for every family, block and dtype, alone and in a batch."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_families import FAMILIES, N_BLOCKS, OTHER_FAMILIES, SIZES, save_family
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    BertConfig,
    BertModel,
    GemmaConfig,
    GemmaModel,
    PreTrainedModel,
    T5Config,
    T5Model,
)

from nlareport.backends.transformers_local import TransformersExtractor
from nlareport.errors import BlockUnproven, CheckpointDrift, FamilyUnsupported
from nlareport.models import block_proof, loading
from nlareport.models.configuration import load_text_config
from nlareport.models.loading import load_blocks, load_whole
from nlareport.models.quiet import quiet

torch.set_num_threads(1)

SEQUENCES = [list(range(10, 10 + n)) for n in (23, 12, 17)]
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.1}
"""The largest distance from the vector of the text alone, relative to its norm: in a batch sums have another order."""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is proven before, and there is room for whole models whatever else this machine does."""
    monkeypatch.setenv("NLAREPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(block_proof, "free_bytes", lambda place: 10**9)
    # Tiny models need not be swept up: that takes longer than to read them.
    for module in (loading, block_proof):
        monkeypatch.setattr(module, "free_memory", lambda: None)


def decoder_blocks(model: PreTrainedModel) -> torch.nn.ModuleList:
    """The model's blocks by the names its family gives them."""
    names = (
        "layers",
        "model.layers",
        "h",
        "decoder.layers",
        "language_model.layers",
        "text_model.layers",
        "blocks",
        "transformer.blocks",
    )
    for name in names:
        try:
            return model.base_model.get_submodule(name)
        except AttributeError:
            continue
    raise LookupError(model)


def handed_on(model: PreTrainedModel, sequences: list[list[int]]) -> np.ndarray:
    """What every block of the whole model hands on at the last token of each sequence alone: block, item, d_model."""
    vectors: dict[int, list[np.ndarray]] = {}

    def take(place: int) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            # Of several streams the first is the one that is computed.
            first = hidden[0] if hidden.ndim == 4 else hidden
            vectors.setdefault(place, []).append(first[0, -1].float().numpy())

        return hook

    handles = [block.register_forward_hook(take(place)) for place, block in enumerate(decoder_blocks(model))]
    with torch.inference_mode(), quiet():
        for sequence in sequences:
            model(input_ids=torch.tensor([sequence]))
    for handle in handles:
        handle.remove()
    return np.array([vectors[place] for place in sorted(vectors)])


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreTrainedModel]:
    path = tmp_path_factory.mktemp(request.param)
    return path, save_family(path, *FAMILIES[request.param])


@pytest.mark.parametrize(("dtype", "blocks"), [("float32", range(N_BLOCKS)), ("bfloat16", (1, N_BLOCKS - 1))])
def test_what_is_read_is_the_output_of_the_block_in_the_whole_model(
    family: tuple[Path, PreTrainedModel], dtype: str, blocks: Any
) -> None:
    path, model = family
    if dtype == "bfloat16":
        auto_class = AutoModelForImageTextToText if hasattr(model.config, "text_config") else AutoModelForCausalLM
        with quiet():
            model = auto_class.from_pretrained(path, dtype=torch.bfloat16).eval()
    expected = handed_on(model, SEQUENCES)
    for block_index in blocks:
        with TransformersExtractor(path, block_index, device="cpu", dtype=dtype, batch_size=3) as extractor:
            together = extractor.extract(SEQUENCES)
            (alone,) = extractor.extract(SEQUENCES[1:2])
        assert distance(together, expected[block_index]) < TOLERANCES[dtype], block_index
        np.testing.assert_array_equal(alone, expected[block_index][1])
        assert extractor.proof.value is not None
        assert extractor.proof.value <= extractor.proof.tolerance
        assert not extractor.proof.runs_all_blocks


@pytest.mark.soak
@pytest.mark.parametrize(
    ("model_type", "more"), [*FAMILIES.values(), *OTHER_FAMILIES.items()], ids=[*FAMILIES, *OTHER_FAMILIES]
)
def test_what_is_read_of_every_family_and_block_is_its_output(
    model_type: str, more: Mapping[str, Any], tmp_path: Path
) -> None:
    model = save_family(tmp_path, model_type, more)
    expected = handed_on(model, SEQUENCES)
    for block_index in range(N_BLOCKS):
        for dtype in TOLERANCES:
            with TransformersExtractor(tmp_path, block_index, device="cpu", dtype=dtype, batch_size=3) as extractor:
                together = extractor.extract(SEQUENCES)
                alone = np.concatenate([extractor.extract([sequence]) for sequence in SEQUENCES])
            assert distance(together, alone) < TOLERANCES[dtype]
            if dtype == "float32":
                assert distance(alone, expected[block_index]) < TOLERANCES[dtype]
            assert extractor.proof.one_at_a_time == (model_type == "deepseek_v32")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("llama")
    save_family(path, *FAMILIES["llama"])
    return path


def test_a_proof_is_made_once_and_again_when_the_weights_change(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(block_proof, "load_whole", lambda path, **how: opened.append(path) or load_whole(path, **how))
    proofs = []
    for block_index in (1, 1, 2):
        with TransformersExtractor(llama, block_index, device="cpu", dtype="float32") as extractor:
            proofs.append(extractor.proof)
    assert proofs[0] == proofs[1]
    assert proofs[0].held_against == "the block's output in the whole model"
    assert len(opened) == 2
    copy = Path(shutil.copytree(llama, llama.parent / "copy"))
    for n_whole in (2, 3):
        with TransformersExtractor(copy, 1, device="cpu", dtype="float32"):
            assert len(opened) == n_whole
        weights = load_file(copy / "model.safetensors")
        weights["model.layers.3.mlp.up_proj.weight"] += 1
        save_file(weights, copy / "model.safetensors", {"format": "pt"})


def test_where_the_whole_model_does_not_fit_one_block_more_is_held_against(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TransformersExtractor(llama, 1, device="cpu", dtype="float32") as extractor:
        expected = extractor.extract(SEQUENCES)
    monkeypatch.setenv("NLAREPORT_CACHE", str(llama / "cache"))
    monkeypatch.setattr(block_proof, "free_bytes", lambda place: 0)
    with TransformersExtractor(llama, 1, device="cpu", dtype="float32") as extractor:
        np.testing.assert_array_equal(extractor.extract(SEQUENCES), expected)
        assert "the next block receives" in extractor.proof.text
        assert "layers.2" not in " ".join(name for name, _ in extractor._model.named_parameters())


def test_a_model_that_gives_another_vector_when_it_is_cut_is_run_whole(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed_by_the_cut(path: Path, config: Any, n_blocks: int, **how: Any) -> Any:
        model, blocks = load_blocks(path, config, n_blocks, **how)
        if n_blocks < config.num_hidden_layers:
            blocks.modules[0].mlp.up_proj.weight.mul_(2)
        return model, blocks

    monkeypatch.setattr(block_proof, "load_blocks", changed_by_the_cut)
    for _ in range(2):
        with TransformersExtractor(llama, 1, device="cpu", dtype="float32") as extractor:
            assert extractor.proof.runs_all_blocks
            assert len(extractor._model.layers) == N_BLOCKS


def test_a_model_that_gives_another_vector_however_it_is_run_is_refused_with_the_cosine(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(path: Path, config: Any, n_blocks: int, **how: Any) -> Any:
        model, blocks = load_blocks(path, config, n_blocks, **how)
        blocks.modules[0].mlp.up_proj.weight.mul_(2)
        return model, blocks

    monkeypatch.setattr(block_proof, "load_blocks", changed)
    with pytest.raises(BlockUnproven, match=r"block 1 of this llama .* whole model gives there \(cosine 0\.\d+, "):
        TransformersExtractor(llama, 1, device="cpu", dtype="float32")


@pytest.mark.parametrize(
    ("model_class", "config", "why"),
    [
        (T5Model, T5Config(vocab_size=420, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4), "with an encoder"),
        (BertModel, BertConfig(**SIZES), "in both directions"),
        (GemmaModel, GemmaConfig(**SIZES, head_dim=8, use_bidirectional_attention=True), "what comes after their"),
    ],
)
def test_families_that_do_not_read_from_left_to_right_are_refused_by_name(
    tmp_path: Path, model_class: Any, config: Any, why: str
) -> None:
    with quiet():
        model_class(config).save_pretrained(tmp_path)
    with pytest.raises(FamilyUnsupported, match=rf"is a {config.model_type} model, .*{why}"):
        TransformersExtractor(tmp_path, 1, device="cpu", dtype="float32")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("score.weight", None),
        ("visual.patch.weight", None),
        ("value_head.weight", "no place for the weights value_head.weight"),
        ("transformer.wqe.weight", "no place for the weights transformer.wqe.weight"),
        ("transformer.h.0.attn.gate.weight", "no place for the weights .*h.0.attn.gate.weight"),
        ("transformer.h.3.attn.gate.weight", None),
        ("transformer.h.4.attn.gate.weight", "no place for the weights .*h.4.attn.gate.weight"),
    ],
)
def test_a_base_model_may_hold_more_but_not_within_what_is_read(
    gpt2: Path, tmp_path: Path, name: str, fault: str | None
) -> None:
    directory = Path(shutil.copytree(gpt2, tmp_path / "gpt2"))
    weights = load_file(directory / "model.safetensors")
    save_file({**weights, name: torch.ones(2)}, directory / "model.safetensors", {"format": "pt"})
    with nullcontext() if fault is None else pytest.raises(CheckpointDrift, match=fault):
        TransformersExtractor(directory, 1, device="cpu", dtype="float32")


@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        ("transformer.ln_f.weight", None),
        ("transformer.wpe.weight", "lack the weights wpe.weight"),
        ("transformer.h.0.ln_1.weight", "lack the weights h.0.ln_1.weight"),
        ("transformer.h.3.ln_1.weight", None),
    ],
)
def test_only_what_runs_after_the_block_may_be_missing(
    gpt2: Path, tmp_path: Path, missing: str, fault: str | None
) -> None:
    directory = Path(shutil.copytree(gpt2, tmp_path / "gpt2"))
    weights = load_file(directory / "model.safetensors")
    del weights[missing]
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    with nullcontext() if fault is None else pytest.raises(CheckpointDrift, match=fault):
        TransformersExtractor(directory, 1, device="cpu", dtype="float32")


def test_a_block_whose_numbers_are_halved_behind_it_is_refused_with_its_length(tmp_path: Path) -> None:
    save_family(tmp_path, "rwkv", {"attention_hidden_size": 32, "rescale_every": 2})
    with pytest.raises(BlockUnproven, match=r"next block receives \(cosine 1.0000, 2.00 times as long\)"):
        TransformersExtractor(tmp_path, 1, device="cpu", dtype="float32")
    with TransformersExtractor(tmp_path, 2, device="cpu", dtype="float32") as extractor:
        assert extractor.proof.value == 0


def test_a_language_model_under_names_of_its_own_is_refused_by_its_family(tmp_path: Path) -> None:
    save_family(tmp_path, *FAMILIES["gemma3_multimodal"])
    weights = load_file(tmp_path / "model.safetensors")
    renamed = {name.replace("language_model.", "writer."): weight for name, weight in weights.items()}
    save_file(renamed, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(FamilyUnsupported, match="is a gemma3_text model, whose weights have names that are not"):
        TransformersExtractor(tmp_path, 1, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpt2")
    save_family(path, *FAMILIES["gpt2"])
    return path


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"embed_out.weight": torch.ones(420, 32)}, None),
        ({"value_head.weight": torch.ones(2)}, None),
        ({"lm_head.weight": torch.ones(420, 31)}, "no place for the weights lm_head.weight"),
        ({"score.weight": torch.ones(2)}, "no place for the weights score.weight"),
    ],
)
def test_where_everything_must_be_used_only_the_familys_own_head_may_be_left_over(
    tmp_path: Path, more: dict[str, torch.Tensor], fault: str | None
) -> None:
    save_family(tmp_path, *FAMILIES["gpt_neox"])
    weights = load_file(tmp_path / "model.safetensors")
    save_file({**weights, **more}, tmp_path / "model.safetensors", {"format": "pt"})
    elsewhere = frozenset({"value_head.weight"})
    config = load_text_config(tmp_path)
    with nullcontext() if fault is None else pytest.raises(CheckpointDrift, match=fault):
        load_blocks(tmp_path, config, N_BLOCKS, device="cpu", dtype="float32", used_elsewhere=elsewhere)
