"""Self-tests of a verbalizer, in a few forward passes: what enters it, what stops it, whether its answer is greedy.

Takes parts of an open verbalizer with what it has just written, returns findings. Everything is computed a second time
in the plainest way, to show a fault of the fast way.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from transformers import LogitsProcessor

from nlareport.checkpoints.sidecar import Sidecar
from nlareport.checks import Finding
from nlareport.models.block_reader import input_device
from nlareport.statistics.reading_tolerance import (
    ROUNDING,
    SCORES,
    Bounds,
    number_finding,
    plain_finding,
)

N_READ_AGAIN = 32
"""Tokens of an answer that are read again."""
N_WRITTEN = 4
"""Tokens that may be written while stop ids are forced at the second."""

Write = Callable[[torch.Tensor, list[int], Callable[[list[int]], LogitsProcessor], int], list[list[int]]]
"""Writes of one vector as the verbalizer does, once for each of some stop ids, whose processor changes the scores; at
most so many tokens."""


@dataclass(frozen=True, slots=True)
class OpenWriter:
    """The parts of an open verbalizer that its self-tests look at."""

    model: Any
    sidecar: Sidecar
    prompt_ids: list[int]
    marker_index: int
    stop_ids: list[int]
    dtype: str
    write: Write
    precision: Callable[[], AbstractContextManager[Any]]
    """In which the model is run."""


@dataclass(frozen=True, slots=True)
class Written:
    """The batch that a verbalizer wrote last."""

    vectors: Float[torch.Tensor, "item d_model"]
    """As they were given."""
    token_ids: list[list[int]]
    """Whole rows as they were generated, with their padding."""


@torch.inference_mode()
def writer_findings(writer: OpenWriter, written: Written) -> list[Finding]:
    """Of a verbalizer: what is fed to it, whether stop ids stop it, and whether its answer is the greedy one."""
    vector = written.vectors[0]
    # Two rows at least: on a CPU some products take ten times as long with one.
    asked = writer.stop_ids if len(writer.stop_ids) > 1 else 2 * writer.stop_ids
    with _fed(writer.model) as fed:
        forced = writer.write(vector, asked, partial(_ForcedStops, writer.stop_ids), N_WRITTEN)
    return [
        _marker(writer),
        *_embeddings(writer, vector, fed),
        _stops(writer, asked, forced, written),
        _greedy(writer, written),
    ]


def _marker(writer: OpenWriter) -> Finding:
    place, ids, sidecar = writer.marker_index, writer.prompt_ids, writer.sidecar
    found = [index for index, token_id in enumerate(ids) if token_id == sidecar.injection_token_id]
    neighbors = [sidecar.injection_left_neighbor_id, sidecar.injection_right_neighbor_id]
    is_right = found == [place] and [ids[place - 1], ids[place + 1]] == neighbors
    return plain_finding(
        "marker", is_right, "The marker stands once in the prompt, between the two neighbours of the sidecar."
    )


def _embeddings(writer: OpenWriter, vector: torch.Tensor, fed: list[torch.Tensor]) -> Iterator[Finding]:
    """What entered the model's first pass, row by row."""
    scale = writer.sidecar.injection_scale
    norm = "its own norm" if scale is None else f"norm {scale:g}"
    if not fed:
        yield plain_finding("injected_vector", False, "The model is fed embeddings.")
        return
    # Found again here, not taken from the verbalizer.
    place, entered = writer.prompt_ids.index(writer.sidecar.injection_token_id), fed[-1][0]
    dtype = str(entered.dtype).removeprefix("torch.")
    wanted = vector_at_norm(vector, scale)
    found = entered[place].double().cpu()
    yield number_finding(
        "injected_vector",
        float((found - wanted).norm() / wanted.norm()),
        Bounds(ROUNDING[dtype], ROUNDING[dtype]),
        f"What is fed to the model at the marker, against the vector at {norm}: relative error, in {dtype}.",
    )
    own = own_embeddings(writer.model, writer.prompt_ids).double()
    difference = (entered.double().cpu() - own).abs()
    difference[place] = 0
    yield number_finding(
        "other_embeddings",
        float(difference.max()),
        Bounds(0.0, 0.0),
        "What is fed everywhere else, against the model's own embedding of that token: the largest difference.",
    )


def _stops(writer: OpenWriter, asked: list[int], forced: list[list[int]], written: Written) -> Finding:
    """Each stop id asked for was made the best token at the second place; real answers end where one is."""
    stops = set(writer.stop_ids)
    ended = [row[place:] for row in written.token_ids if (place := _end(row, stops)) is not None]
    # After a row's end there is only padding.
    halts = [row[1] == stop_id and set(row[2:]) <= stops for stop_id, row in zip(asked, forced, strict=True)]
    halts += [set(rest) <= stops for rest in ended]
    return plain_finding(
        "stop_ids",
        all(halts),
        f"Each of the stop ids {', '.join(map(str, writer.stop_ids))} ends an answer where it is the best token; of "
        f"{len(written.token_ids)} answers of a batch {len(ended)} ended in one, and nothing was written after it.",
    )


def _end(row: list[int], stops: set[int]) -> int | None:
    return next((place for place, token_id in enumerate(row) if token_id in stops), None)


def _greedy(writer: OpenWriter, written: Written) -> Finding:
    """One answer read again, alone, whole and without a cache: was every token the best one?"""
    ends = [_end(row, set(writer.stop_ids)) for row in written.token_ids]
    lengths = [len(row) if end is None else end + 1 for row, end in zip(written.token_ids, ends, strict=True)]
    place = lengths.index(min(lengths))
    answer = written.token_ids[place][: min(lengths[place], N_READ_AGAIN)]
    scores = _scores(writer, written.vectors[place], answer)
    gaps = scores.max(dim=1).values - scores[torch.arange(len(answer)), torch.tensor(answer)]
    n_other = int((gaps > 0).sum())
    said = "all are the best there too" if not n_other else f"{n_other} would be another one alone"
    return number_finding(
        "greedy",
        float(gaps.max()),
        SCORES[writer.dtype],
        f"The first {len(answer)} tokens of the shortest answer of a batch, read again alone in one pass: {said}; the "
        "largest difference between the best score and that of the token written.",
    )


def _scores(writer: OpenWriter, vector: torch.Tensor, answer: list[int]) -> torch.Tensor:
    """Scores of every token of the vocabulary at every place of an answer, float32, ``[token, vocabulary]``."""
    ids = torch.tensor([[*writer.prompt_ids, *answer[:-1]]], device=input_device(writer.model))
    embeds = writer.model.get_input_embeddings()(ids)
    embeds[0, writer.marker_index] = vector_at_norm(vector, writer.sidecar.injection_scale).to(embeds)
    with writer.precision():
        logits = writer.model(inputs_embeds=embeds, use_cache=False).logits
    scores: torch.Tensor = logits[0, len(writer.prompt_ids) - 1 :].float().cpu()
    return scores


def vector_at_norm(vector: torch.Tensor, scale: float | None) -> torch.Tensor:
    """A vector at norm `scale`, or at its own, in float64."""
    exact = vector.double()
    return exact if scale is None else exact * (scale / exact.norm())


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
def _fed(model: Any) -> Iterator[list[torch.Tensor]]:
    """Inside, the embeddings of the first pass are listed as they enter the model and then the part with the blocks."""
    seen: list[torch.Tensor] = []
    noted: set[int] = set()

    def note(module: Any, _given: Any, named: dict[str, Any]) -> None:
        embeds = named.get("inputs_embeds")
        if embeds is not None and id(module) not in noted:
            noted.add(id(module))
            seen.append(embeds.detach().clone())

    # Registered last: they see what all other hooks leave.
    parts = [model, *([model.base_model] if model.base_model is not model else [])]
    hooks = [part.register_forward_pre_hook(note, with_kwargs=True) for part in parts]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


class _ForcedStops(LogitsProcessor):  # type: ignore[misc]
    """Leaves of each row one stop id alone to be written at the second place; elsewhere none may be."""

    def __init__(self, stop_ids: list[int], forced: list[int]) -> None:
        self._stop_ids, self._forced = stop_ids, forced
        self._n_asked = 0

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores, changed."""
        self._n_asked += 1
        changed = scores.clone()
        changed[:, self._stop_ids] = -torch.inf
        if self._n_asked == 2:
            changed[:] = -torch.inf
            changed[torch.arange(len(changed)), self._forced] = 0.0
        return changed
