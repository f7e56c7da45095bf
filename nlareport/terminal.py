"""Terminal output and arguments of commands: safe printing, one-line errors, progress bars, environment variables."""

import errno
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nlareport import __version__
from nlareport.errors import NlareportError, PathUnreachable
from nlareport.shown import printable

QUIET_LINE_EVERY_S = 30

TRACEBACK_VARIABLE = "NLAREPORT_TRACEBACK"
"""When this is set, an unexpected error shows its traceback at once."""

EXIT_OUR_FAULT = 70
"""The exit code for a fault of nlareport itself, not of data or environment; EX_SOFTWARE of sysexits.h."""

OUTPUT_ENDED = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EBADF)
"""Errors of a stream that accepts no more output; such an error names no file."""


ASCII_LINES = str.maketrans("┌┬┐╞╪╡└┴┘─═│┆…", "+++++++++-=||~")


class _FileArgument(click.Path):
    """A path that may or may not exist."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises:
            PathUnreachable: the system refuses to say what is there.
        """
        if str(value) == "" or value == Path(""):
            self.fail("is empty; give the path of a file or folder.", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            path.exists()
        except OSError as error:
            raise PathUnreachable(
                f"{path}: cannot be reached ({error.strerror}); give a path in a folder that you may open."
            ) from error
        return path


class _RunFileArgument(_FileArgument):
    """The path of a run file; a link is followed, because the vectors are stored next to the file it leads to."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, without a link at its end."""
        path = super().convert(value, param, ctx)
        return Path(os.path.realpath(path)) if path.is_symlink() else path


FileArgument = _FileArgument(path_type=Path)
"""The type of every argument that names a file or a folder."""

RunFileArgument = _RunFileArgument(path_type=Path)
"""The type of every argument that names a run file."""


def say(text: object, *, err: bool = False) -> None:
    """Prints a line for a person; text from elsewhere in it cannot move the cursor."""
    # The stream is named, or click treats one that encodes ASCII alone as UTF-8.
    click.echo(printable(str(text)), file=sys.stderr if err else sys.stdout)


def put_out(data: str, format_: str) -> None:
    """Prints data: csv and json byte for byte into a file or pipe, and safe to look at on a terminal."""
    if format_ not in ("csv", "json") or _is_terminal(sys.stdout):
        data = _draw_lines(printable(data), getattr(sys.stdout, "encoding", None) or "utf-8")
    # With colours: without, click removes from the data whatever looks like a colour code.
    click.echo(data, file=sys.stdout, nl=format_ != "csv", color=True)


class OneLineErrors(click.Group):
    """Ends every command the same way: an error is a line on stderr and an exit code."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Runs the command line; an unexpected error ends in a sentence too."""
        for stream in (sys.stdout, sys.stderr):
            # A stream that cannot encode ≥ shows \\u2265.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            main: Any = super().main
            return main(*args, standalone_mode=standalone_mode, **extra)
        except Exception as error:
            if not standalone_mode or os.environ.get(TRACEBACK_VARIABLE):
                raise
            sentence, code = _explain_unexpected(error)
            say(f"nlareport: {sentence}", err=True)
            sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns."""
        try:
            return super().invoke(ctx)
        except NlareportError as error:
            say(f"nlareport: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            say("nlareport: stopped before it was done; give the same command again.", err=True)
            ctx.exit(1)
        except click.BadParameter as error:
            raise _with_variable(error) from error


def _explain_unexpected(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an unexpected error."""
    if isinstance(error, MemoryError):
        return "there was not enough memory; close other programs, or use a machine with more.", 1
    if isinstance(error, OSError) and error.filename is None and error.errno in OUTPUT_ENDED:
        return f"the output could not be written ({error.strerror}); send it somewhere else, such as > FILE.", 1
    what = f"{type(error).__name__}: {error}".partition("\n")[0]
    return f"this is a fault of nlareport itself ({what[:200]}); {_kept_traceback(error)}", EXIT_OUR_FAULT


def _kept_traceback(error: Exception) -> str:
    """Where to find the traceback, as the rest of a sentence."""
    facts = f"nlareport {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", prefix="nlareport-", suffix=".txt", delete=False
        ) as file:
            file.write(facts + "".join(traceback.format_exception(error)))
    except OSError:
        return f"to see where, set {TRACEBACK_VARIABLE}=1 and give the same command again."
    return f"please report it with {file.name}, which says where; {TRACEBACK_VARIABLE}=1 shows it at once."


def _with_variable(error: click.BadParameter) -> click.BadParameter:
    """The error, naming the environment variable that the value came from, if it came from one."""
    context, parameter = error.ctx, error.param
    if context is None or parameter is None or parameter.name is None:
        return error
    if context.get_parameter_source(parameter.name) is not click.core.ParameterSource.ENVIRONMENT:
        return error
    said = f"{error.message} It comes from the environment variable {parameter.envvar}."
    return click.BadParameter(said, context, parameter)


def _draw_lines(table: str, encoding: str) -> str:
    """The table, its lines drawn in ASCII where the stream encodes no others."""
    try:
        table.encode(encoding)
    except UnicodeEncodeError:
        return table.translate(ASCII_LINES)
    return table


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


class ProgressLine:
    """Shows the current stage: a bar on a terminal, a line now and then in a log."""

    def __init__(self) -> None:
        # Asked of the stream itself: FORCE_COLOR is about colours, and a log needs no bars.
        self._shows_bar = _is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
        self._console = Console(stderr=True, force_terminal=self._shows_bar)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._shows_bar,
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
        # What was there before counts as done but not towards speed, or the remaining time would be wrong.
        self._task = self._bar.add_task(printable(name), total=n_total, completed=n_done)
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
        if not self._shows_bar:
            say(f"{self._name}: {self._n_done:,} of {self._n_total:,}", err=True)


def name_variables(group: click.Group, prefix: str) -> None:
    """Gives every option its environment variable, spelled like the option and not like its Python name."""
    for name, command in group.commands.items():
        start = f"{prefix}_{name.upper()}"
        if isinstance(command, click.Group):
            name_variables(command, start)
        for option in command.params:
            if isinstance(option, click.Option):
                option.envvar = f"{start}_{max(option.opts, key=len).lstrip('-').upper().replace('-', '_')}"
