"""What writes, by Transformers: the verbalizer.

Enter vectors; leave completions, tags and all. Greedy whatever the checkpoint's own sampling flags say.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from nlareport.backends.contract import check_width, open_contract
from nlareport.backends.loading import OpenModel, checkpoint_directory, load_text_config, load_writer, quiet
from nlareport.batches import Completion
from nlareport.errors import ZeroVector
from nlareport.prompts import verbalizer_prompt_ids

# From this norm on bf16 would round a vector's large components by tens or hundreds.
FLOAT32_FROM_SCALE = 1_000.0


class TransformersVerbalizer(OpenModel):
    """Writes what a vector means, greedily."""

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "bfloat16",
        batch_size: int = 16,
        max_new_tokens: int = 300,
        name: str | None = None,
    ) -> None:
        """Open an AV; `name` is the pair that errors speak of.

        Raises:
            CheckpointMissing: the checkpoint or a file of its contract is not there.
            CheckpointInvalid: its sidecar has faults.
            CheckpointDrift: sidecar, tokenizer and model disagree.
        """
        self.directory = checkpoint_directory(checkpoint)
        self.sidecar, self._tokenizer = open_contract(self.directory, "av", name or str(checkpoint))
        prompt_ids, self._marker_index = verbalizer_prompt_ids(self._tokenizer, self.sidecar)
        self._prompt_ids = torch.tensor([prompt_ids])
        config = load_text_config(self.directory)
        check_width(self.sidecar, config, self.directory)
        super().__init__(load_writer(self.directory, config, device=device, dtype=dtype))
        self._batch_size = batch_size
        self._generation_config = self._model.generation_config
        self._generation_config.max_new_tokens = max_new_tokens
        self._stop_ids = frozenset(self._generation_config.eos_token_id)
        scale = self.sidecar.injection_scale
        self._keeps_float32 = dtype != "float32" and (scale is None or scale >= FLOAT32_FROM_SCALE)
        if self._keeps_float32:
            # Every later token enters in float32 as well, so that one residual stream has one dtype.
            self._model.get_input_embeddings().register_forward_hook(_in_float32)

    def verbalize(self, vectors: Float[np.ndarray, "item d_model"]) -> list[Completion]:
        """One whole answer per vector, in order.

        Raises:
            ZeroVector: a vector has norm 0 and cannot be rescaled.
        """
        completions: list[Completion] = []
        injected = rescaled(vectors, self.sidecar.injection_scale)
        for start in range(0, len(injected), self._batch_size):
            completions += self._write(torch.from_numpy(injected[start : start + self._batch_size]))
        return completions

    @torch.inference_mode()
    def _write(self, vectors: torch.Tensor) -> list[Completion]:
        embeds = self._prompt_embeds(vectors)
        # Every prompt is the same but for one vector, so there is no padding to mask.
        mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
        with quiet(), self._precision(embeds.device.type):
            written = self._model.generate(
                inputs_embeds=embeds, attention_mask=mask, generation_config=self._generation_config
            )
        return [self._completion(token_ids) for token_ids in written.tolist()]

    def _prompt_embeds(self, vectors: torch.Tensor) -> torch.Tensor:
        # The embedding module, not its weights: Gemma's multiplies by the root of d_model.
        embedding = self._model.get_input_embeddings()
        embeds: torch.Tensor = embedding(self._prompt_ids.to(embedding.weight.device)).repeat(len(vectors), 1, 1)
        embeds[:, self._marker_index] = vectors.to(embeds.device, embeds.dtype)
        return embeds

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


def rescaled(vectors: Float[np.ndarray, "item d_model"], scale: float | None) -> Float[np.ndarray, "item d_model"]:
    """The vectors in float32, each at norm `scale`; at their own norm when it is None.

    Raises:
        ZeroVector: a vector has norm 0.
    """
    in_float32 = vectors.astype(np.float32)
    if scale is None:
        return in_float32
    norms = np.linalg.norm(in_float32, axis=1, keepdims=True)
    if not norms.all():
        raise ZeroVector(
            f"Vector {int(np.argmin(norms[:, 0]))} of the batch has norm 0 and cannot be injected at norm {scale}. "
            "Extract the activations again."
        )
    scaled: np.ndarray = in_float32 * (np.float32(scale) / norms)
    return scaled


def _in_float32(_module: Any, _ids: Any, embedded: torch.Tensor) -> torch.Tensor:
    return embedded.float()
