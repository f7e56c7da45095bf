"""Kills the commands that write files from a run: import, export, render, diff.

A killed command that is given again must leave the same files as an undisturbed one, and nothing else.
"""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import fault_children as children
from fault_children import DB, Tell
from fault_trials import Ground, Trial
from support.scripted_runs import request

from nlareport.publish import diff_runs, publish_run
from nlareport.review.sources import import_figures
from nlareport.run.pipeline import start_over
from nlareport.store.bundle.bundle import export_bundle

PUBLISHED = Path(__file__).resolve().parents[1] / "data/published/18-cross-family.yaml"
IMPORTED = "imported.duckdb"

COMMANDS: dict[str, Callable[[Path], object]] = {
    "import": lambda folder: import_figures(PUBLISHED, folder / IMPORTED),
    "export": lambda folder: export_bundle(folder / DB, folder / "bundle", "jsonl"),
    "render": lambda folder: publish_run(folder / DB, folder / "report"),
    "diff": lambda folder: diff_runs(folder / DB, folder / "again.duckdb", folder / "comparison"),
}


def kill_commands(ground: Ground, chance: random.Random) -> Trial:
    """Three kills of one command, each at a random moment within the time of an undisturbed one."""
    trial, name = Trial(), chance.choice(list(COMMANDS))
    seconds, expected = _undisturbed(ground, name)
    folder = _folder(ground)
    for _ in range(3):
        ended = children.Child(_command, folder, name).ended(chance.uniform(0, seconds))
        trial.n_faults += ended.was_killed
        trial.where[name] += ended.was_killed
        trial.refuse_traceback(ended)
    ended = children.run_to_end(_command, folder, name)
    if not ended.is_done:
        trial.lost.append(f"{name} does not end: {ended.last or 'it died'}")
    elif different := children.differences(_written(folder), expected):
        trial.lost.append(f"{name} leaves other files: {', '.join(different[:5])}")
    return trial


def kill_new_run(ground: Ground, chance: random.Random) -> Trial:
    """A run that starts over is killed twice; the former run must be kept, and the new one must end as any other."""
    trial, folder = Trial(), ground.finished()
    for _ in range(2):
        trial.met(ground.killed(chance, _start_over, folder))
    ended = children.run_to_end(children.compute, folder)
    if not ended.is_done:
        trial.lost.append(f"the command does not end: {ended.last or 'it died'}")
        return trial
    former, new = (sorted(folder.glob("run.*.duckdb")), folder / DB)
    kept = [children.differences(children.rows_of(path), ground.rows) for path in former]
    # Vectors are renamed after the run file. A kill between the two leaves them, and the new run uses them.
    if former and not any(set(different) <= {"vectors", "texts"} for different in kept):
        trial.lost.append("the former run was not kept")
    if different := children.differences(children.rows_of(new), ground.rows):
        trial.lost.append(f"differs: {', '.join(different)}")
    return trial


def _start_over(tell: Tell, folder: Path) -> None:
    start_over(request(folder / children.EXPERIMENT, folder / DB))
    children.compute(tell, folder)


def _folder(ground: Ground) -> Path:
    folder = ground.finished()
    shutil.copy(folder / DB, folder / "again.duckdb")
    return folder


def _command(_: Tell, folder: Path, name: str) -> None:
    COMMANDS[name](folder)


def _undisturbed(ground: Ground, name: str) -> tuple[float, dict[str, str]]:
    """How long an undisturbed command takes, and every file in the folder after it."""
    folder, began = _folder(ground), time.monotonic()
    ended = children.run_to_end(_command, folder, name)
    if not ended.is_done:
        raise RuntimeError(f"{name} failed undisturbed: {ended.last}")
    return time.monotonic() - began, _written(folder)


def _written(folder: Path) -> dict[str, str]:
    """Digests of all files; of an imported run, which records when it was made, digests of its rows."""
    found = children.tree(folder)
    if IMPORTED in found:
        found |= {f"imported {name}": digest for name, digest in children.rows_of(folder / IMPORTED).items()}
        del found[IMPORTED]
    return found
