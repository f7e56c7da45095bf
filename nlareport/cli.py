"""The command line: reads arguments, calls the pipeline, turns errors into one line and an exit code.

Data goes to stdout, messages to stderr. Exit codes: 0 done, 1 a fault in data or environment, 2 wrong usage,
70 a fault of nlareport itself.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import click

from nlareport import __version__
from nlareport.cli_check import check
from nlareport.cli_options import NamesOnUse, model_options
from nlareport.cli_pairs import pairs
from nlareport.terminal import (
    FileArgument,
    OneLineErrors,
    ProgressLine,
    RunFileArgument,
    name_variables,
    put_out,
    say,
)

if TYPE_CHECKING:
    import nlareport.engine_options

force_option = click.option(
    "--force",
    is_flag=True,
    help="Write even if the folder is not empty; files that nlareport did not write are not replaced or removed.",
)


def _stage_names() -> list[str]:
    from nlareport.run.pipeline import stage_names

    return stage_names()


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Measure how much meaning survives between Natural Language Autoencoders, and publish the report."""


@cli.command()
@click.argument("experiment", type=FileArgument)
@click.option("--db", type=RunFileArgument, required=True, help="Run file to create or continue.")
@click.option("--limit", type=click.IntRange(min=2), help="Stop sampling after N items.", metavar="N")
@click.option("--only", type=NamesOnUse(_stage_names), help="Only this stage.")
@model_options
@click.option("--new-run", is_flag=True, help="Start over: the run at --db is kept under another name.")
def run(
    experiment: Path,
    db: Path,
    limit: int | None,
    only: str | None,
    models: "nlareport.engine_options.ModelOptions",
    new_run: bool,
) -> None:
    """Compute everything of EXPERIMENT that the run file still lacks.

    Example: nlareport run data/experiments/pocket.yaml --db runs/pocket.duckdb --limit 120
    """
    from nlareport.run.pipeline import run_experiment, start_over
    from nlareport.run.request import RunRequest

    request = RunRequest(experiment, db, models, limit, only)
    if new_run and (kept := start_over(request)):
        say(kept, err=True)
    with ProgressLine() as progress:
        outcome = run_experiment(request, progress)
    say(f"{db}: {outcome}")


@cli.command()
@click.argument("file", type=RunFileArgument)
@click.option(
    "--out", type=FileArgument, required=True, help="Folder for the pages: new, empty, or with an earlier report."
)
@force_option
def render(file: Path, out: Path, force: bool) -> None:
    """Write the report of run FILE as static pages.

    Example: nlareport render runs/pocket.duckdb --out runs/pocket-report
    """
    from nlareport.publish import publish_run

    say(f"Open {publish_run(file, out, is_shared=force).resolve()}")


@cli.command()
@click.option(
    "--config", type=FileArgument, default=Path("mkdocs.yml"), show_default=True, help="mkdocs configuration."
)
def site(config: Path) -> None:
    """Build the whole site: the pages and the report of every run the configuration names.

    Example: nlareport site
    """
    from nlareport.publish import publish_site

    say(f"Open {publish_site(config, cli).resolve()}")


@cli.command()
@click.argument("file", type=RunFileArgument, required=False)
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="0 for any free port.")
def serve(file: Path | None, port: int) -> None:
    """Preview the report of run FILE, or without FILE the whole site, on 127.0.0.1 until Ctrl-C.

    Example: nlareport serve runs/pocket.duckdb
    """
    from nlareport.publish import publish_run, publish_site
    from nlareport.serving import Preview

    with Preview(port) as preview, TemporaryDirectory() as scratch:
        page = publish_run(file, Path(scratch)) if file else publish_site(Path("mkdocs.yml"), cli)
        say(f"Open {preview.address}")
        preview.show(page.parent)


@cli.command("import")
@click.argument("path", type=FileArgument)
@click.option("--db", type=RunFileArgument, help="Run file to create, or of an earlier import to add to.")
@click.option(
    "--map",
    "map_",
    metavar="MAP",
    help="Map of results in a layout of their own: a YAML file, or one that is built in: transcripts.",
)
@click.option("--guess", is_flag=True, help="Write a map for PATH as far as names tell it, and show what it says.")
def import_(path: Path, db: Path | None, map_: str | None, guess: bool) -> None:
    """Turn published figures (YAML), a bundle (folder) or, through a map, any other results into a run file.

    Example: nlareport import data/published/18-cross-family.yaml --db runs/18-cross-family.duckdb
    """
    from nlareport.review.sources import import_figures

    if guess:
        from nlareport.store.maps.guessing import guess_and_write

        for line in guess_and_write(path, map_):
            say(line)
        return
    if db is None:
        raise click.UsageError("Missing option '--db'.")
    done = import_figures(path, db, map_)
    say("; ".join([f"{db}: {done.what} {path}", *done.summary, f'next "nlareport render {db} --out DIR".']))


@cli.command()
@click.argument("file", type=RunFileArgument)
@click.option(
    "--out", type=FileArgument, required=True, help="Folder for the bundle: new, empty, or with an earlier bundle."
)
@click.option(
    "--format", "format_", type=click.Choice(["parquet", "csv", "jsonl"]), default="parquet", show_default=True
)
@force_option
def export(file: Path, out: Path, format_: Literal["parquet", "csv", "jsonl"], force: bool) -> None:
    """Write run FILE as a bundle that other tools can read, and `import` too.

    Example: nlareport export runs/pocket.duckdb --out pocket-bundle --format csv
    """
    from nlareport.store.bundle.bundle import export_bundle

    say("\n".join(str(path) for path in export_bundle(file, out, format_, is_shared=force)))


@cli.command()
@click.argument("file", type=RunFileArgument)
@click.argument("name_or_sql", required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json", "md"]),
    default="table",
    show_default=True,
    help="csv and json keep every text as it is (a spreadsheet runs cells that begin with =, + or @); table and md are "
    "for reading, and shorten long texts.",
)
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="Value for a query's $NAME.")
@click.option("--list", "list_", is_flag=True, help="List the named queries.")
def query(file: Path, name_or_sql: str | None, format_: str, parameters: tuple[str, ...], list_: bool) -> None:
    """Run a named query, or read-only SQL, on run FILE.

    Example: nlareport query runs/pocket.duckdb matrix --param subset=all --format csv
    """
    from nlareport.render.text_tables import written
    from nlareport.store.reader import DuckDBReader

    if list_:
        say("\n".join(f"{name:28} {purpose}" for name, purpose in DuckDBReader.query_names().items()))
        return
    if name_or_sql is None:
        raise click.UsageError("Give a query's name or SQL, or --list.")
    if malformed := [parameter for parameter in parameters if "=" not in parameter]:
        raise click.BadParameter(f"{malformed[0]!r} is not NAME=VALUE.", param_hint="--param")
    with DuckDBReader.open(file) as reader:
        frame = reader.frame(name_or_sql, **dict(parameter.split("=", 1) for parameter in parameters))
    put_out(written(frame, format_), format_)


@cli.command()
@click.argument("a", type=RunFileArgument)
@click.argument("b", type=RunFileArgument)
@click.option(
    "--out", type=FileArgument, help="Folder for a page with the comparison: new, empty, or with an earlier one."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json", "md"]),
    default="table",
    show_default=True,
    help="csv has only the cells, every text as it is.",
)
@force_option
def diff(a: Path, b: Path, out: Path | None, format_: str, force: bool) -> None:
    """Compare run B with run A, cell by cell and item by item, with paired intervals; either may be published figures.

    Example: nlareport diff runs/pocket.duckdb runs/pocket-again.duckdb --out runs/pocket-comparison
    """
    from nlareport.publish import diff_runs
    from nlareport.render.diff_text import comparison_text

    comparison, page = diff_runs(a, b, out, force=force)
    put_out(comparison_text(comparison, format_), format_)
    if page is not None:
        say(f"Open {page.resolve()}", err=True)


cli.add_command(check)
cli.add_command(pairs)
name_variables(cli, "NLAREPORT")


def main() -> None:
    """The console script."""
    sys.exit(cli())
