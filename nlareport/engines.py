"""What an engine is: the methods it has for each role, and the open engines of a run.

An engine runs a pair's models. One that answers only some of the three roles (base model, verbalizer, reconstructor)
leaves out the methods of the others. `nlareport.backends` holds the table of engines.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from nlareport.batches import ReadingLimits
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.engine_options import ROLES, EngineChoice
from nlareport.experiment.pair_section import PairSpec
from nlareport.ports import Extractor, Reconstructor, Tokenizer, Verbalizer
from nlareport.rows.run_rows import CheckpointRole, Choice, MakingKind


@runtime_checkable
class EngineFacts(Protocol):
    """What every engine says, whichever roles it answers."""

    @property
    def device(self) -> str:
        """Where models really run."""
        ...

    @property
    def machine(self) -> Mapping[str, str | int]:
        """What of this machine decides how sums are rounded, for ``run.environment``."""
        ...

    @property
    def libraries(self) -> Mapping[str, str]:
        """The versions of the libraries that compute its answers, by name."""
        ...

    def check(self, pair: PairSpec) -> None:
        """Pass when all of the pair's checkpoints that can be looked at before any weight is read are sound.

        Raises:
            NlareportError: one is not; the message says what.
        """
        ...

    def choices(self, pair: PairSpec) -> list[Choice]:
        """What is done where the pair's checkpoints leave it open or the public release does otherwise.

        At most one of a topic for each checkpoint; asked before any weight is read.
        """
        ...

    def fingerprints(
        self, pair: PairSpec, role: CheckpointRole, advance: Callable[[int], None] | None = None
    ) -> Mapping[MakingKind, str]:
        """What decides the answers of one checkpoint of the pair, as digests by kind, as far as it is on this machine.

        Asked whenever a run begins and before and after a model is used, so it must be quick where nothing changed;
        `advance` is told how many bytes of weights were read.
        """
        ...


@runtime_checkable
class BaseModelEngine(EngineFacts, Protocol):
    """An engine that reads activations; a model is open while its ``with`` block lasts."""

    def limits(self, pair: PairSpec) -> ReadingLimits:
        """What the pair's base model can read at all."""
        ...

    def tokenizer(self, pair: PairSpec) -> Tokenizer:
        """Cuts text as the pair's base model does."""
        ...

    def extractor(self, pair: PairSpec) -> AbstractContextManager[Extractor]:
        """The pair's base model up to its block."""
        ...


@runtime_checkable
class VerbalizerEngine(EngineFacts, Protocol):
    """An engine that writes explanations."""

    def prompt_ids(self, pair: PairSpec) -> tuple[int, ...]:
        """What the pair's AV is asked, as token ids: one value while the engine lives. Empty without a prompt."""
        ...

    def sidecar(self, pair: PairSpec) -> Sidecar | None:
        """What the pair's AV says of itself, before any weight is read; None when the engine's pairs have none."""
        ...

    def verbalizer(self, pair: PairSpec) -> AbstractContextManager[Verbalizer]:
        """The pair's AV."""
        ...


@runtime_checkable
class ReconstructorEngine(EngineFacts, Protocol):
    """An engine that reads explanations."""

    def reconstructor(self, pair: PairSpec) -> AbstractContextManager[Reconstructor]:
        """The pair's AR."""
        ...


@runtime_checkable
class Engine(BaseModelEngine, VerbalizerEngine, ReconstructorEngine, Protocol):
    """An engine that answers every role."""


METHODS_OF_ROLE: Mapping[CheckpointRole, tuple[str, ...]] = {
    "base_model": ("limits", "tokenizer", "extractor"),
    "verbalizer": ("prompt_ids", "sidecar", "verbalizer"),
    "reconstructor": ("reconstructor",),
}
"""The methods an engine needs to have a role."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The open engine of each role; all three may be the same."""

    choice: EngineChoice
    base_model: BaseModelEngine
    verbalizer: VerbalizerEngine
    reconstructor: ReconstructorEngine

    @property
    def device(self) -> str:
        """Where models run; by role where that differs."""
        devices = [self.of(role).device for role in ROLES]
        if len(set(devices)) == 1:
            return devices[0]
        return ", ".join(f"{role}={device}" for role, device in zip(ROLES, devices, strict=True))

    @property
    def machine(self) -> dict[str, str | int]:
        """What of the machine decides how sums are rounded."""
        return {name: fact for engine in self._distinct() for name, fact in engine.machine.items()}

    @property
    def libraries(self) -> dict[str, str]:
        """The versions of the libraries that compute answers, by name."""
        return {name: version for engine in self._distinct() for name, version in engine.libraries.items()}

    def of(self, role: CheckpointRole) -> EngineFacts:
        """The engine of a role."""
        engine: EngineFacts = getattr(self, role)
        return engine

    def open(self, role: CheckpointRole, pair: PairSpec) -> AbstractContextManager[Any]:
        """The pair's model of a role: an `Extractor`, a `Verbalizer` or a `Reconstructor`."""
        match role:
            case "base_model":
                return self.base_model.extractor(pair)
            case "verbalizer":
                return self.verbalizer.verbalizer(pair)
            case "reconstructor":
                return self.reconstructor.reconstructor(pair)

    def check(self, pair: PairSpec) -> None:
        """Pass when every engine finds its part of the pair sound.

        Raises:
            NlareportError: one does not; the message says what.
        """
        for engine in self._distinct():
            engine.check(pair)

    def choices(self, pair: PairSpec) -> list[Choice]:
        """What every engine does where the pair's checkpoints leave it open."""
        return [row for engine in self._distinct() for row in engine.choices(pair)]

    def _distinct(self) -> list[EngineFacts]:
        return list({id(engine): engine for engine in (self.of(role) for role in ROLES)}.values())
