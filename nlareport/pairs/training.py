"""Trains one pocket pair from nothing but the package index: base model, examples, verbalizer, reconstructor.

Leaves ``av/`` and ``ar/`` adapters and sidecars in the data folder. Stopped anywhere, it continues where it was.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

from nlareport.checkpoint import SIDECAR_NAME, Sidecar, sidecar_content
from nlareport.pairs.bases import build_base
from nlareport.pairs.building import ADAPTER_NAME, VALUE_HEAD_NAME
from nlareport.pairs.catalog import PocketPair
from nlareport.pairs.contract import pocket_sidecar
from nlareport.pairs.examples import read_examples
from nlareport.pairs.noise import quiet
from nlareport.pairs.packages import cache_folder, training_articles
from nlareport.pairs.reconstructor_training import train_reconstructor
from nlareport.pairs.verbalizer_training import train_verbalizer
from nlareport.ports import Progress


@quiet()
def train_pair(pair: PocketPair, data_folder: Path, progress: Progress) -> Path:
    """The folder under `data_folder` that holds the pair's adapters, value head and sidecars.

    Raises:
        DownloadFailed: the base model or the text could not be had.
    """
    base = build_base(pair.base)
    work = cache_folder() / "training" / pair.pair_id
    examples = read_examples(training_articles(), base, pair.block_index, pair.recipe, work, progress)
    verbalizer_sidecar = pocket_sidecar(pair, base, "av")
    reconstructor_sidecar = pocket_sidecar(pair, base, "ar")
    reconstructor = train_reconstructor(examples, base, reconstructor_sidecar, pair.recipe, work, progress)
    verbalizer = train_verbalizer(examples, base, verbalizer_sidecar, pair.recipe, work, progress)
    destination = data_folder / pair.pair_id
    _publish(verbalizer, pair.base.base_model, verbalizer_sidecar, destination / "av")
    _publish(reconstructor, pair.base.base_model, reconstructor_sidecar, destination / "ar")
    return destination


def _publish(adapter: Path, base_model: str, sidecar: Sidecar, destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(adapter / ADAPTER_NAME).items()}
    save_file(weights, destination / ADAPTER_NAME, metadata={"format": "pt"})
    if (adapter / VALUE_HEAD_NAME).exists():
        shutil.copyfile(adapter / VALUE_HEAD_NAME, destination / VALUE_HEAD_NAME)
    config = json.loads((adapter / "adapter_config.json").read_text())
    # PEFT names the directory the base model was read from; elsewhere only the public name means anything.
    config.update(base_model_name_or_path=base_model, target_modules=sorted(config["target_modules"]))
    (destination / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    content = {**sidecar_content(sidecar), "created_at": datetime.now(UTC).isoformat(), "created_by": "nlareport"}
    (destination / SIDECAR_NAME).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
