"""Keeps libraries from talking over the one progress display: their bars, and a warning nobody here can act on."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from transformers import modeling_gguf_pytorch_utils
from transformers.utils import logging


@contextmanager
def quiet() -> Iterator[None]:
    """No bars of Transformers and no known noise of PEFT inside; also a decorator, as ``@quiet()``."""
    bars_were_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    # Reading GGUF draws a bar of its own that no setting of Transformers turns off.
    gguf_bar = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = partial(gguf_bar, disable=True)
    try:
        with warnings.catch_warnings():
            # PEFT 0.21 asks Transformers 5 for an attribute under its old name.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = gguf_bar
        if bars_were_on:
            logging.enable_progress_bar()
