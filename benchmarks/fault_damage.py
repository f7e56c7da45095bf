"""Faults of files: flipped bits, cut ends and missing files, in the run file and in the Parquet files next to it."""

import random
from collections.abc import Callable
from pathlib import Path

import fault_children as children
from fault_children import DB, Tell
from fault_trials import Ground, Trial
from support import scripted_runs

from nlareport.errors import NlareportError
from nlareport.store.vectors.parquet_parts import refuse_damaged
from nlareport.store.whole_run import read_run

DAMAGED_AT_ONCE = 60
"""Files that are damaged and restored in one trial."""


def _damage_parts(tell: Tell, folder: Path, seed: int, n: int) -> None:
    """Damages one part after another and restores each; tells what every read and every check says of it."""
    chance, parts = random.Random(seed), sorted(folder.rglob("*.parquet"))
    before = scripted_runs.everything(folder / DB)
    for _ in range(n):
        path = chance.choice(parts)
        content = path.read_bytes()
        path.write_bytes(_damaged(content, chance))
        tell(f"{_answer(lambda path=path: refuse_damaged(path))} by check")
        tell(f"{_answer(lambda: _refuse_other(scripted_runs.everything(folder / DB), before))} by read")
        path.write_bytes(content)


def _damaged(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(damaged) if chance.random() < 0.75 else content[: chance.randrange(len(content))]


def _refuse_other(found: object, expected: object) -> None:
    if found != expected:
        raise RuntimeError("other rows or vectors came back")


def _answer(read: Callable[[], object]) -> str:
    try:
        read()
    except NlareportError as error:
        return f"told {type(error).__name__}"
    except BaseException as error:  # exactly what the trials look for
        return f"{type(error).__name__} {error}"
    return "no word"


def damaged_parts(ground: Ground, chance: random.Random) -> Trial:
    """Flipped bits and cut ends in parts; the last one is repaired as the message says."""
    trial, folder = Trial(), ground.finished()
    ended = children.run_to_end(_damage_parts, folder, chance.randrange(1_000_000), DAMAGED_AT_ONCE)
    trial.n_faults = sum(line.endswith("by check") for line in ended.told)
    trial.where.update(ended.told[:-1])
    if not ended.is_done:
        trial.lost.append(ended.last or "the reader died")
    # A read that does not need the damaged column may say nothing; a check may not.
    allowed = {"told ActivationsDamaged by check", "told ActivationsDamaged by read", "no word by read", "done"}
    trial.lost += sorted(set(ended.told) - allowed)
    path = chance.choice(sorted(folder.rglob("*.parquet")))
    path.write_bytes(_damaged(path.read_bytes(), chance))
    told = children.run_to_end(children.compute, folder, ground.engine)
    trial.n_faults += 1
    if told.refusal is None or str(path) not in told.refusal:
        trial.lost.append(f"{path.name} was damaged and the run said: {told.last}")
    path.unlink()
    trial.finish(ground, folder)
    return trial


def missing_parts(ground: Ground, chance: random.Random) -> Trial:
    """Parts and their sidecars deleted from a finished run."""
    trial, folder = Trial(), ground.finished()
    parts = sorted((folder / DB).with_suffix(".activations").rglob("*.parquet"))
    for path in chance.sample(parts, chance.randrange(1, len(parts))):
        trial.n_faults += 1
        trial.where[path.parent.name if path.parent.name == "documents" else "vectors"] += 1
        path.unlink()
    trial.finish(ground, folder)
    return trial


def _damage_run_files(tell: Tell, folder: Path, seed: int, n: int) -> None:
    chance, path = random.Random(seed), folder / DB
    content, before = path.read_bytes(), read_run(path)
    for _ in range(n):
        path.write_bytes(_damaged(content, chance))
        tell(_answer(lambda: _refuse_other(read_run(path), before)))
    path.write_bytes(content)


def damaged_run_file(ground: Ground, chance: random.Random) -> Trial:
    """Flipped bits and cut ends in the run file: each is reported or has no effect. Its copy is restored afterwards."""
    trial, folder = Trial(), ground.finished()
    ended = children.run_to_end(_damage_run_files, folder, chance.randrange(1_000_000), DAMAGED_AT_ONCE)
    trial.n_faults = len(ended.told) - ended.is_done
    trial.where.update(ended.told[: trial.n_faults])
    if not ended.is_done:
        trial.lost.append(ended.last or "the reader died")
    trial.lost += [line for line in ended.told if not line.startswith(("told ", "no word", "done"))]
    trial.finish(ground, folder)
    return trial
