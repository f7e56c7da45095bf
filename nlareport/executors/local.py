"""The executor ``local``: opens the model in this process and answers one batch after the other."""

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager

from nlareport.ports import Answer, Batch, Model


class LocalExecutor:
    """One model, one batch at a time, in the order given."""

    def map(
        self,
        open_model: Callable[[], AbstractContextManager[Model]],
        answer: Callable[[Model, Batch], Answer],
        batches: Iterable[Batch],
    ) -> Generator[tuple[Batch, Answer], None, None]:
        """Every batch with its answer; the model is open from the first batch until the iteration ends or is closed."""
        with open_model() as model:
            for batch in batches:
                yield batch, answer(model, batch)


EXECUTOR = LocalExecutor
