"""How commands talk on a terminal: one line for an error, one bar for a stage, one variable for every option."""

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nlareport.errors import NlareportError

QUIET_LINE_EVERY_S = 30

FileArgument = click.Path(path_type=Path)
"""The type of every argument that names a file or a folder."""


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


def name_variables(group: click.Group, prefix: str) -> None:
    """Gives every option its environment variable, spelled as the option is and not as Python calls its value."""
    for name, command in group.commands.items():
        start = f"{prefix}_{name.upper()}"
        if isinstance(command, click.Group):
            name_variables(command, start)
        for option in command.params:
            if isinstance(option, click.Option):
                option.envvar = f"{start}_{max(option.opts, key=len).lstrip('-').upper().replace('-', '_')}"
