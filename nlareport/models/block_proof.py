"""Proves, once per checkpoint, block, dtype and device, that what is read is the block's own output in the whole model.

Enters a checkpoint; leaves a `BlockReader` whose `BlockProof` says what was held against what: `value` is the largest
distance found, relative to the vector's norm, `tolerance` the largest that passes, `text` the sentence for a page. A
probe of three short sequences of token ids is read as items are. Held against it are, in the whole model where it fits
into free memory, the output of the block itself, what the next block receives, and Transformers' own list of hidden
states; where it does not fit, the same of a model with one block more than is read. The probe also shows that a vector
depends on nothing behind its token, and whether reading texts together changes it.

The outcome is kept in the user's cache; a checkpoint whose files, or a library whose version changes is proven again.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from nlareport import __version__
from nlareport.checkpoints.sidecar import checkpoint_sha256
from nlareport.errors import BlockUnproven, FamilyUnsupported, MemoryTooSmall, NlareportError
from nlareport.files.user_cache import keep, kept
from nlareport.models.block_probe import distance, largest, least, probe_of, received
from nlareport.models.block_reader import BlockReader
from nlareport.models.blocks import family_refused, find_blocks
from nlareport.models.checkpoint_files import n_weights, refuse_damaged_weights
from nlareport.models.loading import (
    DTYPES,
    load_blocks,
    load_whole,
    placement,
    refuse_unknown_block,
    refuse_unreadable_family,
)
from nlareport.models.memory import free_bytes, free_memory, is_out_of_memory
from nlareport.models.wall import first_line
from nlareport.models.weight_faults import has_other_parts

PROOFS_NAME = "block-proofs.json"
PROOF_VERSION = 2
"""Of what is proven and how it is kept: outcomes of another are proven anew."""
MOST_PROOFS = 500
"""The oldest are forgotten first."""

ROUNDING = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 5e-3}
"""The largest distance, relative to the norm, between two passes over the same batch. Equal on a CPU; on a GPU the
same product may be summed in another order."""
BATCHING = {"float32": 5e-3, "bfloat16": 0.15, "float16": 0.05}
"""Between a text alone and in a batch, where products have other shapes and sums another order."""
SHARE_OF_MEMORY = 0.8
"""The largest share of the free memory that a whole model may take for its proof."""


@dataclass(frozen=True, slots=True)
class BlockProof:
    """What was held against what, and how far apart they were."""

    held_against: str
    """What must equal that which is read."""
    value: float | None
    """The largest distance between two that must be equal, relative to the norm. None when the model overflows."""
    tolerance: float
    """The largest value that passes."""
    one_at_a_time: bool
    """Whether texts must be read alone, since a batch changes their vectors by more than rounding."""
    runs_all_blocks: bool
    """Whether later blocks are run too, since without them the vectors would be others."""

    @property
    def text(self) -> str:
        """One sentence for a page."""
        return (
            f"On three short sequences what is read where a block hands it on equals {self.held_against}: largest "
            "distance relative to the norm."
        )


def open_blocks(
    directory: Path,
    config: Any,
    block_index: int,
    *,
    device: str,
    dtype: str,
    used_elsewhere: frozenset[str] | None = None,
) -> tuple[BlockReader, BlockProof]:
    """What reads the output of a block, and how that was proven; `used_elsewhere` as in `load_blocks`.

    Raises:
        CheckpointMissing: the directory holds no safetensors weights.
        CheckpointDrift: it has fewer blocks, or a weight is missing, superfluous or of another shape.
        FamilyUnsupported: its blocks are not to be found, give no vector a token, or read from right to left too.
        BlockUnproven: what is read is not what the block gives.
        MemoryTooSmall: it does not fit into memory.
    """
    refuse_damaged_weights(directory)
    opening = _Opening(directory, config, block_index, device, dtype, used_elsewhere)
    key = opening.key()
    if known := _remembered(key):
        return opening.reader(config.num_hidden_layers if known.runs_all_blocks else block_index + 1), known
    reader, proof = opening.proven()
    if proof.value is not None:
        keep(PROOFS_NAME, key, asdict(proof), MOST_PROOFS)
    return reader, proof


def _remembered(key: str) -> BlockProof | None:
    with suppress(TypeError, KeyError):
        return BlockProof(**kept(PROOFS_NAME)[key])
    return None


class _Opening:
    """One checkpoint being opened at one block."""

    def __init__(
        self,
        directory: Path,
        config: Any,
        block_index: int,
        device: str,
        dtype: str,
        used_elsewhere: frozenset[str] | None,
    ) -> None:
        self.directory, self.config, self.block_index = directory, config, block_index
        self.device, self.dtype, self.used_elsewhere = device, dtype, used_elsewhere
        self.n_all: int = config.num_hidden_layers
        self.probe = probe_of(config)

    def key(self) -> str:
        """What the outcome of the proof depends on, as a digest."""
        place = placement(self.device)
        depends_on = [
            *(PROOF_VERSION, torch.__version__, transformers.__version__, __version__, self.block_index, self.dtype),
            None if self.used_elsewhere is None else sorted(self.used_elsewhere),
            torch.cuda.get_device_name() if place != "cpu" and torch.cuda.is_available() else "cpu",
            hashlib.sha256((self.directory / "config.json").read_bytes()).hexdigest(),
            checkpoint_sha256(self.directory),
        ]
        return hashlib.sha256(repr(depends_on).encode()).hexdigest()

    def reader(self, n_blocks: int, *, spreads: bool = True) -> BlockReader:
        """What reads the block in a model of the first `n_blocks`; `spreads` as in `load_blocks`."""
        model, blocks = load_blocks(
            self.directory,
            self.config,
            n_blocks,
            device=self.device,
            dtype=self.dtype,
            used_elsewhere=self.used_elsewhere,
            spreads=spreads,
        )
        return BlockReader(model, blocks, self.block_index, self.config, self.directory)

    def proven(self) -> tuple[BlockReader, BlockProof]:
        """What reads the block, once it is proven to read the right one."""
        refuse_unknown_block(self.directory, self.config, self.block_index)
        refuse_unreadable_family(self.directory, self.config)
        expected = None
        if self.block_index + 1 < self.n_all and self._whole_fits():
            with suppress(MemoryTooSmall):
                expected = self._in_whole_model()
            free_memory()
        with self._translated():
            reader, proof = self._by_the_next_block() if expected is None else self._by_the_whole_model(*expected)
            return reader, replace(proof, one_at_a_time=self._batch_matters(reader))

    def _whole_fits(self) -> bool:
        n_bytes = n_weights(self.directory) * DTYPES[self.dtype].itemsize
        return n_bytes < SHARE_OF_MEMORY * free_bytes(placement(self.device))

    def _in_whole_model(self) -> tuple[torch.Tensor, float | None]:
        """The block's output in the whole model, and how far it is from what the next block receives."""
        try:
            return self._in_released_model()
        except (MemoryTooSmall, BlockUnproven):
            raise
        except Exception as error:
            if isinstance(error, FamilyUnsupported) and not has_other_parts(self.directory, self.config):
                raise
        # Some models with other parts run on nothing but images and texts together; then the language model alone.
        free_memory()
        with self._translated():
            return self._taken(self.reader(self.n_all, spreads=False))

    def _in_released_model(self) -> tuple[torch.Tensor, float | None]:
        """The same in the model as its own files describe it, with all parts."""
        model = load_whole(self.directory, device=self.device, dtype=self.dtype)
        blocks = find_blocks(model, self.config, self.directory)
        return self._taken(BlockReader(model, blocks, self.block_index, self.config, self.directory))

    def _by_the_whole_model(self, expected: torch.Tensor, inside: float | None) -> tuple[BlockReader, BlockProof]:
        """Blocks up to the one to be read; all of them where a cut changes the vectors."""
        first_error: Exception | None = None
        for n_blocks in (self.block_index + 1, self.n_all):
            try:
                reader = self.reader(n_blocks)
                found = reader.read(self.probe)
            except MemoryTooSmall:
                raise
            except Exception as error:
                # Without its frames, which hold the model.
                first_error = first_error or error.with_traceback(None)
                continue
            value = largest(distance(found, expected), inside)
            if value is None or value <= ROUNDING[self.dtype]:
                runs_all, what = n_blocks > self.block_index + 1, "the block's output in the whole model"
                proof = BlockProof(what, value, ROUNDING[self.dtype], False, runs_all)
                return reader, proof
            first_error = first_error or self._unproven("the whole model gives there", found, expected)
            del reader
            free_memory()
        raise first_error or AssertionError

    def _by_the_next_block(self) -> tuple[BlockReader, BlockProof]:
        """Blocks up to the one to be read, which were held against one more; the last against the one before it."""
        reader = self.reader(min(self.block_index + 2, self.n_all))
        n_behind = len(reader.blocks.modules) - 1 - self.block_index
        held_against = "what the next block receives" if n_behind else "what the last block receives of the one before"
        if len(reader.blocks.modules) == 1:
            held_against = "itself, as the only block"
        _, value = self._taken(reader)
        del reader.blocks.modules[self.block_index + 1 :]
        return reader, BlockProof(held_against, value, ROUNDING[self.dtype], False, False)

    def _taken(self, reader: BlockReader) -> tuple[torch.Tensor, float | None]:
        """The block's output, and how far a block's output is from what its next receives and Transformers lists.

        The block is the one that is read, or the one before it where it is the last.

        Raises:
            BlockUnproven: they are not the same.
        """
        own = reader.read(self.probe)
        place = min(self.block_index, len(reader.blocks.modules) - 2)
        if place < 0:
            return own, 0.0
        handed_on = BlockReader(reader.model, reader.blocks, place, self.config, self.directory)
        listed, of_next = received(handed_on, self.probe)
        expected = own if place == self.block_index else handed_on.read(self.probe)
        from_next = distance(of_next, expected)
        if from_next is None:
            # The model overflows; whoever gets no finite vector says so.
            return own, None
        if from_next > ROUNDING[self.dtype]:
            raise self._unproven("the next block receives", expected, of_next)
        # Most families list the embedding first, some do not; where, is not asked.
        nearest = least(*(distance(states, expected) for states in listed))
        if nearest is not None and nearest > ROUNDING[self.dtype]:
            raise self._unproven("Transformers lists beside it", expected, listed[min(place + 1, len(listed) - 1)])
        return own, largest(from_next, nearest)

    def _batch_matters(self, reader: BlockReader) -> bool:
        """Whether a text's vector is another in a batch, by more than rounding.

        Raises:
            FamilyUnsupported: it is another by what stands behind its token.
        """
        alone = torch.cat([reader.read([sequence]) for sequence in self.probe])
        by_batching = distance(reader.read(self.probe), alone) or 0.0
        # Early, so that much stands behind; two rows of one batch, so that products have the same shapes.
        stem, other, place = self.probe[0], probe_of(self.config, seed=1)[0], len(self.probe[0]) // 4
        first, second = reader.read_at([stem, [*stem[: place + 1], *other[place + 1 :]]], [(0, place), (1, place)])
        by_what_follows = distance(first[None], second[None]) or 0.0
        # Where rounding decides which experts are asked, a batch shows by how much.
        rounding = min(2 * by_batching, BATCHING[self.dtype])
        if by_what_follows > max(ROUNDING[self.dtype], rounding):
            raise family_refused(self.directory, self.config, "whose vectors depend on what stands behind their token")
        return by_batching > BATCHING[self.dtype]

    def _unproven(self, what: str, found: torch.Tensor, expected: torch.Tensor) -> BlockUnproven:
        cosine = float(torch.cosine_similarity(found, expected, dim=1).min())
        length = float(found.norm() / expected.norm().clamp_min(torch.finfo(torch.float32).tiny))
        return BlockUnproven(
            f"{self.directory}: what block {self.block_index} of this {self.config.model_type} model hands on is not "
            f"what {what} (cosine {cosine:.4f}, {length:.2f} times as long), so its activations would be others. "
            "Give another block or base model."
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Inside, whatever a family's own code stumbles over becomes a refusal by the family's name."""
        try:
            yield
        except NlareportError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise MemoryTooSmall(
                    f"{self.directory}: does not fit into memory with three short texts. Use a device with more memory."
                ) from error
            why = f"whose blocks do not run on text alone ({first_line(error)})"
            raise family_refused(self.directory, self.config, why) from error
