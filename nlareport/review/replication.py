"""Whether a run replicates an earlier one, cell by cell: a test of equivalence within a tolerance.

Takes the cells of a comparison, returns a verdict each. A cell is replicated when the whole 95% interval of the
difference lies within ± the tolerance, not replicated when it lies wholly outside, else undecided: an interval too wide
is no evidence either way.

Where runs share items the interval is the paired one. Otherwise it is made of the two runs' own intervals (Zou and
Donner 2008, "MOVER"), as of two runs on different documents. An earlier value published without an interval counts
as exact. Each verdict comes with the minimum detectable difference of its interval and the power at the tolerance.
"""

import math
from collections.abc import Mapping, Sequence

from nlareport.checks import Replication, ReplicationVerdict
from nlareport.comparison import CellDifference
from nlareport.rows.run_rows import PairId
from nlareport.statistics.power import minimum_detectable_difference, n_for_equivalence, power_to_see, standard_error


def replications(
    cells: Sequence[CellDifference], n_here: Mapping[tuple[PairId, PairId], int | None], tolerance: float
) -> list[Replication]:
    """A verdict for every cell that has a value in the earlier run (A); this run is B."""
    return [
        _replication(cell, n_here.get((cell.source, cell.target)), tolerance)
        for cell in cells
        if cell.fve_a is not None
    ]


def replication_faults(found: Sequence[Replication], tolerance: float) -> list[str]:
    """One sentence for every cell that is not replicated."""
    return [
        f"cell {cell.source} → {cell.target}: is not replicated: {cell.here[0]:.3f} here, {cell.earlier[0]:.3f} there, "
        f"and the whole interval of the difference lies beyond ±{tolerance:g}. "
        'Look with "nlareport diff" for what was done otherwise.'
        for cell in found
        if cell.verdict == "not replicated"
    ]


def difference_interval(cell: CellDifference) -> tuple[float, float] | None:
    """95% interval of this run (B) minus the earlier one (A); None when this run gives no interval."""
    if cell.low is not None and cell.high is not None:
        return cell.low, cell.high
    if cell.fve_a is None or cell.fve_b is None or cell.low_b is None or cell.high_b is None:
        return None
    low_a = cell.fve_a if cell.low_a is None else cell.low_a
    high_a = cell.fve_a if cell.high_a is None else cell.high_a
    difference = cell.fve_b - cell.fve_a
    return (
        difference - math.hypot(cell.fve_b - cell.low_b, high_a - cell.fve_a),
        difference + math.hypot(cell.high_b - cell.fve_b, cell.fve_a - low_a),
    )


def _replication(cell: CellDifference, n_here: int | None, tolerance: float) -> Replication:
    interval, is_paired = difference_interval(cell), cell.low is not None
    error = None if interval is None else standard_error(*interval)
    verdict: ReplicationVerdict = "undecided"
    because = needed = None
    if interval is None:
        because = "this run has no value" if cell.fve_b is None else "this run gives no interval"
    elif -tolerance <= interval[0] and interval[1] <= tolerance:
        verdict = "replicated"
    elif interval[0] > tolerance or interval[1] < -tolerance:
        verdict = "not replicated"
    else:
        because, needed = _undecided(cell, interval, cell.n_items if is_paired else n_here, tolerance)
    return Replication(
        cell.source,
        cell.target,
        verdict,
        (cell.fve_a, cell.low_a, cell.high_a),
        (cell.fve_b, cell.low_b, cell.high_b),
        cell.difference,
        interval,
        is_paired,
        n_here,
        needed,
        tolerance,
        None if error is None else minimum_detectable_difference(error),
        None if error is None else power_to_see(tolerance, error),
        because,
    )


def _undecided(
    cell: CellDifference, interval: tuple[float, float], n_items: int | None, tolerance: float
) -> tuple[str, int | None]:
    """Why the interval does not decide, and how many items would."""
    if cell.low is not None:
        # A paired interval is of the items of both runs at once: it has one error, which shrinks with them.
        here, there = standard_error(*interval), 0.0
    else:
        here, there = standard_error(cell.low_b, cell.high_b), standard_error(cell.low_a, cell.high_a)
    if n_items is None:
        return "the interval of the difference crosses the tolerance, and how many items it is of is not known", None
    needed = n_for_equivalence(n_items, here, there, tolerance)
    if needed is None:
        return (
            "the earlier run's interval alone is too wide for this tolerance with any number of items here",
            None,
        )
    if needed <= n_items:
        return f"the difference lies close to the tolerance, though {n_items:,} items are enough for none", needed
    return f"{n_items:,} items are too few; about {needed:,} would tell no difference from one of {tolerance:g}", needed
