"""Engines that answer some roles only, as a server for verbalizers does; built on the scripted one."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from nlareport.backends.scripted import ScriptedEngine, ScriptedVerbalizer
from nlareport.engine_options import EngineSettings
from nlareport.experiment.pair_section import PairSpec
from nlareport.rows.run_rows import CheckpointRole, Choice, MakingKind


class WritingEngine:
    """Answers as the scripted verbalizer does, and cannot read."""

    device = "none"
    machine: ClassVar[Mapping[str, str | int]] = {}
    libraries: ClassVar[Mapping[str, str]] = {"writer": "1.5"}

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._scripted = ScriptedEngine(settings)

    def check(self, pair: PairSpec) -> None:
        assert self.settings.roles == ("verbalizer",), pair

    def choices(self, pair: PairSpec) -> list[Choice]:
        return self._scripted.choices(pair)

    def fingerprints(
        self, pair: PairSpec, role: CheckpointRole, advance: Callable[[int], None] | None = None
    ) -> Mapping[MakingKind, str]:
        assert role == "verbalizer"
        return self._scripted.fingerprints(pair, role, advance)

    def prompt_ids(self, pair: PairSpec) -> tuple[int, ...]:
        return self._scripted.prompt_ids(pair)

    def sidecar(self, pair: PairSpec) -> None:
        return self._scripted.sidecar(pair)

    def verbalizer(self, pair: PairSpec) -> ScriptedVerbalizer:
        return self._scripted.verbalizer(pair)


class ServedEngine(WritingEngine):
    """The same behind an address."""

    takes_address = True

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.device = str(settings.address)
