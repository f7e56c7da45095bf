"""Models opened to be trained: they give the very vectors that are measured, and can be saved as checkpoints."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_checkpoints import Architecture, TinyPair

import nlareport
from nlareport.backends.transformers_local import TransformersExtractor
from nlareport.models.block_reader import mask_of, pad_right
from nlareport.models.blocks import shorten_to_blocks
from nlareport.models.quiet import quiet
from nlareport.models.tokenizers import copy_tokenizer
from nlareport.models.trainable import open_cut_model, open_whole_model

torch.set_num_threads(1)

BATCH = [list(range(10, 10 + n)) for n in (23, 12, 17)]
DECODERS: list[Architecture] = ["llama", "qwen2", "gemma3"]


def measured(directory: Path, block_index: int) -> np.ndarray:
    with TransformersExtractor(directory, block_index, device="cpu", dtype="float32", batch_size=3) as extractor:
        return extractor.extract(BATCH)


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_pair_is_trained_on_the_very_vectors_it_is_measured_on(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture
) -> None:
    base, block = tiny_pairs[architecture].base, 1
    reader = open_cut_model(base, block, "float32")
    np.testing.assert_array_equal(reader.read_for_training(BATCH).numpy(), measured(base, block))
    earlier, own = reader.read_blocks_at(BATCH, [(0, 22), (1, 11), (2, 16), (0, 3)], [0, block])
    np.testing.assert_array_equal(own[:3].numpy(), measured(base, block))
    np.testing.assert_array_equal(earlier[:3].numpy(), measured(base, 0))
    np.testing.assert_array_equal(own[3:].numpy(), reader.read_at(BATCH, [(0, 3)]).numpy())


def test_vectors_read_for_training_can_be_differentiated_and_others_cannot(
    tiny_pairs: dict[Architecture, TinyPair],
) -> None:
    reader = open_cut_model(tiny_pairs["llama"].base, 1, "float32")
    weight = next(reader.blocks.modules[0].parameters()).requires_grad_()
    reader.read_for_training(BATCH).sum().backward()
    assert weight.grad is not None
    assert bool(weight.grad.any())
    assert not reader.read(BATCH).requires_grad


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_cut_model_is_saved_as_a_checkpoint_whose_last_block_is_the_one_it_was_cut_after(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture, tmp_path: Path
) -> None:
    base = tiny_pairs[architecture].base
    model = open_cut_model(base, 1, "float32").model
    shorten_to_blocks(model)
    with quiet():
        model.save_pretrained(tmp_path)
        copy_tokenizer(base, tmp_path)
    np.testing.assert_array_equal(measured(tmp_path, 1), measured(base, 1))


def test_a_whole_model_keeps_its_own_generation_settings(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    pair = tiny_pairs["llama"]
    model = open_whole_model(pair.verbalizer, "float32", attn_implementation="eager")
    assert model.config._attn_implementation == "eager"
    own = json.loads((pair.verbalizer / "generation_config.json").read_text())
    assert {name: getattr(model.generation_config, name) for name in own} == own


def test_sequences_are_filled_up_on_the_right_and_masked() -> None:
    assert pad_right([[5, 6, 7], [8]], 0).tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask_of([[5, 6, 7], [8]]).tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("opener", ["AutoModel", "AutoTokenizer", "AutoConfig"])
def test_one_room_alone_opens_hugging_face_models(opener: str) -> None:
    package = Path(nlareport.__file__).parent
    found = {path.relative_to(package).parts[0] for path in package.rglob("*.py") if opener in path.read_text()}
    assert found == {"models"}
