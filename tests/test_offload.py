"""Models that do not fit onto one device: parts of them wait elsewhere, and the answers are the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair
from transformers import PreTrainedModel

from nlareport.backends.transformers_local import (
    TransformersExtractor,
    TransformersReconstructor,
    TransformersVerbalizer,
)
from nlareport.errors import MemoryTooSmall, NonFiniteWeights
from nlareport.models import block_proof, loading, proven_blocks
from nlareport.models.loading import each_weight

torch.set_num_threads(1)

SEQUENCES = [list(range(10, 10 + n)) for n in (23, 12, 17)]
TEXTS = ["The river rose by 14 metres.", "Shares fell."]
VECTORS = np.random.default_rng(0).normal(size=(2, D_MODEL)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is proven before."""
    monkeypatch.setenv("NLAREPORT_CACHE", str(tmp_path / "cache"))


def place(patch: pytest.MonkeyPatch, device: str) -> None:
    for module in (loading, block_proof, proven_blocks):
        patch.setattr(module, "placement", lambda _asked: device)


@contextmanager
def memory_of(n_bytes: int) -> Iterator[pytest.MonkeyPatch]:
    """Inside, models are spread as over several devices, and all but `n_bytes` of a model wait on disk."""
    with pytest.MonkeyPatch.context() as patch:
        place(patch, "auto")
        patch.setattr("transformers.integrations.accelerate.get_max_memory", lambda max_memory=None: {"cpu": n_bytes})
        yield patch


def waiting(model: Any) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.is_meta}


def answers(pair: TinyPair) -> list[Any]:
    with TransformersExtractor(pair.base, 1, device="cpu", dtype="float32", batch_size=2) as extractor:
        read = extractor.extract(SEQUENCES)
    with TransformersReconstructor(pair.reconstructor, device="cpu", dtype="float32") as reconstructor:
        meant = reconstructor.reconstruct(TEXTS)
    with TransformersVerbalizer(
        pair.verbalizer, device="cpu", dtype="bfloat16", max_new_tokens=8, stream="float32"
    ) as verbalizer:
        written = [completion.text for completion in verbalizer.verbalize(VECTORS)]
    return [read, meant, written]


@pytest.mark.parametrize(("architecture", "n_bytes"), [("llama", 90_000), ("gemma3", 1)])
def test_answers_are_the_same_where_blocks_or_the_embedding_wait_on_disk(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture, n_bytes: int
) -> None:
    pair = tiny_pairs[architecture]
    expected = answers(pair)
    with memory_of(n_bytes):
        with TransformersReconstructor(pair.reconstructor, device="cpu", dtype="float32") as reconstructor:
            embedding = reconstructor._model.get_input_embeddings().weight
            assert embedding.is_meta == (n_bytes == 1)
            assert waiting(reconstructor._model)
        found = answers(pair)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-4)
    assert found[2] == expected[2]


def test_weights_that_wait_on_disk_are_asked_whether_they_are_finite(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = copied_pair(tiny_pairs["llama"], tmp_path).reconstructor
    weights = load_file(directory / "model.safetensors")
    with memory_of(1), TransformersReconstructor(directory, device="cpu", dtype="float32") as reconstructor:
        seen = dict(each_weight(reconstructor._model))
    for name, weight in weights.items():
        np.testing.assert_array_equal(seen[name.removeprefix("model.")], weight)
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with memory_of(1), pytest.raises(NonFiniteWeights, match=r"weights of layers.1.mlp.up_proj.weight are not all"):
        TransformersReconstructor(directory, device="cpu", dtype="float32")


def test_a_gpu_that_is_too_small_is_helped_out_and_one_sentence_says_so(
    tiny_pairs: dict[Architecture, TinyPair],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair = tiny_pairs["llama"]
    expected = answers(pair)
    real = PreTrainedModel.from_pretrained.__func__

    def too_large_for_the_gpu(model_class: Any, *arguments: Any, device_map: Any, **named: Any) -> Any:
        if device_map == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 130.00 GiB.")
        return real(model_class, *arguments, device_map=device_map, **named)

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", classmethod(too_large_for_the_gpu))
    with memory_of(90_000) as patch:
        # Not by `monkeypatch`, which would put this function's own patch back at its end.
        place(patch, "cuda")
        capsys.readouterr()
        found = answers(pair)
    out, err = capsys.readouterr()
    assert not out
    assert not caplog.records
    said = err.splitlines()
    assert [line.partition(" does not fit into the memory of cuda in ")[0] for line in said] == [
        f"nlareport: {directory}" for directory in (pair.base, pair.reconstructor, pair.verbalizer)
    ]
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-4)
    assert found[2] == expected[2]


def test_a_model_too_large_for_everything_is_refused(
    tiny_pairs: dict[Architecture, TinyPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_arguments: Any, **_named: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 130.00 GiB.")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", too_large)
    place(monkeypatch, "cuda")
    with pytest.raises(MemoryTooSmall, match=r"does not fit into the memory of auto in float32"):
        TransformersExtractor(tiny_pairs["llama"].base, 1, device="cuda", dtype="float32")
