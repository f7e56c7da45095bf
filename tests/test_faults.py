"""Killed, starved, shut out, run twice at once, lied to by the clock, damaged: nothing of a run is ever lost.

`benchmarks/faults.py` injects the faults and compares; here some kinds have to hold once, and all of
them by the hundred in the soak.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.made_runs import PUBLISHED

from nlareport.review.sources import import_figures
from nlareport.rows.run_rows import Claim
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import read_run

ROOT = Path(__file__).parent.parent
QUICK = ["kill", "file_limit", "two_writers", "missing_parts"]
TRIALS = {
    "kill": 50,
    "kill_models": 12,
    "kill_commands": 20,
    "file_limit": 20,
    "read_only": 30,
    "two_writers": 20,
    "clock": 15,
    "damaged_parts": 10,
    "missing_parts": 30,
    "damaged_run_file": 6,
    "kill_new_run": 10,
    "memory": 5,
    "numbers": 33,
}
"""How many trials of each kind the soak makes. A kill trial has 4 kills, one of damaged files 60 of them."""
LEAST_FAULTS = {"kill": 180, "kill_models": 40, "damaged_parts": 600, "damaged_run_file": 350}


def inject(kinds: list[str], n_trials: int, first_seed: int) -> list[dict[str, Any]]:
    """What each trial did and lost."""
    command = [sys.executable, "benchmarks/faults.py", "--kinds", ",".join(kinds), "--trials", str(n_trials)]
    done = subprocess.run(
        [*command, "--first-seed", str(first_seed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def trials() -> dict[str, dict[str, Any]]:
    return {trial["kind"]: trial for trial in inject(QUICK, n_trials=1, first_seed=2)}


@pytest.mark.trials
@pytest.mark.parametrize("kind", QUICK)
def test_nothing_is_lost(kind: str, trials: dict[str, dict[str, Any]]) -> None:
    assert trials[kind]["lost"] == []


def test_an_import_that_was_killed_before_its_claims_has_them_after_the_next(tmp_path: Path) -> None:
    for name in ("killed.duckdb", "whole.duckdb"):
        import_figures(PUBLISHED, tmp_path / name)
    with RunFile.open(tmp_path / "killed.duckdb") as run_file:
        run_file.replace({Claim: []})
    assert import_figures(PUBLISHED, tmp_path / "killed.duckdb").what == "already holds"
    assert read_run(tmp_path / "killed.duckdb").of(Claim) == read_run(tmp_path / "whole.duckdb").of(Claim) != []


def fault_page(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/fault_page.py", "--check", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_page_of_faults_says_what_the_recorded_figures_say(tmp_path: Path) -> None:
    done = fault_page()
    assert (done.returncode, done.stderr) == (0, "")
    recorded = json.loads((ROOT / "data/faults.json").read_text(encoding="utf-8"))
    assert all(kind["trials"] > 0 and kind["lost"] == [] for kind in recorded.values())
    recorded["kill"]["faults"] += 1
    (tmp_path / "other.json").write_text(json.dumps(recorded), encoding="utf-8")
    done = fault_page("--figures", tmp_path / "other.json")
    assert done.returncode == 1
    assert "faults.md disagrees with" in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize("kind", TRIALS)
def test_nothing_is_lost_by_the_hundred(kind: str) -> None:
    found = inject([kind], TRIALS[kind], first_seed=100)
    assert [trial["lost"] for trial in found] == [[]] * TRIALS[kind]
    assert sum(trial["n_faults"] for trial in found) >= LEAST_FAULTS.get(kind, TRIALS[kind] // 2)
