"""Stored claims against the run: its sentences, its pairs, and the figures of the page it was imported from.

Takes what is stored and what the run now gives, returns faults, one sentence each. Whether the rows of the run agree
with one another is for the audits.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlareport.checks import ClaimCheck
from nlareport.claims.reading import OTHERWISE
from nlareport.errors import NlareportError
from nlareport.files.yaml_files import mapping_in
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Claim, Pair, Run

FIGURE_TOLERANCE = 1e-9
PAIR_FIELDS = ("family", "block_index", "d_model")
"""What a run's own text fixes of a pair; labels may be reworded."""


def claim_checks(required: Mapping[str, bool], claims: Sequence[Claim], absent: Mapping[str, str]) -> list[ClaimCheck]:
    """Every sentence the report may say with its verdict, in the order of `required` (id → whether it must hold).

    `absent` says what the run lacks for those it cannot be asked about; of these the weaker form is not listed.
    """
    asked = {claim.claim_id: claim for claim in claims}
    checks = []
    for claim_id, is_required in required.items():
        if claim := asked.get(claim_id):
            checks.append(ClaimCheck(claim_id, "holds" if claim.holds else "does not hold", claim.text, is_required))
        elif not claim_id.endswith(OTHERWISE):
            reason = absent.get(claim_id, "the run holds all that it needs, but no case that it applies to")
            checks.append(ClaimCheck(claim_id, "cannot be asked", reason, is_required))
    return checks


def claim_faults(checks: Sequence[ClaimCheck], stored: Sequence[Claim], now: Sequence[Claim]) -> list[str]:
    """Required sentences that do not hold, and stored ones that the run does not support.

    A sentence that is not stored, or is stored in other words with the same figures, is no fault: the file may be older
    than the sentence or its wording.
    """
    faults = [
        f"claim {check.claim_id}: is required and does not hold: {check.text} Look for what broke before publishing."
        for check in checks
        if check.is_required and check.verdict == "does not hold"
    ]
    asked = {claim.claim_id: claim for claim in now}
    for claim in stored:
        said = asked.get(claim.claim_id)
        if said is None:
            found = "this run has no data for it"
        elif _said(claim) != _said(said):
            found = f"the run now gives {said.text!r}"
        elif claim.holds != said.holds:
            found = f"it {'holds' if said.holds else 'does not hold'} on this run"
        elif not _agree(claim.figures, said.figures):
            found = "its stored figures are not those of the run"
        else:
            continue
        holds = "holds" if claim.holds else "does not hold"
        faults.append(
            f"claim {claim.claim_id}: the stored claim says {claim.text!r} ({holds}), but {found}. "
            f'Look with "nlareport query FILE {claim.query}", then re-create the run file.'
        )
    return faults


def _said(claim: Claim) -> list[str]:
    """The numbers in a claim's text and the names among its figures, sorted; none of its other words."""
    names = sorted({re.escape(value) for value in claim.figures.values() if isinstance(value, str)}, key=len)
    return sorted(re.findall("|".join([*reversed(names), r"\d[\d\u202f.,]*\d|\d"]), claim.text))


def pair_faults(run: Run, pairs: Sequence[Pair]) -> list[str]:
    """Pairs that the run's own text and its pair table describe differently; nothing when the run has no such text."""
    rows: dict[Any, Pair] = {pair.pair_id: pair for pair in pairs}
    faults = []
    for stated in _listed(run, "pairs"):
        row = rows.get(stated.get("pair_id"))
        if row is None:
            faults.append(
                f"pair {stated.get('pair_id')}: is in the run's experiment_yaml but not in its pair table; "
                "re-create the run file."
            )
            continue
        faults += [
            f"pair {row.pair_id}: {name} is {getattr(row, name)!r} in the pair table and {stated[name]!r} in the run's "
            "experiment_yaml; correct the one that is wrong."
            for name in PAIR_FIELDS
            if name in stated and stated[name] != getattr(row, name)
        ]
    return faults


def cell_faults(run: Run, cells: Collection[Cell]) -> list[str]:
    """Cells of published figures that differ from the figures file they were imported from."""
    if run.kind != "published":
        return []
    rows: dict[Any, Cell] = {(cell.source, cell.target): cell for cell in cells if cell.subset == "all"}
    faults = []
    for stated in _listed(run, "cells"):
        name = (stated.get("source"), stated.get("target"))
        given = (stated.get("fve_nrm"), *(stated.get("ci95") or (None, None)))
        row = rows.get(name)
        found = (row.fve_nrm, row.ci_low, row.ci_high) if row else (None, None, None)
        if found != given:
            faults.append(
                f"cell {name[0]} → {name[1]}: is {_cell_text(found)} in the cell table and {_cell_text(given)} in the "
                "figures it was imported from; import them again."
            )
    return faults


def _listed(run: Run, key: str) -> list[dict[str, Any]]:
    """The mappings under a key of the run's own text; none when it is no such text."""
    try:
        content = mapping_in(run.experiment_yaml or "", Path("experiment_yaml"), NlareportError, "run", "`pairs`")
    except NlareportError:
        return []
    found = content.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _cell_text(values: tuple[float | None, ...]) -> str:
    value, low, high = values
    return f"{value}" if low is None else f"{value} [{low}, {high}]"


def _agree(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; numbers may differ in their last digits, as sums in another order do."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= FIGURE_TOLERANCE
    return bool(one == other)
