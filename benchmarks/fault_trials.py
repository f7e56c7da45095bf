"""What trials of faults share: an undisturbed run to compare with, folders to disturb, and what one trial found.

A trial takes the ground and a seeded source of chance. It injects faults, gives the same command again, and returns how
many faults took effect and everything that was lost.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fault_children as children
from fault_children import DB, Ended, Tell

from nlareport.review.check import check_run


@dataclass
class Ground:
    """An undisturbed run to compare with, and a folder for trials."""

    work: Path
    engine: str
    stages: list[float]
    """Seconds before the first stage and in each, of a run that nobody disturbs."""
    expected: dict[str, str]
    expected_check: list[str]
    """What a check of it says: with random weights some claims do not hold."""
    seed: int = 0
    """Of the current trial."""

    @property
    def seconds(self) -> float:
        """How long an undisturbed run takes."""
        return sum(self.stages)

    @property
    def rows(self) -> dict[str, str]:
        """What is expected of the run file itself, without the names of the files around it."""
        return {name: digest for name, digest in self.expected.items() if name != "files"}

    @property
    def reference(self) -> Path:
        return self.work / "reference"

    def killed(self, chance: random.Random, action: Callable[..., None], *arguments: Any) -> Ended:
        """A child killed at a random moment of a random stage; every stage is equally likely, however long it takes."""
        stage = chance.randrange(len(self.stages))
        return children.Child(action, *arguments).ended(chance.uniform(0, self.stages[stage]), n_told=stage)

    def begun(self) -> Path:
        """A folder with the experiment and its corpus, and no run."""
        return self._trial([children.EXPERIMENT, children.CORPUS])

    def finished(self) -> Path:
        """A copy of the finished run."""
        return self._trial([path.name for path in self.reference.iterdir()])

    def _trial(self, names: list[str]) -> Path:
        folder = self.work / "trial"
        make_writable(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in names:
            source = self.reference / name
            shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
        return folder


@dataclass
class Trial:
    """What one trial did and found."""

    n_faults: int = 0
    where: Counter[str] = field(default_factory=Counter)
    """How many faults fell into each stage, or led to each outcome."""
    lost: list[str] = field(default_factory=list)

    def met(self, ended: Ended) -> None:
        """Counts a kill by the stage it fell into; one that came too late does not count."""
        if ended.was_killed:
            self.n_faults += 1
            self.where[ended.last.removeprefix("stage ") or "start"] += 1
        self.refuse_traceback(ended)

    def refuse_traceback(self, ended: Ended) -> None:
        """Records a traceback as a loss: no command may end in one."""
        if ended.last.startswith("traceback"):
            self.lost.append(ended.last)

    def finish(self, ground: Ground, folder: Path) -> None:
        """Gives the same command again, undisturbed, and records every difference from the undisturbed run."""
        ended = children.run_to_end(children.compute, folder, ground.engine)
        if not ended.is_done:
            self.lost.append(f"the command does not end: {ended.last or 'it died'}")
            return
        checked = children.run_to_end(check, folder)
        if checked.told != ground.expected_check:
            self.lost.append(f"check: {' | '.join(checked.told)}")
        found = children.state_of(folder)
        if different := children.differences(found, ground.expected):
            self.lost.append(f"differs: {', '.join(different)}")
        if found["files"] != ground.expected["files"]:
            left = sorted(set(found["files"].split()) ^ set(ground.expected["files"].split()))
            self.lost.append(f"left over or missing: {', '.join(left)}")


def check(tell: Tell, folder: Path) -> None:
    for fault in check_run(folder / DB, None, None, 0.05).faults:
        tell(f"fault {fault}")


def make_writable(folder: Path) -> None:
    with suppress(FileNotFoundError):
        folder.chmod(0o755)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
