"""The tables that say what a run was made from: checkpoints, and the texts of its documents, as digests.

As in ``rows``: one frozen dataclass per table, fields in column order.
"""

from dataclasses import dataclass
from typing import Literal

from nlareport.rows import PairId

CheckpointRole = Literal["base_model", "verbalizer", "reconstructor"]
"""Which checkpoint of a pair; also the key it has in an experiment file."""

MakingKind = Literal["weights", "config", "tokenizer", "chat_template", "prompt", "sidecar", "stop_ids", "script"]
"""What of a checkpoint decides its answers. `script` is all there is of a pair without checkpoints."""


@dataclass(frozen=True, slots=True)
class Making:
    """One thing that decides what one checkpoint of a pair answers, as it was before its first batch."""

    pair_id: PairId
    role: CheckpointRole
    kind: MakingKind
    digest: str
    """SHA-256 in hex; how each kind is taken: backends/fingerprints.py."""


@dataclass(frozen=True, slots=True)
class DocumentDigest:
    """The text of a document that was looked at, as a digest: the run file itself holds only tails of texts."""

    doc_id: str
    text_sha256: str
    """SHA-256 of the whole text in UTF-8, in hex."""
