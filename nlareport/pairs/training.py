"""Trains one pocket pair from nothing but the package index: base model, examples, verbalizer, reconstructor.

Leaves ``av/`` and ``ar/`` adapters and sidecars in the data folder. Stopped anywhere, it continues where it was.
"""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import yaml
from jaxtyping import Float
from safetensors.torch import load_file, save_file

from nlareport.checkpoint import SIDECAR_NAME, Sidecar, sidecar_content
from nlareport.pairs.bases import build_base
from nlareport.pairs.building import ADAPTER_NAME, VALUE_HEAD_NAME
from nlareport.pairs.cards import CARD_NAME, model_card
from nlareport.pairs.catalog import PocketBase, PocketPair, Recipe, pairs_of
from nlareport.pairs.contract import pocket_sidecar
from nlareport.pairs.examples import read_examples
from nlareport.pairs.noise import quiet
from nlareport.pairs.packages import cache_folder, training_articles
from nlareport.pairs.practice import Halves, all_written, english_words, favourites, practise
from nlareport.pairs.reconstructor_training import train_reconstructor
from nlareport.pairs.targets import Topics, explanation_of, final_words
from nlareport.pairs.training_loop import Texts, Trainee, kept_at
from nlareport.pairs.verbalizer_training import train_verbalizer
from nlareport.ports import Progress


@quiet()
def train_pair(pair: PocketPair, data_folder: Path, progress: Progress) -> Path:
    """The folder under `data_folder` that holds the pair's adapters, value head, sidecars and model card.

    Raises:
        DownloadFailed: the base model or the text could not be had.
    """
    school = _School(pair.base, pair.recipe, progress)
    folder, recipe = cache_folder() / "training" / pair.pair_id, pair.recipe
    writing, reading = (pocket_sidecar(pair, school.base, role) for role in ("av", "ar"))
    true = Texts(school.explanations, school.examples[pair.block_index].vectors)

    reader = Trainee(school.base, reading, recipe.reconstructor_rank, folder, progress)
    reconstructor = train_reconstructor(reader, "reconstructor", true, recipe.reconstructor, None)
    verbalizer = school.verbalizer(writing)

    halves = Halves(school.base, verbalizer, reconstructor, writing, reading)
    attempts_file = kept_at(folder, "attempts", recipe.practice, verbalizer.name, reconstructor.name)
    attempts = practise(halves, true.vectors, recipe.practice, attempts_file.with_suffix(".jsonl"), progress)
    best, written = favourites(attempts, true.vectors, school.english), all_written(attempts, true.vectors)
    # After very short lessons nothing is readable, or closed at all: then there is nothing to learn from.
    if best.explanations:
        writer = Trainee(school.base, writing, recipe.verbalizer_rank, folder, progress)
        verbalizer = train_verbalizer(writer, "after-practice", best, recipe.after_practice, verbalizer)
    if written.explanations:
        mixed = _half_and_half(written, true)
        reconstructor = train_reconstructor(reader, "calibration", mixed, recipe.calibration, reconstructor)

    destination = data_folder / pair.pair_id
    _publish(verbalizer, pair.base.base_model, writing, destination / "av")
    _publish(reconstructor, pair.base.base_model, reading, destination / "ar")
    (destination / CARD_NAME).write_text(model_card(pair))
    return destination


class _School:
    """What the pairs of one base model share: its examples and the verbalizer's first two lessons."""

    def __init__(self, pocket_base: PocketBase, recipe: Recipe, progress: Progress):
        self.base = build_base(pocket_base)
        self._pocket_base, self._recipe, self._progress = pocket_base, recipe, progress
        self._folder = cache_folder() / "training" / pocket_base.name
        articles = training_articles()[: recipe.articles]
        self.english = english_words(articles)
        blocks = {pocket_base.lesson_block, *(pair.block_index for pair in pairs_of(pocket_base))}
        self.examples = read_examples(articles, self.base, sorted(blocks), recipe, self._folder, progress)
        topics = Topics(articles)
        first = self.examples[pocket_base.lesson_block]
        self.explanations = [
            explanation_of(*both, topics) for both in zip(first.contexts, first.continuations, strict=True)
        ]

    def verbalizer(self, sidecar: Sidecar) -> Path:
        """The adapter's folder after the lessons on final words and on whole explanations."""
        # The vectors come with their norms: each block has its own.
        unscaled = replace(sidecar, injection_scale=None)
        trainee = Trainee(self.base, unscaled, self._recipe.verbalizer_rank, self._folder, self._progress)
        beginner = train_verbalizer(trainee, "final-words", self._final_words(), self._recipe.final_words, None)
        return train_verbalizer(trainee, "explanations", self._whole(), self._recipe.explanations, beginner)

    def _final_words(self) -> Texts:
        examples = self.examples[self._pocket_base.lesson_block]
        vectors = scaled(examples.vectors, self._pocket_base.lesson_scale)
        return Texts([final_words(context) for context in examples.contexts], vectors)

    def _whole(self) -> Texts:
        pairs = pairs_of(self._pocket_base)
        vectors = [scaled(self.examples[pair.block_index].vectors, pair.injection_scale) for pair in pairs]
        return Texts(self.explanations * len(pairs), np.concatenate(vectors))


def _half_and_half(written: Texts, true: Texts) -> Texts:
    """As many true explanations as written ones."""
    n_written = len(written.explanations)
    return Texts(
        written.explanations + true.explanations[-n_written:],
        np.concatenate([written.vectors, true.vectors[-n_written:]]),
    )


def scaled(vectors: Float[np.ndarray, "item d_model"], norm: float) -> Float[np.ndarray, "item d_model"]:
    """The vectors, all of one norm."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    resized: np.ndarray = vectors * (norm / norms).astype(np.float32)
    return resized


def _publish(adapter: Path, base_model: str, sidecar: Sidecar, destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(adapter / ADAPTER_NAME).items()}
    save_file(weights, destination / ADAPTER_NAME, metadata={"format": "pt"})
    if (adapter / VALUE_HEAD_NAME).exists():
        shutil.copyfile(adapter / VALUE_HEAD_NAME, destination / VALUE_HEAD_NAME)
    config = json.loads((adapter / "adapter_config.json").read_text())
    # PEFT names the directory the base model was read from; elsewhere only the public name means anything.
    config.update(base_model_name_or_path=base_model, target_modules=sorted(config["target_modules"]))
    (destination / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    content = {**sidecar_content(sidecar), "created_at": datetime.now(UTC).isoformat(), "created_by": "nlareport"}
    (destination / SIDECAR_NAME).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
