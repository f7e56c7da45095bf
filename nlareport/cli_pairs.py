"""The commands on pocket pairs: list, build, verify, train.

Nothing of torch is imported before a command needs it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlareport.cli_options import model_options
from nlareport.errors import PairsDisagree
from nlareport.terminal import FileArgument, ProgressLine, RunFileArgument, say

if TYPE_CHECKING:
    import nlareport.engine_options


@click.group()
def pairs() -> None:
    """The pocket pairs: small NLA pairs that need no GPU and no model hub."""


@pairs.command("list")
def pairs_list() -> None:
    """List the pocket pairs.

    Example: nlareport pairs list
    """
    from nlareport.pairs.catalog import PAIRS

    for pair in PAIRS.values():
        say(f"{pair.pair_id:16} {pair.base.base_model}, block {pair.block_index}, d {pair.d_model}")


@pairs.command("build")
@click.argument("pair_id", required=False)
def pairs_build(pair_id: str | None) -> None:
    """Build the checkpoints of PAIR_ID, or of every pair, in the cache.

    Example: nlareport pairs build smollm2-L20
    """
    from nlareport.pairs.building import build_pair
    from nlareport.pairs.catalog import PAIRS, pocket_pair
    from nlareport.pairs.locating import adapters_folder

    for pair in [pocket_pair(pair_id)] if pair_id else PAIRS.values():
        built = build_pair(pair, adapters_folder())
        say(f"{pair.pair_id}: {built.base} {built.verbalizer} {built.reconstructor}")


@pairs.command("verify")
@click.argument("pair_id", nargs=-1)
@click.option(
    "--against", type=RunFileArgument, help="Recorded run file to compare with.  [default: data/pocket.duckdb]"
)
@click.option(
    "--experiment", type=FileArgument, help="Experiment it was computed from.  [default: data/experiments/pocket.yaml]"
)
@model_options
def pairs_verify(
    pair_id: tuple[str, ...],
    against: Path | None,
    experiment: Path | None,
    models: "nlareport.engine_options.ModelOptions",
) -> None:
    """Build PAIR_IDs, or every pair, again and compare what they score with a recorded run.

    Example: nlareport pairs verify smollm2-L20
    """
    from nlareport.pairs.locating import committed
    from nlareport.review.pair_agreement import VerifyRequest, verify_pairs

    against = against or committed("pocket.duckdb")
    experiment = experiment or committed("experiments/pocket.yaml")
    with ProgressLine() as progress:
        found = verify_pairs(VerifyRequest(experiment, against, pair_id, models), progress)
    for agreement in found:
        say(agreement)
    if differing := [agreement.pair_id for agreement in found if not agreement.agrees]:
        raise PairsDisagree(
            f"{', '.join(differing)}: scores differ from those recorded in {against}. Restore its adapters, "
            f'or record a new run with "nlareport run {experiment} --db FILE".'
        )


@pairs.command("train")
@click.argument("pair_id")
@click.option(
    "--out", type=FileArgument, default=Path("data/pairs"), show_default=True, help="Folder for the adapters."
)
@click.option("--continue", "goes_on", is_flag=True, help="Train the adapters in --out for one more round.")
def pairs_train(pair_id: str, out: Path, goes_on: bool) -> None:
    """Train PAIR_ID from the base model; resumes where it was stopped.

    Example: nlareport pairs train smollm2-L20
    """
    from nlareport.pairs.catalog import pocket_pair
    from nlareport.pairs.training import train_pair

    with ProgressLine() as progress:
        folder = train_pair(pocket_pair(pair_id), out, progress, goes_on=goes_on)
    say(f"{folder}: trained.")
