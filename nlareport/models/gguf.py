"""Opens a GGUF file as an ordinary Hugging Face model and tokenizer, dequantized to float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils

from nlareport.models.quiet import quiet


def open_gguf(path: Path) -> tuple[Any, Any]:
    """The language model and the tokenizer in a GGUF file; both can be saved as a checkpoint directory."""
    with quiet(), _without_bar():
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    # Transformers refuses to save a model that still says it came from GGUF, though its weights are plain by now.
    del model.config.quantization_config
    model.hf_quantizer = None
    return model, tokenizer


@contextmanager
def _without_bar() -> Iterator[None]:
    # Reading GGUF draws a bar of its own that no setting of Transformers turns off.
    bar = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = partial(bar, disable=True)
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = bar
