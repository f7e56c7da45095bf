"""Lets a verbalizer try: several texts a vector, each read by the reconstructor, the favourite kept to learn from.

Enters vectors and the adapters of both halves; leaves `Attempt` lines, stored batch by batch so that a stopped
practice goes on where it was. The guard keeps what is chosen English: a text the reconstructor likes but a person
could not read is never learned.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from nlareport.checkpoint import Sidecar
from nlareport.pairs.adapters import merged
from nlareport.pairs.building import VALUE_HEAD_NAME
from nlareport.pairs.catalog import Practice
from nlareport.pairs.examples import truncated_model
from nlareport.pairs.noise import quiet
from nlareport.pairs.training_loop import Texts, pad_right
from nlareport.pairs.verbalizer_training import injected
from nlareport.ports import Progress, in_batches
from nlareport.prompts import explanation_in, reconstructor_prompt, verbalizer_prompt_ids

CONTEXTS_AT_ONCE = 16
MAX_NEW_TOKENS = 90
LONGEST_REPEAT_WORDS = 5
"""A run of so many words that stands three times in a text is a loop."""
LEAST_KNOWN_WORDS = 0.9
_WORD = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The texts written about one vector and how far each reconstruction was from it."""

    row: int
    explanations: list[str | None]
    """None where the answer never closed its tag."""
    mse_nrm: list[float | None]


@dataclass(frozen=True, slots=True)
class Halves:
    """Where the halves that practise come from."""

    base: Path
    verbalizer: Path
    reconstructor: Path
    writing: Sidecar
    reading: Sidecar


@quiet()
def practise(
    halves: Halves, vectors: Float[np.ndarray, "item d_model"], practice: Practice, file: Path, progress: Progress
) -> list[Attempt]:
    """An attempt for each of the first `practice.contexts` vectors, in order."""
    done = _stored(file, practice.contexts)
    progress.stage("practise", practice.contexts, len(done))
    if len(done) >= practice.contexts:
        return done
    writer, reader = _Writer(halves, practice), _Reader(halves)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(_line(attempt) for attempt in done))
    for rows in in_batches(range(len(done), practice.contexts), CONTEXTS_AT_ONCE):
        found = _attempt(list(rows), vectors, practice, writer, reader)
        with file.open("a") as attempts:
            attempts.write("".join(_line(attempt) for attempt in found))
        done += found
        progress.advance(len(found))
    return done


def favourites(attempts: list[Attempt], vectors: Float[np.ndarray, "item d_model"], english: frozenset[str]) -> Texts:
    """The readable text of each attempt that was reconstructed best; attempts without a readable one are left out."""
    chosen: list[tuple[int, str]] = []
    for attempt in attempts:
        pairs = zip(attempt.explanations, attempt.mse_nrm, strict=True)
        readable = [(mse, text) for text, mse in pairs if text and mse is not None and is_readable(text, english)]
        if readable:
            chosen.append((attempt.row, min(readable)[1]))
    return Texts([text for _, text in chosen], vectors[[row for row, _ in chosen]])


def all_written(attempts: list[Attempt], vectors: Float[np.ndarray, "item d_model"]) -> Texts:
    """Every closed text of every attempt, readable or not: what a reconstructor will meet."""
    written = [(attempt.row, text) for attempt in attempts for text in attempt.explanations if text]
    return Texts([text for _, text in written], vectors[[row for row, _ in written]])


def english_words(articles: Iterable[str]) -> frozenset[str]:
    """The words two or more of the articles use, lower case."""
    counts = Counter(word for article in articles for word in set(_words(article)))
    return frozenset(word for word, n_articles in counts.items() if n_articles > 1)


def is_readable(text: str, english: frozenset[str]) -> bool:
    """Whether a text keeps to English words, closes its quotes, holds no tag and does not loop."""
    words = _words(text)
    runs = Counter(zip(*(words[start:] for start in range(LONGEST_REPEAT_WORDS)), strict=False))
    known = sum(word in english for word in words)
    return (
        bool(words)
        and text.count('"') % 2 == 0
        and "<" not in text
        and max(runs.values(), default=0) < 3
        and known >= LEAST_KNOWN_WORDS * len(words)
    )


def _stored(file: Path, n_contexts: int) -> list[Attempt]:
    """The attempts of an earlier call; of a batch that a kill cut short nothing is kept."""
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    whole = [Attempt(**json.loads(line)) for line in lines if line.endswith("\n")]
    return whole if len(whole) >= n_contexts else whole[: len(whole) - len(whole) % CONTEXTS_AT_ONCE]


class _Writer:
    """Samples explanations with the verbalizer's adapter merged in."""

    def __init__(self, halves: Halves, practice: Practice):
        model = AutoModelForCausalLM.from_pretrained(halves.base, dtype=torch.float32)
        self.model: PreTrainedModel = merged(model, halves.verbalizer).to(torch.bfloat16).eval()
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(halves.base)
        self.prompt_ids, self.marker = verbalizer_prompt_ids(self.tokenizer, halves.writing)
        self.scale, self.practice = halves.writing.injection_scale, practice
        stops = self.model.generation_config.eos_token_id
        self.stop_id = stops[0] if isinstance(stops, list) else stops

    @torch.inference_mode()
    def write(self, vectors: Float[np.ndarray, "item d_model"], seed: int) -> list[list[str | None]]:
        torch.manual_seed(seed)
        prompt = torch.tensor(self.prompt_ids).expand(len(vectors), -1)
        embeddings = injected(self.model, prompt, self.marker, vectors, self.scale)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            written = self.model.generate(
                inputs_embeds=embeddings,
                attention_mask=torch.ones_like(prompt),
                do_sample=True,
                temperature=self.practice.temperature,
                top_k=0,
                top_p=1.0,
                num_return_sequences=self.practice.samples,
                max_new_tokens=MAX_NEW_TOKENS,
                eos_token_id=self.stop_id,
                pad_token_id=self.stop_id,
            )
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        explanations = [explanation_in(text) or None for text in texts]
        n = self.practice.samples
        return [explanations[start : start + n] for start in range(0, len(explanations), n)]


class _Reader:
    """Scores texts with the reconstructor's adapter merged in."""

    def __init__(self, halves: Halves):
        model = truncated_model(halves.base, halves.reading.block_index, torch.float32)
        self.model: PreTrainedModel = merged(model, halves.reconstructor).to(torch.bfloat16).eval()
        self.head = load_file(halves.reconstructor / VALUE_HEAD_NAME)["weight"]
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(halves.base)
        self.sidecar = halves.reading

    @torch.inference_mode()
    def mse_nrm(self, explanations: list[str], gold: Float[Tensor, "item d_model"]) -> list[float]:
        prompts = [reconstructor_prompt(self.sidecar, explanation) for explanation in explanations]
        ids: list[list[int]] = self.tokenizer(prompts, add_special_tokens=True)["input_ids"]
        lengths = torch.tensor([len(prompt) for prompt in ids])
        token_ids = pad_right(ids, 0)
        mask = (torch.arange(token_ids.shape[1]) < lengths[:, None]).long()
        hidden = self.model.model(input_ids=token_ids, attention_mask=mask, use_cache=False).last_hidden_state
        read = hidden[torch.arange(len(ids)), lengths - 1].float() @ self.head.T
        errors: list[float] = (2 * (1 - nn.functional.cosine_similarity(read, gold, dim=1))).tolist()
        return errors


def _attempt(
    rows: list[int], vectors: Float[np.ndarray, "item d_model"], practice: Practice, writer: _Writer, reader: _Reader
) -> list[Attempt]:
    written = writer.write(vectors[rows], practice.seed * 1_000_003 + rows[0])
    found = [(row, text) for row, texts in zip(rows, written, strict=True) for text in texts if text]
    errors: dict[tuple[int, str], float] = {}
    if found:
        gold = torch.from_numpy(vectors[[row for row, _ in found]])
        errors = dict(zip(found, reader.mse_nrm([text for _, text in found], gold), strict=True))
    return [
        Attempt(row, texts, [errors[row, text] if text else None for text in texts])
        for row, texts in zip(rows, written, strict=True)
    ]


def _line(attempt: Attempt) -> str:
    return json.dumps(asdict(attempt)) + "\n"


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
