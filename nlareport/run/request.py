"""What is to be computed: the request of the command line, and the plan that is made of it once files are read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nlareport.engine_options import ModelOptions
from nlareport.errors import PairUnknown
from nlareport.experiment.experiment_file import Experiment, experiment_text, parse_experiment
from nlareport.experiment.pair_section import PairSpec
from nlareport.run.stage_list import without_optional_stages
from nlareport.store.run_places import run_file_path


@dataclass(frozen=True, slots=True)
class RunRequest:
    """An experiment file, a run file to compute it into, and how."""

    path: Path
    db: Path
    models: ModelOptions = field(default_factory=ModelOptions)
    limit: int | None = None
    """At most this many items; None for as many as the experiment says."""
    only: str | None = None
    """The one stage to compute; None for all."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """An experiment that has been read, a run file to compute it into, and how."""

    experiment: Experiment
    text: str
    """What stands in the experiment file."""
    folder: Path
    """Where relative paths in it start."""
    reference: PairSpec
    """The pair in whose tokenization positions are drawn; it need not be one of those measured."""
    db: Path
    models: ModelOptions
    rebuilds_pairs: bool = False
    """Whether pocket pairs are built again although they are in the cache."""


def plan_run(request: RunRequest) -> RunPlan:
    """What a request comes to.

    Raises:
        ExperimentInvalid: the experiment file is missing or has faults.
    """
    text = experiment_text(request.path)
    experiment = limit_items(parse_experiment(text, request.path), request.limit)
    db = run_file_path(request.db)
    return RunPlan(experiment, text, request.path.parent, reference_pair(experiment), db, request.models)


def reference_pair(experiment: Experiment) -> PairSpec:
    """The pair in whose tokenization positions are drawn."""
    return next(pair for pair in experiment.pairs if pair.pair_id == experiment.sampling.reference_pair)


def limit_items(experiment: Experiment, limit: int | None) -> Experiment:
    """The experiment, asking for at most `limit` items."""
    n_items = experiment.sampling.n_items if limit is None else min(limit, experiment.sampling.n_items)
    return experiment.model_copy(update={"sampling": experiment.sampling.model_copy(update={"n_items": n_items})})


def narrow_to_pairs(experiment: Experiment, pair_ids: Sequence[str]) -> Experiment:
    """The experiment on these of its pairs without its optional stages: what measures the pairs themselves.

    Raises:
        PairUnknown: it has no pair of such a name.
    """
    known = [pair.pair_id for pair in experiment.pairs]
    if unknown := [pair_id for pair_id in pair_ids if pair_id not in known]:
        raise PairUnknown(f"The experiment has no pair {', '.join(unknown)}; it has {', '.join(known)}.")
    pairs = [pair for pair in experiment.pairs if pair.pair_id in pair_ids]
    return without_optional_stages(experiment).model_copy(update={"entries": pairs})
