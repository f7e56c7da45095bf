"""What a stage of a run is: the step that does it, what it still lacks, and what scores rest on because of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nlareport.experiment.experiment_file import Experiment
from nlareport.run.context import Work
from nlareport.store.run_file import RunFile


def _nothing(_work: Work) -> None:
    """A stage that scoring does not wait for."""
    return


def _no_facts(_run_file: RunFile, _experiment: Experiment) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage before the scores. To add one, define it in the module of its step and list it in `stage_list`."""

    name: str
    """What ``--only`` calls it."""
    step: Callable[[Work], None]
    """Computes what is missing, and nothing else."""
    outstanding: Callable[[Work], str | None] = _nothing
    """Why scoring must still wait for this stage, such as "3 items are not read yet"; None when it need not."""
    stamp: Callable[[RunFile, Experiment], dict[str, Any]] = _no_facts
    """What scores rest on because of this stage, by name: scores are made again when any of it changes."""
    keys: tuple[str, ...] = ()
    """Keys of the experiment that ask for this stage, the first being a list that is empty when nobody does.

    None for a stage that every run has. They may change between two calls, and are left out when pairs are verified.
    """

    def asked_for(self, experiment: Experiment) -> dict[str, Any]:
        """What the experiment says under `keys`; nothing when it does not ask for this stage."""
        if not self.keys or not getattr(experiment, self.keys[0]):
            return {}
        said = experiment.model_dump(mode="json", include=set(self.keys))
        return {key: value for key, value in said.items() if value is not None}
