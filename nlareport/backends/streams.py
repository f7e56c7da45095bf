"""Whether a verbalizer's residual stream is kept in float32, and a sentence that compares this with the public server.

Takes a choice, a norm and a dtype, returns the decision or its wording. Imports no torch.
"""

from nlareport.checkpoints.sidecar import Sidecar
from nlareport.experiment.decoding_section import Stream

FLOAT32_FROM_SCALE = 1_000.0
"""From this norm on bf16 would round a vector's large components by tens or hundreds."""

SERVER_DTYPE = "bfloat16"
"""What the release's own server computes in, the injected vectors included."""

_OTHER_TEXTS = f"the public server computes in {SERVER_DTYPE}, so single texts differ from its"


def keeps_float32(stream: Stream, scale: float | None) -> bool:
    """Whether vectors of this norm (None: their own) enter in 32 bits and the residual stream stays so."""
    return stream == "float32" and (scale is None or scale >= FLOAT32_FROM_SCALE)


def entering_norm(sidecar: Sidecar) -> float | None:
    """The norm at which vectors enter an AV; None when it is their own, or that of what they meet."""
    if sidecar.injection.norm_match or sidecar.injection_scale is None:
        return None
    return sidecar.injection_scale * sidecar.injection.coefficient


def stream_choice(stream: Stream, scale: float | None, dtype: str, *, is_matched: bool = False) -> str:
    """What the page says of it, for an AV that runs in `dtype`; with `is_matched` norms are those of what is there."""
    entering = "at their own norm" if scale is None else f"at norm {scale:,.10g}"
    entering = "at the norm of what is at the marker" if is_matched else entering
    if dtype != "float32" and keeps_float32(stream, scale):
        return (
            f"Vectors enter {entering}, so they and the residual stream are kept in float32 while weights are "
            f"{dtype}; {_OTHER_TEXTS}."
        )
    if dtype != SERVER_DTYPE:
        return f"Vectors enter {entering}; the whole verbalizer runs in {dtype}; {_OTHER_TEXTS}."
    return (
        f"Vectors enter {entering} and are rounded to {dtype} like the whole residual stream, as on the public server."
    )
