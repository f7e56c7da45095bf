"""Holds a sidecar against what the experiment file expects of its pair: width, block, injection scale.

Takes a `PairSpec` and a sidecar, returns the sidecar as it is used for this pair, or an error that says what differs.
"""

from dataclasses import replace

from nlareport.backends.shipped import Shipped
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.errors import CheckpointDrift
from nlareport.experiment.pair_section import PairSpec

_LAYER = "{layer}"
"""Where the verbalizer of several blocks is told which one the vector is of."""


def sidecar_for(pair: PairSpec, shipped: Shipped) -> Sidecar:
    """A half's sidecar as it is used for a pair; of one that was trained at several blocks, that of the pair's.

    Raises:
        CheckpointMissing: there is none.
        CheckpointInvalid: it has faults.
        CheckpointDrift: it contradicts the experiment file.
    """
    sidecar = shipped.sidecar()
    refuse_unexpected(pair, sidecar)
    if not sidecar.block_indexes:
        return sidecar
    template = sidecar.verbalizer_template.replace(_LAYER, str(pair.block_index))
    return replace(sidecar, block_index=pair.block_index, verbalizer_template=template)


def refuse_unexpected(pair: PairSpec, sidecar: Sidecar) -> None:
    """Pass when a sidecar says what the experiment file does.

    Raises:
        CheckpointDrift: it does not.
    """
    expected: dict[str, float] = {"d_model": pair.d_model}
    # The release's own trainer writes verbalizers that do not name their block.
    if sidecar.block_index is not None:
        expected["block_index"] = pair.block_index
    # An AR's sidecar has no injection scale, and the experiment file may leave it out.
    if sidecar.role == "av" and pair.injection_scale is not None:
        expected["injection_scale"] = pair.injection_scale
    wrong = [
        f"{field} {getattr(sidecar, field)}, the experiment file says {value}"
        for field, value in expected.items()
        if getattr(sidecar, field) != value
    ]
    if sidecar.block_indexes and pair.block_index not in sidecar.block_indexes:
        known = ", ".join(map(str, sidecar.block_indexes))
        wrong.append(f"the blocks {known}, the experiment file says {pair.block_index}")
    if wrong:
        raise CheckpointDrift(
            f"Pair {pair.pair_id}: the {sidecar.role.upper()}'s sidecar has {'; '.join(wrong)}. "
            "The sidecar wins: correct the experiment file, or name another checkpoint."
        )
