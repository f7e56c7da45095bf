"""The loop over missing answers: asks each pair's model for what the run still lacks and stores it batch by batch.

A stage that opens models says what is missing and how a batch is answered and stored (`Questions`). This module opens
the model, has an executor map it over the batches, tests it on the first one, and holds it to the run's making.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from nlareport.checks import Finding
from nlareport.engines import Engines
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Answer, Batch, InBatches, Model
from nlareport.rows.run_rows import CheckpointRole, Making, PairId
from nlareport.run.context import Work
from nlareport.run.first_batch_tests import FirstBatchTests
from nlareport.run.recorded_checkpoints import confirm, making_of, record_smaller_batches, record_use

READING_BATCHES = 4
"""Model batches per commit where a model only reads: enough texts to sort by length, little to lose."""


@dataclass(frozen=True, slots=True)
class Questions(Generic[Model, Batch, Answer]):
    """What one pair's model has not answered yet, and what becomes of its answers."""

    title: str
    """What the progress display calls this."""
    role: CheckpointRole
    """The checkpoint of the pair that answers."""
    n_total: int
    """Rows there will be in the end."""
    n_missing: int
    begin: Callable[[], Iterable[Batch]]
    """Prepares the run and gives the missing batches; called before the model is opened, and only if some are."""
    answer: Callable[[Model, Batch], Answer]
    """Asks the model. It may be sent to another process, so it holds nothing of the run file."""
    store: Callable[[Batch, Answer], int]
    """Stores an answer; returns how many rows that was."""
    examine: Callable[[Model, Batch, Answer], list[Finding]] | None = None
    """Tests the model on the first batch it answers; sent along with `answer`. None: the stage tests nothing."""


QuestionsOf = Callable[[PairId, PairSpec], Questions[Any, Any, Any]]


def answer_missing(work: Work, questions_of: QuestionsOf) -> None:
    """Has every pair's model answer what is missing; one model is open at a time, and every answer is stored at once.

    Raises:
        CheckpointChanged: a checkpoint is not the one the run was begun with, or changed while it was used.
        SelfTestFailed: a model's numbers would be wrong; none of them is stored.
    """
    for pair_id, spec, asked in _asked(work, questions_of):
        work.progress.stage(asked.title, asked.n_total, asked.n_total - asked.n_missing)
        if asked.n_missing:
            _answer_batches(work, pair_id, spec, asked)


def count_missing(work: Work, questions_of: QuestionsOf) -> int:
    """How many rows are missing, all pairs together."""
    return sum(asked.n_missing for _, _, asked in _asked(work, questions_of))


def _asked(work: Work, questions_of: QuestionsOf) -> Iterator[tuple[PairId, PairSpec, Questions[Any, Any, Any]]]:
    """Every pair that has a checkpoint of the role that is asked, with its questions."""
    for pair_id, spec in work.pairs:
        asked = questions_of(pair_id, spec)
        if spec.has(asked.role):
            yield pair_id, spec, asked


def _answer_batches(work: Work, pair_id: PairId, spec: PairSpec, asked: Questions[Any, Any, Any]) -> None:
    batches = asked.begin()
    tests = FirstBatchTests(work, pair_id, asked.role)
    opener = partial(_open_model, work.engines, asked.role, spec)
    asking = _Asking(asked.answer, asked.examine if tests.are_due else None)
    confirmed: list[Making] | None = None
    with closing(work.executor.map(opener, asking, batches)) as answers:
        for batch, found in answers:
            if found.making != confirmed:
                record_use(work, found.making)
                confirmed = found.making
            tests.keep(found.findings)
            if found.rows_that_fit is not None:
                # Before the answer is stored: a run that is killed says in what batches its texts were written.
                record_smaller_batches(work, spec, asked.role, found.rows_that_fit)
            work.progress.advance(asked.store(batch, found.answer))
    confirm(work, spec, asked.role)


@dataclass(slots=True)
class _Open:
    """An open model, with what its checkpoint was once it had been loaded."""

    model: Any
    making: list[Making]
    is_tested: bool = False


@contextmanager
def _open_model(engines: Engines, role: CheckpointRole, spec: PairSpec) -> Iterator[_Open]:
    """A pair's model of a role; called where the executor wants it open."""
    with engines.open(role, spec) as model:
        # After it was loaded: one exchanged in between is noticed before its first answer is stored.
        yield _Open(model, making_of(engines, spec, role))


@dataclass(frozen=True, slots=True)
class _Answered:
    """One batch's answer, and what is to be known of the model that gave it."""

    answer: Any
    making: list[Making]
    rows_that_fit: int | None
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class _Asking:
    """Answers a batch with an open model, and tests every model on the first one it answers."""

    answer: Callable[[Any, Any], Any]
    examine: Callable[[Any, Any, Any], list[Finding]] | None

    def __call__(self, opened: _Open, batch: Any) -> _Answered:
        answer, findings = self.answer(opened.model, batch), []
        if self.examine is not None and not opened.is_tested:
            findings, opened.is_tested = self.examine(opened.model, batch, answer), True
        rows_that_fit = opened.model.rows_that_fit if isinstance(opened.model, InBatches) else None
        return _Answered(answer, opened.making, rows_that_fit, findings)
