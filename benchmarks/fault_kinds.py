"""Every kind of fault that is injected, and what must hold after it: the same command ends in the same run.

A trial takes the ground, which holds an undisturbed run, and a seeded source of chance; it returns how many faults it
injected and everything that was lost by them.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fault_children as children
from fault_children import DB, Ended, Tell
from support import scripted_runs

from nlareport.errors import NlareportError
from nlareport.review.check import check_run
from nlareport.store.vectors.parquet_parts import refuse_damaged
from nlareport.store.whole_run import read_run

SPOILT_AT_ONCE = 60
"""Files that are damaged and mended again in one trial."""


@dataclass
class Ground:
    """An undisturbed run to compare with, and room for trials beside it."""

    work: Path
    engine: str
    stages: list[float]
    """Seconds before the first stage and in each, of a run that nobody disturbs."""
    expected: dict[str, str]
    expected_check: list[str]
    """What a check of it says: models with random weights bear no claim out."""
    seed: int = 0
    """Of the trial that is being made."""

    @property
    def seconds(self) -> float:
        """What a run takes that nobody disturbs."""
        return sum(self.stages)

    @property
    def rows(self) -> dict[str, str]:
        """What is expected of the run, whatever files lie beside it."""
        return {name: digest for name, digest in self.expected.items() if name != "files"}

    @property
    def reference(self) -> Path:
        return self.work / "reference"

    def killed(self, chance: random.Random, action: Callable[..., None], *arguments: Any) -> Ended:
        """A child killed at a random moment of a random stage, each as likely as another however long it takes."""
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
        _writable(folder)
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
    """For each place or outcome how many faults met it."""
    lost: list[str] = field(default_factory=list)

    def met(self, ended: Ended) -> None:
        """Counts a kill by the stage it fell into; one that came too late is no fault."""
        if ended.was_killed:
            self.n_faults += 1
            self.where[ended.last.removeprefix("stage ") or "start"] += 1
        self.refuse_traceback(ended)

    def refuse_traceback(self, ended: Ended) -> None:
        """Notes what no command may end in."""
        if ended.last.startswith("traceback"):
            self.lost.append(ended.last)

    def finish(self, ground: Ground, folder: Path) -> None:
        """The same command once more, undisturbed: notes whatever is then not as in the undisturbed run."""
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
            self.lost.append(f"left lying or lacking: {', '.join(left)}")


def check(tell: Tell, folder: Path) -> None:
    for fault in check_run(folder / DB, None, None, 0.05).faults:
        tell(f"fault {fault}")


def kill(ground: Ground, chance: random.Random) -> Trial:
    """Four kills of one run, each at a random moment of what an undisturbed one takes."""
    trial, folder = Trial(), ground.begun()
    for _ in range(8):
        ended = ground.killed(chance, children.compute, folder, ground.engine)
        trial.met(ended)
        if trial.n_faults == 4:
            break
        if not ended.was_killed:
            # It ended before its moment came: another run has to be killed.
            folder = ground.begun()
    trial.finish(ground, folder)
    return trial


def _starved(tell: Tell, folder: Path, engine: str, n_bytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    children.compute(tell, folder, engine)


def file_limit(ground: Ground, chance: random.Random) -> Trial:
    """No file may grow beyond a random size: writes fail in the middle of the run file, its log, or a part."""
    trial, folder = Trial(), ground.begun()
    largest = (ground.reference / DB).stat().st_size
    for _ in range(3):
        # Small ones oftener: parts are smaller than the run file.
        n_bytes = int(largest ** chance.uniform(0.3, 1.0))
        ended = children.run_to_end(_starved, folder, ground.engine, n_bytes)
        _refused(trial, ended)
    trial.finish(ground, folder)
    return trial


def full_disk(ground: Ground, chance: random.Random) -> Trial:
    """A disk of random size that fills up, then a larger one; it has to be mounted, which takes some rights."""
    trial, disk = Trial(), ground.work / "disk"
    disk.mkdir(exist_ok=True)
    # Less than half of the bytes is enough for most runs: DuckDB leaves holes in its file.
    n_bytes = sum(path.stat().st_size for path in ground.reference.rglob("*") if path.is_file())
    kilobytes = chance.randrange(40, n_bytes // 1024 // 3)
    _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk))
    try:
        for name in (children.EXPERIMENT, children.CORPUS):
            shutil.copy(ground.reference / name, disk)
        _refused(trial, children.run_to_end(children.compute, disk, ground.engine))
        _mount("-o", "remount,size=256m", str(disk))
        trial.finish(ground, disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return trial


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _refused(trial: Trial, ended: Ended) -> None:
    """Counts a fault that a sentence told; a run that ended all the same did not meet it."""
    if ended.refusal is not None:
        trial.n_faults += 1
        trial.where[ended.refusal.partition(":")[0]] += 1
    elif not ended.is_done:
        trial.lost.append(ended.last if ended.last.startswith("traceback") else f"died without a word: {ended.told}")


def _without_rights(tell: Tell, folder: Path, engine: str) -> None:
    children.give_up_rights()
    children.compute(tell, folder, engine)


def read_only(ground: Ground, chance: random.Random) -> Trial:
    """A run stopped somewhere goes on where it may not write: in the folders, to the files, or anywhere."""
    trial, folder = Trial(), ground.begun()
    ground.killed(chance, children.compute, folder, ground.engine)
    everything = [folder, *folder.rglob("*")]
    folders = [path for path in everything if path.is_dir()]
    for path in chance.choice([everything, folders, [path for path in everything if path not in folders]]):
        path.chmod(0o555 if path.is_dir() else 0o444)
    _refused(trial, children.run_to_end(_without_rights, folder, ground.engine))
    _writable(folder)
    trial.finish(ground, folder)
    return trial


def _writable(folder: Path) -> None:
    with suppress(FileNotFoundError):
        folder.chmod(0o755)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


def two_writers(ground: Ground, chance: random.Random) -> Trial:
    """Two processes compute the same run at the same time; at times one is killed."""
    trial, folder = Trial(), ground.begun()
    for _ in range(2):
        first = children.Child(children.compute, folder, ground.engine)
        time.sleep(chance.choice([0.0, chance.uniform(0, ground.seconds / 2)]))
        second = children.Child(children.compute, folder, ground.engine)
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0, ground.seconds))
            chance.choice([first, second]).kill()
        trial.n_faults += 1
        for ended in (first.ended(), second.ended()):
            outcome = "killed" if ended.was_killed else ended.last.partition(":")[0]
            trial.where[outcome] += 1
            if outcome not in ("killed", "done", "refused RunFileBusy"):
                trial.lost.append(ended.last)
    trial.finish(ground, folder)
    return trial


def _at_odd_times(tell: Tell, folder: Path, engine: str, seed: int) -> None:
    chance, true_time = random.Random(seed), time.time

    def odd_time() -> float:
        return true_time() + chance.uniform(-1e9, 1e9)

    time.time = odd_time
    children.compute(tell, folder, engine)


def clock(ground: Ground, chance: random.Random) -> Trial:
    """Clocks that jump by decades at every look, and files dated anywhere from 1970 to 2100, between kills."""
    trial, folder = Trial(), ground.begun()
    for _ in range(3):
        trial.met(ground.killed(chance, _at_odd_times, folder, ground.engine, chance.randrange(1_000_000)))
        for path in folder.rglob("*"):
            moment = chance.uniform(0, 4.1e9)
            os.utime(path, (moment, moment))
    trial.finish(ground, folder)
    return trial


def _spoilt_parts(tell: Tell, folder: Path, seed: int, n: int) -> None:
    """Damages one part after another and mends each; tells what every read and every check says of it."""
    chance, parts = random.Random(seed), sorted(folder.rglob("*.parquet"))
    before = scripted_runs.everything(folder / DB)
    for _ in range(n):
        path = chance.choice(parts)
        content = path.read_bytes()
        path.write_bytes(_spoilt(content, chance))
        tell(f"{_answer(lambda path=path: refuse_damaged(path))} by check")
        tell(f"{_answer(lambda: _refuse_other(scripted_runs.everything(folder / DB), before))} by read")
        path.write_bytes(content)


def _spoilt(content: bytes, chance: random.Random) -> bytes:
    spoilt = bytearray(content)
    spoilt[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(spoilt) if chance.random() < 0.75 else content[: chance.randrange(len(content))]


def _refuse_other(found: object, expected: object) -> None:
    if found != expected:
        raise RuntimeError("other rows or vectors came back")


def _answer(read: Callable[[], object]) -> str:
    try:
        read()
    except NlareportError as error:
        return f"told {type(error).__name__}"
    except BaseException as error:  # the very thing that is looked for
        return f"{type(error).__name__} {error}"
    return "no word"


def damaged_parts(ground: Ground, chance: random.Random) -> Trial:
    """Flipped bits and cut ends in parts; the last one is mended as the message says."""
    trial, folder = Trial(), ground.finished()
    ended = children.run_to_end(_spoilt_parts, folder, chance.randrange(1_000_000), SPOILT_AT_ONCE)
    trial.n_faults = sum(line.endswith("by check") for line in ended.told)
    trial.where.update(ended.told[:-1])
    if not ended.is_done:
        trial.lost.append(ended.last or "the reader died")
    # A read that does not need the damaged column is right to say nothing; a check never is.
    allowed = {"told ActivationsDamaged by check", "told ActivationsDamaged by read", "no word by read", "done"}
    trial.lost += sorted(set(ended.told) - allowed)
    path = chance.choice(sorted(folder.rglob("*.parquet")))
    path.write_bytes(_spoilt(path.read_bytes(), chance))
    told = children.run_to_end(children.compute, folder, ground.engine)
    trial.n_faults += 1
    if told.refusal is None or str(path) not in told.refusal:
        trial.lost.append(f"{path.name} was damaged and the run said: {told.last}")
    path.unlink()
    trial.finish(ground, folder)
    return trial


def missing_parts(ground: Ground, chance: random.Random) -> Trial:
    """Parts and sidecars deleted beside a finished run."""
    trial, folder = Trial(), ground.finished()
    parts = sorted((folder / DB).with_suffix(".activations").rglob("*.parquet"))
    for path in chance.sample(parts, chance.randrange(1, len(parts))):
        trial.n_faults += 1
        trial.where[path.parent.name if path.parent.name == "documents" else "vectors"] += 1
        path.unlink()
    trial.finish(ground, folder)
    return trial


def _spoilt_run_files(tell: Tell, folder: Path, seed: int, n: int) -> None:
    chance, path = random.Random(seed), folder / DB
    content, before = path.read_bytes(), read_run(path)
    for _ in range(n):
        path.write_bytes(_spoilt(content, chance))
        tell(_answer(lambda: _refuse_other(read_run(path), before)))
    path.write_bytes(content)


def damaged_run_file(ground: Ground, chance: random.Random) -> Trial:
    """Flipped bits and cut ends in the run file, each told or without any effect; afterwards its copy is put back."""
    trial, folder = Trial(), ground.finished()
    ended = children.run_to_end(_spoilt_run_files, folder, chance.randrange(1_000_000), SPOILT_AT_ONCE)
    trial.n_faults = len(ended.told) - ended.is_done
    trial.where.update(ended.told[: trial.n_faults])
    if not ended.is_done:
        trial.lost.append(ended.last or "the reader died")
    trial.lost += [line for line in ended.told if not line.startswith(("told ", "no word", "done"))]
    trial.finish(ground, folder)
    return trial
