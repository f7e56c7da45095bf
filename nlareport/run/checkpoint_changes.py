"""Compares the checkpoints of a run with those it was begun with, and says in a sentence what changed.

Takes rows of `Making`, those stored and those found now; returns what differs, in words. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nlareport.rows.run_rows import CheckpointRole, Making, MakingKind, PairId, Run

ROLE_NAMES: dict[CheckpointRole, str] = {
    "base_model": "base model",
    "verbalizer": "verbalizer",
    "reconstructor": "reconstructor",
}
KIND_NAMES: dict[MakingKind, str] = {
    "weights": "weights (*.safetensors)",
    "config": "configuration (config.json)",
    "tokenizer": "tokenizer (its files)",
    "chat_template": "chat template",
    "prompt": "rendered prompt",
    "sidecar": "sidecar (nla_meta.yaml)",
    "stop_ids": "stop ids (generation_config.json)",
    "script": "script",
    "texts": "file of texts",
}
DIGEST_BEGINNING = 12
N_NAMED = 3
START_OVER = "start over with --new-run, which keeps the old run under another name"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing of one checkpoint as it was and as it is."""

    then: Making
    now: Making

    @property
    def is_real(self) -> bool:
        """Whether the digests differ."""
        return self.then.digest != self.now.digest

    def __str__(self) -> str:
        of_role = "" if self.then.kind == "texts" else f" of the {ROLE_NAMES[self.then.role]}"
        place = f"{KIND_NAMES[self.then.kind]}{of_role} of pair {self.then.pair_id}"
        return f"the {place} (sha256 {beginning(self.then.digest)} then, {beginning(self.now.digest)} now)"


def beginning(digest: str) -> str:
    """Enough of a digest to distinguish it from another."""
    return f"{digest[:DIGEST_BEGINNING]}…"


def changes(stored: Iterable[Making], found: Iterable[Making]) -> list[Change]:
    """What both have and differs, in order of pair, role and kind.

    A chat template that renders the prompt as before has not changed.
    """
    before = {_key(row): row for row in stored}
    now = {_key(row): row for row in found}
    both = [Change(before[key], now[key]) for key in now if key in before]
    same_prompts = {_owner(change) for change in both if change.then.kind == "prompt" and not change.is_real}
    return [
        change
        for change in both
        if change.is_real and not (change.then.kind == "chat_template" and _owner(change) in same_prompts)
    ]


def unstored(stored: Iterable[Making], found: Iterable[Making]) -> list[Making]:
    """What was found and is not stored yet."""
    known = {_key(row) for row in stored}
    return [row for row in found if _key(row) not in known]


def name_changes(found: Sequence[Change]) -> str:
    """The changes as a part of a sentence; the rest of many as a number."""
    shown = "; ".join(str(change) for change in found[:N_NAMED])
    return shown if len(found) <= N_NAMED else f"{shown}; and {len(found) - N_NAMED} more"


def advice(found: Sequence[Change]) -> str:
    """A sentence that says what to do about changes."""
    changed = {(*_owner(change), change.then.kind) for change in found}
    for owner in {_owner(change) for change in found if change.then.kind == "prompt"}:
        # When a prompt changed and none of its files did, its template reads the clock.
        if not {(*owner, kind) for kind in ("chat_template", "tokenizer", "sidecar")} & changed:
            return f"Its chat template may write the date: take that out of it and {START_OVER}."
    return f"Put back what was there, or {START_OVER}."


def stored_weights(run: Run) -> list[Making]:
    """The digests of weights that a run file of schema version 4 or earlier has once it was scored."""
    checkpoints = run.environment.get("checkpoints")
    if run.kind != "computed" or not isinstance(checkpoints, dict):
        return []
    return [
        Making(PairId(pair_id), role, "weights", digest)
        for pair_id, digests in checkpoints.items()
        if isinstance(digests, dict)
        for role in ROLE_NAMES
        if isinstance(digest := digests.get(role), str)
    ]


def weights_by_pair(rows: Iterable[Making]) -> dict[str, dict[str, str]]:
    """The digests of weights as ``run.environment`` has them: by pair, then by role."""
    stated: dict[str, dict[str, str]] = {}
    for row in rows:
        of_pair = stated.setdefault(row.pair_id, {})
        if row.kind == "weights":
            of_pair[row.role] = row.digest
    return stated


def _key(row: Making) -> tuple[PairId, CheckpointRole, MakingKind]:
    return row.pair_id, row.role, row.kind


def _owner(change: Change) -> tuple[PairId, CheckpointRole]:
    return change.then.pair_id, change.then.role
