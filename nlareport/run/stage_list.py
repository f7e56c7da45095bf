"""The list of stages that come before the scores, in order; ``--only``, the guards of scoring and its stamp use it."""

from typing import Any

from nlareport.experiment.experiment_file import Experiment
from nlareport.run.ablation import ABLATE
from nlareport.run.context_reading import READ_PLAIN
from nlareport.run.extraction import EXTRACT
from nlareport.run.given_texts import TEXTS
from nlareport.run.reconstruction import RECONSTRUCT
from nlareport.run.sampling import SAMPLE
from nlareport.run.tagging import TAG
from nlareport.run.verbalization import VERBALIZE

BEFORE_SCORES = (SAMPLE, TAG, EXTRACT, VERBALIZE, TEXTS, RECONSTRUCT, ABLATE, READ_PLAIN)

OPTIONAL_KEYS = tuple(key for stage in BEFORE_SCORES for key in stage.keys)
"""Keys of the experiment that ask for a stage not every run has."""


def without_optional_stages(experiment: Experiment) -> Experiment:
    """The experiment without the stages that not every run has."""
    defaults: dict[str, Any] = {
        key: Experiment.model_fields[key].get_default(call_default_factory=True) for key in OPTIONAL_KEYS
    }
    return experiment.model_copy(update=defaults)
