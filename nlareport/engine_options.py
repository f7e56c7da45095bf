"""How models are run: which engine has which role, on which device, and all settings that an engine is made with.

`ModelOptions` is what the command line says; with an experiment it gives the `EngineSettings`, which are carried whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from nlareport.errors import EngineUnfit
from nlareport.experiment.corpus_section import VectorsCorpus
from nlareport.experiment.decoding_section import Stream
from nlareport.experiment.experiment_file import Experiment
from nlareport.rows.run_rows import CheckpointRole

ROLES: tuple[CheckpointRole, ...] = ("base_model", "verbalizer", "reconstructor")


def roles_of(experiment: Experiment) -> tuple[CheckpointRole, ...]:
    """The checkpoints that a run opens: where vectors are given, no base model."""
    return ROLES[1:] if isinstance(experiment.corpus, VectorsCorpus) else ROLES


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How models are run; `device` and `batch_size` change answers by rounding alone."""

    device: str = "auto"
    dtype: str = "bfloat16"
    batch_size: int = 16
    max_new_tokens: int = 300
    stream: Stream = "float32"
    moment: datetime | None = None
    """The date and time that chat templates are given. None: when a checkpoint is opened."""
    address: str | None = None
    """Where the engine's server listens. None for an engine without a server."""
    roles: tuple[CheckpointRole, ...] = ROLES
    """The roles this engine answers in the run; it checks and describes no other."""
    reads_chats: bool = False
    """Whether base models read chats, so that their chat templates decide what they read."""


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """An engine as ``--engine`` names it."""

    name: str
    address: str | None = None
    """Where its server listens, if it has one."""


TRANSFORMERS = ChosenEngine("transformers")


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine of each role."""

    base_model: ChosenEngine = TRANSFORMERS
    verbalizer: ChosenEngine = TRANSFORMERS
    reconstructor: ChosenEngine = TRANSFORMERS

    @classmethod
    def parse(cls, options: Iterable[str]) -> "EngineChoice":
        """The choice that ``[ROLE=]NAME[@ADDRESS]`` options make; one without a role is for every role not named.

        Raises:
            EngineUnfit: an option names no role there is, or a role that has an engine already.
        """
        chosen: dict[str, ChosenEngine] = {}
        for option in options:
            # An address may hold a sign of equality too.
            role, _, text = option.partition("=") if "=" in option.partition("@")[0] else ("", "", option)
            if role not in ("", *ROLES):
                raise EngineUnfit(f"{option!r} names no role; choose from {', '.join(ROLES)}, such as {ROLES[1]}=NAME.")
            if role in chosen:
                raise EngineUnfit(f"{role or 'Every role'} is given two engines; name one, or give each role its own.")
            name, _, address = text.partition("@")
            chosen[role] = ChosenEngine(name, address or None)
        rest = chosen.get("", TRANSFORMERS)
        return cls(**{role: chosen.get(role, rest) for role in ROLES})

    @classmethod
    def parse_recorded(cls, text: str) -> "EngineChoice":
        """The choice that a run file records, which is what `str` gives; addresses are not recorded."""
        parts = [part.partition("=") for part in text.split(", ")]
        names = {role: ChosenEngine(name) for role, separator, name in parts if separator}
        return cls(**{role: names.get(role, ChosenEngine(text)) for role in ROLES})

    def of(self, role: CheckpointRole) -> ChosenEngine:
        """The engine of a role."""
        chosen: ChosenEngine = getattr(self, role)
        return chosen

    @property
    def options(self) -> str:
        """The options that make this choice, without addresses."""
        return " ".join(f"--engine {part}" for part in str(self).split(", "))

    def __str__(self) -> str:
        """The engine's name, or each role's where they differ."""
        names = [self.of(role).name for role in ROLES]
        if len(set(names)) == 1:
            return names[0]
        return ", ".join(f"{role}={name}" for role, name in zip(ROLES, names, strict=True))


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How models are run, as far as the command line says and not the experiment."""

    engines: EngineChoice = field(default_factory=EngineChoice)
    device: str = "auto"
    executor: str = "local"

    def settings(self, experiment: Experiment, moment: datetime | None = None) -> EngineSettings:
        """Together with what the experiment says: all that an engine is told."""
        compute, decoding = experiment.compute, experiment.decoding
        return EngineSettings(
            device=self.device,
            dtype=compute.dtype,
            batch_size=compute.batch_size,
            max_new_tokens=decoding.max_new_tokens,
            stream=decoding.stream,
            moment=moment,
            roles=roles_of(experiment),
            reads_chats=experiment.reads_chats,
        )
