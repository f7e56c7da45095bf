"""Mutation testing: runs mutmut on the pure modules, prints the share of mutants killed, and lists survivors.

A mutant counts as killed only if a test failed on it; one that no test reaches, or that timed out, survived. Nearly all
survivors are equivalent mutants: `strict=` of a `zip` whose lengths the axis names already make equal, a `dtype` that
NumPy takes anyway, the order of sorting where no two keys are equal, a bound moved by less than float64 resolves, and
the choice between two ways to the same numbers (the Gram matrix of `bootstrap_variances`).
"""

import argparse
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

AT_LEAST = 0.90


def without_timer(**_: object) -> None:
    """Sets no timer."""


def run() -> None:
    """Makes the mutants and tries those without a verdict; endless loops are stopped by their CPU time."""
    import mutmut.__main__
    import mutmut.workers.isolation

    # mutmut's timer does not drop processes that have ended, and signals whichever process reuses the number.
    mutmut.workers.isolation.register_timeout = without_timer
    mutmut.__main__.cli(["run", "--max-children", "1"], standalone_mode=False)


def mutmut(*arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def verdicts() -> dict[str, str]:
    """Mutant to verdict, as in `nlareport.statistics.geometry.x_centre__mutmut_3: killed`."""
    lines = [line.strip() for line in mutmut("results", "--all", "true").splitlines() if ": " in line]
    return {mutant: verdict for mutant, _, verdict in (line.partition(": ") for line in lines)}


def module_of(mutant: str) -> str:
    return mutant.split(".x")[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diffs", action="store_true", help="show what each survivor changes")
    parser.add_argument("--run", action="store_true", help="make and try the mutants first")
    asked = parser.parse_args()
    if asked.run:
        run()
    show_diffs = asked.diffs
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    modules = [path.removesuffix(".py").replace("/", ".") for path in settings["only_mutate"]]
    verdict_of = verdicts()
    made = Counter(map(module_of, verdict_of))
    killed = Counter(module_of(mutant) for mutant, verdict in verdict_of.items() if verdict == "killed")
    for mutant, verdict in verdict_of.items():
        if verdict != "killed":
            print(f"{mutant}: {verdict}")
            if show_diffs:
                print(mutmut("show", mutant))
    print(f"\n{'module':<32} {'mutants':>8} {'killed':>8} {'share':>7}")
    for module in modules:
        print(f"{module:<32} {made[module]:>8} {killed[module]:>8} {killed[module] / made[module]:>7.1%}")
    print(f"{'all':<32} {made.total():>8} {killed.total():>8} {killed.total() / made.total():>7.1%}")
    weak = [module for module in modules if killed[module] < AT_LEAST * made[module]]
    if weak:
        print(f"\nUnder {AT_LEAST:.0%}: {', '.join(weak)}. Write tests that fail on the survivors above.")
    return 1 if weak else 0


if __name__ == "__main__":
    raise SystemExit(main())
