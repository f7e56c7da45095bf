"""Computes an experiment stage by stage: the one place that knows all stages and their order.

``documents → items → activations → explanations → reconstructions → scores → cells → pages``. Each stage asks the run
file what it lacks, computes that in batches and stores every batch before the next; so a run stopped anywhere goes on
where it was, and a finished one does nothing.
"""

from nlareport.backends import refuse_unknown
from nlareport.experiment.experiment_file import load_experiment
from nlareport.ports import Progress
from nlareport.run import start
from nlareport.run.context import Work
from nlareport.run.request import RunRequest, plan_run
from nlareport.run.scoring import score_run
from nlareport.run.stage import Stage
from nlareport.run.stage_list import BEFORE_SCORES
from nlareport.store.run_places import run_file_path
from nlareport.store.set_aside import set_aside

STAGES: tuple[Stage, ...] = (*BEFORE_SCORES, Stage("score", score_run))


def stage_names() -> list[str]:
    """What ``--only`` can ask for, in order."""
    return [stage.name for stage in STAGES]


def run_experiment(request: RunRequest, progress: Progress) -> str:
    """What the run file holds after computing everything of the experiment that it lacked, in a sentence.

    Raises:
        NlareportError: the experiment, a checkpoint, the corpus or the run file is not as it must be; everything
            computed before is stored.
    """
    plan = plan_run(request)
    # Asked before any checkpoint is looked for: whoever has only a published run file need not build one.
    if plan.db.exists() and (contents := start.summarize_finished(plan, progress)):
        start.update_wording(plan)
        return f"{contents}; nothing was missing"
    with start.open_run(plan, progress) as work:
        compute(work, request.only)
        left_out = work.kept.left_out(work.experiment)
        return start.describe_contents(work.run_file) + (f"; {left_out}" if left_out else "")


def start_over(request: RunRequest) -> str | None:
    """Makes room for a new run of the experiment: what is kept of the old one under which name, in a sentence.

    None when there is nothing to keep.

    Raises:
        NlareportError: the experiment or an engine's name is not as it must be, or the old run cannot be renamed; then
            nothing is.
    """
    load_experiment(request.path)
    refuse_unknown(request.models.engines)
    db = run_file_path(request.db)
    renamed = set_aside(db)
    kept = ", ".join(f"{former.name} as {new.name}" for former, new in renamed)
    return f"{request.db}: starts over; kept {kept}." if renamed else None


def compute(work: Work, only: str | None = None) -> None:
    """Everything that is still missing, or what one stage still lacks, stage by stage.

    Raises:
        CorpusTooShort: the corpus gave fewer items than asked for; what it gave is stored.
    """
    for stage in STAGES:
        if only in (None, stage.name):
            stage.step(work)
