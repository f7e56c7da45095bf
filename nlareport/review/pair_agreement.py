"""Verifies pairs: measures them again on the first items of a recorded run, and says whether the scores agree.

Takes what both runs hold of the same items, returns an `Agreement` per pair, or refuses where there is nothing to
compare. Only the pair's own cell is compared, its texts read by its own reconstructor, and both runs' errors are
divided by the recorded V: V of a few items is another number than V of all of them.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nlareport.engine_options import ModelOptions
from nlareport.errors import CorpusTooShort, ItemsMoved, PairNotRecorded
from nlareport.ports import Progress
from nlareport.rows.item_rows import Explanation, Item, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run import start
from nlareport.run.pipeline import compute
from nlareport.run.request import RunPlan, RunRequest, limit_items, narrow_to_pairs, plan_run
from nlareport.statistics.geometry import fve_nrm
from nlareport.store.whole_run import read_run

N_ITEMS = 64
"""How many of the recorded run's first items are measured again: minutes on a laptop, and enough that a pair built
from other adapters, or with a wrong scale, is off by far more than `TOLERANCE`."""

TOLERANCE = 0.02
"""How far the mean fve_nrm may be from the recorded one. Other machines, batches and library versions round bfloat16
differently; now and then that turns a greedy choice, and the text goes on in other words."""

MOST_SCORED_ONCE = 0.05
"""Largest share of the items that may have a score in one of the two runs only, for the same reason. More of them
are a pair that no longer answers, and the mean over the rest would hide it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one run holds of texts and scores."""

    explanations: Sequence[Explanation]
    scores: Sequence[Score]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One pair's own cell, measured again and as recorded, over the items scored both times."""

    pair_id: PairId
    n_items: int
    """Items measured again."""
    n_scored_once: int
    """Of these, items with a score in one of the two runs only."""
    n_same_texts: int
    """Of these, items the verbalizer gave the same answer for, to the letter."""
    fve_nrm: float | None
    """None when no item was scored both times."""
    recorded_fve_nrm: float | None

    @property
    def agrees(self) -> bool:
        """Whether both measurements are the same but for rounding."""
        if self.fve_nrm is None or self.recorded_fve_nrm is None:
            return False
        is_near = abs(self.fve_nrm - self.recorded_fve_nrm) <= TOLERANCE
        return is_near and self.n_scored_once <= MOST_SCORED_ONCE * self.n_items

    def __str__(self) -> str:
        """The line a person reads."""
        figures = "none of them scored both times"
        if self.fve_nrm is not None and self.recorded_fve_nrm is not None:
            figures = (
                f"fve_nrm {self.fve_nrm:.3f}, recorded {self.recorded_fve_nrm:.3f}, "
                f"difference {self.fve_nrm - self.recorded_fve_nrm:+.3f}"
            )
        once = f", {self.n_scored_once} scored only once" if self.n_scored_once else ""
        texts = f"{self.n_same_texts} of {self.n_items} texts the same"
        verdict = "agrees" if self.agrees else "does not agree"
        return f"{self.pair_id}: {self.n_items} items{once}, {figures}, {texts}; {verdict}"


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Pairs to measure again, and the recorded run to compare them with."""

    path: Path
    """The experiment file."""
    against: Path
    """The recorded run file."""
    pair_ids: Sequence[str] = ()
    """The pairs; all of the experiment's when none is named."""
    models: ModelOptions = field(default_factory=ModelOptions)


def verify_pairs(request: VerifyRequest, progress: Progress) -> list[Agreement]:
    """How the experiment's pairs, or those asked for, built again, measure the first items of a recorded run.

    The items go through the stages of every run, in a run file that is thrown away; the recorded one is only read.

    Raises:
        PairUnknown: the experiment has no pair of this name.
        PairNotRecorded: the recorded run has no scores of a pair.
        ItemsMoved: the recorded run measured other places than the experiment draws.
        NlareportError: the recorded file is missing or of another experiment, or anything a run refuses.
    """
    plan, recorded = plan_run(RunRequest(request.path, request.against, request.models)), read_run(request.against)
    experiment = narrow_to_pairs(plan.experiment, request.pair_ids or [pair.pair_id for pair in plan.experiment.pairs])
    pair_ids = [PairId(pair.pair_id) for pair in experiment.pairs]
    stored = start.read_stored_experiment(recorded.run, request.against)
    refuse_unrecorded(recorded.of(Pair), pair_ids, request.against)
    asked = narrow_to_pairs(stored, pair_ids)
    start.refuse_another(asked, experiment, request.against, "or give the run file that was computed with them")
    items = recorded.of(Item)[:N_ITEMS]
    # What an unclean answer costs may change without another run; here both sides must count it alike.
    # One explanation of an item is enough to tell whether the pair writes as it did.
    once = experiment.decoding.model_copy(update={"draws": 1})
    experiment = limit_items(experiment.model_copy(update={"scoring": stored.scoring, "decoding": once}), len(items))
    with TemporaryDirectory() as scratch:
        db = Path(scratch) / "again.duckdb"
        again = _measure_again(
            replace(plan, experiment=experiment, db=db, rebuilds_pairs=True), items, request, progress
        )
    before = _first_draws(recorded.of(Explanation), recorded.of(Score))
    rows = {pair.pair_id: pair for pair in recorded.of(Pair)}
    return [compare(rows[pair_id], items, before, again) for pair_id in pair_ids]


def _measure_again(plan: RunPlan, items: Sequence[Item], request: VerifyRequest, progress: Progress) -> Answers:
    """What a new run of the plan holds, once it has drawn the recorded items."""
    with start.open_run(plan, progress) as work:
        # A corpus that became shorter is noticed by the places it no longer gives.
        with suppress(CorpusTooShort):
            compute(work, "sample")
        refuse_moved(items, work.items(), request.against)
        compute(work)
        return _first_draws(work.run_file.rows(Explanation), work.run_file.rows(Score))


def _first_draws(explanations: Sequence[Explanation], scores: Sequence[Score]) -> Answers:
    return Answers([row for row in explanations if row.draw == 0], [row for row in scores if row.draw == 0])


def refuse_unrecorded(pairs: Sequence[Pair], asked: Collection[PairId], file: Path) -> None:
    """Pass when the recorded run has measured every pair that is asked for.

    Raises:
        PairNotRecorded: it has not; all of them are named.
    """
    measured = {pair.pair_id for pair in pairs if pair.variance_nrm is not None}
    if missing := [pair_id for pair_id in asked if pair_id not in measured]:
        raise PairNotRecorded(
            f"{file}: holds no scores of {', '.join(missing)}; "
            'compute them into it with "nlareport run", or name another run file with --against.'
        )


def refuse_moved(recorded: Sequence[Item], drawn: Sequence[Item], file: Path) -> None:
    """Pass when the recorded items are places that were drawn again under the same numbers.

    Raises:
        ItemsMoved: some are not; the first of them is named.
    """
    places = {item.item_id: (item.doc_id, item.char_end, item.token) for item in drawn}
    moved = [item for item in recorded if places.get(item.item_id) != (item.doc_id, item.char_end, item.token)]
    if moved:
        raise ItemsMoved(
            f"{file}: {len(moved)} of its first {len(recorded)} items are not the places the experiment draws; item "
            f"{moved[0].item_id} is {moved[0].token!r} at character {moved[0].char_end} of {moved[0].doc_id}. "
            "Give the experiment and corpus it was recorded with, or record it again."
        )


def compare(pair: Pair, items: Sequence[Item], recorded: Answers, again: Answers) -> Agreement:
    """How the pair's own cell compares over these items; `pair` is the recorded row, whose V serves both.

    Raises:
        TooFewItems: the recorded V is 0.
    """
    item_ids = [item.item_id for item in items]
    before, now = (_own_errors(answers, pair.pair_id) for answers in (recorded, again))
    common = [item_id for item_id in item_ids if item_id in before and item_id in now]
    texts_before, texts_now = (_texts(answers, pair.pair_id) for answers in (recorded, again))
    return Agreement(
        pair_id=pair.pair_id,
        n_items=len(item_ids),
        n_scored_once=sum((item_id in before) != (item_id in now) for item_id in item_ids),
        n_same_texts=sum(texts_before.get(item_id) == texts_now.get(item_id) for item_id in item_ids),
        fve_nrm=_mean_fve([now[item_id] for item_id in common], pair.variance_nrm or 0.0),
        recorded_fve_nrm=_mean_fve([before[item_id] for item_id in common], pair.variance_nrm or 0.0),
    )


def _own_errors(answers: Answers, pair_id: PairId) -> dict[int, float]:
    """The pair's mse_nrm on its own explanations, by item, where there is one."""
    return {
        row.item_id: row.mse_nrm
        for row in answers.scores
        if row.source == row.target == pair_id and row.mse_nrm is not None
    }


def _texts(answers: Answers, pair_id: PairId) -> dict[int, str | None]:
    """The pair's whole answers, by item: two answers without an explanation may still differ."""
    return {row.item_id: row.completion for row in answers.explanations if row.source == pair_id}


def _mean_fve(errors: list[float], variance: float) -> float | None:
    return float(fve_nrm(np.array(errors), variance).mean()) if errors else None
