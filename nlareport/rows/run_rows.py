"""The tables that say what a run is and what it was made from: its pairs, documents, checkpoints and claims.

One frozen dataclass per table, fields in column order. What the columns mean to SQL users is said in the schema with
``COMMENT ON``; what absence means, here.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NewType

from nlareport.rows.declaration import table

PairId = NewType("PairId", str)
"""Such as ``qwen7-L20``: also what ``source`` and ``target`` hold."""
Reducer = Literal["mean"]
"""How the scores of an item's draws become one. What each does: statistics/draw_folding.py, and the view item_score."""
RunKind = Literal["computed", "published", "imported"]


@table(key=("run_id",))
@dataclass(frozen=True, slots=True)
class Run:
    """The one row that says what this file is and how it came to be."""

    run_id: str
    title: str
    series_name: str | None
    series_number: int | None
    kind: RunKind
    experiment_yaml: str | None
    """The experiment file as it was read, comments included. None for an imported bundle."""
    nlareport_version: str
    schema_version: int
    seed: int | None
    created_at: datetime
    environment: dict[str, Any]
    """Stored as JSON. Computed: device, dtype, batch size, library versions, checkpoint sha256. Published: the
    file's own protocol, range-only nulls, notes and the choice of sample cards."""
    reducer: Reducer = "mean"


@table(key=("pair_id",))
@dataclass(frozen=True, slots=True)
class Pair:
    """One NLA pair, half of one or a source of texts, and the geometry of its activations on this run's items."""

    pair_id: PairId
    label: str
    family: str
    base_model: str | None
    """None for a source of texts, which has no model, and so no block and no width."""
    block_index: int | None
    d_model: int | None
    injection_scale: float | None
    """None when the verbalizer takes vectors at their own norm."""
    mse_scale: float | None
    """None when the sidecar names none; scoring then uses sqrt(d_model)."""
    variance_nrm: float | None
    """V of the protocol. None until the score stage ran, and for published figures that do not state it."""
    mean_norm: float | None
    """|mu| in units of sqrt(d_model), in [0, 1]. None with `variance_nrm`."""
    sidecar_variance_nrm: float | None
    """V as the release states it from its training data. None when it does not."""
    ordinal: int
    """Place in the experiment file; the order of rows and columns everywhere."""
    writes: bool = True
    """Whether it is a source: it has a verbalizer, or texts."""
    reads: bool = True
    """Whether it is a target: it has a reconstructor."""

    @property
    def has_model(self) -> bool:
        """Whether it has activations; a source of texts has none."""
        return self.base_model is not None

    def is_other_model(self, other: "Pair") -> bool:
        """Whether the two have vector spaces of their own: of two models, or at two blocks of one.

        Two pairs at one block of one model are versions of each other; a source of texts has no space.
        The view `cell_kind` says the same in SQL.
        """
        is_known = self.has_model and other.has_model
        return is_known and (self.base_model, self.block_index) != (other.base_model, other.block_index)


@table(key=("doc_id",), bundle="documents")
@dataclass(frozen=True, slots=True)
class Document:
    """One document that was looked at, whether or not it gave an item."""

    doc_id: str
    corpus: str
    source_index: int | None
    n_chars: int | None
    """Length of the document in characters. None when only its id is known."""
    skipped_reason: str | None = None
    """Why the document gave no item. None when it gave one."""


CheckpointRole = Literal["base_model", "verbalizer", "reconstructor"]
"""Which checkpoint of a pair; also the key it has in an experiment file."""
MakingKind = Literal[
    "weights", "config", "tokenizer", "chat_template", "prompt", "sidecar", "stop_ids", "script", "texts"
]
"""What of a checkpoint decides its answers. `script` is all there is of a pair without checkpoints, `texts` the file of
a source of texts, which is kept under the role that writes."""


@table(key=("pair_id", "role", "kind"), bundle="makings")
@dataclass(frozen=True, slots=True)
class Making:
    """One thing that decides what one checkpoint of a pair answers, as it was before its first batch."""

    pair_id: PairId
    role: CheckpointRole
    kind: MakingKind
    digest: str
    """SHA-256 in hex; how each kind is taken: backends/fingerprints.py."""


@table(key=("doc_id",), bundle="document_digests")
@dataclass(frozen=True, slots=True)
class DocumentDigest:
    """The text of a document that was looked at, as a digest: the run file itself holds only tails of texts."""

    doc_id: str
    text_sha256: str
    """SHA-256 of the whole text in UTF-8, in hex."""


@table(key=("pair_id", "role", "topic"), bundle="choices")
@dataclass(frozen=True, slots=True)
class Choice:
    """What was done where a checkpoint leaves it open, or where the public release does otherwise."""

    pair_id: PairId
    role: CheckpointRole
    topic: str
    """Such as `stop_ids` or `stream`: one word for what was chosen."""
    text: str
    """One sentence for the page, with what was chosen."""


@table(key=("pair_id", "role", "test"), bundle="self_tests")
@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a quick test of a model said while the run computed with it."""

    pair_id: PairId
    role: CheckpointRole
    test: str
    """Such as `alone_equals_batch`."""
    passed: bool
    value: float | None
    """What was measured. None where the test has no number."""
    tolerance: float | None
    """The largest value that passes. None where the test has no number."""
    text: str
    """One sentence for the page: what was held against what."""


@table(key=("claim_id",), bundle="claims")
@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of the report, with the figures it was filled with and whether it holds."""

    claim_id: str
    text: str
    query: str
    holds: bool
    figures: dict[str, Any]
