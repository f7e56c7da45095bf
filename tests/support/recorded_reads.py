"""Hears what scripted reconstructors are asked to read, for tests of the steps that read."""

from collections import defaultdict

import numpy as np
import pytest

from nlareport.backends.scripted import ScriptedEngine, ScriptedReconstructor
from nlareport.experiment import PairSpec

N_READS_OF_A_SELF_TEST = 4
"""Texts that every reconstructor reads once more in each run: the shortest alone, twice, and beside the longest."""


class Reads:
    """What every reconstructor was asked to read, and after how many texts it stops."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.of_pair: dict[str, list[str]] = defaultdict(list)
        self.n_opened = 0
        self.stop_after: int | None = None


def listen(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """What scripted reconstructors read from now on."""
    heard = Reads()

    class Listening(ScriptedReconstructor):
        def reconstruct(self, explanations: list[str]) -> np.ndarray:
            if heard.stop_after is not None and len(heard.texts) >= heard.stop_after:
                raise KeyboardInterrupt
            heard.texts += explanations
            heard.of_pair[self._pair_id] += explanations
            return super().reconstruct(explanations)

    def opened(self: ScriptedEngine, pair: PairSpec) -> ScriptedReconstructor:
        heard.n_opened += 1
        return Listening(pair)

    monkeypatch.setattr(ScriptedEngine, "reconstructor", opened)
    return heard
