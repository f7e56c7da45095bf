"""Self-tests of models on the first batch they answer: run them, store what they find, refuse a model that is wrong.

Takes an open model with a batch and its answers, returns findings; those are stored before the batch is.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from nlareport.checks import Finding
from nlareport.errors import SelfTestFailed
from nlareport.ports import Extractor, Reconstructor, SelfTestingReader, SelfTestingVerbalizer, Verbalizer
from nlareport.rows.run_rows import CheckpointRole, PairId, SelfTest
from nlareport.run import identity
from nlareport.run.checkpoint_changes import ROLE_NAMES
from nlareport.run.context import Work
from nlareport.stages.read_again import read_again
from nlareport.statistics.reading_tolerance import measurement_text

ADVICE = {
    "alone_equals_batch": "Set compute.batch_size to 1 in the experiment file, where nothing is padded, and run again.",
    "stop_ids": "Correct eos_token_id in the verbalizer's generation_config.json, or leave the pair out.",
}
"""What to do about a failed test, other than to leave the pair out."""
LEAVE_OUT = (
    "Leave the pair out of the experiment file, or use the release of Transformers its checkpoints are made for."
)

Read = TypeVar("Read", str, list[int])


class FirstBatchTests:
    """Whether one checkpoint of a pair is to be tested, and what was found: once a run, again on other conditions."""

    def __init__(self, work: Work, pair_id: PairId, role: CheckpointRole) -> None:
        self._work, self._pair_id, self._role = work, pair_id, role
        stored = work.run_file.rows(SelfTest)
        self._stored = {row.test: row for row in stored if (row.pair_id, row.role) == (pair_id, role)}
        self.are_due = not self._stored or _has_other_conditions(work)

    def keep(self, findings: Sequence[Finding]) -> None:
        """Stores what was found; a test that failed before stays a failed one.

        Raises:
            SelfTestFailed: the model's numbers would be wrong.
        """
        for finding in findings:
            if finding.is_wrong:
                raise SelfTestFailed(self._sentence(finding))
        rows = [
            SelfTest(self._pair_id, self._role, found.test, found.passed, found.value, found.tolerance, found.text)
            for found in findings
        ]
        if fresh := [row for row in rows if self._may_replace(row)]:
            self._work.run_file.put(fresh)

    def _may_replace(self, row: SelfTest) -> bool:
        former = self._stored.get(row.test)
        return former is None or former.passed

    def _sentence(self, finding: Finding) -> str:
        return (
            f"Pair {self._pair_id}: its {ROLE_NAMES[self._role]} fails the self-test {finding.test}, so its numbers "
            f"would be wrong and none was stored. {finding.text}{measurement_text(finding.value, finding.tolerance)} "
            f"{ADVICE.get(finding.test, LEAVE_OUT)}"
        )


def find_reading_faults(
    model: Extractor | Reconstructor,
    inputs: Sequence[Read],
    vectors: Float[np.ndarray, "item d_model"],
    read: Callable[[list[Read]], Float[np.ndarray, "item d_model"]],
    dtype: str,
) -> list[Finding]:
    """What a model that reads does with `inputs` a second time, and finds by looking into itself where it can.

    `vectors` are what it made of them the first time, `read` is its method that reads.
    """
    found = read_again(inputs, vectors, read, dtype)
    return found + model.self_tests(inputs, vectors) if isinstance(model, SelfTestingReader) else found


def find_writing_faults(model: Verbalizer, vectors: Float[np.ndarray, "item d_model"]) -> list[Finding]:
    """What a verbalizer finds by looking into itself, where it can; `vectors` are those it verbalized last."""
    return model.self_tests(vectors) if isinstance(model, SelfTestingVerbalizer) else []


def _has_other_conditions(work: Work) -> bool:
    """Whether the run goes on under other conditions than it began with: another device, batch size or library."""
    began = work.run_file.run().environment
    now = identity.conditions(work.experiment, work.engines)
    return any(began.get(name) != value for name, value in now.items())
