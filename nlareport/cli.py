"""The command line: reads arguments, calls the pipeline, turns errors into one line and an exit code.

Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 a fault in data or environment, 2 wrong usage.
"""

import sys
import time
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nlareport import __version__
from nlareport.errors import NlareportError, PairsDisagree

QUIET_LINE_EVERY_S = 30
FileArgument = click.Path(path_type=Path)


class OneLineErrors(click.Group):
    """Ends every command the same way: an error of ours is a line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns."""
        try:
            return super().invoke(ctx)
        except NlareportError as error:
            click.echo(f"nlareport: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("nlareport: stopped; the same command goes on from here.", err=True)
            ctx.exit(1)


class ProgressLine:
    """One bar for the current stage on a terminal; a line now and then where nobody watches."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._name, self._n_total, self._n_done, self._said_at = "", 0, 0, 0.0

    def __enter__(self) -> "ProgressLine":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def stage(self, name: str, n_total: int, n_done: int) -> None:
        """A stage begins with `n_done` of `n_total` units already there."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        # What was there before counts as done but not as speed, or the remaining time would be a lie.
        self._task = self._bar.add_task(name, total=n_total, completed=n_done)
        self._name, self._n_total, self._n_done = name, n_total, n_done
        self._say()

    def advance(self, n: int) -> None:
        """`n` more units of the current stage are safely stored."""
        self._n_done += n
        if self._task is not None:
            self._bar.advance(self._task, n)
        if time.monotonic() - self._said_at > QUIET_LINE_EVERY_S or self._n_done == self._n_total:
            self._say()

    def _say(self) -> None:
        self._said_at = time.monotonic()
        if not self._console.is_terminal:
            click.echo(f"{self._name}: {self._n_done:,} of {self._n_total:,}", err=True)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Measure how much meaning survives between Natural Language Autoencoders, and publish the report."""


@cli.command()
@click.argument("experiment", type=FileArgument)
@click.option("--db", type=FileArgument, required=True, help="Run file to write, or to go on with.")
@click.option("--limit", type=click.IntRange(min=2), help="Draw no more positions once there are this many items.")
@click.option(
    "--only", metavar="STAGE", help="Only this stage: sample, extract, verbalize, reconstruct, ablate or score."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--engine", default="transformers", show_default=True, help="Which backend computes.")
def run(experiment: Path, db: Path, limit: int | None, only: str | None, device: str, engine: str) -> None:
    """Compute everything of EXPERIMENT that the run file still lacks.

    Example: nlareport run data/experiments/pocket.yaml --db runs/pocket.duckdb --limit 120
    """
    from nlareport.pipeline import STAGES, run_experiment

    if only is not None and only not in STAGES:
        raise click.BadParameter(f"{only!r} is no stage; choose from {', '.join(STAGES)}.", param_hint="--only")
    with ProgressLine() as progress:
        outcome = run_experiment(experiment, db, progress, limit, only, device, engine)
    click.echo(f"{db}: {outcome}")


@cli.command()
@click.argument("file", type=FileArgument)
@click.option("--out", type=FileArgument, required=True, help="Folder for the pages.")
def render(file: Path, out: Path) -> None:
    """Write the report of run FILE as static pages.

    Example: nlareport render runs/pocket.duckdb --out runs/pocket-report
    """
    from nlareport.pipeline import render_run

    click.echo(f"Open {render_run(file, out).resolve()}")


@cli.command()
@click.option(
    "--config", type=FileArgument, default=Path("mkdocs.yml"), show_default=True, help="mkdocs configuration."
)
def site(config: Path) -> None:
    """Build the whole site: the pages and the report of every run the configuration names.

    Example: nlareport site
    """
    from nlareport.pipeline import publish_site

    click.echo(f"Open {publish_site(config, cli).resolve()}")


@cli.command()
@click.argument("file", type=FileArgument, required=False)
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="0 takes a free one.")
def serve(file: Path | None, port: int) -> None:
    """Preview the report of run FILE, or without FILE the whole site, on 127.0.0.1 until Ctrl-C.

    Example: nlareport serve runs/pocket.duckdb
    """
    from nlareport.pipeline import publish_site, render_run

    with TemporaryDirectory() as scratch:
        page = render_run(file, Path(scratch)) if file else publish_site(Path("mkdocs.yml"), cli)
        handler = partial(SimpleHTTPRequestHandler, directory=str(page.parent))
        with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
            click.echo(f"Open http://127.0.0.1:{server.server_port}/")
            with suppress(KeyboardInterrupt):
                server.serve_forever()


@cli.command("import")
@click.argument("path", type=FileArgument)
@click.option("--db", type=FileArgument, required=True, help="Run file to make.")
def import_(path: Path, db: Path) -> None:
    """Turn published figures (YAML) or a bundle (folder) into a run file.

    Example: nlareport import data/published/18-cross-family.yaml --db runs/18-cross-family.duckdb
    """
    from nlareport.steps.opening import import_figures

    was_made = import_figures(path, db)
    click.echo(
        f'{db}: {"imported from" if was_made else "already holds"} {path}; next "nlareport render {db} --out DIR".'
    )


@cli.command()
@click.argument("file", type=FileArgument)
@click.option("--out", type=FileArgument, required=True, help="Folder for the bundle.")
@click.option(
    "--format", "format_", type=click.Choice(["parquet", "csv", "jsonl"]), default="parquet", show_default=True
)
def export(file: Path, out: Path, format_: Literal["parquet", "csv", "jsonl"]) -> None:
    """Write run FILE as a bundle that other tools read and `import` takes back.

    Example: nlareport export runs/pocket.duckdb --out pocket-bundle --format csv
    """
    from nlareport.store.bundle import export_bundle

    click.echo("\n".join(str(path) for path in export_bundle(file, out, format_)))


@cli.command()
@click.argument("file", type=FileArgument)
@click.argument("name_or_sql", required=False)
@click.option("--format", "format_", type=click.Choice(["table", "csv", "json", "md"]), default="table")
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="Value of a query's $NAME.")
@click.option("--list", "list_", is_flag=True, help="Name the queries there are.")
def query(file: Path, name_or_sql: str | None, format_: str, parameters: tuple[str, ...], list_: bool) -> None:
    """Run a named query, or read-only SQL, on run FILE.

    Example: nlareport query runs/pocket.duckdb matrix --param subset=all --format csv
    """
    from nlareport.render.tables import written
    from nlareport.store.queries import DuckDBReader

    if list_:
        click.echo("\n".join(f"{name:28} {purpose}" for name, purpose in DuckDBReader.query_names().items()))
        return
    if name_or_sql is None:
        raise click.UsageError("Give a query's name or SQL, or --list.")
    if malformed := [parameter for parameter in parameters if "=" not in parameter]:
        raise click.BadParameter(f"{malformed[0]!r} is not NAME=VALUE.", param_hint="--param")
    with DuckDBReader.open(file) as reader:
        frame = reader.frame(name_or_sql, **dict(parameter.split("=", 1) for parameter in parameters))
    click.echo(written(frame, format_), nl=format_ != "csv")


@cli.command()
@click.argument("a", type=FileArgument)
@click.argument("b", type=FileArgument)
@click.option("--out", type=FileArgument, help="Folder for a page that shows the same.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json", "md"]),
    default="table",
    show_default=True,
    help="csv holds the cells alone.",
)
def diff(a: Path, b: Path, out: Path | None, format_: str) -> None:
    """Compare run B with run A, cell by cell and item by item, with paired intervals; either may be published figures.

    Example: nlareport diff runs/pocket.duckdb runs/pocket-again.duckdb --out runs/pocket-comparison
    """
    from nlareport.pipeline import diff_runs
    from nlareport.render.diff_text import comparison_text

    comparison, page = diff_runs(a, b, out)
    click.echo(comparison_text(comparison, format_), nl=format_ != "csv")
    if page is not None:
        click.echo(f"Open {page.resolve()}", err=True)


@cli.group()
def pairs() -> None:
    """The pocket pairs: small NLA pairs that need no GPU and no model hub."""


@pairs.command("list")
def pairs_list() -> None:
    """Name the pocket pairs.

    Example: nlareport pairs list
    """
    from nlareport.pairs.catalog import PAIRS

    for pair in PAIRS.values():
        click.echo(f"{pair.pair_id:16} {pair.base.base_model}, block {pair.block_index}, d {pair.d_model}")


@pairs.command("build")
@click.argument("pair_id", required=False)
def pairs_build(pair_id: str | None) -> None:
    """Make checkpoint directories of PAIR_ID, or of every pair, in the cache.

    Example: nlareport pairs build smollm2-L20
    """
    from nlareport.pairs.building import build_pair
    from nlareport.pairs.catalog import PAIRS, pocket_pair
    from nlareport.pairs.locating import adapters_folder

    for pair in [pocket_pair(pair_id)] if pair_id else PAIRS.values():
        built = build_pair(pair, adapters_folder())
        click.echo(f"{pair.pair_id}: {built.base} {built.verbalizer} {built.reconstructor}")


@pairs.command("verify")
@click.argument("pair_id", nargs=-1)
@click.option("--against", type=FileArgument, help="Recorded run file.  [default: data/pocket.duckdb]")
@click.option("--experiment", type=FileArgument, help="How it was made.  [default: data/experiments/pocket.yaml]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--engine", default="transformers", show_default=True, help="Which backend computes.")
def pairs_verify(
    pair_id: tuple[str, ...], against: Path | None, experiment: Path | None, device: str, engine: str
) -> None:
    """Build PAIR_IDs, or every pair, anew and compare what they score with a recorded run.

    Example: nlareport pairs verify smollm2-L20
    """
    from nlareport.pairs.locating import committed
    from nlareport.pipeline import verify_pairs

    against = against or committed("pocket.duckdb")
    experiment = experiment or committed("experiments/pocket.yaml")
    with ProgressLine() as progress:
        found = verify_pairs(experiment, against, pair_id, progress, device, engine)
    for agreement in found:
        click.echo(agreement)
    if differing := [agreement.pair_id for agreement in found if not agreement.agrees]:
        raise PairsDisagree(
            f"{', '.join(differing)}: measured otherwise than recorded in {against}. Put back its adapters, "
            f'or record a new one with "nlareport run {experiment} --db FILE".'
        )


@pairs.command("train")
@click.argument("pair_id")
@click.option("--out", type=FileArgument, default=Path("data/pairs"), show_default=True, help="Folder for adapters.")
@click.option("--continue", "goes_on", is_flag=True, help="Give the adapters in --out another round of practice.")
def pairs_train(pair_id: str, out: Path, goes_on: bool) -> None:
    """Train PAIR_ID from the base model; goes on where it was stopped.

    Example: nlareport pairs train smollm2-L20
    """
    from nlareport.pairs.catalog import pocket_pair
    from nlareport.pairs.training import train_pair

    with ProgressLine() as progress:
        folder = train_pair(pocket_pair(pair_id), out, progress, goes_on=goes_on)
    click.echo(f"{folder}: trained.")


def _name_variables(group: click.Group, prefix: str) -> None:
    """Gives every option its environment variable, spelled as the option is and not as Python calls its value."""
    for name, command in group.commands.items():
        start = f"{prefix}_{name.upper()}"
        if isinstance(command, click.Group):
            _name_variables(command, start)
        for option in command.params:
            if isinstance(option, click.Option):
                option.envvar = f"{start}_{max(option.opts, key=len).lstrip('-').upper().replace('-', '_')}"


_name_variables(cli, "NLAREPORT")


def main() -> None:
    """The console script."""
    sys.exit(cli())
