"""One entry of `pairs`: the checkpoints of an NLA pair, and what it is called."""

from pydantic import Field, JsonValue

from nlareport.experiment.section import MOST_WHOLE, Name, Section


class Sidecars(Section):
    """What the halves' sidecars would say, where a checkpoint comes without one or with one that says less."""

    verbalizer: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys and values as in ``nla_meta.yaml``, and read like one."""
    reconstructor: dict[str, JsonValue] = Field(default_factory=dict)


class PairSpec(Section):
    """One NLA pair: what to load and what to call it."""

    pair_id: Name
    label: str
    family: str
    base_model: str
    """Hub id or checkpoint directory the activations are read from."""
    block_index: int = Field(ge=0, le=MOST_WHOLE)
    d_model: int = Field(ge=1, le=MOST_WHOLE)
    injection_scale: float | None = None
    """What the sidecar is expected to say; checked, never used instead of it."""
    verbalizer: str
    """Hub id, checkpoint directory, or ``pocket:PAIR_ID/av``; a hub id may end in ``@revision`` and ``:folder``."""
    reconstructor: str
    sidecars: Sidecars = Sidecars()
    sidecar_variance_nrm: float | None = Field(default=None, gt=0)
