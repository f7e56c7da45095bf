"""Protocols for what the package asks of the outside: tokenizers, models, executors, a run file to read, progress.

Anything that has these methods will do: Transformers on this machine, an inference server, a script in a test.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float

from nlareport.batches import ChatMessage, Completion, TokenDraws, Tokenization
from nlareport.checks import Finding

Row = TypeVar("Row")
Model = TypeVar("Model")
Batch = TypeVar("Batch")
Answer = TypeVar("Answer")


@runtime_checkable
class Tokenizer(Protocol):
    """Cuts text into the tokens of one base model."""

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text (BOS, EOS, padding and their kind)."""
        ...

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        """The tokens of a text with special tokens added, cut on the right to `max_tokens`."""
        ...


@runtime_checkable
class ChatTokenizer(Tokenizer, Protocol):
    """Cuts chats into the tokens of one base model too."""

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids other than `special_ids` that stand for no text and that a text can spell, such as those of turns."""
        ...

    def tokenize_chat(self, messages: Sequence[ChatMessage], *, is_asked: bool) -> Tokenization:
        """The tokens of a chat as the model's template renders it, with the characters of `conversation_text`.

        Tokens of the template cover none. With `is_asked` it ends where the model answers: in the generation prompt.

        Raises:
            ChatTemplateFails: the template refuses this chat.
        """
        ...


@runtime_checkable
class Extractor(Protocol):
    """Reads one base model's hidden vector after its block."""

    d_model: int

    def extract(self, token_ids: list[list[int]]) -> Float[np.ndarray, "item d_model"]:
        """The output of decoder block `block_index` at the last token of each sequence, float32."""
        ...


@runtime_checkable
class Verbalizer(Protocol):
    """Turns vectors into English."""

    def verbalize(
        self, vectors: Float[np.ndarray, "item d_model"], draws: TokenDraws | None = None
    ) -> list[Completion]:
        """One whole answer per vector, in order: the greedy one, or one whose tokens are drawn."""
        ...


@runtime_checkable
class Reconstructor(Protocol):
    """Turns English back into vectors."""

    def reconstruct(self, explanations: list[str]) -> Float[np.ndarray, "item d_model"]:
        """One vector per text, in order, float32, at whatever norm the head gives."""
        ...


@runtime_checkable
class InBatches(Protocol):
    """A model that answers several rows at once, and fewer of them where memory ran out."""

    @property
    def rows_that_fit(self) -> int | None:
        """How many rows fit into memory at once; None while as many do as it was made for."""
        ...


@runtime_checkable
class SelfTestingVerbalizer(Protocol):
    """A verbalizer that can test itself."""

    def self_tests(self, vectors: Float[np.ndarray, "item d_model"]) -> list[Finding]:
        """What quick tests find; `vectors` are those that it verbalized last."""
        ...


@runtime_checkable
class SelfTestingReader(Protocol):
    """An extractor or a reconstructor that can test itself."""

    def self_tests(self, read: Any, vectors: Float[np.ndarray, "item d_model"]) -> list[Finding]:
        """What quick tests find; `vectors` are what it made of the token ids or texts that it `read`."""
        ...


@runtime_checkable
class Executor(Protocol):
    """Decides where the batches of one model are answered: in this process, or by copies of the model elsewhere."""

    def map(
        self,
        open_model: Callable[[], AbstractContextManager[Model]],
        answer: Callable[[Model, Batch], Answer],
        batches: Iterable[Batch],
    ) -> Generator[tuple[Batch, Answer], None, None]:
        """Every batch with its answer, in any order, each as soon as it is there.

        Models are closed when the iteration ends or is closed. Neither `open_model` nor `answer` holds the run file,
        so both may be sent to other processes.
        """
        ...


@runtime_checkable
class RunReader(Protocol):
    """Answers named queries on one run file."""

    def rows(self, row_type: type[Row], query: str, **parameters: Any) -> list[Row]:
        """The answer of a named query, one `row_type` a row; column names must equal its fields."""
        ...

    def frame(self, query: str, **parameters: Any) -> pl.DataFrame:
        """The answer of a named query as a frame: for what has too many rows to make an object of each."""
        ...

    def sql(self, query: str) -> str:
        """The text of a named query, as a reader would run it."""
        ...


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A named query of the store, for readers to start from."""

    name: str
    purpose: str
    sql: str
    parameters: list[str]
    """Names of its `$name`s, in alphabetical order."""
    needs_texts: bool
    """It reads contexts or explanations."""
    needs_json: bool
    """It needs DuckDB's JSON extension."""


@dataclass(frozen=True, slots=True)
class PublicCopy:
    """A run as readers can download it, and query it in their browser."""

    run_file: Path | None
    """A copy of the run file; None when it is too large to publish."""
    bundles: list[Path]
    """The run's bundles as archives."""
    left_out: dict[str, int]
    """Files too large to publish, with their bytes."""
    schema: str
    """Statements that make the empty tables of a browser's database, none of which needs an extension."""
    views_of_run: str
    """Statements that put views of the run file, attached as `run`, in the place of empty tables."""
    completed: list[str]
    """Tables of which those statements make no view: rows of an older run file may have been added to."""
    without_texts: str
    """Statements that then take the columns out of them which `tables` lacks."""
    tables: dict[str, bytes]
    """Each table that has rows as gzipped CSV, without contexts and explanations: NULL is an empty field."""
    environment_facts: bytes
    """What the run's environment says, likewise; loaded whether or not the run file is."""
    queries: list[NamedQuery]


@runtime_checkable
class Progress(Protocol):
    """Is told how far a stage is, and shows it to a person or to nobody."""

    def stage(self, name: str, n_total: int, n_done: int) -> None:
        """A stage begins with `n_done` of `n_total` units already there."""
        ...

    def advance(self, n: int) -> None:
        """`n` more units of the current stage are safely stored."""
        ...


def in_batches(values: Sequence[Row], size: int) -> list[Sequence[Row]]:
    """The values in order, cut into runs of `size`; the last may be shorter."""
    return [values[start : start + size] for start in range(0, len(values), size)]
