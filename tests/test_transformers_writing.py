import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_checkpoints import ARCHITECTURES, D_MODEL, Architecture, TinyPair, set_stop_ids, write_sidecar
from transformers import AutoTokenizer

from nlareport.backends.transformers_local import TransformersVerbalizer
from nlareport.checkpoints.sidecar import read_sidecar
from nlareport.errors import CheckpointDrift, CheckpointMissing, ZeroVector
from nlareport.models.injection import embed_with_vectors, rescale
from nlareport.models.quiet import quiet

torch.set_num_threads(1)

architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)
UNUSED_ID = 5


def vectors(n: int = 3) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((n, D_MODEL)).astype(np.float32)


def never_stopping(pair: TinyPair, tmp_path: Path) -> Path:
    """A copy of the verbalizer whose one stop id the tiny model does not write."""
    directory = Path(shutil.copytree(pair.verbalizer, tmp_path / "av"))
    set_stop_ids(directory, [UNUSED_ID])
    return directory


def marker_inputs(verbalizer: TransformersVerbalizer, values: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """What enters the first block at the marker, and what the first block hands to the second there."""
    seen: dict[int, torch.Tensor] = {}

    def remember(index: int) -> Any:
        def hook(_module: Any, inputs: Any) -> None:
            # The prompt comes first; after it the cache leaves one position a step.
            if index not in seen:
                seen[index] = inputs[0][:, verbalizer._marker_index].clone()

        return hook

    for index in (0, 1):
        verbalizer._model.model.layers[index].register_forward_pre_hook(remember(index))
    verbalizer.verbalize(values)
    return seen[0], seen[1]


def decoded(directory: Path, token_ids: list[int]) -> str:
    """The text of the tokens, special ones included, by the checkpoint's own tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    return tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def plain_greedy(verbalizer: TransformersVerbalizer, vector: np.ndarray, n_tokens: int) -> list[int]:
    """Greedy decoding by hand: no cache, no generate."""
    model, sidecar = verbalizer._model, verbalizer.sidecar
    scaled = torch.from_numpy(rescale(vector[None], sidecar.injection_scale))
    with torch.inference_mode():
        embeds = model.get_input_embeddings()(verbalizer._prompt_ids)
        embeds[:, verbalizer._marker_index] = scaled
        written: list[int] = []
        for _ in range(n_tokens):
            token_id = int(model(inputs_embeds=embeds).logits[0, -1].argmax())
            written.append(token_id)
            embeds = torch.cat([embeds, model.get_input_embeddings()(torch.tensor([[token_id]]))], dim=1)
    return written


@architectures
def test_an_answer_is_plain_greedy_decoding_of_the_injected_prompt(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, architecture: Architecture
) -> None:
    directory = never_stopping(tiny_pairs[architecture], tmp_path)
    with TransformersVerbalizer(directory, dtype="float32", max_new_tokens=12, batch_size=2) as verbalizer:
        answers = verbalizer.verbalize(vectors())
        for answer, vector in zip(answers, vectors(), strict=True):
            written = plain_greedy(verbalizer, vector, 12)
            assert answer.text == decoded(directory, written)
            assert (answer.n_tokens, answer.finish) == (12, "length")
    assert len({answer.text for answer in answers}) > 1, "the vectors must make a difference"


@architectures
def test_an_answer_does_not_depend_on_its_batch(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture
) -> None:
    answers = []
    for batch_size in (1, 2, 5):
        with TransformersVerbalizer(
            tiny_pairs[architecture].verbalizer, dtype="float32", max_new_tokens=10, batch_size=batch_size
        ) as verbalizer:
            answers.append(verbalizer.verbalize(vectors(5)))
    assert answers[0] == answers[1] == answers[2]


@architectures
def test_generation_stops_at_any_stop_id_and_says_so(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, architecture: Architecture
) -> None:
    directory = never_stopping(tiny_pairs[architecture], tmp_path)
    with TransformersVerbalizer(directory, dtype="float32", max_new_tokens=12) as verbalizer:
        written = [plain_greedy(verbalizer, vector, 12) for vector in vectors()]
    stop_ids = [UNUSED_ID, written[0][4], written[1][7]]
    set_stop_ids(directory, stop_ids)
    with TransformersVerbalizer(directory, dtype="float32", max_new_tokens=12) as verbalizer:
        answers = verbalizer.verbalize(vectors())
        for answer, token_ids in zip(answers, written, strict=True):
            place = next((place for place, token_id in enumerate(token_ids) if token_id in stop_ids), None)
            if place is None:
                assert (answer.n_tokens, answer.finish) == (12, "length")
            else:
                assert (answer.n_tokens, answer.finish) == (place + 1, "stop")
                assert answer.text == decoded(directory, token_ids[:place])
    assert [answer.finish for answer in answers[:2]] == ["stop", "stop"]


def test_a_large_injection_reaches_the_first_block_in_float32(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    values = vectors()
    exact = rescale(values, 60_000.0)
    assert np.abs(exact - torch.from_numpy(exact).bfloat16().float().numpy()).max() > 10
    with TransformersVerbalizer(tiny_pairs["gemma3"].verbalizer, dtype="bfloat16", max_new_tokens=3) as verbalizer:
        entering, leaving = marker_inputs(verbalizer, values)
        assert verbalizer._model.dtype == torch.bfloat16
    assert entering.dtype == leaving.dtype == torch.float32
    np.testing.assert_array_equal(entering.numpy(), exact)
    np.testing.assert_allclose(np.linalg.norm(entering.numpy(), axis=1), 60_000, rtol=1e-6)


def test_a_small_injection_is_run_in_the_models_own_dtype(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    with TransformersVerbalizer(tiny_pairs["qwen2"].verbalizer, dtype="bfloat16", max_new_tokens=3) as verbalizer:
        entering, _ = marker_inputs(verbalizer, vectors())
    assert entering.dtype == torch.bfloat16


def test_a_raw_verbalizer_gets_the_vector_at_its_own_norm(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = never_stopping(tiny_pairs["llama"], tmp_path)
    write_sidecar(directory, replace(read_sidecar(directory), injection_scale=None))
    with TransformersVerbalizer(directory, dtype="bfloat16", max_new_tokens=3) as verbalizer:
        entering, _ = marker_inputs(verbalizer, vectors())
    np.testing.assert_array_equal(entering.numpy(), vectors())


def test_gemmas_prompt_embeddings_are_scaled_as_the_model_scales_them(
    tiny_pairs: dict[Architecture, TinyPair],
) -> None:
    with TransformersVerbalizer(tiny_pairs["gemma3_multimodal"].verbalizer, dtype="float32") as verbalizer:
        values = torch.from_numpy(vectors(1))
        embeds = embed_with_vectors(verbalizer._model, verbalizer._prompt_ids, verbalizer._marker_index, values)
        weight = verbalizer._model.get_input_embeddings().weight
        first = int(verbalizer._prompt_ids[0, 0])
        torch.testing.assert_close(embeds[0, 0], weight[first] * D_MODEL**0.5)


def test_generation_warns_and_logs_nothing(
    tiny_pairs: dict[Architecture, TinyPair], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for pair in tiny_pairs.values():
        with TransformersVerbalizer(pair.verbalizer, max_new_tokens=3) as verbalizer:
            verbalizer.verbalize(vectors(2))
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_vector_without_direction_is_refused() -> None:
    with pytest.raises(ZeroVector, match=r"Vector 1 of the batch has norm 0"):
        rescale(np.array([[1.0, 0.0], [0.0, 0.0]], dtype=np.float32), 150.0)


def test_a_marker_the_tokenizer_does_not_know_is_drift(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    directory = never_stopping(tiny_pairs["qwen2"], tmp_path)
    write_sidecar(directory, replace(read_sidecar(directory), injection_char="㊗"))
    with pytest.raises(CheckpointDrift, match=r"Pair qwen: the injection char tokenizes to 3 ids"):
        TransformersVerbalizer(directory, name="qwen")


def test_a_checkpoint_without_a_stop_id_is_refused(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> None:
    directory = never_stopping(tiny_pairs["qwen2"], tmp_path)
    (directory / "generation_config.json").unlink()
    template = directory / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", ""))
    with pytest.raises(CheckpointMissing, match="names no eos_token_id"):
        TransformersVerbalizer(directory)


def test_closing_frees_the_model(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    with quiet(), TransformersVerbalizer(tiny_pairs["qwen2"].verbalizer) as verbalizer:
        pass
    assert verbalizer._model is None
