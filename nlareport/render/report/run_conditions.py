"""Reads what was chosen where checkpoints leave it open, and under what conditions texts were written.

Takes a reader and the run's head; returns the choices by pair, and facts on which a single text depends.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from nlareport.checks import ROLE_WORDS
from nlareport.ports import RunReader
from nlareport.render.origins import Answer, ask
from nlareport.render.report.protocol_strip import Fact, is_greedy
from nlareport.render.report.query_rows import RunHead
from nlareport.rows.run_rows import CheckpointRole, PairId


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """One choice (``choices``)."""

    pair_id: PairId
    label: str
    role: CheckpointRole
    topic: str
    text: str

    @property
    def about(self) -> str:
        """Whose choice it is and of what, such as “AV, stop ids”."""
        return f"{ROLE_WORDS.get(self.role, self.role)}, {self.topic.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class EnvironmentFact:
    """One recorded fact about how the run was made (``environment_facts``)."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the page says of both."""

    choices: Answer[ChoiceRow]
    facts: list[Fact]
    """What rounding, and so single texts, depend on; empty where the run does not say how many it wrote at once."""
    is_greedy: bool = True
    """Whether explanations were written greedily, as far as the run says."""

    @property
    def by_pair(self) -> list[tuple[str, list[ChoiceRow]]]:
        """The choices under the label of their pair."""
        rows = groupby(self.choices.rows, key=lambda row: (row.pair_id, row.label))
        return [(label, list(group)) for (_, label), group in rows]

    @property
    def injected_otherwise(self) -> set[PairId]:
        """The pairs whose vectors enter in another way than in the marker's place at a norm of their own."""
        return {row.pair_id for row in self.choices.rows if row.topic == "injection"}


def read_conditions(reader: RunReader, head: RunHead) -> Conditions:
    """What a run says of its choices and conditions."""
    environment = json.loads(head.environment)
    is_told = head.kind == "computed" and isinstance(environment, dict) and "batch_size" in environment
    facts = list(_facts(environment)) if is_told else []
    return Conditions(ask(reader, ChoiceRow, "choices"), facts, is_greedy(head))


def _facts(environment: Mapping[str, Any]) -> Iterator[Fact]:
    later = [entry for entry in environment.get("later") or [] if isinstance(entry, dict)]
    for term, names in (
        ("Batch size", ("batch_size",)),
        ("Device", ("device", "machine")),
        ("Data type of the weights", ("dtype",)),
        ("Libraries", ("libraries", "versions")),
    ):
        values = [said for entry in (environment, *later) if (said := _said(entry, names))]
        if values:
            yield Fact(term, "; later ".join(dict.fromkeys(values)))
    smaller = [
        f"{ROLE_WORDS.get(role, role)} of {pair_id}: {_text(n_rows)}"
        for pair_id, by_role in _mapping(environment.get("smaller_batches")).items()
        for role, n_rows in _mapping(by_role).items()
    ]
    if smaller:
        yield Fact("Smaller batches, where memory ran out", "; ".join(smaller))


def _said(entry: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(said for name in names if (said := _text(entry.get(name))))


def _text(value: object) -> str:
    """A recorded value in a line; of several each with its name. Nothing of what no run of ours records."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {said}" for name, part in value.items() if (said := _plain(part)))
    return _plain(value)


def _plain(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
