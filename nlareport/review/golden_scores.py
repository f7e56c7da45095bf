"""Verdicts on golden scores: which recorded scores are within rounding of those measured here, and which pairs pass.

Takes cases of a golden file and what was measured, returns outcomes and faults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from nlareport.checks import GoldenOutcome, GoldenVerdict
from nlareport.errors import GoldenInvalid, PairUnknown
from nlareport.experiment.experiment_file import Experiment
from nlareport.experiment.pair_section import PairSpec
from nlareport.golden_files import Golden, GoldenCase, Recorder
from nlareport.rows.run_rows import PairId
from nlareport.shown import shown

TOLERANCES: Mapping[str, float] = {"float32": 0.01, "float16": 0.02, "bfloat16": 0.1}
"""How far an item's `mse_nrm` may be from the recorded one, as a share of it, by the coarser of the two dtypes.

Twelve scores of the pocket pairs move by up to 0.04 of themselves from bfloat16 to float32.
"""

FLOOR = 1e-4
"""A tolerance is at least this: of an error near 0 a share would be less than rounding."""

NORM_TOLERANCE = 0.05
"""How far an activation's norm may be from the recorded one, as a share of it."""

MOST_OUTSIDE = 20
"""One case of so many may be outside: an attention sink's error is a difference of large numbers."""


MOST_WORSE = 1.25
"""How many times the recorded mean that of other texts may be: rounding makes greedy texts part, each way alike."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of one case."""

    mse_nrm: float
    activation_norm: float


def cases_by_pair(
    experiment: Experiment, golden: Golden, recorder: Recorder | None, asked: str | None, path: Path
) -> list[tuple[PairSpec, list[GoldenCase]]]:
    """Every pair that cases are of, with its cases, in the experiment's order; only of the pair asked for, if one is.

    Raises:
        PairUnknown: the experiment has no pair of the name asked for.
        GoldenInvalid: a case is of a pair that the experiment does not have, or of none it says; no case is of the pair
            asked for; or a transcript is of another pair.
    """
    specs = {spec.pair_id: spec for spec in experiment.pairs}
    if asked is not None and asked not in specs:
        raise PairUnknown(f"The experiment has no pair {asked}; it has {', '.join(specs)}.")
    if recorder is not None:
        return [(_recorded_pair(specs, recorder, asked, path), golden.cases)]
    unnamed = asked or (next(iter(specs)) if len(specs) == 1 else None)
    cases: dict[str, list[GoldenCase]] = {pair_id: [] for pair_id in specs}
    for case in golden.cases:
        name = case.pair or unnamed
        if name not in cases:
            said = "names no pair" if name is None else f"is of {name}, which the experiment does not have"
            raise GoldenInvalid(f"{path}: {case.name}: {said}. Say --pair with one of {', '.join(specs)}.")
        if asked in (None, name):
            cases[name].append(case)
    if not any(cases.values()):
        raise GoldenInvalid(f"{path}: no case is of {asked}. Give the golden file of that pair.")
    return [(specs[name], some) for name, some in cases.items() if some]


def _recorded_pair(specs: Mapping[str, PairSpec], recorder: Recorder, asked: str | None, path: Path) -> PairSpec:
    """The pair that a transcript is of."""
    wanted = PurePath(recorder.reconstructor).name
    named = [spec for spec in specs.values() if asked is None and PurePath(spec.reconstructor or "").name == wanted]
    spec = specs[asked] if asked is not None else named[0] if named else None
    if spec is None:
        raise GoldenInvalid(
            f"{path}: is of {shown(recorder.reconstructor)}, which no pair of the experiment names. Say --pair with "
            f"one of {', '.join(specs)}."
        )
    if (spec.block_index, spec.d_model) != (recorder.block_index, recorder.d_model):
        raise GoldenInvalid(
            f"{path}: is of block {recorder.block_index} at d_model {recorder.d_model}, pair {spec.pair_id} of block "
            f"{spec.block_index} at {spec.d_model}. Give the transcript of that pair."
        )
    return spec


def outcome(pair_id: PairId, golden: Golden, case: GoldenCase, found: Measurement | str, dtype: str) -> GoldenOutcome:
    """One case against what was found here: a measurement, or what is at its place instead."""
    recorded = case.mse_nrm or 0.0
    half_step = 0.0 if golden.decimals is None else 0.5 * 10.0**-golden.decimals
    share = max(TOLERANCES[golden.dtype], TOLERANCES[dtype])
    tolerance = max(share * recorded, FLOOR) + half_step
    if isinstance(found, str):
        return GoldenOutcome(pair_id, case.name, "moved", recorded, None, tolerance, because=found)
    norms = None if case.activation_norm is None else (case.activation_norm, found.activation_norm)
    is_within = abs(found.mse_nrm - recorded) <= tolerance and (norms is None or _norm_agrees(*norms))
    verdict: GoldenVerdict = "within" if is_within else "outside"
    return GoldenOutcome(pair_id, case.name, verdict, recorded, found.mse_nrm, tolerance, norms)


def golden_faults(outcomes: Sequence[GoldenOutcome]) -> list[str]:
    """A sentence for every pair that is not as it was recorded."""
    faults = []
    for pair_id in dict.fromkeys(row.pair_id for row in outcomes):
        rows = [row for row in outcomes if row.pair_id == pair_id]
        bad = [row for row in rows if row.verdict != "within"]
        moved = [row for row in bad if row.verdict == "moved"]
        if moved:
            faults.append(
                f"{pair_id}: at {moved[0].name} {moved[0].because}, and so at {len(moved)} of {len(rows)} places. "
                "Use the tokenizer that the scores were recorded with."
            )
        elif len(bad) > len(rows) // MOST_OUTSIDE or _mean_is_outside(rows):
            faults.append(
                f"{pair_id}: {len(bad)} of {len(rows)} recorded scores are not what is measured here, mean mse_nrm "
                f"{mean_recorded(rows):.4g} recorded and {mean_here(rows):.4g} here{_norms_said(rows)}. "
                "Hold base model, block, tokenizer, reconstructor and its head against those the scores are of."
            )
    return faults


@dataclass(frozen=True, slots=True)
class WrittenTexts:
    """What a pair's AV writes here, against the recorded texts."""

    pair_id: PairId
    n_cases: int
    n_same: int
    """Texts that are the recorded ones, word for word."""
    recorded: float
    """Mean `mse_nrm` as recorded."""
    here: float
    """Mean `mse_nrm` of the texts written here."""

    @property
    def sentence(self) -> str:
        """What to tell of them."""
        return (
            f"{self.pair_id}: its AV writes {self.n_same} of {self.n_cases} texts as recorded; those it writes score "
            f"mse_nrm {self.here:.4g} on average, the recorded ones {self.recorded:.4g}."
        )


def written_texts(
    pair_id: PairId, cases: Sequence[GoldenCase], own: Sequence[GoldenCase], found: Sequence[Measurement | str]
) -> WrittenTexts:
    """The texts that were written and could be read, against the recorded ones of the same places."""
    rows = [row for row in zip(cases, own, found, strict=True) if isinstance(row[2], Measurement)]
    n_same = sum((case.explanation or "").split() == (new.explanation or "").split() for case, new, _ in rows)
    n = max(len(rows), 1)
    recorded = sum(case.mse_nrm or 0.0 for case, _, _ in rows) / n
    here = sum(one.mse_nrm for _, _, one in rows if isinstance(one, Measurement)) / n
    return WrittenTexts(pair_id, len(rows), n_same, recorded, here)


def text_faults(texts: Sequence[WrittenTexts]) -> list[str]:
    """A sentence for every AV whose own texts are clearly worse than the recorded ones, where there are enough."""
    return [
        f"{row.sentence} Hold its AV, the chat template, the stop ids and the injection scale against those recorded."
        for row in texts
        if row.n_cases >= MOST_OUTSIDE and row.here > MOST_WORSE * row.recorded
    ]


def mean_recorded(rows: Sequence[GoldenOutcome]) -> float:
    """Mean recorded `mse_nrm`."""
    return sum(row.recorded for row in rows) / len(rows)


def mean_here(rows: Sequence[GoldenOutcome]) -> float:
    """Mean `mse_nrm` of those that were measured here."""
    measured = [row.here for row in rows if row.here is not None]
    return sum(measured) / len(measured)


def _mean_is_outside(rows: Sequence[GoldenOutcome]) -> bool:
    # Rounding has no direction: over many cases it cancels, and half a case's tolerance is plenty.
    allowed = sum(row.tolerance for row in rows) / len(rows) / (2 if len(rows) >= MOST_OUTSIDE else 1)
    return abs(mean_here(rows) - mean_recorded(rows)) > allowed


def _norm_agrees(recorded: float, here: float) -> bool:
    return abs(here - recorded) <= NORM_TOLERANCE * recorded


def _norms_said(rows: Sequence[GoldenOutcome]) -> str:
    known = [row.norms for row in rows if row.norms is not None]
    if not known:
        return ""
    n_other = sum(not _norm_agrees(*norms) for norms in known)
    return f"; {n_other} of {len(known)} activations have another norm" if n_other else "; the activations' norms agree"
