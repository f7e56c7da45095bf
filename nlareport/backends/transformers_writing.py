"""The verbalizer of the engine ``transformers``: writes the explanation of a vector.

Takes vectors, returns whole completions with their tags. Greedy or drawn as it is asked to, whatever the sampling flags
of the checkpoint say.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from nlareport.backends.contract import VerbalizerContract, open_verbalizer_contract
from nlareport.backends.drawn_tokens import token_drawers
from nlareport.backends.hub import checkpoint_directory
from nlareport.backends.streams import entering_norm, keeps_float32
from nlareport.backends.verbalizer_self_tests import N_READ_AGAIN, OpenWriter, Written, writer_findings
from nlareport.batches import Completion, TokenDraws
from nlareport.checks import Finding
from nlareport.errors import NonFiniteWeights
from nlareport.experiment.decoding_section import Stream
from nlareport.experiment.experiment_file import overflow_advice
from nlareport.models.block_reader import input_device
from nlareport.models.injection import Injector, injector_of, scaled_for
from nlareport.models.loading import OpenModel, load_writer
from nlareport.models.memory import BatchSize
from nlareport.models.quiet import quiet

N_TESTED = 2
"""Answers that are written once more, greedily, for the self-tests of a verbalizer whose tokens are drawn."""


class _Overflow(LogitsProcessor):  # type: ignore[misc]
    """Remembers whether a token's score was NaN: generation would then write the first token of the vocabulary."""

    def __init__(self) -> None:
        self._seen: torch.Tensor | None = None

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores as they are."""
        # Kept on the device and asked once: waiting for it at every token would hold up a GPU.
        seen = scores.isnan().any()
        self._seen = seen if self._seen is None else self._seen | seen
        return scores

    def was_seen(self) -> bool:
        """Whether there was one."""
        return self._seen is not None and bool(self._seen)


class TransformersVerbalizer(OpenModel):
    """Writes what a vector means."""

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "bfloat16",
        batch_size: int = 16,
        max_new_tokens: int = 300,
        stream: Stream = "float32",
        name: str | None = None,
        contract: VerbalizerContract | None = None,
    ) -> None:
        """Open an AV; `name` is the pair that errors speak of, `contract` what was already read of it.

        `stream` says whether vectors of a large norm enter, and the residual stream is kept, in 32 bits
        (`keeps_float32`).

        Raises:
            CheckpointMissing: the checkpoint or a file of its contract is not there.
            CheckpointDamaged: one of its files is damaged.
            CheckpointInvalid: its sidecar has faults.
            CheckpointDrift: sidecar, tokenizer and model disagree.
            ChatTemplateFails: its chat template does not render.
            ContextTooShort: its prompt and `max_new_tokens` are more than it reads.
            MemoryTooSmall: it does not fit into memory.
        """
        self.directory = checkpoint_directory(checkpoint)
        contract = contract or open_verbalizer_contract(self.directory, name or str(checkpoint), max_new_tokens)
        self.sidecar, self._tokenizer = contract.sidecar, contract.tokenizer
        self._prompt_ids, self._marker_index = torch.tensor([list(contract.prompt_ids)]), contract.marker_index
        self._config = contract.config
        super().__init__(_open_writer(contract, self.directory, device, dtype))
        self._batch = BatchSize(batch_size, f"Pair {contract.name}: its verbalizer")
        self._dtype, self._generation_config = dtype, self._model.generation_config
        self._generation_config.max_new_tokens = max_new_tokens
        self._stop_ids = frozenset(contract.stop_ids)
        self._written: tuple[list[int], list[list[int]]] = ([], [])
        """Of the last batch: which vectors of the last call, and the token ids written of each."""
        self._was_drawn = False
        self._keeps_float32 = dtype != "float32" and keeps_float32(stream, entering_norm(self.sidecar))
        if self._keeps_float32:
            # Every later token enters in float32 as well: one residual stream has one dtype.
            self._model.get_input_embeddings().register_forward_hook(_in_float32)

    def verbalize(
        self, vectors: Float[np.ndarray, "item d_model"], draws: TokenDraws | None = None
    ) -> list[Completion]:
        """One whole answer per vector, in order: the greedy one, or one whose tokens are drawn.

        Raises:
            ZeroVector: a vector has norm 0 and cannot be rescaled.
            MemoryTooSmall: one vector alone does not fit into memory.
            NonFiniteWeights: the model overflows in its dtype.
        """
        injected = scaled_for(self.sidecar, vectors)
        return self._batch.answer_all(range(len(injected)), lambda places: self._write(injected, list(places), draws))

    def self_tests(self, vectors: Float[np.ndarray, "item d_model"]) -> list[Finding]:
        """What is found by looking into the model; `vectors` are those that it verbalized last.

        Raises:
            MemoryTooSmall: one vector alone does not fit into memory.
        """
        places, token_ids = self._written
        if not places:
            return []
        vectors = vectors[places]
        if self._was_drawn:
            # The tests ask whether tokens are the best ones: they are shown some that are to be.
            vectors = vectors[:N_TESTED]
            token_ids = self._written_greedily(vectors)
        writer = OpenWriter(
            model=self._model,
            injector=self._injector(),
            sidecar=self.sidecar,
            prompt_ids=self._prompt_ids[0].tolist(),
            marker_index=self._marker_index,
            stop_ids=sorted(self._stop_ids),
            dtype=self._dtype,
            write=self._write_briefly,
            precision=lambda: self._precision(input_device(self._model).type),
        )
        return writer_findings(writer, Written(torch.from_numpy(vectors), token_ids))

    def _write(self, injected: torch.Tensor, places: list[int], draws: TokenDraws | None) -> list[Completion]:
        config = self._generation_config
        names = [draws.names[place] for place in places] if draws else []
        drawers = token_drawers(draws, names, config.max_new_tokens) if draws else []
        token_ids = self._generated(injected[places], config, *drawers)
        self._written, self._was_drawn = (places, token_ids), draws is not None
        return [self._completion(row) for row in token_ids]

    def _written_greedily(self, vectors: Float[np.ndarray, "item d_model"]) -> list[list[int]]:
        """The first token ids that it writes of these vectors when nothing is drawn."""
        config = copy(self._generation_config)
        config.max_new_tokens = min(config.max_new_tokens, N_READ_AGAIN)
        injected = scaled_for(self.sidecar, vectors)
        return self._batch.answer_all(range(len(injected)), lambda rows: self._generated(injected[list(rows)], config))

    def _write_briefly(
        self, vector: torch.Tensor, forced: list[int], processor: Callable[[list[int]], LogitsProcessor], n_tokens: int
    ) -> list[list[int]]:
        """What it writes of one vector, once for each of the forced ids, but for what their processor changes."""
        config = copy(self._generation_config)
        config.max_new_tokens = n_tokens
        injected = scaled_for(self.sidecar, vector[None].numpy())
        return self._batch.answer_all(
            forced, lambda ids: self._generated(injected.repeat(len(ids), 1), config, processor(list(ids)))
        )

    @torch.inference_mode()
    def _generated(
        self, vectors: torch.Tensor, config: GenerationConfig, *processors: LogitsProcessor
    ) -> list[list[int]]:
        """Token ids written from scaled vectors; rows that ended early are padded."""
        injector = self._injector()
        prompts = self._prompt_ids.to(input_device(self._model)).expand(len(vectors), -1)
        # Every prompt is the same but for one vector, so there is no padding to mask.
        mask = torch.ones(prompts.shape, dtype=torch.long, device=prompts.device)
        fed, overflow = injector.fed(prompts, vectors), _Overflow()
        with quiet(), self._precision(prompts.device.type), injector.entering(vectors):
            written = self._model.generate(
                **fed,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList([overflow, *processors]),
            )
        if overflow.was_seen():
            raise NonFiniteWeights(
                f"{self._batch.what}: gives scores of tokens that are no numbers in {self._dtype}. "
                + (overflow_advice(self._dtype) or "Fetch the verbalizer again.")
            )
        # Fed tokens, a model gives them back in front of what it writes.
        n_fed = prompts.shape[1] if injector.takes_tokens else 0
        rows: list[list[int]] = written[:, n_fed:].tolist()
        return rows

    def _injector(self) -> Injector:
        return injector_of(self._model, self._config, self.directory, self.sidecar.injection, self._marker_index)

    def _precision(self, device_type: str) -> AbstractContextManager[Any]:
        # Autocast multiplies in the weights' dtype and leaves the float32 residual stream as it is; feeding float32
        # to bf16 weights without it stops at the first linear layer.
        if self._keeps_float32:
            return torch.autocast(device_type, dtype=self._model.dtype)
        return nullcontext()

    def _completion(self, token_ids: list[int]) -> Completion:
        for place, token_id in enumerate(token_ids):
            if token_id in self._stop_ids:
                return Completion(self._text(token_ids[:place]), place + 1, "stop")
        return Completion(self._text(token_ids), len(token_ids), "length")

    def _text(self, token_ids: list[int]) -> str:
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


def _open_writer(contract: VerbalizerContract, directory: Path, device: str, dtype: str) -> Any:
    """The model that writes, with its adapter merged; `directory` is the checkpoint with its weights."""
    adapter, stop_ids = contract.shipped.adapter, list(contract.stop_ids)
    model = contract.shipped.model_with_weights(directory, checkpoint_directory)
    return load_writer(model, contract.config, stop_ids, device=device, dtype=dtype, adapter=adapter)


def _in_float32(_module: Any, _ids: Any, embedded: torch.Tensor) -> torch.Tensor:
    return embedded.float()
