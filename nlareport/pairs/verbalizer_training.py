"""Trains a verbalizer: LoRA on every linear map of a base model, by cross-entropy on the texts to write.

Takes vectors and texts, returns the folder of a PEFT adapter. The vector takes the place of the injection character's
embedding.
"""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from nlareport.checkpoints.prompts import explanation_in, verbalizer_prompt_ids
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.files.atomic_files import whole_folder
from nlareport.models.block_reader import pad_right
from nlareport.models.injection import embed_with_vectors, rescale
from nlareport.models.tokenizers import open_tokenizer
from nlareport.models.trainable import open_whole_model
from nlareport.pairs.adapters import add_adapter, save_adapter
from nlareport.pairs.catalog import Lesson
from nlareport.pairs.targets import completion_of, topics_named
from nlareport.pairs.training_loop import Texts, Trainee, batch_rows, kept_at, train

BATCHES_SORTED = 16
"""So many batches are drawn at once, sorted by length and cut."""
REPEATED_TOKENS = 4
"""A sequence of so many tokens that occurred in the text before makes it a loop."""
NAMED_AGAIN_WEIGHT = 8
"""Of a topic named again against a token of a loop: the habit is stronger, and shows at two tokens a text."""
NEGATIVES = 2_048
"""Random ids outside the targets' vocabulary in every step's softmax, to keep them unlikely."""


def train_verbalizer(
    trainee: Trainee, name: str, texts: Texts, lesson: Lesson, start: Path | None, faulty: Texts | None = None
) -> Path:
    """The folder of the adapter after the lesson, trained from the one in `start` or from nothing.

    `faulty` are whole answers, among the texts to write, that never closed or that name a topic twice: what they
    repeat, or what ended them, is made unlikely. They are faults of the verbalizer as it is measured, free to use any
    token, so the softmax of such a lesson runs over all tokens.
    """
    destination = kept_at(trainee.folder, name, lesson, trainee.rank, start and start.name)
    if destination.exists():
        return destination
    torch.manual_seed(lesson.seed)
    tokenizer = open_tokenizer(trainee.base)
    # Plain attention is a fifth faster here: the sequences are short, and the fused kernel's backward pass is slow.
    model = open_whole_model(trainee.base, "bfloat16", attn_implementation="eager")
    peft_model = add_adapter(model, trainee.rank, start)
    task = _VerbalizerTask(model, tokenizer, trainee.sidecar, texts, lesson, faulty)
    trainable = {name: parameter for name, parameter in peft_model.named_parameters() if parameter.requires_grad}
    train(f"train {name}", trainable, task.loss_at, lesson, destination.with_suffix(".state"), trainee.progress)
    with whole_folder(destination) as folder:
        save_adapter(peft_model, folder)
    return destination


def flags_of_repetition(token_ids: list[int]) -> list[int]:
    """1 for each token that ends a sequence of `REPEATED_TOKENS` that occurred in the list before, else 0."""
    seen: set[tuple[int, ...]] = set()
    flags = []
    for end in range(1, len(token_ids) + 1):
        run = tuple(token_ids[max(end - REPEATED_TOKENS, 0) : end])
        flags.append(int(len(run) == REPEATED_TOKENS and run in seen))
        seen.add(run)
    return flags


def flags_of_renaming(text: str, ends: list[tuple[int, int]]) -> list[int]:
    """1 for each token that begins the name of a topic which the text named before, else 0.

    `ends` are the tokens' places in `text`.
    """
    topics = [(start, name.lower()) for start, name in topics_named(text)]
    flags = [0] * len(ends)
    for place, (start, name) in enumerate(topics):
        if name in [before for _, before in topics[:place]]:
            flags[next(token for token, (_, end) in enumerate(ends) if end > start)] = 1
    return flags


def _weights(answer: str, token_ids: list[int], ends: list[tuple[int, int]]) -> list[int]:
    """What each token of a faulty answer weighs: topics named again in one that closed, else what its loop repeats.

    An answer that neither closed nor looped has ended in another tag or too early: its last token.
    """
    if explanation_in(answer):
        return [NAMED_AGAIN_WEIGHT * flag for flag in flags_of_renaming(answer, ends)]
    flags = flags_of_repetition(token_ids)
    return flags if any(flags) else [*flags[:-1], 1]


class _VerbalizerTask:
    """Batches of (prompt with vector, completion) and their loss."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        sidecar: Sidecar,
        texts: Texts,
        lesson: Lesson,
        faulty: Texts | None,
    ):
        self.model, self.lesson = model, lesson
        self.scale = sidecar.injection_scale
        self.prompt_ids, self.marker = verbalizer_prompt_ids(tokenizer, sidecar)
        stop_ids = model.generation_config.eos_token_id
        stop_id = stop_ids[0] if isinstance(stop_ids, list) else stop_ids
        completions = [completion_of(explanation) for explanation in texts.explanations]
        self.targets = [[*ids, stop_id] for ids in tokenizer(completions, add_special_tokens=False)["input_ids"]]
        self.vectors = texts.vectors
        self.n_good = len(self.targets)
        """Rows from here on hold faulty answers."""
        self.faults = [[0] * len(ids) for ids in self.targets]
        """How much each token's unlikelihood weighs."""
        if faulty is not None and faulty.explanations:
            answers = tokenizer(faulty.explanations, add_special_tokens=False, return_offsets_mapping=True)
            self.targets += answers["input_ids"]
            self.vectors = np.concatenate([texts.vectors, faulty.vectors])
            each = zip(faulty.explanations, answers["input_ids"], answers["offset_mapping"], strict=True)
            self.faults += [_weights(*answer) for answer in each]
        head_rows = model.get_output_embeddings().weight.shape[0]
        used = {token for ids in self.targets for token in ids}
        self.vocabulary = torch.tensor(sorted(used) if faulty is None else range(head_rows))

    def loss_at(self, step: int) -> Float[Tensor, ""]:
        """Mean cross-entropy over the batch's completion tokens; for what must not be repeated, unlikelihood.

        Unlikelihood, -log(1 - p), is that of Welleck et al., "Neural Text Generation with Unlikelihood Training"
        (2020), on whole sequences the model wrote itself. Without faulty answers the softmax runs over the ids the
        targets use and some random others: over all of Gemma's 262,144 it costs more than the rest of the model.
        """
        rows = self._rows(step)
        labels = pad_right([self.targets[row] for row in rows], -100)
        hidden = self._hidden(rows, labels)
        is_faulty = torch.tensor([row >= self.n_good for row in rows])[:, None]
        good = (labels != -100) & ~is_faulty
        weights = pad_right([self.faults[row] for row in rows], 0)
        bad = weights > 0
        generator = torch.Generator().manual_seed(self.lesson.seed * 1_000_003 + step)
        head = self.model.get_output_embeddings().weight
        negatives = torch.randint(head.shape[0], (NEGATIVES,), generator=generator)
        negatives = negatives[~torch.isin(negatives, self.vocabulary)]
        columns = torch.cat([self.vocabulary, negatives])

        def surprise(chosen: Bool[Tensor, "item token"]) -> Float[Tensor, " chosen"]:
            logits = hidden[chosen].to(head.dtype) @ head[columns].T
            places = torch.searchsorted(self.vocabulary, labels[chosen])
            return nn.functional.cross_entropy(logits.float(), places, reduction="none")

        likelihood = surprise(good)
        # p is e^-surprise; the floor keeps the logarithm finite where a repetition is all but certain.
        unlikelihood = -torch.log((1 - torch.exp(-surprise(bad))).clamp(min=1e-4))
        return torch.cat([likelihood, weights[bad] * unlikelihood]).mean()

    def _rows(self, step: int) -> list[int]:
        """Rows of one step's batch, of like length: padding would cost a quarter of the training."""
        n_sorted = max(min(BATCHES_SORTED, len(self.targets) // self.lesson.batch_size), 1)
        places, place = divmod(step, n_sorted)
        many = replace(self.lesson, batch_size=self.lesson.batch_size * n_sorted)
        rows = sorted(batch_rows(places, len(self.targets), many), key=lambda row: len(self.targets[row]))
        order = random.Random(f"{self.lesson.seed}|{places}").sample(range(n_sorted), n_sorted)
        start = order[place] * self.lesson.batch_size
        return rows[start : start + self.lesson.batch_size]

    def _hidden(self, rows: list[int], labels: Int[Tensor, "item token"]) -> Float[Tensor, "item token d_model"]:
        """The last hidden state at the places that predict each label."""
        prompt = torch.tensor(self.prompt_ids).expand(len(rows), -1)
        token_ids = torch.cat([prompt, labels.clamp(min=0)], dim=1)
        vectors = torch.from_numpy(rescale(self.vectors[rows], self.scale))
        embeddings = embed_with_vectors(self.model, token_ids, self.marker, vectors, torch.float32)
        mask = torch.cat([torch.ones_like(prompt), (labels != -100).long()], dim=1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = self.model.model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False)
        # The last prompt token predicts the first label; the last label predicts nothing.
        hidden: Tensor = output.last_hidden_state[:, prompt.shape[1] - 1 : -1]
        return hidden
