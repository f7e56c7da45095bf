"""Puts vectors into a verbalizer's prompt: rescaled to the injection norm, in place of the marker's embedding."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlareport.errors import ZeroVector


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


def embed_with_vectors(
    model: Any,
    token_ids: Int[Tensor, "item token"],
    marker_index: int,
    vectors: Float[Tensor, "item d_model"],
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "item token d_model"]:
    """The tokens' embeddings, with each item's vector in the marker's place; `dtype` None: as the model embeds."""
    # The embedding module, not its weights: Gemma's multiplies by the root of d_model.
    embedded: Tensor = model.get_input_embeddings()(token_ids)
    # A copy, since the model may keep what its module returns.
    embeddings = embedded.to(dtype or embedded.dtype, copy=True)
    embeddings[:, marker_index] = vectors.to(embeddings.device, embeddings.dtype)
    return embeddings
