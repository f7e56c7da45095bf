"""Reads the training articles with a base model: places in the text, and the activations there.

Takes articles and a base checkpoint, returns `Examples`, which are kept on disk: a stopped training need not read them
again. All the blocks that the pairs of a base model need are read in one pass, by the function that measures them.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from nlareport.files.atomic_files import whole_file, write_whole
from nlareport.models.configuration import load_text_config
from nlareport.models.proven_blocks import open_blocks
from nlareport.models.tokenizers import open_tokenizer
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


def _vectors_file(folder: Path, block: int) -> Path:
    return folder / f"vectors-B{block}.npy"


def _read_articles(
    articles: list[str], base: Path, blocks: list[int], recipe: Recipe, folder: Path, progress: Progress
) -> None:
    reading = _Reading(base, blocks, recipe)
    progress.stage("read training articles", len(articles), 0)
    found: list[_Found] = []
    for start in range(0, len(articles), ARTICLES_AT_ONCE):
        batch = articles[start : start + ARTICLES_AT_ONCE]
        found += reading.read(batch, start)
        progress.advance(len(batch))
    found = reading.generator.sample(found, len(found))
    places = json.dumps([(place.article, place.char_end) for place in found])
    write_whole(folder / PLACES_NAME, places.encode())
    # The vectors are written last: a file that is there says that all before it is whole.
    for row, block in enumerate(blocks):
        with whole_file(_vectors_file(folder, block)) as scratch:
            np.save(scratch, np.stack([place.vectors[row] for place in found]))


class _Reading:
    """The base model up to the last of some blocks, opened as it is to be measured, and a seeded choice of places."""

    def __init__(self, base: Path, blocks: list[int], recipe: Recipe) -> None:
        self.blocks, self.recipe = blocks, recipe
        self.tokenizer = open_tokenizer(base)
        self.reader, _ = open_blocks(base, load_text_config(base), blocks[-1], device="cpu", dtype="bfloat16")
        self.generator = random.Random(recipe.seed)

    def read(self, articles: list[str], first: int) -> list[_Found]:
        """Places in some articles, of which the first has the index `first`, with the vectors of every block."""
        encoded = self.tokenizer(
            articles, return_offsets_mapping=True, truncation=True, max_length=self.recipe.context_tokens
        )
        batch: list[list[int]] = encoded["input_ids"]
        places = [(row, token) for row, token_ids in enumerate(batch) for token in self._drawn(len(token_ids))]
        vectors = torch.stack(self.reader.read_blocks_at(batch, places, self.blocks), dim=1).numpy()
        return [
            _Found(first + row, encoded["offset_mapping"][row][token][1], vectors[place])
            for place, (row, token) in enumerate(places)
        ]

    def _drawn(self, n_tokens: int) -> list[int]:
        """Places in a text of so many tokens."""
        candidates = range(MIN_LEFT_CONTEXT, n_tokens)
        return self.generator.sample(candidates, min(self.recipe.positions_per_article, len(candidates)))
