"""Reads the training articles with a base model: places in the text and the vectors found there.

Enters articles and a base checkpoint; leaves `Examples`, kept on disk so that a stopped training need not read again.
All the blocks that the pairs of a base model need are read in one pass.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from nlareport.files.atomic_files import whole_file, write_whole
from nlareport.pairs.catalog import Recipe
from nlareport.ports import Progress

MIN_LEFT_CONTEXT = 50
ARTICLES_AT_ONCE = 8
CONTINUATION_CHARS = 60
PLACES_NAME = "places.json"


@dataclass(frozen=True, slots=True)
class Examples:
    """Contexts, how each text went on, and the activation at the end of each context, row by row."""

    contexts: list[str]
    continuations: list[str]
    vectors: Float[np.ndarray, "item d_model"]


@dataclass(frozen=True, slots=True)
class _Found:
    article: int
    char_end: int
    vectors: Float[np.ndarray, "block d_model"]


def read_examples(
    articles: list[str], base: Path, blocks: list[int], recipe: Recipe, folder: Path, progress: Progress
) -> dict[int, Examples]:
    """For every block: contexts in a seeded random order, with the base model's vectors after the block, float32."""
    if not all(_vectors_file(folder, block).exists() for block in blocks):
        _read_articles(articles, base, sorted(blocks), recipe, folder, progress)
    places = json.loads((folder / PLACES_NAME).read_text())
    contexts = [articles[article][:char_end] for article, char_end in places]
    continuations = [articles[article][char_end:][:CONTINUATION_CHARS] for article, char_end in places]
    return {block: Examples(contexts, continuations, np.load(_vectors_file(folder, block))) for block in blocks}


def truncated_model(base: Path, block_index: int, dtype: torch.dtype = torch.bfloat16) -> PreTrainedModel:
    """The base model cut after its block, its final norm passing everything on, in evaluation mode."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    decoder = model.model
    decoder.layers = decoder.layers[: block_index + 1]
    decoder.norm = nn.Identity()
    model.config.num_hidden_layers = block_index + 1
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[: block_index + 1]
    return model.eval()


def _vectors_file(folder: Path, block: int) -> Path:
    return folder / f"vectors-B{block}.npy"


def _read_articles(
    articles: list[str], base: Path, blocks: list[int], recipe: Recipe, folder: Path, progress: Progress
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = truncated_model(base, blocks[-1])
    progress.stage("read training articles", len(articles), 0)
    generator = random.Random(recipe.seed)
    found: list[_Found] = []
    for start in range(0, len(articles), ARTICLES_AT_ONCE):
        batch = articles[start : start + ARTICLES_AT_ONCE]
        found += _read_batch(batch, start, blocks, tokenizer, model, recipe, generator)
        progress.advance(len(batch))
    found = generator.sample(found, len(found))
    places = json.dumps([(place.article, place.char_end) for place in found])
    write_whole(folder / PLACES_NAME, places.encode())
    # The vectors are written last: a file that is there says that all before it is whole.
    for row, block in enumerate(blocks):
        with whole_file(_vectors_file(folder, block)) as aside:
            np.save(aside, np.stack([place.vectors[row] for place in found]))


@torch.inference_mode()
def _read_batch(
    articles: list[str],
    first: int,
    blocks: list[int],
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    recipe: Recipe,
    generator: random.Random,
) -> list[_Found]:
    encoded = tokenizer(
        articles,
        return_offsets_mapping=True,
        truncation=True,
        max_length=recipe.context_tokens,
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    output = model.model(
        input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], output_hidden_states=True
    )
    # The first hidden state is the embedding: block k's output stands at k + 1.
    hidden = [output.hidden_states[block + 1] for block in blocks]
    found = []
    for row in range(len(articles)):
        candidates = range(MIN_LEFT_CONTEXT, int(encoded["attention_mask"][row].sum()))
        for position in generator.sample(candidates, min(recipe.positions_per_article, len(candidates))):
            char_end = int(encoded["offset_mapping"][row, position, 1])
            vectors = torch.stack([states[row, position] for states in hidden]).float().numpy()
            found.append(_Found(first + row, char_end, vectors))
    return found
