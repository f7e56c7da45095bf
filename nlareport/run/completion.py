"""Tells whether a run is finished: everything computed, and scored under what the experiment now says.

Scores are stored with a stamp of all they rest on, ``environment.scored``; a run whose stamp differs is scored again.
"""

from typing import Any

from nlareport.errors import RunIncomplete
from nlareport.experiment.experiment_file import Experiment
from nlareport.rows.item_rows import Item
from nlareport.run.context import Work
from nlareport.run.stage_list import BEFORE_SCORES
from nlareport.run.vector_checks import lacks_vectors
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore

SCORES_VERSION = 4
"""Raised when a run scored by this version holds more, or other figures, than one scored before."""


def is_finished(run_file: RunFile, experiment: Experiment) -> bool:
    """Whether a run file holds everything the experiment asks for, to the scores.

    It needs no vector and no checkpoint to say so: a published run file travels without either, and then cannot be
    scored by a later version, so that it is finished as it is.
    """
    can_score_again = ActivationStore(run_file.path).folder.exists()
    return (
        run_file.count(Item) >= experiment.sampling.n_items
        and is_scored(run_file, experiment, by_this_version=can_score_again)
        and not lacks_vectors(run_file, experiment)
    )


def is_scored(run_file: RunFile, experiment: Experiment, *, by_this_version: bool = True) -> bool:
    """Whether the scores rest on all that the run file holds, and on what the experiment now says."""
    stored, wanted = run_file.run().environment.get("scored"), scores_stamp(run_file, experiment)
    if stored and not by_this_version:
        stored = {**stored, "version": SCORES_VERSION}
    return bool(stored == wanted)


def scores_stamp(run_file: RunFile, experiment: Experiment) -> dict[str, Any]:
    """What scores rest on, stored with them as ``scored``: when any of it changes, they are made again."""
    stamp: dict[str, Any] = {"version": SCORES_VERSION}
    for stage in BEFORE_SCORES:
        stamp |= stage.stamp(run_file, experiment)
    scoring = experiment.scoring
    # A run scored before there was a reducer took what is now called the mean, and is not scored again.
    stamp["scoring"] = scoring.model_dump(exclude={"reducer"} if scoring.reducer == "mean" else None)
    # Claims name pairs and ask for families.
    stamp["pairs"] = [[pair.pair_id, pair.label, pair.family] for pair in experiment.entries]
    # Half a pair may get the other half later; a run of whole pairs is stamped as it always was.
    if halves := {
        entry.pair_id: [entry.writes, entry.reads] for entry in experiment.entries if not (entry.writes and entry.reads)
    }:
        stamp["halves"] = halves
    # Only where some are asked for, so that a run scored before there was such a stage is not scored again.
    for stage in BEFORE_SCORES:
        stamp |= stage.asked_for(experiment)
    return stamp


def refuse_unfinished(work: Work) -> None:
    """Pass when all that scores rest on is there.

    Raises:
        RunIncomplete: a stage before the scores has not finished.
    """
    for stage in BEFORE_SCORES:
        if (what := stage.outstanding(work)) is not None:
            raise RunIncomplete(f"{work.run_file.path}: {what}; run without --only first.")
