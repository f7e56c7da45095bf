"""Builds pocket pairs: merges committed adapters into ordinary checkpoint directories in the user's cache.

Takes a pair's data folder (``av/``, ``ar/``), returns ``base/``, ``av/`` and ``ar/`` directories that no backend can
tell from a release. Building twice does nothing the second time; a changed adapter is built again.
"""

import shutil
from pathlib import Path

import torch
from transformers import PreTrainedModel

from nlareport.checkpoints.sidecar import SIDECAR_NAME
from nlareport.errors import CheckpointMissing
from nlareport.files.atomic_files import whole_folder
from nlareport.models.blocks import shorten_to_blocks
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME
from nlareport.models.quiet import quiet
from nlareport.models.tokenizers import copy_tokenizer
from nlareport.models.trainable import open_cut_model, open_whole_model
from nlareport.pairs.adapters import merge_adapter
from nlareport.pairs.bases import build_base
from nlareport.pairs.catalog import PocketPair
from nlareport.pairs.checkpoint_places import BuiltPair, pair_place

ADAPTER_NAME = "adapter_model.safetensors"


@quiet()
def build_pair(pair: PocketPair, data_folder: Path, *, rebuilds: bool = False) -> BuiltPair:
    """The pair's checkpoint directories, made on first use; with `rebuilds`, AV and AR replace a former build.

    Raises:
        CheckpointMissing: the data folder does not hold the pair's adapters.
        DownloadFailed: the base model could not be had.
    """
    adapters = data_folder / pair.pair_id
    files = [adapters / role / name for role in ("av", "ar") for name in (ADAPTER_NAME, SIDECAR_NAME)]
    missing = [str(file) for file in [*files, adapters / "ar" / VALUE_HEAD_NAME] if not file.exists()]
    if missing:
        raise CheckpointMissing(
            f"Pair {pair.pair_id}: {', '.join(missing)} not found. "
            f'Train it with "nlareport pairs train {pair.pair_id}" or run from a checkout.'
        )
    base = build_base(pair.base)
    built = pair_place(pair, data_folder)
    if rebuilds or not built.verbalizer.exists():
        verbalizer = open_whole_model(base, "float32")
        _write_checkpoint(verbalizer, adapters / "av", base, built.verbalizer, rebuilds)
    if rebuilds or not built.reconstructor.exists():
        reconstructor = open_cut_model(base, pair.block_index, "float32").model
        shorten_to_blocks(reconstructor)
        _write_checkpoint(reconstructor, adapters / "ar", base, built.reconstructor, rebuilds)
    return built


def _write_checkpoint(model: PreTrainedModel, adapter: Path, base: Path, destination: Path, rebuilds: bool) -> None:
    """Merges in float32 and saves in bfloat16."""
    with whole_folder(destination, replaces=rebuilds) as scratch:
        merge_adapter(model, adapter).to(torch.bfloat16).save_pretrained(scratch)
        copy_tokenizer(base, scratch)
        for name in (SIDECAR_NAME, VALUE_HEAD_NAME):
            if (adapter / name).exists():
                shutil.copyfile(adapter / name, scratch / name)
