"""Opens language models to be trained or merged on the CPU: whole, or cut after the block that a reconstructor reads.

They keep their head and the names their weights have in their files, so that adapters fit them and they can be saved.
Everything else is as models are opened to be measured.
"""

from pathlib import Path
from typing import Any

from nlareport.models.block_reader import BlockReader
from nlareport.models.configuration import load_text_config
from nlareport.models.loading import load_blocks, load_language_model


def open_cut_model(directory: Path, block_index: int, dtype: str) -> BlockReader:
    """What reads a block in a language model that ends with that block; errors as `load_blocks`."""
    config = load_text_config(directory)
    model, blocks = load_blocks(directory, config, block_index + 1, device="cpu", dtype=dtype, keeps_head=True)
    return BlockReader(model, blocks, block_index, config, directory)


def open_whole_model(directory: Path, dtype: str, **how: Any) -> Any:
    """A whole language model, with its own generation settings; `how` and errors as `load_language_model`."""
    return load_language_model(directory, load_text_config(directory), device="cpu", dtype=dtype, **how)
