"""Entry point of ``python -m nlareport`` and the console script: signals before the command line, output after it.

Nothing heavy is imported before an interrupt can be answered in a sentence.
"""

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Runs the command line; a stop by Ctrl-C, by `kill` or by a terminal that goes away ends it the same way."""
    try:
        for name in ("SIGTERM", "SIGHUP"):
            # A signal that is ignored, as under nohup, stays ignored.
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:
                signal.signal(getattr(signal, name), signal.default_int_handler)
        from nlareport.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        # The command line answers this itself, once it has been imported.
        print("nlareport: stopped before it began.", file=sys.stderr)
        sys.exit(1)
    finally:
        _drop_unwritable(sys.stdout)
        _drop_unwritable(sys.stderr)


def _drop_unwritable(stream: object) -> None:
    """Discards output that cannot be written, or Python would complain of it again at exit."""
    try:
        if stream is not None:
            stream.flush()  # type: ignore[attr-defined]
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
