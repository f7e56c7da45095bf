"""What a check found, as values: tests of a model, claims, cells against an earlier run's, and numbers in a text.

Frozen dataclasses that `review` and `run` fill and a terminal shows. A fault is one sentence: what, where, what next.
"""

from dataclasses import dataclass, field
from typing import Literal

from nlareport.rows.run_rows import CheckpointRole, PairId

ClaimVerdict = Literal["holds", "does not hold", "cannot be asked"]
ReplicationVerdict = Literal["replicated", "not replicated", "undecided"]
GoldenVerdict = Literal["within", "outside", "moved"]
NumberVerdict = Literal["confirmed", "contradicted", "cannot know"]

ROLE_WORDS: dict[str, str] = {"base_model": "base model", "verbalizer": "AV", "reconstructor": "AR"}
"""Roles of checkpoints in a reader's words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one quick test of a model found."""

    test: str
    """Such as `alone_equals_batch`."""
    passed: bool
    text: str
    """One sentence for the page: what was held against what."""
    value: float | None = None
    """What was measured. None where the test has no number, or found none."""
    tolerance: float | None = None
    """The largest value that passes. None where the test has no number."""
    is_wrong: bool = False
    """Whether the model's numbers would be wrong, not only less exact than they might be."""


@dataclass(frozen=True, slots=True)
class SelfTestRow:
    """One quick test of one model, as the run file holds it (``self_tests``)."""

    pair_id: PairId
    pair_label: str
    role: CheckpointRole
    test: str
    passed: bool
    value: float | None
    """None where the test has no number."""
    tolerance: float | None
    text: str

    @property
    def about(self) -> str:
        """Whose model was tested, such as “Gemma-3-270M · B9, AV”."""
        return f"{self.pair_label}, {ROLE_WORDS.get(self.role, self.role)}"


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """One sentence of the report, asked of the run now."""

    claim_id: str
    verdict: ClaimVerdict
    text: str
    """With its figures; where it cannot be asked, what the run lacks for it."""
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Replication:
    """One cell of this run against the same cell of an earlier one."""

    source: PairId
    target: PairId
    verdict: ReplicationVerdict
    earlier: tuple[float | None, float | None, float | None]
    """fve_nrm and the two ends of its interval."""
    here: tuple[float | None, float | None, float | None]
    difference: float | None
    """This run minus the earlier one: over shared items where there are any, else of the two values."""
    interval: tuple[float, float] | None
    """95% interval of the difference. None when either run gives none."""
    is_paired: bool
    n_here: int | None
    n_needed: int | None
    """Items, as many a document as now, that show equivalence at 80% power when there is no difference. None when the
    number is not known, or no number is enough."""
    tolerance: float
    """How far the two values may be apart."""
    minimum_detectable_difference: float | None
    """At 80% power: a true difference that large has an interval that excludes 0 in 4 runs of 5. None without one."""
    power: float | None
    """How often, 0 to 1, a true difference of the tolerance has an interval that excludes 0."""
    because: str | None = None
    """Why it is undecided."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that the run knows."""

    name: str
    """Such as ``qwen7-L20 → llama70-L53 fve_nrm (all)``."""
    value: float
    cell: tuple[PairId, PairId] | None = None
    """None when it does not belong to one cell."""
    word: str | None = None
    """The word that names it in prose, such as ``documents``. None when no word alone does."""


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number as somebody wrote it."""

    line: int
    """From 1."""
    text: str
    """With its sign and percent sign."""
    value: float
    """Of a percentage its hundredth."""
    step: float
    """What the last digit written counts."""
    is_whole: bool
    """Written without decimals and without a percent sign."""
    cell: tuple[PairId, PairId] | None = None
    """The cell the words before it name."""
    word: str | None = None
    """The word next to it that names a figure."""


@dataclass(frozen=True, slots=True)
class NumberFinding:
    """What the run says of a written number."""

    number: WrittenNumber
    verdict: NumberVerdict
    about: str
    """The figure that rounds to it, what the run has instead, or nothing."""


@dataclass(frozen=True, slots=True)
class GoldenOutcome:
    """One recorded score and the one measured here."""

    pair_id: PairId
    name: str
    verdict: GoldenVerdict
    """`moved`: another token stands at its place, so that nothing was measured."""
    recorded: float
    """`mse_nrm`."""
    here: float | None
    """None when nothing was measured."""
    tolerance: float
    """How far `mse_nrm` may be from what was recorded."""
    norms: tuple[float, float] | None = None
    """Norm of the activation as recorded and here. None when it was not recorded, or nothing was measured."""
    because: str | None = None
    """What moved."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Everything a check found."""

    claims: list[ClaimCheck]
    replications: list[Replication] = field(default_factory=list)
    numbers: list[NumberFinding] = field(default_factory=list)
    golden: list[GoldenOutcome] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was looked at besides, and is no fault; one sentence each."""


@dataclass(frozen=True, slots=True)
class AbsentTable:
    """Something that an imported run does not hold (``absent_tables``)."""

    file: str
    """Of a bundle, that would bring it."""
    what: str
    """What it is and what rests on it, as part of a sentence."""
