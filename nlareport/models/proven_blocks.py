"""Opens a model at a block that is proven to be the right one, once per checkpoint, block, dtype and device.

Takes a checkpoint, returns a `BlockReader` and its `BlockProof`. The proof is kept in the user's cache; a checkpoint
whose files change, or a library whose version changes, is proven again.
"""

import hashlib
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from nlareport import __version__
from nlareport.checkpoints.sidecar import checkpoint_sha256
from nlareport.files.user_cache import file_sha256, keep, kept_entries
from nlareport.models.adapter_files import Adapter
from nlareport.models.block_proof import BlockProof, BlockProver
from nlareport.models.block_reader import BlockReader
from nlareport.models.checkpoint_files import refuse_damaged_weights
from nlareport.models.loading import placement

PROOFS_NAME = "block-proofs.json"
PROOF_VERSION = 2
"""Of what is proven and how it is kept: those of another version are proven again."""
MOST_PROOFS = 500
"""The oldest are removed first."""


def open_blocks(
    directory: Path,
    config: Any,
    block_index: int,
    *,
    device: str,
    dtype: str,
    used_elsewhere: frozenset[str] | None = None,
    adapter: Adapter | None = None,
) -> tuple[BlockReader, BlockProof]:
    """What reads the output of a block, and how that was proven; `used_elsewhere` and `adapter` as in `load_blocks`.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights.
        CheckpointDrift: it has fewer blocks, or a weight is missing, superfluous or of another shape.
        FamilyUnsupported: its blocks cannot be found, give no vector a token, or also read from right to left.
        BlockUnproven: what is read is not what the block gives.
        MemoryTooSmall: it does not fit into memory.
    """
    refuse_damaged_weights(directory)
    prover = BlockProver(directory, config, block_index, device, dtype, used_elsewhere, adapter)
    key = _proof_key(prover)
    if known := _remembered(key):
        return prover.reader(config.num_hidden_layers if known.runs_all_blocks else block_index + 1), known
    reader, proof = prover.prove()
    if proof.value is not None:
        keep(PROOFS_NAME, key, asdict(proof), MOST_PROOFS)
    return reader, proof


def _remembered(key: str) -> BlockProof | None:
    with suppress(TypeError, KeyError):
        return BlockProof(**kept_entries(PROOFS_NAME)[key])
    return None


def _proof_key(prover: BlockProver) -> str:
    """What the outcome of the proof depends on, as a digest."""
    place, used_elsewhere = placement(prover.device), prover.used_elsewhere
    depends_on = [
        *(PROOF_VERSION, torch.__version__, transformers.__version__, __version__, prover.block_index, prover.dtype),
        None if used_elsewhere is None else sorted(used_elsewhere),
        torch.cuda.get_device_name() if place != "cpu" and torch.cuda.is_available() else "cpu",
        hashlib.sha256((prover.directory / "config.json").read_bytes()).hexdigest(),
        checkpoint_sha256(prover.directory),
    ]
    if prover.adapter is not None:
        depends_on += [file_sha256(prover.adapter.path), sorted(map(str, prover.adapter.config.items()))]
    return hashlib.sha256(repr(depends_on).encode()).hexdigest()
