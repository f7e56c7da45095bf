"""Finds all that one checkpoint of a pair is made of: its own directory, the base model under an adapter, its sidecar.

Takes a `PairSpec` and a role, or a directory, returns a `Shipped`. A whole checkpoint is its own model; a LoRA adapter
is read together with its base model, which it names itself, or the experiment does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nlareport.checkpoints.sidecar import Sidecar, Stated, read_sidecar
from nlareport.checkpoints.sidecar_values import Role
from nlareport.errors import AdapterUnsupported, CheckpointMissing
from nlareport.experiment.pair_section import PairSpec
from nlareport.models.adapter_files import Adapter, read_adapter
from nlareport.models.checkpoint_files import json_object
from nlareport.models.hub_names import hub_name
from nlareport.rows.run_rows import CheckpointRole

Find = Callable[[str], Path | None]
"""Where a checkpoint of a name is on this machine; may download it, or say None."""

_SLOTS: dict[CheckpointRole, Role] = {"verbalizer": "av", "reconstructor": "ar"}
_OF_THE_TOKENIZER = ("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json")


@dataclass(frozen=True, slots=True)
class Shipped:
    """Where the parts of one checkpoint are."""

    directory: Path
    """What the experiment names: it holds the sidecar, a reconstructor's head, and the adapter or the whole model."""
    model: Path
    """The directory of the configuration and the whole weights: of an adapter its base model's."""
    model_name: str
    """What that directory was found under."""
    adapter: Adapter | None
    """What is merged into the model. None: the checkpoint is whole."""
    stated: Stated
    """What the experiment says of it."""

    @property
    def tokenizer(self) -> Path:
        """The directory of the tokenizer: an adapter may bring its own."""
        return self.directory if any((self.directory / name).exists() for name in _OF_THE_TOKENIZER) else self.model

    @property
    def generation(self) -> Path:
        """The directory whose files name the stop ids."""
        return self.directory if (self.directory / "generation_config.json").exists() else self.model

    def model_with_weights(self, directory: Path, find: Callable[[str], Path]) -> Path:
        """The model's directory once its weights are there: `directory` of a whole checkpoint, else the base model's.

        Raises:
            CheckpointMissing: the base model's weights cannot be had.
        """
        return directory if self.adapter is None else find(self.model_name)

    def sidecar(self) -> Sidecar:
        """What it says of itself; errors as `read_sidecar`."""
        return read_sidecar(self.directory, self.stated)


def stated_of(pair: PairSpec, role: CheckpointRole) -> Stated:
    """What the experiment says of a pair's half; nothing of a base model."""
    if role == "base_model":
        return Stated()
    where = f"the experiment file, pairs.{pair.pair_id}.sidecars.{role}"
    return Stated(getattr(pair.sidecars, role), where, _SLOTS[role], pair.d_model)


def find_shipped(pair: PairSpec, role: CheckpointRole, find: Find) -> Shipped | None:
    """The parts of a pair's checkpoint; None when one of them is not on this machine and is not downloaded.

    Raises:
        CheckpointMissing: it or its base model cannot be found.
        AdapterUnsupported: it is an adapter of a kind that is not merged.
    """
    directory = find(pair.checkpoint(role))
    return None if directory is None else shipped_in(directory, find, stated_of(pair, role), pair.base_model)


def shipped_in(
    directory: Path, find: Find, stated: Stated | None = None, base_model: str | None = None
) -> Shipped | None:
    """As `find_shipped`, of a directory; `base_model` is what an adapter is merged into that names nothing better."""
    stated = stated or Stated()
    adapter = read_adapter(directory)
    # What a pair's activations are read from is never merged.
    if adapter is None or (stated.role is None and base_model is not None):
        return Shipped(directory, directory, str(directory), None, stated)
    name = base_of(adapter, stated, base_model)
    if name is None:
        raise CheckpointMissing(
            f"{directory}: is an adapter that names no base model (base_model_name_or_path). "
            "Name it in its adapter_config.json, or as base_model in the experiment file."
        )
    try:
        model = find(name)
    except CheckpointMissing as error:
        raise CheckpointMissing(
            f"{directory}: is an adapter, and its base model is not there. {error} "
            "Or say what it is under sidecars in the experiment file, as base_model."
        ) from error
    if model is None:
        return None
    if "quantization_config" in (json_object(model / "config.json") or {}):
        raise AdapterUnsupported(
            f"{directory}: is an adapter over {name}, whose weights are quantized, so merging would round them once "
            "more. Give that model as it was before, as base_model under sidecars in the experiment file."
        )
    return Shipped(directory, model, name, adapter, stated)


def whole_checkpoint(directory: Path) -> Shipped:
    """The parts of a directory that holds a whole checkpoint, of which no experiment says anything."""
    return Shipped(directory, directory, str(directory), None, Stated())


def base_of(adapter: Adapter, stated: Stated, base_model: str | None) -> str | None:
    """The name of the model that an adapter belongs to: as the experiment states, as the adapter says, or the pair's.

    A path of another machine counts for nothing, and a hub name does not where the pair's model is a copy of it.
    """
    if isinstance(said := stated.content.get("base_model"), str):
        return said
    named = adapter.base_model
    if named is None:
        return base_model
    if Path(named).is_dir():
        return named
    name = hub_name(named)
    if base_model is not None and (name is None or _last(base_model) == name.repository.rpartition("/")[2].lower()):
        return base_model
    return named


def _last(base_model: str) -> str:
    """The last part of a name or a path."""
    name = None if Path(base_model).is_dir() else hub_name(base_model)
    return (Path(base_model).name if name is None else name.repository.rpartition("/")[2]).lower()
