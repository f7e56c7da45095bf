"""Shrinks batches when memory runs out: a batch is answered in halves, and the next ones are no larger.

Takes rows and a function that answers some of them, returns the answers in order. Knows no model.
"""

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import torch

from nlareport.errors import MemoryTooSmall

Row = TypeVar("Row")
Answer = TypeVar("Answer")

# What allocators say that raise no class of their own: CPU, cuBLAS and cuDNN, Apple's.
_SAID = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_failed")


class BatchSize:
    """How many rows of one model are answered at once; it shrinks where memory asks for it, and never grows again."""

    def __init__(self, n_rows: int, what: str) -> None:
        """Start at `n_rows`; `what` is the model that an error speaks of."""
        self.n_rows, self._n_asked = n_rows, n_rows
        self.what = what

    @property
    def rows_that_fit(self) -> int | None:
        """The number it shrank to; None while it is the one it started at."""
        return self.n_rows if self.n_rows < self._n_asked else None

    def answer_all(self, rows: Sequence[Row], answer: Callable[[Sequence[Row]], Sequence[Answer]]) -> list[Answer]:
        """What `answer` gives for each row, in order, asked in batches of at most `n_rows`.

        Raises:
            MemoryTooSmall: one row alone does not fit.
        """
        answers: list[Answer] = []
        while len(answers) < len(rows):
            batch = rows[len(answers) : len(answers) + self.n_rows]
            if (found := self._try(batch, answer)) is not None:
                answers += found
                continue
            # Outside the handler the error and its frames are gone, and with them the tensors they held.
            free_memory()
            self.n_rows = max(1, len(batch) // 2)
        return answers

    def _try(
        self, batch: Sequence[Row], answer: Callable[[Sequence[Row]], Sequence[Answer]]
    ) -> Sequence[Answer] | None:
        """The answers, or None where a smaller batch may fit."""
        try:
            return answer(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) > 1:
                return None
            raise MemoryTooSmall(
                f"{self.what}: does not fit into memory with one item at a time. Use a device with more memory, "
                "or start a run whose compute.dtype takes less."
            ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID)


def free_memory() -> None:
    """Return memory that nothing uses any longer to the system and the GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_bytes(place: str) -> int:
    """How much memory is free on a device, ``auto`` being all GPUs together; 0 where the system does not say."""
    if place == "cpu":
        return int(min(_free_by_system(), _free_by_group()))
    if not torch.cuda.is_available():
        return 0
    devices = range(torch.cuda.device_count()) if place == "auto" else [torch.device(place)]
    return sum(torch.cuda.mem_get_info(device)[0] for device in devices)


def _free_by_system() -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def _free_by_group() -> float:
    """What the container's limit leaves; infinite without one."""
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    return float("inf")
