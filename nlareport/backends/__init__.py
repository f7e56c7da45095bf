"""The workshop: whatever runs models, each engine a name in a table and loaded on first use.

Enters an engine's name and how to run it; leaves an `Engine`. Importing this imports no torch.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Protocol, cast, runtime_checkable

from nlareport.batches import ReadingLimits
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.errors import EngineUnknown
from nlareport.experiment import PairSpec, Stream
from nlareport.ports import Extractor, Reconstructor, Tokenizer, Verbalizer
from nlareport.rows.run_rows import CheckpointRole, Choice, MakingKind

ENGINES: Mapping[str, str] = {
    "transformers": "nlareport.backends.transformers_local:TransformersEngine",
    "scripted": "nlareport.backends.scripted:ScriptedEngine",
}
"""Name to ``module:Class``; the class takes an `EngineSettings`."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How models are run; `device` and `batch_size` touch the answers by rounding alone."""

    device: str = "auto"
    dtype: str = "bfloat16"
    batch_size: int = 16
    max_new_tokens: int = 300
    stream: Stream = "float32"
    moment: datetime | None = None
    """What chat templates that write the date are told it is. None: the time at which a checkpoint is opened."""


@runtime_checkable
class Engine(Protocol):
    """Answers the ports for any pair; a model lives while its ``with`` block does."""

    @property
    def device(self) -> str:
        """Where models really run."""
        ...

    @property
    def machine(self) -> Mapping[str, str | int]:
        """What of this machine decides how sums are rounded, for ``run.environment``."""
        ...

    def check(self, pair: PairSpec) -> None:
        """Pass when all of the pair that can be looked at before any weight is read is sound.

        Raises:
            NlareportError: it is not; the message says what.
        """
        ...

    def prompt_ids(self, pair: PairSpec) -> tuple[int, ...]:
        """What the pair's AV is asked, as token ids: one value while the engine lives. Empty without a prompt."""
        ...

    def limits(self, pair: PairSpec) -> ReadingLimits:
        """What the pair's base model can read at all."""
        ...

    def tokenizer(self, pair: PairSpec) -> Tokenizer:
        """Cuts text as the pair's base model does."""
        ...

    def extractor(self, pair: PairSpec) -> AbstractContextManager[Extractor]:
        """The pair's base model up to its block."""
        ...

    def verbalizer(self, pair: PairSpec) -> AbstractContextManager[Verbalizer]:
        """The pair's AV."""
        ...

    def reconstructor(self, pair: PairSpec) -> AbstractContextManager[Reconstructor]:
        """The pair's AR."""
        ...

    def sidecar(self, pair: PairSpec) -> Sidecar | None:
        """What the pair's AV says of itself, before any weight is read; None when the engine's pairs have none."""
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
        `advance` hears how many bytes of weights were read.
        """
        ...


def load_engine(name: str, settings: EngineSettings | None = None) -> Engine:
    """The engine of this name, imported on first use.

    Raises:
        EngineUnknown: the table has no such name.
    """
    refuse_unknown(name)
    module, _, class_name = ENGINES[name].partition(":")
    return cast(Engine, getattr(import_module(module), class_name)(settings or EngineSettings()))


def refuse_unknown(name: str) -> None:
    """Pass when there is an engine of this name.

    Raises:
        EngineUnknown: the table has no such name.
    """
    if name not in ENGINES:
        raise EngineUnknown(f"No engine is called {name!r}; there are {', '.join(ENGINES)}.")
