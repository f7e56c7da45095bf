"""The resumable training loop of both halves of a pair: AdamW, linear warm-up and decay, state saved as it goes.

Takes a model's trainable parameters and a loss for every step, trains the parameters in place. The types of what is
learned (`Texts`) and of what is trained (`Trainee`) are the same for both halves.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlareport.checkpoints.sidecar import Sidecar
from nlareport.files.atomic_files import whole_file
from nlareport.pairs.catalog import Lesson
from nlareport.ports import Progress

WARM_UP_STEPS = 40
SAVE_EVERY_STEPS = 50
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Texts:
    """An explanation of each vector, row by row."""

    explanations: list[str]
    vectors: Float[np.ndarray, "item d_model"]


@dataclass(frozen=True, slots=True)
class Trainee:
    """One half of a pair in training."""

    base: Path
    sidecar: Sidecar
    rank: int
    """Of its adapter, when it starts from nothing."""
    folder: Path
    """Where its adapters and states are kept, by the name of the lesson."""
    progress: Progress


@dataclass(frozen=True, slots=True)
class Halves:
    """Both halves of a pair during training: their adapters, and what their sidecars will say."""

    base: Path
    verbalizer: Path
    reconstructor: Path
    writing: Sidecar
    reading: Sidecar


def train(
    name: str,
    parameters: dict[str, nn.Parameter],
    loss_at: Callable[[int], Tensor],
    lesson: Lesson,
    state_file: Path,
    progress: Progress,
) -> list[float]:
    """Loss of every step; continues from `state_file` when a former call was cut off."""
    n_steps = lesson.examples // lesson.batch_size
    optimizer = torch.optim.AdamW(parameters.values(), lr=lesson.learning_rate, weight_decay=0.0)
    losses = _resume(parameters, optimizer, state_file)
    progress.stage(f"{name}, loss {_recent(losses)}", n_steps, len(losses))
    for step in range(len(losses), n_steps):
        for group in optimizer.param_groups:
            group["lr"] = lesson.learning_rate * _schedule(step, n_steps)
        loss = loss_at(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters.values(), MAX_GRADIENT_NORM)
        optimizer.step()
        losses.append(float(loss.detach()))
        if len(losses) % SAVE_EVERY_STEPS == 0 or len(losses) == n_steps:
            _save(parameters, optimizer, losses, state_file)
            progress.stage(f"{name}, loss {_recent(losses)}", n_steps, len(losses))
        else:
            progress.advance(1)
    return losses


def kept_at(folder: Path, name: str, *plan: object) -> Path:
    """Where the outcome of a plan is kept: another recipe gets another place.

    An adapter a lesson starts from is named in its plan, so a change is seen by all that comes after it.
    """
    return folder / f"{name}-{hashlib.sha256(repr(plan).encode()).hexdigest()[:8]}"


def batch_rows(step: int, n_examples: int, lesson: Lesson) -> list[int]:
    """Rows of one step's batch: every epoch is a fresh seeded order of all examples.

    The few that do not fill a last batch wait for another epoch; fewer examples than a batch are all of it.
    """
    per_epoch = max(n_examples // lesson.batch_size, 1)
    epoch, place = divmod(step, per_epoch)
    order = random.Random(f"{lesson.seed}|{epoch}").sample(range(n_examples), n_examples)
    return sorted(order[place * lesson.batch_size : (place + 1) * lesson.batch_size])


def _schedule(step: int, n_steps: int) -> float:
    """Share of the full learning rate: up over the first steps, then down to nothing."""
    return min((step + 1) / WARM_UP_STEPS, (n_steps - step) / max(n_steps - WARM_UP_STEPS, 1))


def _recent(losses: list[float]) -> str:
    recent = losses[-SAVE_EVERY_STEPS:]
    return f"{sum(recent) / len(recent):.3f}" if recent else "not known yet"


def _resume(parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, state_file: Path) -> list[float]:
    if not state_file.exists():
        return []
    state = torch.load(state_file, weights_only=True)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state["parameters"][name])
    optimizer.load_state_dict(state["optimizer"])
    return list(state["losses"])


def _save(
    parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, losses: list[float], state_file: Path
) -> None:
    state = {
        "parameters": {name: parameter.detach() for name, parameter in parameters.items()},
        "optimizer": optimizer.state_dict(),
        "losses": losses,
    }
    with whole_file(state_file) as scratch:
        torch.save(state, scratch)
