"""The extractor, the reconstructor and the tokenizer of the engine ``transformers``: what reads text with a model.

Takes texts and token ids, returns token spans and vectors. The batch size changes speed and memory, and the answer
of an item by rounding alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from nlareport.backends.clock import standing_clock
from nlareport.backends.contract import (
    ReconstructorContract,
    open_reconstructor_contract,
    refuse_non_finite,
)
from nlareport.backends.hub import checkpoint_directory
from nlareport.backends.reader_self_tests import block_finding, reader_findings
from nlareport.batches import UNREAD, ChatMessage, ReadingLimits, Tokenization
from nlareport.checkpoints.conversations import tokenize_rendered
from nlareport.checks import Finding
from nlareport.errors import CheckpointMissing, ContextTooShort, NonFiniteWeights
from nlareport.experiment.experiment_file import overflow_advice
from nlareport.models.block_proof import BlockProof
from nlareport.models.block_reader import BlockReader
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME
from nlareport.models.configuration import context_tokens, load_text_config
from nlareport.models.loading import OpenModel
from nlareport.models.memory import BatchSize
from nlareport.models.proven_blocks import open_blocks
from nlareport.models.tokenizers import control_ids, open_tokenizer, reconstructor_prompt_ids, special_ids
from nlareport.models.value_head import load_value_head

_PLAIN_SENTENCE = "A snippet of text."


class TransformersTokenizer:
    """A base model's own tokenizer, with the characters of each token."""

    def __init__(self, checkpoint: str | Path, moment: datetime | None = None) -> None:
        """Open the tokenizer of a checkpoint directory or hub id; no weights are read or downloaded.

        `moment` is the time that its chat template is given; None: now.

        Raises:
            CheckpointMissing: there is none, or it cannot say which characters a token covers.
            CheckpointDamaged: one of its files is damaged, or it finds no token in text.
            CheckpointDrift: it is another model's.
        """
        directory = checkpoint_directory(checkpoint, with_weights=False)
        self._tokenizer = open_tokenizer(directory)
        if not self._tokenizer.is_fast:
            raise CheckpointMissing(
                f"{checkpoint}: its tokenizer gives no character offsets. Put its tokenizer.json into the same folder."
            )
        self._tokenizer.truncation_side = "right"
        self._name, self._moment = checkpoint, moment
        self._special_ids = special_ids(directory, self._tokenizer)
        self._control_ids = control_ids(self._tokenizer)

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the tokens that its files call special."""
        return self._special_ids

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids of further tokens that stand for no text, such as those that begin a turn of a chat."""
        return self._control_ids

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        """The tokens of a text with special tokens added, cut on the right to `max_tokens`.

        Tokens that hold parts of one character all cover that whole character. A text that spells special tokens has
        them, and where it begins with BOS, no other is added.
        """
        bos = self._tokenizer.bos_token
        encoding = self._tokenizer(
            text,
            add_special_tokens=not (bos and text.startswith(bos)),
            return_offsets_mapping=True,
            return_attention_mask=False,
            truncation=max_tokens is not None,
            max_length=max_tokens,
            # Transformers would warn of a text longer than the model's context; here it is only cut.
            verbose=False,
        )
        starts, ends, reached = [], [], 0
        for start, end in encoding["offset_mapping"]:
            # An added special token has the span (0, 0) at any place.
            starts.append(reached if start == end else start)
            reached = max(reached, end)
            ends.append(reached if start == end else end)
        return Tokenization(token_ids=list(encoding["input_ids"]), char_starts=starts, char_ends=ends)

    def tokenize_chat(self, messages: Sequence[ChatMessage], *, is_asked: bool) -> Tokenization:
        """The tokens of a chat as the model's own template renders it: see `tokenize_rendered`.

        Raises:
            CheckpointMissing: the checkpoint has no chat template.
            ChatTemplateFails: its template refuses this chat.
        """
        if not self._tokenizer.chat_template:
            raise CheckpointMissing(
                f"{self._name}: has no chat template, and the corpus holds chats. Put its chat_template.jinja back, or "
                "give the chats as text in a corpus.text_column."
            )
        with standing_clock(self._moment or datetime.now(UTC)):
            return tokenize_rendered(self._tokenizer, messages, is_asked=is_asked)


class _OpenBlocks(OpenModel):
    """A model up to a block in memory, read in batches that fit."""

    def __init__(self, directory: Path, config: Any, block_index: int, **how: Any) -> None:
        self._reader: BlockReader | None
        self._reader, self.proof = open_blocks(directory, config, block_index, **how)
        super().__init__(self._reader.model)

    proof: BlockProof
    """How it was proven that what is read is the block's own output."""

    def close(self) -> None:
        """Free the memory; the object answers no more."""
        self._reader = None
        super().close()

    def _read_in_batches(self, n_rows: int, what: str) -> None:
        self._batch = BatchSize(1 if self.proof.one_at_a_time else n_rows, what)

    def _last_vectors(self, token_ids: list[list[int]]) -> torch.Tensor:
        """The block's output at each sequence's last token, in order: float32 on the CPU, ``[item, d_model]``."""
        assert self._reader is not None
        reader = self._reader
        # The longest first: a batch too big for memory then fails at once.
        places = sorted(range(len(token_ids)), key=lambda place: -len(token_ids[place]))
        vectors = torch.empty(len(token_ids), reader.config.hidden_size)
        if places:
            found = self._batch.answer_all(places, lambda some: list(reader.read([token_ids[place] for place in some])))
            vectors[places] = torch.stack(found)
        return vectors


class TransformersExtractor(_OpenBlocks):
    """Reads one base model's residual stream after its block; later blocks are not even loaded."""

    def __init__(
        self,
        checkpoint: str | Path,
        block_index: int,
        *,
        device: str = "auto",
        dtype: str = "bfloat16",
        batch_size: int = 16,
    ) -> None:
        """Open blocks 0 to `block_index` of a base model.

        Raises:
            CheckpointMissing: the checkpoint or its weights are not there.
            CheckpointDamaged: one of its files is damaged.
            CheckpointDrift: the model has no such block, or its files do not fit its configuration.
            FamilyUnsupported: the model is of a family whose blocks cannot be read.
            BlockUnproven: what is read is not the block's own output.
            MemoryTooSmall: the model does not fit into memory.
        """
        self.directory = checkpoint_directory(checkpoint)
        config = load_text_config(self.directory)
        self.d_model: int = config.hidden_size
        self._limits = ReadingLimits(context_tokens(config), config.vocab_size)
        super().__init__(self.directory, config, block_index, device=device, dtype=dtype)
        self._read_in_batches(batch_size, str(self.directory))

    def extract(self, token_ids: list[list[int]]) -> Float[np.ndarray, "item d_model"]:
        """The output of decoder block `block_index` at the last token of each sequence, float32.

        Where the model overflows, a vector is not finite.

        Raises:
            ContextTooShort: a sequence is longer than the model reads.
            MemoryTooSmall: one sequence alone does not fit into memory.
        """
        for sequence in token_ids:
            if reason := self._limits.why_unreadable(sequence):
                raise ContextTooShort(
                    f"{self.directory}: an item's text {reason}. "
                    "Start a new run with another --db: it leaves such texts out."
                )
        return self._last_vectors(token_ids).numpy()

    def self_tests(self, read: list[list[int]], vectors: Float[np.ndarray, "item d_model"]) -> list[Finding]:  # noqa: ARG002 - the port's shape
        """What was found on opening the model."""
        return [block_finding(self.proof)]


class TransformersReconstructor(_OpenBlocks):
    """Reconstructs the vector that an explanation describes."""

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "bfloat16",
        batch_size: int = 16,
        name: str | None = None,
        contract: ReconstructorContract | None = None,
    ) -> None:
        """Open an AR; `name` is the pair that errors speak of, `contract` what was already read of it.

        Raises:
            CheckpointMissing: the checkpoint or a file of its contract is not there.
            CheckpointDamaged: one of its files is damaged.
            CheckpointInvalid: its sidecar has faults.
            CheckpointDrift: sidecar, tokenizer and model disagree.
            NonFiniteWeights: the head or the model holds a NaN or an infinity, or gives one for a plain sentence.
            FamilyUnsupported: the model is of a family whose blocks cannot be read.
            BlockUnproven: what is read is not the last block's own output.
            MemoryTooSmall: the model does not fit into memory.
        """
        self.directory = checkpoint_directory(checkpoint)
        contract = contract or open_reconstructor_contract(self.directory, name or str(checkpoint))
        self.sidecar, self._tokenizer = contract.sidecar, contract.tokenizer
        self._limits = ReadingLimits(contract.context_tokens, contract.config.vocab_size)
        self._dtype = dtype
        # The head first: it is the file that was once shipped broken, and takes no time to read.
        self._head_layer = contract.head_layer
        self._head = load_value_head(self.directory, self.sidecar.d_model, self._head_layer)
        super().__init__(
            contract.shipped.model_with_weights(self.directory, checkpoint_directory),
            contract.config,
            contract.block_index,
            device=device,
            dtype=dtype,
            used_elsewhere=self._head.names_among_weights,
            adapter=contract.shipped.adapter,
        )
        refuse_non_finite(self._model, self.directory, dtype)
        self._read_in_batches(batch_size, f"Pair {contract.name}: its reconstructor")
        self._refuse_overflow(contract.name, dtype)

    def reconstruct(self, explanations: list[str]) -> Float[np.ndarray, "item d_model"]:
        """One vector per text, in order, float32, at the norm that the head gives.

        A text that is longer than the model reads, or holds a token it does not know, gets a row of `UNREAD`. Where
        the model overflows, a vector is not finite.

        Raises:
            MemoryTooSmall: one text alone does not fit into memory.
        """
        token_ids = [self.prompt_ids(explanation) for explanation in explanations]
        readable = [place for place, ids in enumerate(token_ids) if not self._limits.why_unreadable(ids)]
        hidden = self._last_vectors([token_ids[place] for place in readable])
        vectors = np.full((len(explanations), self.sidecar.d_model), UNREAD, dtype=np.float32)
        vectors[readable] = self._head(hidden).numpy()
        return vectors

    def self_tests(self, read: list[str], vectors: Float[np.ndarray, "item d_model"]) -> list[Finding]:
        """What is found by looking into the model; `vectors` are what it made of the explanations that it `read`."""
        assert self._reader is not None
        # Read once more: the one in memory may differ from the file by now.
        head = load_value_head(self.directory, self.sidecar.d_model, self._head_layer)
        inside = reader_findings(self._reader, head, self.sidecar, self._tokenizer, read, vectors, self._dtype)
        return [block_finding(self.proof), *inside]

    def _refuse_overflow(self, name: str, dtype: str) -> None:
        """Pass when a plain sentence gives a finite vector: then a vector that is not finite is due to its item."""
        if not np.isfinite(self.reconstruct([_PLAIN_SENTENCE])).all():
            inside = self._last_vectors([self.prompt_ids(_PLAIN_SENTENCE)])
            is_head = bool(inside.isfinite().all())
            what = self.directory / VALUE_HEAD_NAME if is_head else self.directory
            wider = "" if is_head else overflow_advice(dtype)
            raise NonFiniteWeights(
                f"Pair {name}: {what} gives no finite vector for a plain sentence{'' if is_head else f' in {dtype}'}. "
                + (wider or "Fetch it again, or give another reconstructor.")
            )

    def prompt_ids(self, explanation: str) -> list[int]:
        """The token ids that are read of an explanation."""
        return reconstructor_prompt_ids(self._tokenizer, self.sidecar, explanation)
