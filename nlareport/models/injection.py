"""Puts vectors into a verbalizer's prompt: in place of what is at the marker or added to it, as its sidecar says.

A vector enters where tokens are embedded, or at the output of a block; at the injection norm, or at the norm of what is
there. A model that looks its tokens up once more in every block (per-layer embeddings) does so for the marker's token,
as in training with a hook on the embedding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlareport.checkpoints.injection_rule import RELEASED, Injection
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.errors import CheckpointDrift, FamilyUnsupported, ZeroVector
from nlareport.models.blocks import family_refused, find_blocks


def refuse_no_place(directory: Path, config: Any, sidecar: Sidecar) -> None:
    """Pass when a vector fits where the sidecar puts it.

    Raises:
        FamilyUnsupported: a token's embedding has another width than a vector.
        CheckpointDrift: the model has no such block.
    """
    block_index = sidecar.injection.block_index
    if block_index is not None:
        # After the last block there is nothing that would read it.
        if block_index >= config.num_hidden_layers - 1:
            raise CheckpointDrift(
                f"{directory}: is injected at the output of block {block_index}, which no later one of its "
                f"{config.num_hidden_layers} blocks reads. Correct injection.block, or use the files released together."
            )
        return
    n_entering = getattr(config, "word_embed_proj_dim", None) or sidecar.d_model
    if n_entering != sidecar.d_model:
        raise FamilyUnsupported(
            f"{directory}: a vector cannot take a token's place in a {config.model_type}: its embeddings have "
            f"{n_entering} entries (word_embed_proj_dim), a vector has {sidecar.d_model}. "
            "Give a verbalizer of another family."
        )


def looks_tokens_up_again(config: Any) -> bool:
    """Whether every block of a model embeds the token once more, so that embeddings alone are no prompt."""
    return bool(getattr(config, "hidden_size_per_layer_input", None))


def rescale(vectors: Float[np.ndarray, "item d_model"], norm: float | None) -> Float[np.ndarray, "item d_model"]:
    """The vectors in float32, each at this norm; at their own norm when it is None.

    Raises:
        ZeroVector: a vector has norm 0.
    """
    in_float32 = vectors.astype(np.float32)
    if norm is None:
        return in_float32
    norms = np.linalg.norm(in_float32, axis=1, keepdims=True)
    if not norms.all():
        raise ZeroVector(
            f"Vector {int(np.argmin(norms[:, 0]))} of the batch has norm 0 and cannot be injected at norm {norm}. "
            "Extract the activations again."
        )
    rescaled: np.ndarray = in_float32 * (np.float32(norm) / norms)
    return rescaled


def scaled_for(sidecar: Sidecar, vectors: Float[np.ndarray, "item d_model"]) -> Float[Tensor, "item d_model"]:
    """The vectors as they enter, float32; at norm 1 where they are given the norm of what is at the marker.

    Raises:
        ZeroVector: a vector has norm 0 and must have another.
    """
    rule = sidecar.injection
    scaled = rescale(vectors, 1.0 if rule.norm_match else sidecar.injection_scale)
    return torch.from_numpy(scaled if rule.coefficient == 1.0 else scaled * np.float32(rule.coefficient))


def entered(
    there: Float[Tensor, "item d_model"], vectors: Float[Tensor, "item d_model"], rule: Injection
) -> Float[Tensor, "item d_model"]:
    """What is at the marker once scaled vectors have entered, in the dtype of what was `there`."""
    vectors = vectors.to(there.device)
    if rule.norm_match:
        vectors = vectors * there.float().norm(dim=-1, keepdim=True)
    return (vectors if rule.mode == "replace" else there.float() + vectors).to(there.dtype)


def embed_with_vectors(
    model: Any,
    token_ids: Int[Tensor, "item token"],
    marker_index: int,
    vectors: Float[Tensor, "item d_model"],
    dtype: torch.dtype | None = None,
    rule: Injection = RELEASED,
) -> Float[Tensor, "item token d_model"]:
    """The tokens' embeddings, with each item's vector at the marker; `dtype` None: as the model embeds."""
    # The embedding module, not its weights: Gemma's multiplies by the root of d_model.
    embedded: Tensor = model.get_input_embeddings()(token_ids)
    # A copy, since the model may keep what its module returns.
    embeddings = embedded.to(dtype or embedded.dtype, copy=True)
    if rule.block_index is None:
        embeddings[:, marker_index] = entered(embeddings[:, marker_index], vectors, rule)
    return embeddings


@dataclass(frozen=True, slots=True)
class Injector:
    """Puts scaled vectors into an open model's next pass."""

    model: Any
    rule: Injection
    marker_index: int
    takes_tokens: bool
    """Whether the model is fed tokens, which it looks up in its blocks once more."""
    blocks: Any
    """The model's blocks. None where it is fed embeddings that hold the vectors already."""

    @property
    def module(self) -> Any:
        """What is changed as it hands on: a block, or the embedding of a model that is fed tokens."""
        if self.rule.block_index is not None:
            return self.blocks[self.rule.block_index]
        return self.model.get_input_embeddings() if self.takes_tokens else None

    def fed(self, token_ids: Int[Tensor, "item token"], vectors: Float[Tensor, "item d_model"]) -> dict[str, Tensor]:
        """What the model is called with, by the argument's name."""
        if self.takes_tokens:
            return {"input_ids": token_ids}
        return {"inputs_embeds": embed_with_vectors(self.model, token_ids, self.marker_index, vectors, rule=self.rule)}

    @contextmanager
    def entering(self, vectors: Float[Tensor, "item d_model"]) -> Iterator[None]:
        """Inside, the vectors enter the model's first pass, which is that of its prompt."""
        if self.module is None:
            yield
            return
        change = self._change(vectors)
        handle = self.module.register_forward_hook(change)
        try:
            yield
        finally:
            handle.remove()

    def _change(self, vectors: Tensor) -> Callable[..., Any]:
        passes = iter([True])

        def change(_module: Any, _given: Any, output: Any) -> Any:
            # Later passes are of tokens that were written.
            if not next(passes, False):
                return None
            hidden = output[0] if isinstance(output, tuple) else output
            changed = hidden.clone()
            changed[:, self.marker_index] = entered(hidden[:, self.marker_index], vectors, self.rule)
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        return change


def injector_of(model: Any, config: Any, directory: Path, rule: Injection, marker_index: int) -> Injector:
    """What puts vectors into an open verbalizer, as its sidecar says.

    Raises:
        FamilyUnsupported: the block that it enters at cannot be found, or hands on several vectors a token.
    """
    takes_tokens = looks_tokens_up_again(config)
    if rule.block_index is None and not takes_tokens:
        return Injector(model, rule, marker_index, takes_tokens=False, blocks=None)
    if rule.block_index is not None and getattr(config, "altup_active_idx", None) is not None:
        raise family_refused(directory, config, "whose blocks hand on several streams, so none can be injected into")
    return Injector(model, rule, marker_index, takes_tokens, find_blocks(model, config, directory).modules)
