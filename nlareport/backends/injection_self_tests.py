"""Self-tests of an injection: what enters a verbalizer at its marker, and that nothing else of its prompt changes.

Takes parts of an open verbalizer, returns findings. What should be there is computed a second time in float64, from
the model's own embeddings, or from what a block computed before a vector entered.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float

from nlareport.checkpoints.sidecar import Sidecar
from nlareport.checks import Finding
from nlareport.models.block_reader import input_device
from nlareport.models.injection import Injector
from nlareport.statistics.reading_tolerance import ROUNDING, Bounds, number_finding, plain_finding


@dataclass(slots=True)
class Seen:
    """What was seen of a verbalizer's first pass, one tensor each of ``[item, token, d_model]``."""

    embedded: list[torch.Tensor] = field(default_factory=list)
    """The prompt's embeddings as they entered the model and then the part with the blocks; of a model that is fed
    tokens, as they entered its first block."""
    before: list[torch.Tensor] = field(default_factory=list)
    """What the block at which vectors enter computed."""
    after: list[torch.Tensor] = field(default_factory=list)
    """What the next one received."""


def injection_findings(
    injector: Injector, sidecar: Sidecar, prompt_ids: list[int], vector: torch.Tensor, seen: Seen
) -> Iterator[Finding]:
    """What entered the model's first pass, row by row, for the vector that its first row was written of."""
    is_at_block = injector.rule.block_index is not None
    if not seen.embedded or (is_at_block and not (seen.before and seen.after)):
        yield plain_finding("injected_vector", False, "The model is fed embeddings.")
        return
    # Found again here, not taken from the verbalizer.
    place, embedded = prompt_ids.index(sidecar.injection_token_id), seen.embedded[-1][0].double().cpu()
    own = own_embeddings(injector.model, prompt_ids).double()
    entered = seen.after[0][0] if is_at_block else seen.embedded[-1][0]
    without = seen.before[0][0].double().cpu() if is_at_block else own
    yield _entered(sidecar, entered[place], wanted_at_marker(sidecar, vector, without[place]))
    difference = (embedded - own).abs()
    if is_at_block:
        difference = torch.cat([difference, _but(place, (seen.after[0][0].double().cpu() - without).abs())])
    else:
        difference = _but(place, difference)
    yield number_finding(
        "other_embeddings",
        float(difference.max()),
        Bounds(0.0, 0.0),
        "What is fed everywhere else, against the model's own embedding of that token: the largest difference.",
    )


def _but(place: int, rows: torch.Tensor) -> torch.Tensor:
    """The rows, with zeros in place of one."""
    rows[place] = 0
    return rows


def wanted_at_marker(sidecar: Sidecar, vector: torch.Tensor, without: torch.Tensor) -> Float[torch.Tensor, " d_model"]:
    """What must be at the marker of a vector, in float64; `without` is what is there when nothing is injected."""
    rule, exact = sidecar.injection, vector.double()
    without = without.double().cpu()
    norm = without.norm() if rule.norm_match else sidecar.injection_scale
    if norm is not None:
        exact = exact * (norm / exact.norm())
    exact = exact * rule.coefficient
    return exact if rule.mode == "replace" else without + exact


def _entered(sidecar: Sidecar, found: torch.Tensor, wanted: torch.Tensor) -> Finding:
    rule, scale = sidecar.injection, sidecar.injection_scale
    dtype = str(found.dtype).removeprefix("torch.")
    norm = "the norm of what is there" if rule.norm_match else "its own norm" if scale is None else f"norm {scale:g}"
    factor = "" if rule.coefficient == 1.0 else f" times {rule.coefficient:g}"
    what = f"the vector at {norm}{factor}"
    where = "is fed to the model" if rule.block_index is None else f"block {rule.block_index} hands on"
    against = what if rule.mode == "replace" else f"the sum of what is there without it and {what}"
    return number_finding(
        "injected_vector",
        float((found.double() - wanted).norm() / wanted.norm()),
        Bounds(ROUNDING[dtype], ROUNDING[dtype]),
        f"What {where} at the marker, against {against}: relative error, in {dtype}.",
    )


def own_embeddings(model: Any, token_ids: list[int]) -> torch.Tensor:
    """What the model's embedding module alone makes of these tokens, without anything that was hooked to it."""
    embedding = model.get_input_embeddings()
    if embedding.weight.is_meta:
        # A module that was moved off its device is brought back by what is hooked to it.
        embedded: torch.Tensor = embedding(torch.tensor(token_ids, device=input_device(model)))
    else:
        embedded = type(embedding).forward(embedding, torch.tensor(token_ids, device=embedding.weight.device))
    return embedded.cpu()


@contextmanager
def watched(injector: Injector) -> Iterator[Seen]:
    """Inside, what enters the model's first pass is kept, and what is handed on where vectors enter."""
    seen, noted = Seen(), set[int]()

    def note(module: Any, _given: Any, named: dict[str, Any]) -> None:
        embeds = named.get("inputs_embeds")
        if embeds is not None and id(module) not in noted:
            noted.add(id(module))
            seen.embedded.append(embeds.detach().clone())

    # Registered last: they see what all other hooks leave.
    model, blocks, block_index = injector.model, injector.blocks, injector.rule.block_index
    parts = [model, *([model.base_model] if model.base_model is not model else [])]
    hooks = [part.register_forward_pre_hook(note, with_kwargs=True) for part in parts]
    if injector.takes_tokens:
        hooks.append(_keep_input(blocks[0], seen.embedded))
    if block_index is not None:
        hooks += [_keep_output(blocks[block_index], seen.before), _keep_input(blocks[block_index + 1], seen.after)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _keep_output(block: Any, kept: list[torch.Tensor]) -> Any:
    def keep(_module: Any, _given: Any, output: Any) -> None:
        if not kept:
            kept.append((output[0] if isinstance(output, tuple) else output).detach().clone())

    return block.register_forward_hook(keep)


def _keep_input(block: Any, kept: list[torch.Tensor]) -> Any:
    def keep(_module: Any, given: Any, named: dict[str, Any]) -> None:
        if not kept:
            hidden = given[0] if given else named["hidden_states"]
            # Of several streams the first is what tokens were embedded as.
            kept.append((hidden[0] if hidden.ndim == 4 else hidden).detach().clone())

    return block.register_forward_pre_hook(keep, with_kwargs=True)
