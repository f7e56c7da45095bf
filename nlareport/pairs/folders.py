"""Folders that are there whole or not at all: what is built beside its place and takes its name at the end."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made_whole(destination: Path, *, anew: bool = False) -> Iterator[Path]:
    """An empty folder to fill, which takes the name `destination` when the block ends without an error.

    A process killed on the way leaves nothing under that name, and of two processes that make the same the first one's
    stays. With `anew` it takes the place of a former one, which stays until then.
    """
    scratch = destination.with_name(f"{destination.name}.{os.getpid()}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        if anew:
            shutil.rmtree(destination, ignore_errors=True)
        try:
            scratch.rename(destination)
        except OSError:
            # Unless another process was first, the disk forbids it.
            if not destination.exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
