"""Self-tests of a reading model: one text by a plain forward pass, and what was found when its block was opened.

Takes parts of an open extractor or reconstructor with what it has just answered, returns findings. Everything is
computed a second time in the plainest way, to show a fault of the fast way.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from nlareport.checkpoints.prompts import reconstructor_prompt
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.checks import Finding
from nlareport.models.block_proof import BlockProof
from nlareport.models.block_reader import BlockReader, input_device
from nlareport.models.value_head import ValueHead
from nlareport.statistics.reading_tolerance import (
    READING,
    Bounds,
    distance_over_variance,
    number_finding,
    plain_finding,
    rows_with_direction,
)


def block_finding(proof: BlockProof) -> Finding:
    """Of any model that reads: what was found on opening it; beyond the tolerance it would not have opened."""
    value = nan if proof.value is None else proof.value
    return replace(number_finding("block_output", value, Bounds(proof.tolerance, inf), proof.text), is_wrong=False)


@torch.inference_mode()
def reader_findings(
    reader: BlockReader,
    head: ValueHead,
    sidecar: Sidecar,
    tokenizer: Any,
    texts: Sequence[str],
    vectors: Float[np.ndarray, "item d_model"],
    dtype: str,
) -> list[Finding]:
    """Of a reconstructor: the shortest text by one plain pass, and the end of the prompt that is read."""
    # Of an empty text and a template of nothing else there may be no token.
    if not (places := [place for place in rows_with_direction(vectors) if texts[place]]):
        return []
    shortest = min(places, key=lambda place: len(texts[place]))
    ids = tokenizer(reconstructor_prompt(sidecar, texts[shortest]), return_tensors="pt").input_ids
    findings = [
        number_finding(
            "plain_pass",
            distance_over_variance(_plain_vector(reader, head, ids), vectors[[shortest]], vectors[places]),
            READING[dtype],
            "The shortest text of the first batch by one plain pass (nothing padded or masked, last block, head), "
            "against its vector in that batch: their squared distance as a share of V of that batch.",
        )
    ]
    if sidecar.reconstructor_suffix_ids is not None:
        suffix = list(sidecar.reconstructor_suffix_ids)
        is_there = ids[0].tolist()[-len(suffix) :] == suffix
        findings.append(
            plain_finding("suffix", is_there, f"The prompt that is read ends in the sidecar's ids {suffix}.")
        )
    return findings


def _plain_vector(reader: BlockReader, head: ValueHead, ids: torch.Tensor) -> Float[np.ndarray, "1 d_model"]:
    seen: list[torch.Tensor] = []
    last = [(0, ids.shape[1] - 1)]
    hook = reader.blocks.modules[reader.block_index].register_forward_hook(
        lambda _module, _given, output: seen.append(reader.vectors(output, 1, last)[0].double())
    )
    try:
        reader.model(input_ids=ids.to(input_device(reader.model)))
    finally:
        hook.remove()
    vector = head.weight.double() @ seen[0]
    if head.bias is not None:
        vector += head.bias.double()
    plain: np.ndarray = vector.numpy()[None]
    return plain
