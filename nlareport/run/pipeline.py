"""Which stages, in which order, for what is still missing: the only place that knows the order.

``documents → items → activations → explanations → reconstructions → scores → cells → pages``. Each step asks the run
file what it lacks, hands a batch to a stage and stores the answer before it goes on; so a run stopped anywhere goes
on where it was, and a finished one does nothing.
"""

from collections.abc import Callable
from pathlib import Path

from nlareport.backends import refuse_unknown
from nlareport.experiment import experiment_text, load_experiment
from nlareport.ports import Progress
from nlareport.run import start
from nlareport.run.ablation import ablate_explanations
from nlareport.run.context import Work
from nlareport.run.context_reading import read_plain_words
from nlareport.run.models import extract_activations, reconstruct_activations, verbalize_activations
from nlareport.run.sampling import sample_items
from nlareport.run.scoring import score_run
from nlareport.store.run_places import run_file_path
from nlareport.store.set_aside import set_aside

STAGES: dict[str, Callable[[Work], None]] = {
    "sample": sample_items,
    "extract": extract_activations,
    "verbalize": verbalize_activations,
    "reconstruct": reconstruct_activations,
    "ablate": ablate_explanations,
    "read_plain": read_plain_words,
    "score": score_run,
}


def run_experiment(
    path: Path, db: Path, progress: Progress, limit: int | None, only: str | None, device: str, engine_name: str
) -> str:
    """What the run file holds after computing everything of the experiment that it lacked, in a sentence.

    Raises:
        NlareportError: the experiment, a checkpoint, the corpus or the run file is not as it must be; whatever was
            computed before is stored.
    """
    experiment, text = start.limited(load_experiment(path), limit), experiment_text(path)
    db = run_file_path(db)
    # Asked before any checkpoint is looked for: whoever has only a published run file need not build one.
    if db.exists() and (contents := start.finished(db, experiment, text, path.parent, progress)):
        return f"{contents}; nothing was missing"
    reference = start.reference_pair(experiment)
    with start.opened(experiment, reference, path, db, progress, device, engine_name) as work:
        compute(work, only)
        return start.contents(work.run_file)


def start_over(path: Path, db: Path, engine_name: str) -> str | None:
    """Makes room for a new run of the experiment: what is kept of the old one under which name, in a sentence.

    None when there is nothing to keep.

    Raises:
        NlareportError: the experiment or the engine's name is not as it must be, or the old run cannot be renamed; then
            nothing is.
    """
    load_experiment(path)
    refuse_unknown(engine_name)
    renamed = set_aside(run_file_path(db))
    kept = ", ".join(f"{former.name} as {new.name}" for former, new in renamed)
    return f"{db}: starts over; kept {kept}." if renamed else None


def compute(work: Work, only: str | None = None) -> None:
    """Everything that is still missing, or what one stage still lacks, stage by stage.

    Raises:
        CorpusTooShort: the corpus gave fewer items than asked for; what it gave is stored.
    """
    for name, step in STAGES.items():
        if only in (None, name):
            step(work)
