"""What only reads, by Transformers: a base model's tokenizer and extractor, and the reconstructor.

Enter texts and token ids; leave token spans and vectors. Batches change speed and memory, never the answer of an item
beyond rounding.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from nlareport.backends.contract import check_width, load_value_head, open_contract, refuse_non_finite
from nlareport.backends.loading import (
    VALUE_HEAD_NAME,
    OpenModel,
    checkpoint_directory,
    load_blocks,
    load_text_config,
    load_tokenizer,
)
from nlareport.batches import Tokenization
from nlareport.errors import CheckpointDrift, CheckpointMissing, NonFiniteWeights
from nlareport.ports import in_batches
from nlareport.prompts import reconstructor_prompt


class TransformersTokenizer:
    """A base model's own tokenizer, with the characters of each token."""

    def __init__(self, checkpoint: str | Path) -> None:
        """Open the tokenizer of a checkpoint directory or hub id; no weights are read or downloaded.

        Raises:
            CheckpointMissing: there is none, or it cannot say which characters a token covers.
        """
        directory = checkpoint_directory(checkpoint, with_weights=False)
        self._tokenizer = load_tokenizer(directory)
        if not self._tokenizer.is_fast:
            raise CheckpointMissing(
                f"{checkpoint}: its tokenizer gives no character offsets. Put its tokenizer.json beside it."
            )
        self._tokenizer.truncation_side = "right"

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the tokens the tokenizer calls special."""
        return frozenset(self._tokenizer.all_special_ids)

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        """The tokens of a text with special tokens added, cut on the right to `max_tokens`.

        Tokens that hold parts of one character all cover that whole character.
        """
        encoding = self._tokenizer(
            text,
            add_special_tokens=True,
            return_offsets_mapping=True,
            return_attention_mask=False,
            truncation=max_tokens is not None,
            max_length=max_tokens,
            # Transformers would call a text longer than the model's context a mistake; here it is only cut.
            verbose=False,
        )
        starts, ends, reached = [], [], 0
        for start, end in encoding["offset_mapping"]:
            # An added special token says (0, 0) wherever it stands.
            starts.append(reached if start == end else start)
            reached = max(reached, end)
            ends.append(reached if start == end else end)
        return Tokenization(token_ids=list(encoding["input_ids"]), char_starts=starts, char_ends=ends)


class TransformersExtractor(OpenModel):
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
            CheckpointDrift: the model has no such block, or its files do not fit its configuration.
        """
        self.directory = checkpoint_directory(checkpoint)
        config = load_text_config(self.directory)
        self.d_model: int = config.hidden_size
        self._batch_size = batch_size
        super().__init__(load_blocks(self.directory, config, block_index + 1, device=device, dtype=dtype))

    def extract(self, token_ids: list[list[int]]) -> Float[np.ndarray, "item d_model"]:
        """The output of decoder block `block_index` at the last token of each sequence, float32.

        Raises:
            NonFiniteWeights: a vector holds a NaN or an infinity.
        """
        vectors = _last_vectors(self._model, token_ids, self._batch_size, self.d_model)
        _refuse_non_finite_rows(vectors, self.directory)
        return vectors.numpy()


class TransformersReconstructor(OpenModel):
    """Reads an explanation and gives the vector it speaks of."""

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "bfloat16",
        batch_size: int = 16,
        name: str | None = None,
    ) -> None:
        """Open an AR; `name` is the pair that errors speak of.

        Raises:
            CheckpointMissing: the checkpoint or a file of its contract is not there.
            CheckpointInvalid: its sidecar has faults.
            CheckpointDrift: sidecar, tokenizer and model disagree.
            NonFiniteWeights: the head or the model holds a NaN or an infinity.
        """
        self.directory = checkpoint_directory(checkpoint)
        self.sidecar, self._tokenizer = open_contract(self.directory, "ar", name or str(checkpoint))
        config = load_text_config(self.directory)
        check_width(self.sidecar, config, self.directory)
        n_blocks = self.sidecar.block_index + 1
        if config.num_hidden_layers != n_blocks:
            raise CheckpointDrift(
                f"{self.directory}: has {config.num_hidden_layers} blocks, a reconstructor for block "
                f"{self.sidecar.block_index} keeps {n_blocks}. Use the config.json and sidecar released together."
            )
        # The head first: it is the file that was once shipped broken, and takes no time to read.
        self._head = load_value_head(self.directory, self.sidecar.d_model)
        super().__init__(load_blocks(self.directory, config, n_blocks, device=device, dtype=dtype))
        refuse_non_finite(self._model, self.directory)
        self._batch_size = batch_size

    def reconstruct(self, explanations: list[str]) -> Float[np.ndarray, "item d_model"]:
        """One vector per text, in order, float32, at whatever norm the head gives.

        Raises:
            NonFiniteWeights: a vector holds a NaN or an infinity.
        """
        token_ids = [self._prompt_token_ids(explanation) for explanation in explanations]
        hidden = _last_vectors(self._model, token_ids, self._batch_size, self.sidecar.d_model)
        vectors = hidden @ self._head.T
        _refuse_non_finite_rows(vectors, self.directory / VALUE_HEAD_NAME)
        return vectors.numpy()

    def _prompt_token_ids(self, explanation: str) -> list[int]:
        prompt = reconstructor_prompt(self.sidecar, explanation)
        # With special tokens: without its BOS Gemma reads almost nothing.
        token_ids = list(self._tokenizer.encode(prompt, add_special_tokens=True, verbose=False))
        if token_ids:
            return token_ids
        # A template of nothing but the explanation, an empty explanation and no BOS leave no token to read.
        tokenizer = self._tokenizer
        return [next(id_ for id_ in (tokenizer.bos_token_id, tokenizer.eos_token_id, 0) if id_ is not None)]


@torch.inference_mode()
def _last_vectors(model: Any, token_ids: list[list[int]], batch_size: int, d_model: int) -> torch.Tensor:
    """What the model gives at each sequence's last token, in order: float32 on the CPU, ``[item, d_model]``."""
    vectors = torch.empty(len(token_ids), d_model)
    for places in _of_like_length(token_ids, batch_size):
        batch = [token_ids[place] for place in places]
        lengths = torch.tensor([len(sequence) for sequence in batch])
        # Right padding: we index from the start, left padding would shift it. The mask hides whatever id pads.
        padded = torch.zeros(len(batch), int(lengths.max()), dtype=torch.long)
        for row, sequence in enumerate(batch):
            padded[row, : len(sequence)] = torch.tensor(sequence)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
        device = model.get_input_embeddings().weight.device
        output = model(input_ids=padded.to(device), attention_mask=mask.to(device), use_cache=False)
        hidden = output.last_hidden_state
        last = hidden[torch.arange(len(batch), device=hidden.device), (lengths - 1).to(hidden.device)]
        vectors[list(places)] = last.float().cpu()
    return vectors


def _of_like_length(sequences: list[list[int]], batch_size: int) -> Iterator[list[int]]:
    """Places of sequences, the longest first so that a batch too big for memory fails at once."""
    places = sorted(range(len(sequences)), key=lambda place: -len(sequences[place]))
    yield from (list(batch) for batch in in_batches(places, batch_size))


def _refuse_non_finite_rows(vectors: torch.Tensor, path: Path) -> None:
    n_bad = int((~vectors.isfinite().all(dim=1)).sum())
    if n_bad:
        raise NonFiniteWeights(
            f"{path}: {n_bad} of {len(vectors)} vectors it gave are not finite. Try --dtype bfloat16 or float32; "
            "if that changes nothing, fetch the checkpoint again."
        )
