"""Measures how well text and vector predict each other at several depths of a base model.

This is how the blocks of the pocket pairs were chosen.

For each block: the spread of the activations' directions (V); how much of it a ridge regression recovers, on articles
it has not seen, from only the input embeddings of the last two tokens; and how often another names the last
token, and the one before it, from the vector. Run: ``python benchmarks/depths.py smollm2-135m-instruct 5 10 15 20 25``.
"""

import tempfile
from pathlib import Path

import click
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from nlareport.pairs.bases import build_base
from nlareport.pairs.catalog import GEMMA3, SMOLLM2, Recipe
from nlareport.pairs.examples import read_examples
from nlareport.pairs.packages import training_articles

BASES = {base.name: base for base in (SMOLLM2, GEMMA3)}
HELD_OUT_SHARE = 0.1
TAIL_CHARS = 80


class Echo:
    """Progress in lines."""

    def stage(self, name: str, total: int, done: int) -> None:
        """Prints which stage begins."""
        click.echo(f"{name} ({done} of {total})", err=True)

    def advance(self, n: int) -> None:
        """Prints nothing for single steps."""


@click.command()
@click.argument("base", type=click.Choice(list(BASES)))
@click.argument("blocks", type=int, nargs=-1, required=True)
@click.option("--articles", default=1_200, show_default=True, help="How many training articles to read.")
def main(base: str, blocks: tuple[int, ...], articles: int) -> None:
    """Prints one line per block."""
    directory, texts = build_base(BASES[base]), training_articles()[:articles]
    with tempfile.TemporaryDirectory() as folder:
        examples = read_examples(texts, directory, sorted(blocks), Recipe(), Path(folder), Echo())
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tails = [context[-TAIL_CHARS:] for context in examples[blocks[0]].contexts]
    last = torch.tensor([ids[-2:] for ids in tokenizer(tails, add_special_tokens=False)["input_ids"]])
    embeddings = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).get_input_embeddings().weight
    embeddings = torch.nn.functional.normalize(embeddings.detach(), dim=1)
    # Split by article, not by row: the positions of one article are spread over all rows.
    fresh_from = sorted(set(examples[blocks[0]].contexts))[int(len(tails) * (1 - HELD_OUT_SHARE))][:100]
    held_out = torch.tensor([context[:100] >= fresh_from for context in examples[blocks[0]].contexts])
    for block in sorted(blocks):
        vectors = torch.nn.functional.normalize(torch.from_numpy(examples[block].vectors), dim=1)
        click.echo(f"block {block}: " + _line(vectors, embeddings, last, held_out))


def _line(
    vectors: Float[Tensor, "item d_model"],
    embeddings: Float[Tensor, "token d_model"],
    last: Int[Tensor, "item 2"],
    held_out: Bool[Tensor, " item"],
) -> str:
    variance = (vectors - vectors.mean(0)).square().sum(1).mean()
    gold = vectors[held_out]
    recovered = _ridge(embeddings[last].flatten(1), vectors, held_out, 1.0)
    fve = 1 - (recovered - gold).square().sum() / (gold - gold.mean(0)).square().sum()
    standard = (vectors - vectors.mean(0)) / vectors.std(0)
    named = []
    for column in (1, 0):
        ids, candidates = last[:, column], last[:, column].unique()
        guess = _ridge(standard, embeddings[ids], held_out, 300.0)
        nearest = torch.cdist(guess, embeddings[candidates]).argmin(1)
        named.append((candidates[nearest] == ids[held_out]).float().mean())
    return f"V {variance:.3f}, text to vector {fve:.3f}, last token named {named[0]:.0%}, the one before {named[1]:.0%}"


def _ridge(
    inputs: Float[Tensor, "item input"],
    outputs: Float[Tensor, "item output"],
    held_out: Bool[Tensor, " item"],
    penalty: float,
) -> Float[Tensor, "fresh output"]:
    """Predictions for the held-out rows."""
    seen, goal = inputs[~held_out], outputs[~held_out]
    centred = seen - seen.mean(0)
    gram = centred.T @ centred + penalty * torch.eye(seen.shape[1])
    weights = torch.linalg.solve(gram, centred.T @ (goal - goal.mean(0)))
    return (inputs[held_out] - seen.mean(0)) @ weights + goal.mean(0)


if __name__ == "__main__":
    main()
