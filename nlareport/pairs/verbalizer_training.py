"""Teaches a base model to say what a vector holds: LoRA on every linear map, cross-entropy on target explanations.

Enters examples; leaves a PEFT adapter folder. The vector stands where the injection character's embedding would.
"""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from nlareport.checkpoint import Sidecar
from nlareport.pairs.adapters import with_adapter
from nlareport.pairs.catalog import Recipe
from nlareport.pairs.examples import Examples
from nlareport.pairs.targets import completion_of, explanation_of
from nlareport.pairs.training_loop import train
from nlareport.ports import Progress
from nlareport.prompts import verbalizer_prompt_ids

BATCHES_SORTED = 16
"""So many batches are drawn at once, sorted by length and cut."""
NEGATIVES = 2_048
"""Random ids outside the targets' vocabulary in every step's softmax, so that they stay unlikely."""


def train_verbalizer(
    examples: Examples, base: Path, sidecar: Sidecar, recipe: Recipe, folder: Path, progress: Progress
) -> Path:
    """The folder of the trained adapter."""
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    peft_model = with_adapter(model, recipe.verbalizer_rank)
    task = _VerbalizerTask(model, tokenizer, sidecar, examples, recipe)
    trainable = {name: parameter for name, parameter in peft_model.named_parameters() if parameter.requires_grad}
    train(
        "train verbalizer",
        trainable,
        task.loss_at,
        recipe.verbalizer_examples // recipe.batch_size,
        recipe.verbalizer_learning_rate,
        folder / "verbalizer.state",
        progress,
    )
    peft_model.save_pretrained(folder / "verbalizer")
    return folder / "verbalizer"


class _VerbalizerTask:
    """Batches of (prompt with vector, completion) and their loss."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        sidecar: Sidecar,
        examples: Examples,
        recipe: Recipe,
    ):
        self.model, self.examples, self.recipe = model, examples, recipe
        self.scale = sidecar.injection_scale
        self.prompt_ids, self.marker = verbalizer_prompt_ids(tokenizer, sidecar)
        stop_ids = model.generation_config.eos_token_id
        stop_id = stop_ids[0] if isinstance(stop_ids, list) else stop_ids
        texts = [completion_of(explanation_of(context)) for context in examples.contexts]
        self.targets = [[*ids, stop_id] for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
        self.vocabulary = torch.tensor(sorted({token for ids in self.targets for token in ids}))

    def loss_at(self, step: int) -> Float[Tensor, ""]:
        """Mean cross-entropy over the batch's completion tokens.

        The softmax runs over the ids the targets use and some random others: over all of Gemma's 262,144 ids it
        would cost more than the rest of the model.
        """
        rows = self._rows(step)
        labels = pad_right([self.targets[row] for row in rows], -100)
        hidden = self._hidden(rows, labels)
        kept = labels != -100
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)
        head = self.model.get_output_embeddings().weight
        negatives = torch.randint(head.shape[0], (NEGATIVES,), generator=generator)
        negatives = negatives[~torch.isin(negatives, self.vocabulary)]
        columns = torch.cat([self.vocabulary, negatives])
        logits = hidden[kept].to(head.dtype) @ head[columns].T
        return nn.functional.cross_entropy(logits.float(), torch.searchsorted(self.vocabulary, labels[kept]))

    def _rows(self, step: int) -> list[int]:
        """Rows of one step's batch, of like length: padding would cost a quarter of the training."""
        places, place = divmod(step, BATCHES_SORTED)
        many = replace(self.recipe, batch_size=self.recipe.batch_size * BATCHES_SORTED)
        rows = sorted(batch_rows(places, len(self.targets), many), key=lambda row: len(self.targets[row]))
        order = random.Random(f"{self.recipe.seed}|{places}").sample(range(BATCHES_SORTED), BATCHES_SORTED)
        start = order[place] * self.recipe.batch_size
        return rows[start : start + self.recipe.batch_size]

    def _hidden(self, rows: list[int], labels: Int[Tensor, "item token"]) -> Float[Tensor, "item token d_model"]:
        """The last hidden state at the places that predict each label."""
        prompt = torch.tensor(self.prompt_ids).expand(len(rows), -1)
        token_ids = torch.cat([prompt, labels.clamp(min=0)], dim=1)
        embeddings = self.model.get_input_embeddings()(token_ids).float()
        vectors = torch.from_numpy(np.ascontiguousarray(self.examples.vectors[rows]))
        if self.scale is not None:
            vectors = vectors * (self.scale / vectors.norm(dim=1, keepdim=True))
        embeddings[:, self.marker] = vectors
        mask = torch.cat([torch.ones_like(prompt), (labels != -100).long()], dim=1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = self.model.model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False)
        # The last prompt token predicts the first label; the last label predicts nothing.
        hidden: Tensor = output.last_hidden_state[:, prompt.shape[1] - 1 : -1]
        return hidden


def batch_rows(step: int, n_examples: int, recipe: Recipe) -> list[int]:
    """Rows of one step's batch: every epoch is a fresh seeded order of all examples."""
    per_epoch = n_examples // recipe.batch_size
    epoch, place = divmod(step, per_epoch)
    order = random.Random(f"{recipe.seed}|{epoch}").sample(range(n_examples), n_examples)
    return sorted(order[place * recipe.batch_size : (place + 1) * recipe.batch_size])


def pad_right(sequences: list[list[int]], filler: int) -> Int[Tensor, "item token"]:
    """The sequences as one array, filled up on the right."""
    width = max(map(len, sequences))
    return torch.tensor([ids + [filler] * (width - len(ids)) for ids in sequences])
