"""One entry of `pairs`: the checkpoints of an NLA pair or of half of one, or a source of texts."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from nlareport.errors import CheckpointMissing
from nlareport.experiment.section import MOST_WHOLE, Name, Section
from nlareport.rows.run_rows import CheckpointRole


class Sidecars(Section):
    """What the halves' sidecars would say, where a checkpoint comes without one or with one that says less."""

    verbalizer: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys and values as in ``nla_meta.yaml``, and read like one."""
    reconstructor: dict[str, JsonValue] = Field(default_factory=dict)


class PairSpec(Section):
    """One NLA pair, or one half of it: what to load and what to call it."""

    kind: Literal["pair"] = "pair"
    pair_id: Name
    label: str
    family: str
    base_model: str
    """Hub id or checkpoint directory the activations are read from."""
    block_index: int = Field(ge=0, le=MOST_WHOLE)
    d_model: int = Field(ge=1, le=MOST_WHOLE)
    injection_scale: float | None = None
    """What the sidecar is expected to say; checked, never used instead of it."""
    verbalizer: str | None = None
    """Hub id, checkpoint directory, or ``pocket:PAIR_ID/av``; a hub id may end in ``@revision`` and ``:folder``. None:
    the pair only reads."""
    reconstructor: str | None = None
    """None: the pair only writes."""
    sidecars: Sidecars = Sidecars()
    sidecar_variance_nrm: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _has_a_half(self) -> "PairSpec":
        if self.verbalizer is None and self.reconstructor is None:
            raise ValueError(f"{self.pair_id} names neither a verbalizer nor a reconstructor; add the one it has")
        return self

    @property
    def writes(self) -> bool:
        """Whether it is a source."""
        return self.verbalizer is not None

    @property
    def reads(self) -> bool:
        """Whether it is a target."""
        return self.reconstructor is not None

    def has(self, role: CheckpointRole) -> bool:
        """Whether it has a checkpoint of this role; it always has a base model."""
        return getattr(self, role) is not None

    def checkpoint(self, role: CheckpointRole) -> str:
        """The name of a checkpoint that it has.

        Raises:
            CheckpointMissing: it has none of this role.
        """
        named: str | None = getattr(self, role)
        if named is None:
            raise CheckpointMissing(f"Pair {self.pair_id}: the experiment file names no {role}; add it.")
        return named


class TextsSpec(Section):
    """A source of texts that no verbalizer wrote: a file of them, or the last words before each item."""

    kind: Literal["texts"]
    pair_id: Name
    label: str
    family: str = "text"
    path: Path | None = None
    """A table with a column `text` and `item_id`, or `doc_id` and `char_end`. Relative paths start at the experiment
    file's folder."""
    last_words: int | None = Field(default=None, ge=1, le=MOST_WHOLE)
    """How many of the last words of each item's context."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> "TextsSpec":
        if (self.path is None) == (self.last_words is None):
            raise ValueError(f"{self.pair_id} needs either path or last_words; give one of them")
        return self

    @property
    def writes(self) -> bool:
        """Whether it is a source: always."""
        return True

    @property
    def reads(self) -> bool:
        """Whether it is a target: never."""
        return False


def _kind_of(entry: Any) -> str:
    said = entry.get("kind", "pair") if isinstance(entry, dict) else getattr(entry, "kind", "pair")
    return said if said in KINDS else "pair"


KINDS = ("pair", "texts")
"""What an entry may be; one that says neither is checked as a pair, and its kind is named as a fault."""
Entry = Annotated[Annotated[PairSpec, Tag("pair")] | Annotated[TextsSpec, Tag("texts")], Discriminator(_kind_of)]
