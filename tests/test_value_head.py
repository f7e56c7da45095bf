"""A reconstructor's head: whatever it holds and wherever it stands, it is used whole or refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.transformers_reading import TransformersExtractor, TransformersReconstructor
from nlareport.errors import CheckpointDamaged, CheckpointDrift, CheckpointMissing, NonFiniteWeights
from nlareport.models.value_head import MOST_RATIO, load_value_head

TEXTS = ["A river rose.", "Shares fell by 3%, and the bank said so."]
BIAS = torch.linspace(-2, 2, D_MODEL)


@pytest.fixture
def pair(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> TinyPair:
    return copied_pair(tiny_pairs["llama"], tmp_path)


@pytest.fixture
def directory(pair: TinyPair) -> Path:
    return pair.reconstructor


def vectors(directory: Path) -> np.ndarray:
    with TransformersReconstructor(directory, device="cpu", dtype="float32") as reconstructor:
        return reconstructor.reconstruct(TEXTS)


def head_of(directory: Path) -> torch.Tensor:
    return load_file(directory / "value_head.safetensors")["weight"]


def write_head(directory: Path, **tensors: torch.Tensor) -> None:
    path = directory / "value_head.safetensors"
    save_file({name.replace("__", "."): tensor.contiguous() for name, tensor in tensors.items()}, path)


def put_among_weights(directory: Path, **tensors: torch.Tensor) -> None:
    path = directory / "model.safetensors"
    added = {f"value_head.{name}": tensor.contiguous() for name, tensor in tensors.items()}
    save_file({**load_file(path), **added}, path, metadata={"format": "pt"})


def test_a_bias_is_added_to_what_the_weight_gives(directory: Path) -> None:
    weight, plain = head_of(directory), vectors(directory)
    write_head(directory, weight=weight, bias=BIAS)
    np.testing.assert_allclose(vectors(directory), plain + BIAS.numpy(), rtol=0, atol=1e-5)
    write_head(directory, value_head__weight=weight, value_head__bias=BIAS)
    np.testing.assert_allclose(vectors(directory), plain + BIAS.numpy(), rtol=0, atol=1e-5)
    write_head(directory, value_head__weight=weight)
    np.testing.assert_array_equal(vectors(directory), plain)


def test_the_head_is_used_in_whatever_precision_it_was_saved(directory: Path) -> None:
    weight = head_of(directory)
    write_head(directory, weight=weight.bfloat16(), bias=BIAS.half())
    head = load_value_head(directory, D_MODEL)
    hidden = torch.randn(3, D_MODEL)
    assert head.bias is not None
    assert head.weight.dtype == head.bias.dtype == torch.float32
    torch.testing.assert_close(head(hidden), hidden @ weight.bfloat16().float().T + BIAS.half().float())


def test_a_head_among_the_models_own_weights_is_used_and_the_base_model_may_hold_none(pair: TinyPair) -> None:
    directory = pair.reconstructor
    weight, plain = head_of(directory), vectors(directory)
    put_among_weights(directory, weight=weight, bias=BIAS)
    (directory / "value_head.safetensors").unlink()
    np.testing.assert_allclose(vectors(directory), plain + BIAS.numpy(), rtol=0, atol=1e-5)
    load_engine("transformers", EngineSettings(device="cpu", dtype="float32")).check(pair.pair_spec)
    put_among_weights(pair.base, weight=weight)
    with pytest.raises(CheckpointDrift, match=r"value_head.weight"):
        TransformersExtractor(pair.base, 1, device="cpu")


def test_a_head_in_one_shard_of_several_is_used_and_so_is_its_own_file_named_as_a_shard(directory: Path) -> None:
    weight, plain = head_of(directory), vectors(directory)
    whole = directory / "model.safetensors"
    names = sorted(load_file(whole))
    shards = {"model-1.safetensors": names[:9], "model-2.safetensors": names[9:]}
    index: dict[str, dict[str, Any]] = {"metadata": {}, "weight_map": {}}
    index["weight_map"] = {name: shard for shard, named in shards.items() for name in named}
    for shard, named in shards.items():
        save_file({name: load_file(whole)[name] for name in named}, directory / shard, metadata={"format": "pt"})
    whole.unlink()
    index["weight_map"]["weight"] = "value_head.safetensors"
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(vectors(directory), plain)
    assert load_value_head(directory, D_MODEL).names_among_weights == {"weight"}
    del index["weight_map"]["weight"]
    index["weight_map"]["value_head.weight"] = "model-2.safetensors"
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    second = directory / "model-2.safetensors"
    save_file({**load_file(second), "value_head.weight": weight}, second, metadata={"format": "pt"})
    (directory / "value_head.safetensors").unlink()
    np.testing.assert_array_equal(vectors(directory), plain)


def test_the_same_head_in_two_places_is_one_and_two_that_differ_are_refused(directory: Path) -> None:
    weight, plain = head_of(directory), vectors(directory)
    put_among_weights(directory, weight=weight)
    np.testing.assert_array_equal(vectors(directory), plain)
    for other in ({"weight": weight + 1e-3}, {"weight": weight, "bias": BIAS}, {"bias": BIAS}):
        put_among_weights(directory, **other)
        with pytest.raises(
            CheckpointDrift,
            match=r"value_head.safetensors: is a different head from the \[.*'value_head.(weight|bias)'",
        ):
            load_value_head(directory, D_MODEL)


@pytest.mark.parametrize(
    "names",
    [("weight", "scale"), ("norm.weight",), ("weight", "value_head.weight"), ("weight", "value_head.bias"), ("out",)],
)
def test_a_tensor_of_the_heads_file_that_has_no_use_is_refused_by_name(directory: Path, names: tuple[str, ...]) -> None:
    weight = head_of(directory)
    save_file({name: weight.clone() for name in names}, directory / "value_head.safetensors")
    with pytest.raises(CheckpointDrift, match=rf"holds \[.*'{names[-1]}'.*what is not used would change its vectors"):
        load_value_head(directory, D_MODEL)


def test_another_tensor_of_a_head_among_the_weights_is_refused_by_name(directory: Path) -> None:
    put_among_weights(directory, weight=head_of(directory), norm=BIAS)
    with pytest.raises(CheckpointDrift, match=r"model.safetensors: holds value_head.norm; a head is a `weight`"):
        load_value_head(directory, D_MODEL)


def test_without_any_head_both_places_where_it_could_be_are_named(directory: Path) -> None:
    (directory / "value_head.safetensors").unlink()
    with pytest.raises(
        CheckpointMissing, match=r"value_head.safetensors: is not there, and value_head.weight is none of the model's"
    ):
        load_value_head(directory, D_MODEL)
    put_among_weights(directory, bias=BIAS)
    with pytest.raises(CheckpointMissing, match=r"holds no weight, but only \['value_head.bias'\]"):
        load_value_head(directory, D_MODEL)


@pytest.mark.parametrize(
    ("bias", "error", "said"),
    [
        (torch.ones(D_MODEL - 1), CheckpointDrift, r"head's bias is \[31\] of torch.float32, .* asks for \[32\]"),
        (torch.ones(1, D_MODEL), CheckpointDrift, r"head's bias is \[1, 32\]"),
        (torch.ones(D_MODEL, dtype=torch.int8), CheckpointDrift, r"of torch.int8, .* of floating point"),
        (torch.full((D_MODEL,), float("nan")), NonFiniteWeights, r"32 of 32 numbers of the head's bias are not finite"),
    ],
)
def test_a_bias_is_held_to_its_shape_and_to_finite_numbers(
    directory: Path, bias: torch.Tensor, error: type[Exception], said: str
) -> None:
    write_head(directory, weight=head_of(directory), bias=bias)
    with pytest.raises(error, match=said):
        load_value_head(directory, D_MODEL)


@pytest.mark.parametrize("garbage", [3e38, -3e38, 1e30, 1e-38])
def test_a_head_whose_rows_are_partly_finite_garbage_is_refused(directory: Path, garbage: float) -> None:
    weight = head_of(directory)
    weight[D_MODEL // 2 :] = garbage
    write_head(directory, weight=weight)
    with pytest.raises(CheckpointDamaged, match=r"row \d+ of the head's weight reaches .*, row \d+ only .*: next to"):
        load_value_head(directory, D_MODEL)


def test_rows_of_very_unlike_size_and_rows_of_zeros_are_no_fault(directory: Path) -> None:
    weight = torch.eye(D_MODEL)
    weight[0], weight[1], weight[2] = 0, weight[1] / (0.99 * MOST_RATIO), -weight[2]
    write_head(directory, weight=weight)
    torch.testing.assert_close(load_value_head(directory, D_MODEL).weight, weight)
    write_head(directory, weight=torch.zeros(D_MODEL, D_MODEL))
    with pytest.raises(CheckpointDamaged, match="all zeros"):
        load_value_head(directory, D_MODEL)
