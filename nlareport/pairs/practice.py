"""Best-of-n practice: the verbalizer writes several texts a vector, the reconstructor scores them, the best is kept.

Takes vectors and the adapters of both halves, returns `Attempt` lines, stored batch by batch: a stopped practice
continues where it was. A filter keeps the chosen texts English: one that the reconstructor scores well but a person
could not read is never learned.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from nlareport.files.atomic_files import write_whole
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME
from nlareport.models.quiet import quiet
from nlareport.models.tokenizers import open_tokenizer, reconstructor_prompt_ids
from nlareport.models.trainable import open_cut_model
from nlareport.pairs.adapters import merge_adapter
from nlareport.pairs.catalog import TextSampling
from nlareport.pairs.targets import completion_of, names_a_topic_twice
from nlareport.pairs.training_loop import Halves, Texts
from nlareport.pairs.writing import PracticeWriter
from nlareport.ports import Progress, in_batches

TEXTS_AT_ONCE = 64
LONGEST_REPEAT_WORDS = 5
"""A sequence of so many words that occurs three times in a text is a loop."""
LEAST_KNOWN_WORDS = 0.9
_WORD = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The texts written about one vector and how far each reconstruction was from it."""

    row: int
    explanations: list[str | None]
    """None where the answer never closed its tag."""
    mse_nrm: list[float | None]


@quiet()
def practise(
    halves: Halves,
    vectors: Float[np.ndarray, "item d_model"],
    sampling: TextSampling,
    known_texts: Collection[str] | None,
    file: Path,
    progress: Progress,
) -> list[Attempt]:
    """An attempt for each vector, in order, written in tokens that `known_texts` use; None: any."""
    at_once = TEXTS_AT_ONCE // sampling.samples
    done = _stored(file, len(vectors), at_once)
    name = "write" if sampling.samples == 1 else f"write {sampling.samples} texts each"
    progress.stage(f"{name}, {_mean_error(done)}", len(vectors), len(done))
    if len(done) >= len(vectors):
        return done
    writer, reader = PracticeWriter(halves, known_texts), _Reader(halves)
    write_whole(file, "".join(_line(attempt) for attempt in done).encode())
    for rows in in_batches(range(len(done), len(vectors)), at_once):
        written = writer.write(vectors[list(rows)], sampling, sampling.seed * 1_000_003 + rows[0])
        found = _read(list(rows), written, vectors, reader)
        with file.open("a") as attempts:
            attempts.write("".join(_line(attempt) for attempt in found))
        done += found
        progress.stage(f"{name}, {_mean_error(done)}", len(vectors), len(done))
    return done


@quiet()
def unclosed(
    halves: Halves,
    attempts: list[Attempt],
    vectors: Float[np.ndarray, "item d_model"],
    sampling: TextSampling,
) -> Texts:
    """The whole answers of greedy attempts that never closed, written once more: attempts keep explanations only."""
    rows = [attempt.row for attempt in attempts if attempt.explanations == [None]]
    if not rows:
        return Texts([], vectors[:0])
    answers = PracticeWriter(halves, None).answers(vectors[rows], sampling, sampling.seed)
    return Texts(answers, vectors[rows])


def repetitive(attempts: list[Attempt], vectors: Float[np.ndarray, "item d_model"]) -> Texts:
    """The whole answers of greedy attempts that closed, but name a topic twice."""
    written = [(attempt.row, text) for attempt in attempts for text in attempt.explanations if text]
    chosen = [(row, completion_of(text)) for row, text in written if names_a_topic_twice(text)]
    return Texts([answer for _, answer in chosen], vectors[[row for row, _ in chosen]])


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
    """Whether a text passes the filter: English words, closed quotes, no tag, no loop, no topic named twice."""
    words = _words(text)
    runs = Counter(zip(*(words[start:] for start in range(LONGEST_REPEAT_WORDS)), strict=False))
    known = sum(word in english for word in words)
    return (
        bool(words)
        and text.count('"') % 2 == 0
        and "<" not in text
        and max(runs.values(), default=0) < 3
        and not names_a_topic_twice(text)
        and known >= LEAST_KNOWN_WORDS * len(words)
    )


def _stored(file: Path, n_vectors: int, at_once: int) -> list[Attempt]:
    """The attempts of an earlier call; of a batch that was cut short by a kill nothing is kept."""
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    whole = [Attempt(**json.loads(line)) for line in lines if line.endswith("\n")]
    return whole if len(whole) >= n_vectors else whole[: len(whole) - len(whole) % at_once]


def _mean_error(attempts: list[Attempt]) -> str:
    """A summary of the attempts so far, for the progress display."""
    errors = [error for attempt in attempts for error in attempt.mse_nrm if error is not None]
    n_texts = sum(len(attempt.explanations) for attempt in attempts)
    return f"mse_nrm {np.mean(errors):.3f}, {len(errors)} of {n_texts} closed" if errors else "none read yet"


class _Reader:
    """Scores texts with the reconstructor's adapter merged in."""

    def __init__(self, halves: Halves):
        reader = open_cut_model(halves.base, halves.reading.named_block, "float32")
        merge_adapter(reader.model, halves.reconstructor).to(torch.bfloat16).eval()
        self.reader = reader
        self.head = load_file(halves.reconstructor / VALUE_HEAD_NAME)["weight"]
        self.tokenizer = open_tokenizer(halves.base)
        self.sidecar = halves.reading

    def mse_nrm(self, explanations: list[str], gold: Float[Tensor, "item d_model"]) -> list[float]:
        prompts = [reconstructor_prompt_ids(self.tokenizer, self.sidecar, text) for text in explanations]
        read = self.reader.read(prompts) @ self.head.T
        errors: list[float] = (2 * (1 - nn.functional.cosine_similarity(read, gold, dim=1))).tolist()
        return errors


def _read(
    rows: list[int], written: list[list[str | None]], vectors: Float[np.ndarray, "item d_model"], reader: _Reader
) -> list[Attempt]:
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
