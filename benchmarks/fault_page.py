"""Writes data/faults.json from the lines that `faults.py --log` kept, and the tables of the page on faults from it.

python benchmarks/fault_page.py /tmp/faults.jsonl
python benchmarks/fault_page.py --check
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
FIGURES, PAGE = ROOT / "data/faults.json", ROOT / "site/pages/faults.md"
START, END = "<!-- tables: made by benchmarks/fault_page.py -->", "<!-- end of tables -->"

Figures = dict[str, dict[str, Any]]
HOW = {
    "kill": ("killed while it computes", "`SIGKILL` at a random moment of a random stage, 4 times in one run"),
    "kill_models": ("killed while models answer", "the same, with small checkpoints of two architectures"),
    "kill_commands": (
        "killed while it writes",
        "`SIGKILL` at a random moment of `import`, `export`, `render`, `diff`",
    ),
    "kill_new_run": ("killed while it starts over", "`SIGKILL` at a random moment of `run --new-run`, twice"),
    "full_disk": ("full disk", "a disk of random size (tmpfs), too small for the run; then a larger one"),
    "file_limit": ("file too large", "no file may grow beyond a random size (`RLIMIT_FSIZE`)"),
    "read_only": ("not allowed to write", "folders, files or both of a stopped run made read-only"),
    "two_writers": ("two at once", "two processes compute the same run; sometimes one is killed"),
    "clock": ("clock that jumps", "decades off at every reading, files dated from 1970 to 2100, and `SIGKILL`"),
    "damaged_parts": ("damaged vectors or texts", "one flipped bit or a cut end in a random file of the run's folder"),
    "missing_parts": ("missing vectors or texts", "random files deleted from the folder of a finished run"),
    "damaged_run_file": ("damaged run file", "one flipped bit or a cut end in the run file; its copy is restored"),
    "memory": ("memory that runs out", "an out-of-memory error in three of ten batches of more than one row"),
    "numbers": ("impossible numbers", "NaN, infinities, zero, V = 0, empty and endless answers, two items, one pair"),
}


def figures(lines: Sequence[dict[str, Any]]) -> Figures:
    """For each kind: trials, faults that took effect, where they fell or what they led to, and what was lost."""
    found: Figures = {}
    for kind in (kind for kind in HOW if any(line["kind"] == kind for line in lines)):
        of_kind = [line for line in lines if line["kind"] == kind]
        met: Counter[str] = Counter()
        for line in of_kind:
            met.update(line["where"])
        found[kind] = {
            "trials": len(of_kind),
            "faults": sum(line["n_faults"] for line in of_kind),
            "met": {name: n for name, n in sorted(met.items()) if n},
            "lost": [loss for line in of_kind for loss in line["lost"]],
        }
    return found


def tables(found: Figures) -> Iterator[str]:
    """The page's lines between the two markers."""
    n_faults, n_lost = sum(row["faults"] for row in found.values()), sum(len(row["lost"]) for row in found.values())
    n_trials = sum(row["trials"] for row in found.values())
    yield f"{n_faults:,} faults in {n_trials:,} trials; lost: {n_lost or 'nothing'}."
    yield ""
    yield "| fault | how it is injected | trials | faults | lost |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for kind, row in found.items():
        name, how = HOW[kind]
        yield f"| {name} | {how} | {row['trials']:,} | {row['faults']:,} | {len(row['lost']) or 'nothing'} |"
    yield ""
    yield "Where the faults fell: for a kill its stage, for the others the answer that was given."
    yield ""
    yield "| fault | stage or answer |"
    yield "| --- | --- |"
    for kind, row in found.items():
        yield f"| {HOW[kind][0]} | {', '.join(f'{name} {n:,}' for name, n in row['met'].items())} |"


def with_tables(page: str, found: Figures) -> str:
    """The page with its tables replaced by those of these figures."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return "\n".join([f"{before}{START}", "", *tables(found), "", f"{END}{after}"])


@click.command(help=__doc__)
@click.argument("logs", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--check", "only_check", is_flag=True, help="Exit with 1 if page and figures disagree; write nothing.")
@click.option("--figures", "figures_path", default=FIGURES, type=click.Path(path_type=Path))
def main(logs: tuple[Path, ...], only_check: bool, figures_path: Path) -> None:
    if logs:
        lines = [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
        # A trial that ran twice counts once.
        once = {(line["kind"], line["seed"]): line for line in lines}
        text = json.dumps(figures(list(once.values())), indent=2, ensure_ascii=False)
        figures_path.write_text(f"{text}\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    made = with_tables(page, json.loads(figures_path.read_text(encoding="utf-8")))
    if only_check and made != page:
        raise click.ClickException(f"{PAGE} disagrees with {figures_path}; run this without --check.")
    if not only_check:
        PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
