"""Injects faults into real runs by the hundred and says what was lost: nothing, or exit code 1.

python benchmarks/faults.py --kinds kill,clock --trials 5 --work /tmp/faults
"""

import json
import random
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import fault_children as children
import fault_commands as commands
import fault_kinds as kinds
import fault_numbers as numbers
from fault_kinds import Ground, Trial
from support import scripted_runs

from nlareport.rows.ablation_methods import WHOLE_TEXT_METHODS

SCRIPTED, MODELS = "scripted", "transformers"
Inject = Callable[[Ground, random.Random], Trial]
KINDS: dict[str, tuple[str, Inject]] = {
    "kill": (SCRIPTED, kinds.kill),
    "kill_models": (MODELS, kinds.kill),
    "kill_commands": (SCRIPTED, commands.kill_commands),
    "kill_new_run": (SCRIPTED, commands.kill_new_run),
    "file_limit": (SCRIPTED, kinds.file_limit),
    "full_disk": (SCRIPTED, kinds.full_disk),
    "read_only": (SCRIPTED, kinds.read_only),
    "two_writers": (SCRIPTED, kinds.two_writers),
    "clock": (SCRIPTED, kinds.clock),
    "damaged_parts": (SCRIPTED, kinds.damaged_parts),
    "missing_parts": (SCRIPTED, kinds.missing_parts),
    "damaged_run_file": (SCRIPTED, kinds.damaged_run_file),
    "memory": (MODELS, numbers.memory),
    "numbers": (SCRIPTED, numbers.numbers),
}
"""Name to the engine that computes its runs, and what a trial does."""


def _build_checkpoints(tell: children.Tell, folder: Path) -> None:
    from support.tiny_checkpoints import build_tiny_pair

    for architecture in ("qwen2", "gemma3"):
        pair = build_tiny_pair(folder / architecture, architecture)
        tell(json.dumps(pair.pair_spec.model_dump(mode="json")))


def _tiny_content(work: Path) -> dict[str, Any]:
    """An experiment on tiny random checkpoints, whose explanations are never closed."""
    # Imported before the fork, or every child would spend its first seconds on it.
    import nlareport.backends.transformers_local  # noqa: F401

    specs = children.run_to_end(_build_checkpoints, work / "checkpoints").told[:-1]
    content = scripted_runs.scripted_content(8)
    content["pairs"] = [json.loads(spec) for spec in specs]
    content["sampling"]["reference_pair"] = content["pairs"][0]["pair_id"]
    content["scoring"]["unclean"], content["decoding"]["max_new_tokens"] = "raw", 8
    return content


def undisturbed(work: Path, engine: str) -> Ground:
    """The run every trial must end in, computed in a child."""
    folder = work / "reference"
    folder.mkdir(parents=True)
    # Whoever has no rights must still be able to look: a temporary folder lets nobody in.
    work.chmod(0o755)
    scripted_runs.write_corpus(folder, 30)
    content = scripted_runs.scripted_content(12) if engine == SCRIPTED else _tiny_content(work)
    content["ablations"], content["plain_words"] = [WHOLE_TEXT_METHODS[0]], [4]
    scripted_runs.write_experiment(folder, content)
    ended = children.run_to_end(children.compute, folder, engine)
    if not ended.is_done:
        raise RuntimeError(f"the undisturbed run failed: {ended.last}")
    expected, said = children.state_of(folder), children.run_to_end(kinds.check, folder).told
    ground = Ground(work, engine, [], expected, said)
    # Timed the second time, when nothing is read from the disk for the first time.
    ground.stages = children.stage_seconds(ground.begun(), engine)
    return ground


@click.command(help=__doc__)
@click.option("--kinds", "names", default=",".join(name for name in KINDS if name != "full_disk"), show_default=True)
@click.option("--trials", default=1, show_default=True, help="Of each kind.")
@click.option("--first-seed", default=0, show_default=True)
@click.option(
    "--log", type=click.Path(path_type=Path), help="Where lines are kept; trials that are in it are not repeated."
)
def main(names: str, trials: int, first_seed: int, log: Path | None) -> None:
    known = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log and log.exists() else []
    made = {(trial["kind"], trial["seed"]) for trial in known}
    lost = 0
    with TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        ground = cache(lambda engine: undisturbed(Path(scratch) / engine, engine))
        for name in names.split(","):
            engine, inject = KINDS[name]
            for seed in range(first_seed, first_seed + trials):
                if (name, seed) in made:
                    continue
                line = _trial(name, inject, ground(engine), seed)
                lost += len(line["lost"])
                click.echo(json.dumps(line, ensure_ascii=False))
                if log is not None:
                    with log.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    raise SystemExit(1 if lost else 0)


def _trial(name: str, inject: Inject, ground: Ground, seed: int) -> dict[str, Any]:
    began, ground.seed = time.monotonic(), seed
    trial = inject(ground, random.Random(f"{name} {seed}"))
    facts = {"kind": name, "seed": seed, "n_faults": trial.n_faults, "where": dict(trial.where), "lost": trial.lost}
    return {**facts, "seconds": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    main()
