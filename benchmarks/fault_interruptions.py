"""Faults of the machine: kills, limits, full and read-only disks, two writers at once, clocks that jump."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import fault_children as children
from fault_children import DB, Ended, Tell
from fault_trials import Ground, Trial, make_writable


def kill(ground: Ground, chance: random.Random) -> Trial:
    """Four kills of one run, each at a random moment of a random stage."""
    trial, folder = Trial(), ground.begun()
    for _ in range(8):
        ended = ground.killed(chance, children.compute, folder, ground.engine)
        trial.met(ended)
        if trial.n_faults == 4:
            break
        if not ended.was_killed:
            # It ended before it was killed: start another run.
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
        # Small limits more often, because parts are smaller than the run file.
        n_bytes = int(largest ** chance.uniform(0.3, 1.0))
        ended = children.run_to_end(_starved, folder, ground.engine, n_bytes)
        _refused(trial, ended)
    trial.finish(ground, folder)
    return trial


def full_disk(ground: Ground, chance: random.Random) -> Trial:
    """A disk of random size that fills up, then a larger one. Mounting it requires root."""
    trial, disk = Trial(), ground.work / "disk"
    disk.mkdir(exist_ok=True)
    # Most runs fit into less than half of the bytes: DuckDB leaves holes in its file.
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
    """Counts a fault that was reported in a sentence; if the run finished, the fault had no effect."""
    if ended.refusal is not None:
        trial.n_faults += 1
        trial.where[ended.refusal.partition(":")[0]] += 1
    elif not ended.is_done:
        trial.lost.append(ended.last if ended.last.startswith("traceback") else f"died silently: {ended.told}")


def _without_rights(tell: Tell, folder: Path, engine: str) -> None:
    children.give_up_rights()
    children.compute(tell, folder, engine)


def read_only(ground: Ground, chance: random.Random) -> Trial:
    """A stopped run is resumed without permission to write to its folders, to its files, or to both."""
    trial, folder = Trial(), ground.begun()
    ground.killed(chance, children.compute, folder, ground.engine)
    everything = [folder, *folder.rglob("*")]
    folders = [path for path in everything if path.is_dir()]
    for path in chance.choice([everything, folders, [path for path in everything if path not in folders]]):
        path.chmod(0o555 if path.is_dir() else 0o444)
    _refused(trial, children.run_to_end(_without_rights, folder, ground.engine))
    make_writable(folder)
    trial.finish(ground, folder)
    return trial


def two_writers(ground: Ground, chance: random.Random) -> Trial:
    """Two processes compute the same run at the same time; sometimes one is killed."""
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
    """A clock that jumps by decades each time it is read, and files dated from 1970 to 2100, between kills."""
    trial, folder = Trial(), ground.begun()
    for _ in range(3):
        trial.met(ground.killed(chance, _at_odd_times, folder, ground.engine, chance.randrange(1_000_000)))
        for path in folder.rglob("*"):
            moment = chance.uniform(0, 4.1e9)
            os.utime(path, (moment, moment))
    trial.finish(ground, folder)
    return trial
