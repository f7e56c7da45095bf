"""The sections `corpus` and `sampling`: where documents come from, and which of their positions become items."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nlareport.experiment.section import Index, Section


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


class HuggingFaceCorpus(Indexed):
    """A slice of a dataset on the hub, read by streaming."""

    kind: Literal["huggingface"]
    name: str
    """Repository id; with `split` and the index it makes each `doc_id`."""
    config: str | None = None
    split: str
    text_column: str
    first_index: Index
    last_index: Index


class LocalCorpus(Indexed):
    """A Parquet, JSONL or plain-text file; in plain text, blank lines separate documents."""

    kind: Literal["local"]
    name: str
    path: Path
    """Relative paths start at the experiment file's folder."""
    split: str = "local"
    text_column: str = "text"


class PocketCorpus(Indexed):
    """The news articles that are installed as a package, those that no pocket pair was trained on."""

    kind: Literal["pocket"]


Corpus = Annotated[HuggingFaceCorpus | LocalCorpus | PocketCorpus, Field(discriminator="kind")]


class Sampling(Section):
    """Stage 0: which positions become items."""

    seed: int = Field(ge=-(2**63), le=2**63 - 1)
    n_items: int = Field(ge=2)
    positions_per_document: int = Field(default=1, ge=1)
    truncation_tokens: int = Field(default=2048, ge=51)
    reference_pair: str
    """The pair in whose tokenization positions are drawn."""
