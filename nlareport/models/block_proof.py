"""Proves that what is read of a model is the block's own output in the whole model, by comparing vectors.

A probe of three short sequences of token ids is read as items are. It is compared, in the whole model where that fits
into free memory, with the output of the block itself, with what the next block receives, and with Transformers' own
list of hidden states; where it does not fit, with the same of a model with one block more than is read. The probe also
shows that a vector depends on nothing after its token, and whether reading texts together changes it.

`BlockProof` records the outcome: `value` is the largest distance found, relative to the vector's norm, `tolerance` the
largest that passes, `text` the sentence for a page.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nlareport.errors import BlockUnproven, FamilyUnsupported, MemoryTooSmall, NlareportError
from nlareport.models.adapter_files import Adapter
from nlareport.models.block_probe import distance, largest, least, probe_of, vectors_handed_on
from nlareport.models.block_reader import BlockReader
from nlareport.models.blocks import family_refused, find_blocks
from nlareport.models.checkpoint_files import n_weights
from nlareport.models.loading import (
    DTYPES,
    load_blocks,
    load_whole,
    placement,
    refuse_unknown_block,
    refuse_unreadable_family,
)
from nlareport.models.memory import free_bytes, free_memory, is_out_of_memory
from nlareport.models.wall import named_line
from nlareport.models.weight_faults import has_other_parts

ROUNDING = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 5e-3}
"""The largest distance, relative to the norm, between two passes over the same batch. Equal on a CPU; on a GPU the
same product may be summed in another order."""
BATCHING = {"float32": 5e-3, "bfloat16": 0.15, "float16": 0.05}
"""Between a text alone and in a batch, where products have other shapes and sums another order."""
SHARE_OF_MEMORY = 0.8
"""The largest share of the free memory that a whole model may take for its proof."""


@dataclass(frozen=True, slots=True)
class BlockProof:
    """What was compared with what, and how far apart they were."""

    held_against: str
    """What the vector that is read must equal."""
    value: float | None
    """The largest distance between two that must be equal, relative to the norm. None when the model overflows."""
    tolerance: float
    """The largest value that passes."""
    one_at_a_time: bool
    """Whether texts must be read alone, since a batch changes their vectors by more than rounding."""
    runs_all_blocks: bool
    """Whether later blocks are run too, since the vectors would differ without them."""

    @property
    def text(self) -> str:
        """One sentence for a page."""
        return (
            f"On three short sequences what is read where a block hands it on equals {self.held_against}: largest "
            "distance relative to the norm."
        )


class BlockProver:
    """Opens one checkpoint at one block, and proves that the right vectors are read."""

    def __init__(
        self,
        directory: Path,
        config: Any,
        block_index: int,
        device: str,
        dtype: str,
        used_elsewhere: frozenset[str] | None,
        adapter: Adapter | None = None,
    ) -> None:
        self.directory, self.config, self.block_index, self.adapter = directory, config, block_index, adapter
        self.device, self.dtype, self.used_elsewhere = device, dtype, used_elsewhere
        self.n_all: int = config.num_hidden_layers
        self.probe = probe_of(config)

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
            adapter=self.adapter,
        )
        return BlockReader(model, blocks, self.block_index, self.config, self.directory)

    def prove(self) -> tuple[BlockReader, BlockProof]:
        """What reads the block, and the proof that it does.

        Raises:
            NlareportError: as `open_blocks`.
        """
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
        model = load_whole(self.directory, device=self.device, dtype=self.dtype, adapter=self.adapter)
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
                # Without its frames, which would keep the model in memory.
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
        """Blocks up to the one to be read, which were compared with one more; the last with the one before it."""
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
        listed, of_next = vectors_handed_on(handed_on, self.probe)
        expected = own if place == self.block_index else handed_on.read(self.probe)
        from_next = distance(of_next, expected)
        if from_next is None:
            # The model overflows; the caller reports vectors that are not finite.
            return own, None
        if from_next > ROUNDING[self.dtype]:
            raise self._unproven("the next block receives", expected, of_next)
        # Most families list the embedding first, some do not: any place in the list will do.
        nearest = least(*(distance(states, expected) for states in listed))
        if nearest is not None and nearest > ROUNDING[self.dtype]:
            raise self._unproven("Transformers lists there", expected, listed[min(place + 1, len(listed) - 1)])
        return own, largest(from_next, nearest)

    def _batch_matters(self, reader: BlockReader) -> bool:
        """Whether a text's vector differs in a batch, by more than rounding.

        Raises:
            FamilyUnsupported: it differs by what comes after its token.
        """
        alone = torch.cat([reader.read([sequence]) for sequence in self.probe])
        by_batching = distance(reader.read(self.probe), alone) or 0.0
        # At an early token, with much text after it; as two rows of one batch, where products have the same shapes.
        stem, other, place = self.probe[0], probe_of(self.config, seed=1)[0], len(self.probe[0]) // 4
        first, second = reader.read_at([stem, [*stem[: place + 1], *other[place + 1 :]]], [(0, place), (1, place)])
        by_what_follows = distance(first[None], second[None]) or 0.0
        # Where rounding decides which experts are used, a batch shows by how much.
        rounding = min(2 * by_batching, BATCHING[self.dtype])
        if by_what_follows > max(ROUNDING[self.dtype], rounding):
            raise family_refused(self.directory, self.config, "whose vectors depend on what comes after their token")
        return by_batching > BATCHING[self.dtype]

    def _unproven(self, what: str, found: torch.Tensor, expected: torch.Tensor) -> BlockUnproven:
        cosine = float(torch.cosine_similarity(found, expected, dim=1).min())
        length = float(found.norm() / expected.norm().clamp_min(torch.finfo(torch.float32).tiny))
        return BlockUnproven(
            f"{self.directory}: what block {self.block_index} of this {self.config.model_type} model hands on is not "
            f"what {what} (cosine {cosine:.4f}, {length:.2f} times as long), so its activations would be wrong. "
            "Give another block or base model."
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Inside, any error of a family's own code becomes a refusal by the family's name."""
        try:
            yield
        except NlareportError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise MemoryTooSmall(
                    f"{self.directory}: does not fit into memory with three short texts. Use a device with more memory."
                ) from error
            why = f"whose blocks do not run on text alone ({named_line(error)})"
            raise family_refused(self.directory, self.config, why) from error
