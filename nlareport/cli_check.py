"""The command ``check``: audits a run, looks up the numbers of a page in it, or measures recorded scores again."""

from pathlib import Path

import click

from nlareport.cli_options import device_type
from nlareport.terminal import FileArgument, ProgressLine, RunFileArgument, say


@click.command()
@click.argument("file", type=RunFileArgument)
@click.option(
    "--against", type=RunFileArgument, help="An earlier run, or its published figures (YAML), to be replicated."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, min_open=True),
    default=0.05,
    show_default=True,
    help="Largest difference in fve_nrm that counts as replicated. A cell is replicated when the whole 95% interval "
    "of the difference lies within it, not replicated when the interval lies wholly outside, else undecided.",
)
@click.option(
    "--prose",
    type=FileArgument,
    help="A Markdown page whose numbers are looked up in the run; code, links and numbers within names are skipped. "
    "A number is confirmed when any figure of the run rounds to it, regardless of the sentence; contradicted only when "
    "it follows a cell (A → B), or a word such as documents or seed is next to it, and the run has another value.",
)
@click.option(
    "--golden",
    type=FileArgument,
    help="Recorded scores of single places, to be measured again: a golden file (YAML), or a transcript of the public "
    "release (TXT). FILE is then an experiment (YAML) or a run of it, whose pairs are opened.",
)
@click.option("--pair", metavar="PAIR_ID", help="With --golden: only this pair.")
@click.option(
    "--device",
    type=device_type,
    default="auto",
    help="With --golden: where the models run.",
)
@click.option(
    "--texts", is_flag=True, help="With --golden: have the pair's AV write an explanation at every place too."
)
@click.option(
    "--record",
    is_flag=True,
    help="With --golden: write the measured scores into that file. A case without an explanation gets the pair's own.",
)
@click.pass_context
def check(
    context: click.Context,
    file: Path,
    against: Path | None,
    tolerance: float,
    prose: Path | None,
    golden: Path | None,
    pair: str | None,
    device: str,
    texts: bool,
    record: bool,
) -> None:
    """Audit run FILE (or published figures), re-check every claim in its report, and list what is wrong.

    Example: nlareport check runs/18.duckdb --against data/published/18-cross-family.yaml --prose page.md
    """
    from nlareport.engine_options import ModelOptions
    from nlareport.render.check_text import check_lines
    from nlareport.review.check import check_run
    from nlareport.review.golden import GoldenRequest, check_against_golden, record_golden

    if golden is None and (pair is not None or record or texts):
        raise click.UsageError("--pair, --texts and --record need --golden.")
    if golden is not None and (against is not None or prose is not None):
        raise click.UsageError("--golden opens models, --against and --prose open a run: use separate commands.")
    if golden is None:
        found = check_run(file, against, prose, tolerance)
    else:
        with ProgressLine() as progress:
            request = GoldenRequest(file, golden, pair, ModelOptions(device=device), texts)
            found = record_golden(request, progress) if record else check_against_golden(request, progress)
    for line in check_lines(found, str(prose)):
        say(line)
    for fault in found.faults:
        say(f"nlareport: {file}: {fault}", err=True)
    if found.faults:
        context.exit(1)
