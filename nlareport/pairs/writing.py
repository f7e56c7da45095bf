"""Generates many texts quickly with a verbalizer in training, in a cut vocabulary if asked to.

Takes adapters and vectors, returns explanations. Measuring a pair is the backends' work, with the whole vocabulary.
"""

from collections.abc import Collection

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from nlareport.checkpoints.prompts import explanation_in, verbalizer_prompt_ids
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.models.injection import embed_with_vectors, rescale
from nlareport.models.tokenizers import open_tokenizer
from nlareport.models.trainable import open_whole_model
from nlareport.pairs.adapters import merge_adapter
from nlareport.pairs.catalog import TextSampling
from nlareport.pairs.targets import completion_of
from nlareport.pairs.training_loop import Halves

MAX_NEW_TOKENS = 100
LOOP_TOKENS = range(4, 25)
"""A text whose last so many tokens occurred twice directly before will not end by itself."""


class PracticeWriter:
    """Writes explanations with the verbalizer's adapter merged in, in tokens that `texts` use; None: in any."""

    def __init__(self, halves: Halves, texts: Collection[str] | None):
        model = open_whole_model(halves.base, "float32")
        self._model: PreTrainedModel = merge_adapter(model, halves.verbalizer).to(torch.bfloat16).eval()
        self._tokenizer: PreTrainedTokenizerBase = open_tokenizer(halves.base)
        self._sidecar: Sidecar = halves.writing
        prompt_ids, self._marker = verbalizer_prompt_ids(self._tokenizer, self._sidecar)
        stops = self._model.generation_config.eos_token_id
        stop_id = stops[0] if isinstance(stops, list) else stops
        if texts is None:
            self._vocabulary = torch.arange(self._model.config.vocab_size)
        else:
            self._vocabulary = torch.tensor(sorted({*prompt_ids, stop_id, *_used(self._tokenizer, texts)}))
            keep_vocabulary(self._model, self._vocabulary)
        self._prompt = torch.searchsorted(self._vocabulary, torch.tensor([prompt_ids]))
        self._stop = int(torch.searchsorted(self._vocabulary, torch.tensor(stop_id)))

    def write(
        self, vectors: Float[np.ndarray, "item d_model"], sampling: TextSampling, seed: int
    ) -> list[list[str | None]]:
        """The texts of each vector, in order; None where an answer never closed its tag."""
        explanations = [explanation_in(text) or None for text in self.answers(vectors, sampling, seed)]
        n = sampling.samples
        return [explanations[start : start + n] for start in range(0, len(explanations), n)]

    @torch.inference_mode()
    def answers(self, vectors: Float[np.ndarray, "item d_model"], sampling: TextSampling, seed: int) -> list[str]:
        """The whole answers, tags and all, those of one vector together."""
        torch.manual_seed(seed)
        prompt = self._prompt.expand(len(vectors), -1)
        entering = torch.from_numpy(rescale(vectors, self._sidecar.injection_scale))
        embeddings = embed_with_vectors(self._model, prompt, self._marker, entering, torch.float32)
        choice = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
        with torch.autocast("cpu", dtype=torch.bfloat16):
            written = self._model.generate(
                inputs_embeds=embeddings,
                attention_mask=torch.ones_like(prompt),
                **(choice if sampling.temperature else {"do_sample": False}),
                num_return_sequences=sampling.samples,
                max_new_tokens=MAX_NEW_TOKENS,
                eos_token_id=self._stop,
                pad_token_id=self._stop,
                stopping_criteria=StoppingCriteriaList([EndLoops()]),
            )
        texts: list[str] = self._tokenizer.batch_decode(self._vocabulary[written], skip_special_tokens=True)
        return texts


class EndLoops(StoppingCriteria):  # type: ignore[misc]
    """Ends a text that began to repeat itself, which would otherwise use up the whole budget."""

    def __call__(
        self, input_ids: Int[Tensor, "item token"], _scores: object, **_others: object
    ) -> Bool[Tensor, " item"]:
        """Whether each text's last tokens occur three times in a row."""
        loops = torch.zeros(len(input_ids), dtype=torch.bool)
        for n in LOOP_TOKENS:
            if input_ids.shape[1] < 3 * n:
                break
            last, before, first = input_ids[:, -n:], input_ids[:, -2 * n : -n], input_ids[:, -3 * n : -2 * n]
            loops |= ((last == before) & (before == first)).all(dim=1)
        return loops


def keep_vocabulary(model: PreTrainedModel, token_ids: Int[Tensor, " kept"]) -> None:
    """Reduces the model to these tokens: id i now means `token_ids[i]`.

    Over all of Gemma's 262,144 tokens the output layer costs more than the rest of the model.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    kept = nn.Parameter(embedding.weight[token_ids].clone(), requires_grad=False)
    # Both models tie the two; a tied head must stay the same parameter.
    is_tied = head.weight is embedding.weight
    head.weight = kept if is_tied else nn.Parameter(head.weight[token_ids].clone(), requires_grad=False)
    embedding.weight, embedding.padding_idx = kept, None
    embedding.num_embeddings = head.out_features = model.config.vocab_size = len(token_ids)


def _used(tokenizer: PreTrainedTokenizerBase, texts: Collection[str]) -> set[int]:
    """Tokens of the texts, as answers hold them and as running text."""
    answers = [completion_of(text) for text in texts]
    encoded = tokenizer([*texts, *answers], add_special_tokens=False)["input_ids"]
    return {token for ids in encoded for token in ids}
