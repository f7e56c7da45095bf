"""How a vector enters a verbalizer: in a token's place or added, at the embedding or at a block, at which norm."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair, write_sidecar
from transformers import LogitsProcessor

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.transformers_local import TransformersVerbalizer
from nlareport.checkpoints.injection_rule import Injection
from nlareport.checkpoints.sidecar import read_sidecar
from nlareport.errors import CheckpointDrift, ZeroVector
from nlareport.models.blocks import find_blocks
from nlareport.models.injection import scaled_for

VECTORS = np.random.default_rng(4).normal(size=(5, D_MODEL)).astype(np.float32)
RULES = {
    "added to the embedding": Injection("add"),
    "added to the embedding at its norm": Injection("add", None, norm_match=True),
    "added after a block at its norm": Injection("add", 1, norm_match=True, coefficient=1.5),
    "added after a block": Injection("add", 0),
    "in place of what a block gives": Injection("replace", 2),
}


@pytest.fixture
def pair_of(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> Callable[[Architecture, Injection, float | None], TinyPair]:
    """A copied tiny pair whose verbalizer is injected as a rule says, at a scale."""

    def made(architecture: Architecture, rule: Injection, scale: float | None) -> TinyPair:
        pair = copied_pair(tiny_pairs[architecture], tmp_path / f"{len(list(tmp_path.iterdir()))}")
        sidecar = replace(read_sidecar(pair.verbalizer), injection=rule, injection_scale=scale)
        write_sidecar(pair.verbalizer, sidecar)
        spec = pair.pair_spec.model_copy(update={"injection_scale": None})
        return replace(pair, pair_spec=spec)

    return made


def plain_logits(verbalizer: TransformersVerbalizer, vector: np.ndarray, rule: Injection, scale: float) -> torch.Tensor:
    """The scores of the first token, with the vector put in by hand at the place that the rule says."""
    model, place = verbalizer._model, verbalizer._marker_index
    unit = torch.from_numpy(vector / np.linalg.norm(vector))

    def change(hidden: torch.Tensor) -> torch.Tensor:
        there = hidden[0, place]
        added = unit * (there.norm() if rule.norm_match else scale) * rule.coefficient
        hidden = hidden.clone()
        hidden[0, place] = added if rule.mode == "replace" else there + added
        return hidden

    def put(_module: Any, _given: Any, output: Any) -> Any:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    module = model.get_input_embeddings()
    if rule.block_index is not None:
        module = find_blocks(model, verbalizer._config, verbalizer.directory).modules[rule.block_index]
    handle = module.register_forward_hook(put)
    try:
        with torch.inference_mode():
            logits: torch.Tensor = model(input_ids=verbalizer._prompt_ids).logits[0, -1]
    finally:
        handle.remove()
    return logits


def first_scores(verbalizer: TransformersVerbalizer) -> torch.Tensor:
    """The scores of the first token that it writes of each vector."""
    taken: list[torch.Tensor] = []

    class Keep(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, _ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            taken.append(scores.clone())
            return scores

    verbalizer._generated(scaled_for(verbalizer.sidecar, VECTORS), verbalizer._generation_config, Keep())
    return taken[0]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("architecture", ["qwen2", "gemma3"])
def test_a_vector_enters_as_the_sidecar_says_alone_and_in_a_batch(
    pair_of: Callable[..., TinyPair], architecture: Architecture, rule: Injection
) -> None:
    directory = pair_of(architecture, rule, None if rule.norm_match else 50.0).verbalizer
    with TransformersVerbalizer(directory, device="cpu", dtype="float32", batch_size=3, max_new_tokens=5) as verbalizer:
        together = verbalizer.verbalize(VECTORS)
        findings = verbalizer.self_tests(VECTORS)
        alone = [verbalizer.verbalize(vector[None])[0] for vector in VECTORS]
        found = first_scores(verbalizer)
        expected = torch.stack([plain_logits(verbalizer, vector, rule, 50.0) for vector in VECTORS])
    assert together == alone
    assert [finding.test for finding in findings if not finding.passed] == []
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert float((expected - expected.roll(1, 0)).abs().max(dim=1).values.min()) > 1e-2


@pytest.mark.parametrize(
    ("architecture", "rule", "scale"),
    [
        ("gemma3", Injection("add"), 60_000.0),
        ("gemma3", Injection("add", 1), None),
        ("llama", Injection("add", 1, norm_match=True), None),
        ("qwen2", Injection("add", 1), 20.0),
    ],
)
def test_self_tests_hold_in_16_bits_at_any_scale(
    pair_of: Callable[..., TinyPair], architecture: Architecture, rule: Injection, scale: float | None
) -> None:
    directory = pair_of(architecture, rule, scale).verbalizer
    with TransformersVerbalizer(
        directory, device="cpu", dtype="bfloat16", batch_size=5, max_new_tokens=5
    ) as verbalizer:
        verbalizer.verbalize(VECTORS)
        findings = verbalizer.self_tests(VECTORS)
    assert [finding.test for finding in findings if not finding.passed] == []
    (entered,) = (finding for finding in findings if finding.test == "injected_vector")
    assert ("float32" in entered.text) == (scale is None or scale >= 1_000)


def test_a_vector_that_enters_at_another_size_or_where_something_else_is_changed_is_told(
    pair_of: Callable[..., TinyPair],
) -> None:
    def halved(_module: Any, given: tuple[Any, ...], _named: dict[str, Any]) -> Any:
        return (given[0] * 0.5, *given[1:]), _named

    directory = pair_of("llama", Injection("add", 1), 50.0).verbalizer
    with TransformersVerbalizer(directory, device="cpu", dtype="float32", max_new_tokens=4) as verbalizer:
        verbalizer._model.model.layers[2].register_forward_pre_hook(halved, with_kwargs=True)
        verbalizer.verbalize(VECTORS)
        failing = {finding.test for finding in verbalizer.self_tests(VECTORS) if not finding.passed}
    assert {"injected_vector", "other_embeddings"} <= failing


def test_what_no_later_block_reads_is_refused_and_so_is_a_vector_without_a_norm(
    pair_of: Callable[..., TinyPair],
) -> None:
    engine = load_engine("transformers", EngineSettings(device="cpu", dtype="float32"))
    for block in (3, 4):
        with pytest.raises(
            CheckpointDrift, match=rf"at the output of block {block}, which no later one of its 4 blocks"
        ):
            engine.check(pair_of("qwen2", Injection("add", block), 1.0).pair_spec)
    matched = pair_of("qwen2", Injection("add", 1, norm_match=True), None)
    with engine.verbalizer(matched.pair_spec) as verbalizer, pytest.raises(ZeroVector):
        verbalizer.verbalize(np.zeros((1, D_MODEL), np.float32))


def test_the_report_says_how_vectors_enter(pair_of: Callable[..., TinyPair]) -> None:
    pair = pair_of("qwen2", Injection("add", 1, norm_match=True, coefficient=2.0), None)
    told = {choice.topic: choice.text for choice in load_engine("transformers").choices(pair.pair_spec)}
    assert told["injection"] == (
        "The vector, at the norm of what is there times 2, is added to what is at the marker at the output of block 1."
    )
    assert "injection_scale" not in told
    assert told["stream"].startswith("Vectors enter at the norm of what is at the marker, so they and the residual")
