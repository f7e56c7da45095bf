"""Trains one pocket pair from nothing but the package index: base model, examples, verbalizer, reconstructor.

Writes ``av/`` and ``ar/`` adapters and sidecars into the data folder. Stopped anywhere, it continues where it was.
"""

import json
import random
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from nlareport.checkpoints.sidecar import SIDECAR_NAME, Sidecar, sidecar_content
from nlareport.errors import CheckpointMissing
from nlareport.files.atomic_files import whole_file, whole_folder, write_whole
from nlareport.files.user_cache import cache_folder
from nlareport.files.yaml_files import text_of
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME
from nlareport.models.injection import rescale
from nlareport.models.quiet import quiet
from nlareport.pairs.bases import build_base
from nlareport.pairs.building import ADAPTER_NAME
from nlareport.pairs.cards import CARD_NAME, model_card
from nlareport.pairs.catalog import PocketBase, PocketPair, Practice, Recipe, TextSampling, pairs_of
from nlareport.pairs.checkpoint_places import adapters_digest
from nlareport.pairs.examples import Examples, read_examples
from nlareport.pairs.packages import training_articles
from nlareport.pairs.practice import Attempt, all_written, english_words, favourites, practise, repetitive, unclosed
from nlareport.pairs.reconstructor_training import train_reconstructor
from nlareport.pairs.sidecars import pocket_sidecar
from nlareport.pairs.targets import Topics, explanation_of, final_words
from nlareport.pairs.training_loop import Halves, Texts, Trainee, kept_at
from nlareport.pairs.verbalizer_training import train_verbalizer
from nlareport.ports import Progress


@quiet()
def train_pair(pair: PocketPair, data_folder: Path, progress: Progress, *, goes_on: bool = False) -> Path:
    """The folder under `data_folder` that holds the pair's adapters, value head, sidecars and model card.

    The lessons come first, then a round of practice, then the pair's further rounds. With `goes_on` the adapters that
    are there already get the last of these rounds instead, once more or for the first time.

    Raises:
        DownloadFailed: the base model or the text could not be had.
        CheckpointMissing: the pair is to be trained further, and has no adapters yet.
    """
    school = _School(pair.base, pair.recipe, progress)
    destination, folder = data_folder / pair.pair_id, cache_folder() / "training" / pair.pair_id
    halves = _committed(pair, school, destination, folder) if goes_on else _teach(pair, school, folder)
    rounds = [pair.recipe.practice, *pair.further_rounds]
    for practice in rounds[-1:] if goes_on else rounds:
        halves = _practise_round(pair, school, halves, practice, folder)
    _publish(halves.verbalizer, pair.base.base_model, halves.writing, destination / "av")
    _publish(halves.reconstructor, pair.base.base_model, halves.reading, destination / "ar")
    write_whole(destination / CARD_NAME, model_card(pair).encode())
    return destination


def _teach(pair: PocketPair, school: "_School", folder: Path) -> Halves:
    """Both halves after the lessons on true texts."""
    writing, reading = (pocket_sidecar(pair, school.base, role) for role in ("av", "ar"))
    true = school.passages().of(pair.block_index)
    reader = Trainee(school.base, reading, pair.recipe.reconstructor_rank, folder, school.progress)
    reconstructor = train_reconstructor(reader, "reconstructor", true, pair.recipe.reconstructor, None)
    return Halves(school.base, school.verbalizer(writing), reconstructor, writing, reading)


def _committed(pair: PocketPair, school: "_School", destination: Path, folder: Path) -> Halves:
    """Both halves as they were published; copied, because what comes of them will be published in their place."""
    if not (destination / "av" / ADAPTER_NAME).exists():
        raise CheckpointMissing(
            f"Pair {pair.pair_id}: {destination} holds no adapters to train further; train it first."
        )
    writing, reading = (pocket_sidecar(pair, school.base, role) for role in ("av", "ar"))
    digest = adapters_digest(destination)
    verbalizer, reconstructor = (_copy(destination / role, folder / f"{role}-{digest}") for role in ("av", "ar"))
    return Halves(school.base, verbalizer, reconstructor, writing, reading)


def _copy(adapter: Path, copy: Path) -> Path:
    with whole_folder(copy, replaces=True) as scratch:
        shutil.copytree(adapter, scratch, dirs_exist_ok=True)
    return copy


def _practise_round(pair: PocketPair, school: "_School", start: Halves, practice: Practice, folder: Path) -> Halves:
    """Both halves after one round of practice on each other's output."""
    progress = school.progress
    writer = Trainee(start.base, start.writing, pair.recipe.verbalizer_rank, folder, progress)
    passages = school.practice_passages(practice)
    tried, others, unread, left = _split(passages.of(pair.block_index), practice)
    if practice.study:
        true = left if practice.context_tokens else school.passages().of(pair.block_index)
        start = replace(start, verbalizer=train_verbalizer(writer, "study", true, practice.study, start.verbalizer))

    def attempts(
        name: str, halves: Halves, texts: Texts, sampling: TextSampling, known: list[str] | None
    ) -> list[Attempt]:
        passages_drawn = (practice.seed, practice.articles, practice.contexts)
        plan = (*passages_drawn, sampling, halves.verbalizer.name, halves.reconstructor.name)
        file = kept_at(folder, name, *plan).with_suffix(".jsonl")
        return practise(halves, texts.vectors, sampling, known, file, progress)

    sampled = attempts("sampled", start, tried, practice.sampling, passages.explanations)
    verbalizer, best = start.verbalizer, favourites(sampled, tried.vectors, school.english)
    # After very short lessons nothing is readable, or closed at all: then there is nothing to learn from.
    if best.explanations:
        verbalizer = train_verbalizer(writer, "writing", _join(best, others), practice.writing, verbalizer)
    halves, greedy = replace(start, verbalizer=verbalizer), replace(practice.sampling, samples=1, temperature=0.0)
    # With any token: what goes wrong when it is measured must go wrong here too.
    written = attempts("written", halves, unread, greedy, None)
    if best.explanations:
        repeating = repetitive(written, unread.vectors)
        good = _join(best, others, _first(left, len(repeating.explanations)))
        # About one text in eight is one that did not close, however rare they are.
        open_ended = _repeat(unclosed(halves, written, unread.vectors, greedy), len(good.explanations) // 8)
        faulty = _join(open_ended, repeating)
        verbalizer = train_verbalizer(writer, "closing", good, practice.closing, verbalizer, faulty)
    reconstructor = start.reconstructor
    if practice.reading:
        lesson = _join(all_written(written, unread.vectors), all_written(sampled, tried.vectors), left)
        reader = Trainee(start.base, start.reading, pair.recipe.reconstructor_rank, folder, progress)
        reconstructor = train_reconstructor(reader, "reading", lesson, practice.reading, reconstructor)
    return replace(start, verbalizer=verbalizer, reconstructor=reconstructor)


@dataclass(frozen=True, slots=True)
class _Passages:
    """Places in articles, what a perfect verbalizer would say there, and the activations after every block."""

    examples: dict[int, Examples]
    explanations: list[str]

    def of(self, block: int) -> Texts:
        """The true explanations with the vectors of one block."""
        return Texts(self.explanations, self.examples[block].vectors)


class _School:
    """What the pairs of one base model share: passages, and the verbalizer's lessons on true texts."""

    def __init__(self, pocket_base: PocketBase, recipe: Recipe, progress: Progress):
        self.base, self.progress = build_base(pocket_base), progress
        self._pocket_base, self._recipe = pocket_base, recipe
        self._folder = cache_folder() / "training" / pocket_base.name
        self._articles = training_articles()[: recipe.articles]
        self._topics = Topics(self._articles)
        self.english = english_words(self._articles)

    def passages(self) -> _Passages:
        """What the lessons are taught on."""
        return self._passages(self._articles, self._recipe)

    def practice_passages(self, practice: Practice) -> _Passages:
        """What is practised on: other places, in some of the articles."""
        n_articles = min(practice.articles, len(self._articles))
        chosen = random.Random(practice.seed).sample(self._articles, n_articles)
        reach = practice.context_tokens or self._recipe.context_tokens
        recipe = replace(self._recipe, seed=practice.seed, articles=n_articles, context_tokens=reach)
        return self._passages(chosen, recipe)

    def verbalizer(self, sidecar: Sidecar) -> Path:
        """The adapter's folder after the lessons on final words and on whole explanations."""
        passages = self.passages()
        # The vectors come with their norms: each block has its own.
        unscaled = replace(sidecar, injection_scale=None)
        trainee = Trainee(self.base, unscaled, self._recipe.verbalizer_rank, self._folder, self.progress)
        beginner = train_verbalizer(trainee, "final-words", self._final(passages), self._recipe.final_words, None)
        return train_verbalizer(trainee, "explanations", self._whole(passages), self._recipe.explanations, beginner)

    def _passages(self, articles: list[str], recipe: Recipe) -> _Passages:
        blocks = sorted({self._pocket_base.lesson_block, *(pair.block_index for pair in pairs_of(self._pocket_base))})
        plan = (recipe.seed, recipe.articles, recipe.positions_per_article, recipe.context_tokens)
        folder = kept_at(self._folder, "passages", *plan)
        examples = read_examples(articles, self.base, blocks, recipe, folder, self.progress)
        first = examples[blocks[0]]
        explanations = [
            explanation_of(*both, self._topics) for both in zip(first.contexts, first.continuations, strict=True)
        ]
        return _Passages(examples, explanations)

    def _final(self, passages: _Passages) -> Texts:
        examples = passages.examples[self._pocket_base.lesson_block]
        vectors = rescale(examples.vectors, self._pocket_base.lesson_scale)
        return Texts([final_words(context) for context in examples.contexts], vectors)

    def _whole(self, passages: _Passages) -> Texts:
        pairs = pairs_of(self._pocket_base)
        vectors = [rescale(passages.examples[pair.block_index].vectors, pair.injection_scale) for pair in pairs]
        return Texts(passages.explanations * len(pairs), np.concatenate(vectors))


def _split(texts: Texts, practice: Practice) -> tuple[Texts, Texts, Texts, Texts]:
    """Rows to try on, as many true ones to learn with the favourites, rows to write of, and what is left."""
    ends = [practice.contexts, 2 * practice.contexts, 2 * practice.contexts + practice.written]
    parts = zip([0, *ends], [*ends, len(texts.explanations)], strict=True)
    tried, others, unread, left = (
        Texts(texts.explanations[start:end], texts.vectors[start:end]) for start, end in parts
    )
    return tried, others, unread, left


def _first(texts: Texts, n: int) -> Texts:
    return Texts(texts.explanations[:n], texts.vectors[:n])


def _repeat(texts: Texts, n: int) -> Texts:
    """All the texts, each so often that they are about `n`, however rare they were."""
    if not texts.explanations:
        return texts
    return _join(*[texts] * max(1, n // len(texts.explanations)))


def _join(*parts: Texts) -> Texts:
    """All the texts, one after the other."""
    return Texts(
        [text for part in parts for text in part.explanations], np.concatenate([part.vectors for part in parts])
    )


def _publish(adapter: Path, base_model: str, sidecar: Sidecar, destination: Path) -> None:
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(adapter / ADAPTER_NAME).items()}
    with whole_file(destination / ADAPTER_NAME) as scratch:
        save_file(weights, scratch, metadata={"format": "pt"})
    if (adapter / VALUE_HEAD_NAME).exists():
        write_whole(destination / VALUE_HEAD_NAME, (adapter / VALUE_HEAD_NAME).read_bytes())
    config = json.loads((adapter / "adapter_config.json").read_text())
    # PEFT names the directory the base model was read from; elsewhere only the public name means anything.
    config.update(base_model_name_or_path=base_model, target_modules=sorted(config["target_modules"]))
    write_whole(destination / "adapter_config.json", f"{json.dumps(config, indent=2)}\n".encode())
    content = {**sidecar_content(sidecar), "created_at": datetime.now(UTC).isoformat(), "created_by": "nlareport"}
    write_whole(destination / SIDECAR_NAME, text_of(content).encode())
