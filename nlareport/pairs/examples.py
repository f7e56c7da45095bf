"""Reads the training articles with a base model: contexts and the vectors found at their ends.

Enters articles and a base checkpoint; leaves `Examples`, kept on disk so that a stopped training need not read again.
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

from nlareport.pairs.catalog import Recipe
from nlareport.ports import Progress

MIN_LEFT_CONTEXT = 50
ARTICLES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Examples:
    """Contexts and the activation at the end of each, row by row."""

    contexts: list[str]
    vectors: Float[np.ndarray, "item d_model"]


def read_examples(
    articles: list[str], base: Path, block_index: int, recipe: Recipe, folder: Path, progress: Progress
) -> Examples:
    """Contexts of the articles, in a seeded random order, with the base model's vectors after the block, float32."""
    contexts_file, vectors_file = folder / "contexts.json", folder / "vectors.npy"
    if vectors_file.exists():
        return Examples(json.loads(contexts_file.read_text()), np.load(vectors_file))
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = truncated_model(base, block_index)
    progress.stage("read training articles", len(articles), 0)
    contexts: list[str] = []
    vectors: list[Float[np.ndarray, "item d_model"]] = []
    generator = random.Random(recipe.seed)
    for start in range(0, len(articles), ARTICLES_AT_ONCE):
        batch = articles[start : start + ARTICLES_AT_ONCE]
        found = _read_batch(batch, tokenizer, model, recipe, generator)
        contexts += [context for context, _ in found]
        vectors += [vector for _, vector in found]
        progress.advance(len(batch))
    order = generator.sample(range(len(contexts)), len(contexts))
    examples = Examples([contexts[index] for index in order], np.stack([vectors[index] for index in order]))
    folder.mkdir(parents=True, exist_ok=True)
    contexts_file.write_text(json.dumps(examples.contexts))
    # The vectors are written last: their file says that the contexts are whole too.
    np.save(vectors_file.with_suffix(".tmp.npy"), examples.vectors)
    vectors_file.with_suffix(".tmp.npy").rename(vectors_file)
    return examples


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


@torch.inference_mode()
def _read_batch(
    articles: list[str],
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    recipe: Recipe,
    generator: random.Random,
) -> list[tuple[str, Float[np.ndarray, " d_model"]]]:
    encoded = tokenizer(
        articles,
        return_offsets_mapping=True,
        truncation=True,
        max_length=recipe.context_tokens,
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    hidden = model.model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]).last_hidden_state
    found = []
    for row, article in enumerate(articles):
        candidates = range(MIN_LEFT_CONTEXT, int(encoded["attention_mask"][row].sum()))
        for position in generator.sample(candidates, min(recipe.positions_per_article, len(candidates))):
            char_end = int(encoded["offset_mapping"][row, position, 1])
            found.append((article[:char_end], hidden[row, position].float().numpy()))
    return found
