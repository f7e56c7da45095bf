"""Impossible and extreme numbers from models, and memory that runs out in the middle of a batch.

After each, a run must end in rows that say why they have no score, or in one sentence, and what it stored must render.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fault_children as children
import numpy as np
import yaml
from fault_children import DB, EXPERIMENT, Tell
from fault_trials import Ground, Trial, check
from support import scripted_runs

from nlareport.backends import scripted
from nlareport.batches import Completion
from nlareport.publish import publish_run
from nlareport.rows.item_rows import Explanation, Score

Change = Callable[[np.ndarray], np.ndarray]


def _first_row(value: float) -> Change:
    def change(vectors: np.ndarray) -> np.ndarray:
        vectors = vectors.copy()
        vectors[0] = value
        return vectors

    return change


def _times(factor: float) -> Change:
    return lambda vectors: (vectors * np.float64(factor)).astype(np.float32)


VECTORS: dict[str, Change] = {
    "first NaN": _first_row(np.nan),
    "first infinite": _first_row(np.inf),
    "first zero": _first_row(0.0),
    "all NaN": _times(np.nan),
    "all zero": _times(0.0),
    "all alike": np.ones_like,
    "negated": _times(-1.0),
    "near the largest float": _times(1e37),
    "denormal": _times(1e-40),
    "first a million times longer": lambda vectors: np.concatenate([vectors[:1] * np.float32(1e6), vectors[1:]]),
}
TEXTS: dict[str, tuple[str, str]] = {
    "no tag": ("no tag here", "length"),
    "empty": ("", "stop"),
    "nothing between the tags": ("<explanation></explanation>", "stop"),
    "all alike": ('<explanation>A text about "river".</explanation>', "stop"),
    "NUL": ("<explanation>a\x00b</explanation>", "stop"),
    "lone surrogate": ("<explanation>\ud800</explanation>", "stop"),
    "a megabyte": (f"<explanation>{'w' * 10**6}</explanation>", "stop"),
}
SIZES: dict[str, dict[str, Any]] = {
    "two items": {"sampling": {"n_items": 2}},
    "all items in one document": {"sampling": {"n_items": 12, "positions_per_document": 40}},
    "one pair": {"pairs": 1},
    "V resampled from two items": {"sampling": {"n_items": 2}, "scoring": {"variance": "resampled"}},
    "unclean answers at a penalty": {"scoring": {"unclean": "penalty"}, "decoding": {"max_new_tokens": 4}},
    "all answers unclean": {"decoding": {"max_new_tokens": 4}},
}


def _with_vectors(tell: Tell, folder: Path, owner: str, name: str) -> None:
    model, method = getattr(scripted, owner), "extract" if owner.endswith("Extractor") else "reconstruct"
    before = getattr(model, method)
    setattr(model, method, lambda self, texts: VECTORS[name](before(self, texts)))
    children.compute(tell, folder)


def _with_texts(tell: Tell, folder: Path, name: str) -> None:
    text, finish = TEXTS[name]
    scripted.ScriptedVerbalizer.verbalize = lambda _, vectors: [Completion(text, 5, finish) for _ in vectors]
    children.compute(tell, folder)


def _render(_: Tell, folder: Path) -> None:
    publish_run(folder / DB, folder / "report")


CASES = [
    *[("activations", name) for name in VECTORS],
    *[("reconstructions", name) for name in VECTORS],
    *[("answers", name) for name in TEXTS],
    *[("sizes", name) for name in SIZES],
]


def numbers(ground: Ground, _: random.Random) -> Trial:
    """Extreme activations, reconstructions, answers or sizes; the seed chooses the case."""
    trial, folder = Trial(n_faults=1), ground.begun()
    kind, name = CASES[ground.seed % len(CASES)]
    if kind == "answers":
        ended = children.run_to_end(_with_texts, folder, name)
    elif kind == "sizes":
        _change_experiment(folder / EXPERIMENT, SIZES[name])
        ended = children.run_to_end(children.compute, folder)
    else:
        owner = "ScriptedExtractor" if kind == "activations" else "ScriptedReconstructor"
        ended = children.run_to_end(_with_vectors, folder, owner, name)
    trial.where["rows" if ended.is_done else (ended.refusal or "?").partition(":")[0]] += 1
    commands = {"run": ended}
    if (folder / DB).exists():
        commands |= {"check": children.run_to_end(check, folder), "render": children.run_to_end(_render, folder)}
    for command, end in commands.items():
        if not end.is_done and end.refusal is None:
            trial.lost.append(f"{kind}, {name}: {command} ends in {end.last or 'nothing'}")
    return trial


def _change_experiment(path: Path, changes: dict[str, Any]) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, change in changes.items():
        if name == "pairs":
            content[name] = content[name][:change]
        else:
            content[name] |= change
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def _short_of_memory(tell: Tell, folder: Path, engine: str, seed: int) -> None:
    import torch

    chance, embed = random.Random(seed), torch.nn.Embedding.forward

    def forward(self: torch.nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
        if len(ids) > 1 and chance.random() < 0.3:
            tell("out of memory")
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return embed(self, ids)

    torch.nn.Embedding.forward = forward
    children.compute(tell, folder, engine)


def memory(ground: Ground, chance: random.Random) -> Trial:
    """Out-of-memory errors in three of ten batches of more than one row: batches are halved, and the run continues."""
    trial, folder = Trial(), ground.begun()
    ended = children.run_to_end(_short_of_memory, folder, ground.engine, chance.randrange(1_000_000))
    trial.n_faults = ended.told.count("out of memory")
    trial.where["batch halved"] = trial.n_faults
    if not ended.is_done:
        trial.lost.append(f"the run does not continue: {ended.last}")
        return trial
    same = children.run_to_end(_refuse_far, folder, ground.reference)
    if not same.is_done:
        trial.lost.append(same.last)
    return trial


def _refuse_far(_: Tell, folder: Path, reference: Path) -> None:
    """Raises unless both runs agree; vectors may differ by rounding, because other batch sizes sum in another order."""
    (rows, vectors), (other, others) = (scripted_runs.everything(place / DB) for place in (folder, reference))
    if rows.of(Explanation) != other.of(Explanation):
        raise AssertionError("other explanations")
    for name, expected in others.items():
        found, wanted = (
            np.array(value if isinstance(value, list) else value[1]) for value in (vectors[name], expected)
        )
        if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-3, atol=1e-3):
            raise AssertionError(f"other vectors of {name}")
    for score, wanted in zip(rows.of(Score), other.of(Score), strict=True):
        if abs((score.mse_nrm or 0.0) - (wanted.mse_nrm or 0.0)) > 1e-3:
            raise AssertionError("other scores")
