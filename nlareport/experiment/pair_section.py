"""One entry of `pairs`: the checkpoints of an NLA pair, and what it is called."""

from pydantic import Field

from nlareport.experiment.section import MOST_WHOLE, Name, Section


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
    """Hub id, checkpoint directory, or ``pocket:PAIR_ID/av``."""
    reconstructor: str
    sidecar_variance_nrm: float | None = Field(default=None, gt=0)
