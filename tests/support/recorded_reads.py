"""Records what scripted reconstructors are asked to read, for tests of the steps that read."""

from collections import defaultdict

import numpy as np
import pytest

from nlareport.backends.scripted import ScriptedEngine, ScriptedReconstructor
from nlareport.experiment.pair_section import PairSpec

N_READS_OF_A_SELF_TEST = 4
"""Texts that every reconstructor reads once more in each run: the shortest alone, twice, and next to the longest."""


class Reads:
    """What every reconstructor was asked to read, and after how many texts it stops."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.of_pair: dict[str, list[str]] = defaultdict(list)
        self.n_opened = 0
        self.stop_after: int | None = None


def record_reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Records what scripted reconstructors read from now on."""
    reads = Reads()

    class Recording(ScriptedReconstructor):
        def reconstruct(self, explanations: list[str]) -> np.ndarray:
            if reads.stop_after is not None and len(reads.texts) >= reads.stop_after:
                raise KeyboardInterrupt
            reads.texts += explanations
            reads.of_pair[self._pair_id] += explanations
            return super().reconstruct(explanations)

    def open_recording(self: ScriptedEngine, pair: PairSpec) -> ScriptedReconstructor:
        reads.n_opened += 1
        return Recording(pair)

    monkeypatch.setattr(ScriptedEngine, "reconstructor", open_recording)
    return reads
