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

from nlareport.backends.injection_self_tests import injection_findings, wanted_at_marker, watched
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.checks import Finding
from nlareport.models.block_reader import input_device
from nlareport.models.injection import Injector
from nlareport.statistics.reading_tolerance import SCORES, number_finding, plain_finding

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
    injector: Injector
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
    with watched(writer.injector) as seen:
        forced = writer.write(vector, asked, partial(_ForcedStops, writer.stop_ids), N_WRITTEN)
    return [
        _marker(writer),
        *injection_findings(writer.injector, writer.sidecar, writer.prompt_ids, vector, seen),
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
    with writer.precision(), _with_vector(writer, vector):
        if writer.injector.takes_tokens:
            logits = writer.model(input_ids=ids, use_cache=False).logits
        else:
            embeds = writer.model.get_input_embeddings()(ids)
            if writer.injector.module is None:
                _write_in(writer, vector, embeds)
            logits = writer.model(inputs_embeds=embeds, use_cache=False).logits
    scores: torch.Tensor = logits[0, len(writer.prompt_ids) - 1 :].float().cpu()
    return scores


def _write_in(writer: OpenWriter, vector: torch.Tensor, hidden: torch.Tensor) -> None:
    """Puts a vector where it belongs in what one prompt has become, computed in float64."""
    there = hidden[0, writer.marker_index].double().cpu()
    hidden[0, writer.marker_index] = wanted_at_marker(writer.sidecar, vector, there).to(hidden)


@contextmanager
def _with_vector(writer: OpenWriter, vector: torch.Tensor) -> Iterator[None]:
    """Inside, a vector enters one pass where it is not part of the embeddings that the model is fed."""
    module = writer.injector.module
    if module is None:
        yield
        return

    def put(_module: Any, _given: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        _write_in(writer, vector, hidden)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    hook = module.register_forward_hook(put)
    try:
        yield
    finally:
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
