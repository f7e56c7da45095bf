"""Keeps Transformers from talking: what matters of its talk is checked and raised instead."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no talk from Transformers inside; also a decorator, as ``@quiet()``."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    # It says for every model that parts of it wait off the device.
    accelerate = logging.getLogger("accelerate")
    level = accelerate.level
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    accelerate.setLevel(logging.ERROR)
    try:
        yield
    finally:
        accelerate.setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
