"""Measures the coverage of the intervals on simulated runs with known truth, with more trials than the tests.

It uses the functions that a run uses (tests/support/trials.py), and prints the Markdown table of the page "What the
numbers mean". python benchmarks/coverage.py --trials 4000
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.trials import (
    Design,
    cell_coverage,
    lognormal,
    mean_trials,
    paired_trials,
    share_covering,
    sinks,
    student,
    unpaired_trials,
    vector_trials,
)

from nlareport.review.replication import difference_interval

SIZES = (20, 50, 120, 500, 2000)
DIFFERENCE = 0.03
LARGEST_OF_RUNS = 500
"""Documents up to which whole runs are simulated: vectors, or rows of two runs."""


def mean(design: Design, trials: int, draws: int) -> float:
    return share_covering(mean_trials(design, trials, draws))


def over_items(design: Design, trials: int, draws: int) -> float:
    return share_covering(mean_trials(design, trials, draws, over_items=True))


def paired(design: Design, trials: int, draws: int) -> float:
    found = paired_trials(design, DIFFERENCE, trials, draws)
    return share_covering([(cell.low, cell.high) for cell in found], DIFFERENCE)


def unpaired(design: Design, trials: int, draws: int) -> float:
    found = [difference_interval(cell) for cell in unpaired_trials(design, DIFFERENCE, trials, draws)]
    return share_covering([interval for interval in found if interval], DIFFERENCE)


def lines(trials: int, draws: int) -> Iterator[list[str]]:
    """The table's rows: what was measured, then the coverage at each number of documents."""
    measured = [
        ("one item a document, normal scores", {}, mean, SIZES),
        ("four items a document, half the variance shared", {"items_per_document": 4, "shared": 0.5}, mean, SIZES),
        ("the same, had items been drawn", {"items_per_document": 4, "shared": 0.5}, over_items, SIZES),
        ("heavy tails: Student's t, 3 degrees", {"law": student}, mean, SIZES),
        ("skewed: log-normal errors", {"law": lognormal}, mean, SIZES),
        ("attention sinks: 0.4% near −5", {"law": sinks}, mean, SIZES),
        ("difference of two runs, same items", {}, paired, SIZES[:-1]),
        ("difference of two runs, other items", {}, unpaired, SIZES[:-1]),
    ]
    for name, fields, covering, sizes in measured:
        yield [name, *(f"{covering(Design(size, **fields), trials, draws):.1%}" for size in sizes)]
    vectors = [vector_trials(size, trials // 5, draws) for size in SIZES if size <= LARGEST_OF_RUNS]
    yield ["V differs by sample, V drawn", *(f"{cell_coverage(drawn, truth):.1%}" for _, drawn, truth in vectors)]
    yield ["V differs by sample, V fixed", *(f"{cell_coverage(fixed, truth):.1%}" for fixed, _, truth in vectors)]


@click.command()
@click.option("--trials", default=4_000, show_default=True)
@click.option("--draws", default=2_000, show_default=True)
def main(trials: int, draws: int) -> None:
    """Print the table as Markdown."""
    click.echo("| documents | " + " | ".join(f"{size:,}" for size in SIZES) + " |")
    click.echo("| --- |" + " ---: |" * len(SIZES))
    for line in lines(trials, draws):
        click.echo("| " + " | ".join(line + ["–"] * (1 + len(SIZES) - len(line))) + " |")


if __name__ == "__main__":
    main()
