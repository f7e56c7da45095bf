"""Has every model tested on the first batch that it answers, and keeps what was found before that batch is stored.

Enter an open model with a batch and its answers; leave rows of `SelfTest`, or an error that names what is wrong.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from nlareport.checks import Finding
from nlareport.errors import SelfTestFailed
from nlareport.ports import Extractor, Reconstructor, SelfTestingReader, SelfTestingVerbalizer, Verbalizer
from nlareport.rows.item_rows import Explanation
from nlareport.rows.run_rows import CheckpointRole, PairId, SelfTest
from nlareport.run import identity
from nlareport.run.checkpoint_changes import ROLE_NAMES
from nlareport.run.context import Work
from nlareport.stages.read_again import read_again
from nlareport.stages.reconstruct import scorable_text
from nlareport.statistics.reading_tolerance import measurement_text

ADVICE = {
    "alone_equals_batch": "Set compute.batch_size to 1 in the experiment file, where nothing is padded, and run again.",
    "stop_ids": "Correct eos_token_id in the verbalizer's generation_config.json, or leave the pair out.",
}
"""What to do about a test that failed, where it is not to leave the pair out."""
LEAVE_OUT = (
    "Leave the pair out of the experiment file, or use the release of Transformers its checkpoints are made for."
)

Read = TypeVar("Read", str, list[int])


class SelfTesting:
    """Tests one checkpoint of a pair once a run: again only under other conditions than the run began with."""

    def __init__(self, work: Work, pair_id: PairId, role: CheckpointRole) -> None:
        self._work, self._pair_id, self._role = work, pair_id, role
        self._dtype = work.experiment.compute.dtype
        stored = work.run_file.rows(SelfTest)
        self._stored = {row.test: row for row in stored if (row.pair_id, row.role) == (pair_id, role)}
        self._is_due = not self._stored or _runs_otherwise(work)

    def extractor(
        self, model: Extractor, sequences: list[list[int]], vectors: Float[np.ndarray, "item d_model"]
    ) -> None:
        """Pass when the base model may be believed; `vectors` are what it gave for the sequences.

        Raises:
            SelfTestFailed: it may not.
        """
        if self._is_due:
            found = read_again(sequences, vectors, model.extract, self._dtype)
            self._keep(found + _inside(model, sequences, vectors))

    def verbalizer(self, model: Verbalizer, vectors: Float[np.ndarray, "item d_model"]) -> None:
        """Pass when the verbalizer may be believed; `vectors` are those it verbalized last.

        Raises:
            SelfTestFailed: it may not.
        """
        if self._is_due and isinstance(model, SelfTestingVerbalizer):
            self._keep(model.self_tests(vectors))

    def reconstructor(
        self, model: Reconstructor, explanations: Sequence[Explanation], vectors: Float[np.ndarray, "item d_model"]
    ) -> None:
        """Pass when the reconstructor may be believed; `vectors` are what it made of those explanations with a text.

        Raises:
            SelfTestFailed: it may not.
        """
        if not self._is_due:
            return
        ordered = sorted(explanations, key=lambda row: row.item_id)
        unclean = self._work.experiment.scoring.unclean
        texts = [text for row in ordered if (text := scorable_text(row, unclean)) is not None]
        found = read_again(texts, vectors, model.reconstruct, self._dtype)
        self._keep(found + _inside(model, texts, vectors))

    def _keep(self, findings: Sequence[Finding]) -> None:
        """Stores what was found; of a test that failed before, that it did."""
        self._is_due = False
        for finding in findings:
            if finding.is_wrong:
                raise SelfTestFailed(self._sentence(finding))
        rows = [
            SelfTest(self._pair_id, self._role, found.test, found.passed, found.value, found.tolerance, found.text)
            for found in findings
        ]
        self._work.run_file.put([row for row in rows if self._may_replace(row)])

    def _may_replace(self, row: SelfTest) -> bool:
        former = self._stored.get(row.test)
        return former is None or former.passed

    def _sentence(self, finding: Finding) -> str:
        return (
            f"Pair {self._pair_id}: its {ROLE_NAMES[self._role]} fails the self-test {finding.test}, so its numbers "
            f"would be wrong and none was stored. {finding.text}{measurement_text(finding.value, finding.tolerance)} "
            f"{ADVICE.get(finding.test, LEAVE_OUT)}"
        )


def _inside(
    model: Extractor | Reconstructor, read: list[Read], vectors: Float[np.ndarray, "item d_model"]
) -> list[Finding]:
    """What a model finds by looking into itself, where it can."""
    return model.self_tests(read, vectors) if isinstance(model, SelfTestingReader) else []


def _runs_otherwise(work: Work) -> bool:
    """Whether the run goes on under other conditions than it began with: another device, batch size or library."""
    began = work.run_file.run().environment
    now = identity.conditions(work.experiment, work.engine)
    return any(began.get(name) != value for name, value in now.items())
