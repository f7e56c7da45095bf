"""The sections `corpus` and `sampling`: where documents come from, and which of their positions become items."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from nlareport.experiment.section import Index, Section

MIN_LEFT_CONTEXT = 50
"""Tokens before an item in the reference tokenization, as the protocol has it."""
MESSAGES = "messages"


class Indexed(Section):
    """A corpus of which the documents from one index to another are read, both included."""

    first_index: Index = 0
    last_index: Index | None = None
    """None: to the end of the corpus."""

    @model_validator(mode="after")
    def _in_order(self) -> "Indexed":
        if self.last_index is not None and self.first_index > self.last_index:
            raise ValueError(
                f"first_index {self.first_index} is above last_index {self.last_index}, so no document lies between "
                "them; swap them"
            )
        return self


class Tabular(Indexed):
    """A corpus of rows: each is a text or a chat, with the positions to measure in it where they are listed."""

    text_column: str = "text"
    messages_column: str | None = None
    """Chats: lists of messages with `role` and `content`. A `text_column` called ``messages`` means the same."""
    positions_column: str | None = None
    """For `sampling.positions` that are listed: one number or a list of them."""

    @property
    def wanted(self) -> dict[str, str]:
        """The columns that are read, each with the key that names it."""
        names = {
            (self.messages_column or self.text_column): "messages_column" if self.messages_column else "text_column"
        }
        return names | ({self.positions_column: "positions_column"} if self.positions_column else {})

    @property
    def chat_column(self) -> str | None:
        """The column of chats; None when documents are texts."""
        return self.messages_column or (MESSAGES if self.text_column == MESSAGES else None)


class HuggingFaceCorpus(Tabular):
    """A slice of a dataset on the hub, read by streaming."""

    kind: Literal["huggingface"]
    name: str
    """Repository id; with `split` and the index it makes each `doc_id`."""
    config: str | None = None
    split: str
    first_index: Index
    last_index: Index


class LocalCorpus(Tabular):
    """A Parquet, CSV, JSON, JSON Lines or plain-text file, gzipped or not; in plain text, blank lines separate rows."""

    kind: Literal["local"]
    name: str
    path: Path
    """Relative paths start at the experiment file's folder."""
    split: str = "local"


class PocketCorpus(Indexed):
    """The news articles that are installed as a package, those that no pocket pair was trained on."""

    kind: Literal["pocket"]


class VectorsCorpus(Section):
    """Vectors that are measured as they are given, such as steering vectors: no base model reads any text."""

    kind: Literal["vectors"]
    name: str
    path: Path | dict[str, Path]
    """A Parquet or safetensors file; of several pairs, one for each by `pair_id`, because a vector belongs to one
    pair's space."""
    label_column: str = "label"
    """What each vector is called, if the file says so: shown where an item has its token."""

    def file_of(self, pair_id: str) -> Path:
        """The file of a pair's vectors."""
        return self.path[pair_id] if isinstance(self.path, dict) else self.path


Corpus = Annotated[HuggingFaceCorpus | LocalCorpus | PocketCorpus | VectorsCorpus, Field(discriminator="kind")]


class Every(Section):
    """Every n-th token of text, from the first that has enough left context."""

    every: int = Field(ge=1)


class Listed(Section):
    """The positions that the corpus lists in its `positions_column`."""

    listed: Literal["characters", "tokens"]
    """`characters`: how many of the document's characters are read, the item's included. `tokens`: the index of the
    item in the tokens of the reference pair, from 0, special tokens counted. In a chat, characters are counted in a
    message: each entry is [message, characters], messages from 0."""


def _form(value: Any) -> str:
    """Which of its forms `positions` has, so that a fault is reported for that one alone."""
    if isinstance(value, Every | Listed):
        return type(value).__name__.lower()
    return "name" if not isinstance(value, dict) else "listed" if "listed" in value else "every"


Positions = Annotated[
    Annotated[Literal["sampled", "last", "generation_prompt"], Tag("name")]
    | Annotated[Every, Tag("every")]
    | Annotated[Listed, Tag("listed")],
    Discriminator(_form),
]


class Sampling(Section):
    """Stage 0: which positions become items."""

    seed: int = Field(ge=-(2**63), le=2**63 - 1)
    n_items: int = Field(ge=2)
    positions_per_document: int = Field(default=1, ge=1)
    positions: Positions = "sampled"
    """`last`: the last token of text, in a chat the last of the chosen roles. `generation_prompt`: the last token
    before a chat's answer, which the chat template writes."""
    min_left_context: int | None = Field(default=None, ge=0)
    """Tokens before an item, special tokens counted. None: 50 where positions are sampled or counted off, else 0."""
    roles: list[str] = Field(default=["user", "assistant"], min_length=1)
    """Messages of a chat in which items are; tokens of the chat template are never sampled."""
    truncation_tokens: int = Field(default=2048, ge=51)
    reference_pair: str
    """The pair in whose tokenization positions are drawn."""

    @property
    def least_left_context(self) -> int:
        """Tokens before an item in the reference tokenization."""
        if self.min_left_context is not None:
            return self.min_left_context
        return MIN_LEFT_CONTEXT if self.positions == "sampled" or isinstance(self.positions, Every) else 0


def sampling_faults(corpus: Corpus, sampling: Sampling, pair_ids: Sequence[str]) -> Iterator[str]:
    """What the two sections say that does not go together."""
    fields = Sampling.model_fields.items()
    stated = {name for name, field in fields if not field.is_required() and getattr(sampling, name) != field.default}
    is_listed = isinstance(sampling.positions, Listed)
    if isinstance(corpus, VectorsCorpus):
        yield from _vector_faults(corpus, stated, pair_ids)
        return
    column = corpus.positions_column if isinstance(corpus, Tabular) else None
    if is_listed and column is None:
        yield "sampling.positions: are listed, so name the column that lists them as corpus.positions_column"
    if not is_listed and column is not None:
        yield "corpus.positions_column: is read where sampling.positions is {listed: characters} or {listed: tokens}"
    if sampling.positions != "sampled" and "positions_per_document" in stated:
        yield "sampling.positions_per_document: says how many are sampled; remove it, or sampling.positions"
    if not (isinstance(corpus, Tabular) and corpus.chat_column):
        if sampling.positions == "generation_prompt":
            yield "sampling.positions: only chats have a generation_prompt; name their column as corpus.messages_column"
        if "roles" in stated:
            yield "sampling.roles: only chats have roles; name their column as corpus.messages_column"


def _vector_faults(corpus: VectorsCorpus, stated: set[str], pair_ids: Sequence[str]) -> Iterator[str]:
    if stated:
        yield f"sampling.{', sampling.'.join(sorted(stated))}: given vectors have no positions; leave it out"
    if isinstance(corpus.path, dict):
        if set(corpus.path) != set(pair_ids):
            yield f"corpus.path: name one file for each of the pairs {', '.join(pair_ids)}, and for no other"
    elif len(pair_ids) > 1:
        yield "corpus.path: a vector belongs to one pair's space; name a file for each pair, as `pair_id: file`"
