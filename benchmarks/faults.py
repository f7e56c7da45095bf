"""Injects faults into real runs and reports what was lost; exits with 1 if anything was.

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
import fault_damage as damage
import fault_interruptions as interruptions
import fault_numbers as numbers
from fault_trials import Ground, Trial, check
from support import scripted_runs

from nlareport.rows.ablation_methods import WHOLE_TEXT_METHODS

SCRIPTED, MODELS = "scripted", "transformers"
Inject = Callable[[Ground, random.Random], Trial]
KINDS: dict[str, tuple[str, Inject]] = {
    "kill": (SCRIPTED, interruptions.kill),
    "kill_models": (MODELS, interruptions.kill),
    "kill_commands": (SCRIPTED, commands.kill_commands),
    "kill_new_run": (SCRIPTED, commands.kill_new_run),
    "file_limit": (SCRIPTED, interruptions.file_limit),
    "full_disk": (SCRIPTED, interruptions.full_disk),
    "read_only": (SCRIPTED, interruptions.read_only),
    "two_writers": (SCRIPTED, interruptions.two_writers),
    "clock": (SCRIPTED, interruptions.clock),
    "damaged_parts": (SCRIPTED, damage.damaged_parts),
    "missing_parts": (SCRIPTED, damage.missing_parts),
    "damaged_run_file": (SCRIPTED, damage.damaged_run_file),
    "memory": (MODELS, numbers.memory),
    "numbers": (SCRIPTED, numbers.numbers),
}
"""For each kind of fault the engine that computes its runs, and the function that runs one trial."""


def _build_checkpoints(tell: children.Tell, folder: Path) -> None:
    from support.tiny_checkpoints import build_tiny_pair

    for architecture in ("qwen2", "gemma3"):
        pair = build_tiny_pair(folder / architecture, architecture)
        tell(json.dumps(pair.pair_spec.model_dump(mode="json")))


def _tiny_content(work: Path) -> dict[str, Any]:
    """An experiment on tiny random checkpoints, which never close their explanations."""
    # Imported before the fork, so that children do not spend their first seconds on it.
    import nlareport.backends.transformers_local  # noqa: F401

    specs = children.run_to_end(_build_checkpoints, work / "checkpoints").told[:-1]
    content = scripted_runs.scripted_content(8)
    content["pairs"] = [json.loads(spec) for spec in specs]
    content["sampling"]["reference_pair"] = content["pairs"][0]["pair_id"]
    content["scoring"]["unclean"], content["decoding"]["max_new_tokens"] = "raw", 8
    return content


def undisturbed(work: Path, engine: str) -> Ground:
    """The run that every trial must end in, computed in a child process."""
    folder = work / "reference"
    folder.mkdir(parents=True)
    # Processes without privileges must be able to read it: temporary folders are private.
    work.chmod(0o755)
    scripted_runs.write_corpus(folder, 30)
    content = scripted_runs.scripted_content(12) if engine == SCRIPTED else _tiny_content(work)
    content["ablations"], content["plain_words"] = [WHOLE_TEXT_METHODS[0]], [4]
    scripted_runs.write_experiment(folder, content)
    ended = children.run_to_end(children.compute, folder, engine)
    if not ended.is_done:
        raise RuntimeError(f"the undisturbed run failed: {ended.last}")
    expected, said = children.state_of(folder), children.run_to_end(check, folder).told
    ground = Ground(work, engine, [], expected, said)
    # Timed on a second run, when the disk cache is warm.
    ground.stages = children.stage_seconds(ground.begun(), engine)
    return ground


@click.command(help=__doc__)
@click.option("--kinds", "names", default=",".join(name for name in KINDS if name != "full_disk"), show_default=True)
@click.option("--trials", default=1, show_default=True, help="Trials of each kind.")
@click.option("--first-seed", default=0, show_default=True)
@click.option("--log", type=click.Path(path_type=Path), help="Append results here; trials already in it are skipped.")
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
