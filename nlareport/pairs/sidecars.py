"""Makes the sidecars of a pocket pair (``nla_meta.yaml``), with every token id read from the live tokenizer."""

from pathlib import Path
from typing import Literal

from transformers import PreTrainedTokenizerBase

from nlareport.checkpoints.bos import adds_bos, bos_id
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.errors import CheckpointDrift
from nlareport.models.tokenizers import open_tokenizer
from nlareport.pairs.catalog import RECONSTRUCTOR_TEMPLATE, VERBALIZER_TEMPLATE, PocketPair


def pocket_sidecar(pair: PocketPair, base: Path, role: Literal["av", "ar"]) -> Sidecar:
    """The sidecar of one half of the pair.

    Raises:
        CheckpointDrift: the injection character is not one token of its own in the prompt.
    """
    tokenizer = open_tokenizer(base)
    token_id, left, right = _marker(tokenizer, pair.base.injection_char)
    return Sidecar(
        role=role,
        d_model=pair.d_model,
        block_index=pair.block_index,
        injection_scale=pair.injection_scale if role == "av" else None,
        mse_scale=pair.d_model**0.5,
        injection_char=pair.base.injection_char,
        injection_token_id=token_id,
        injection_left_neighbor_id=left,
        injection_right_neighbor_id=right,
        # No token follows the explanation in the template, so there is no suffix to record.
        reconstructor_suffix_ids=None,
        verbalizer_template=VERBALIZER_TEMPLATE,
        reconstructor_template=RECONSTRUCTOR_TEMPLATE,
        # Trained on texts as the tokenizer begins them: SmolLM2's names a BOS that it does not add.
        adds_bos=None if adds_bos(tokenizer) or bos_id(tokenizer) is None else False,
    )


def _marker(tokenizer: PreTrainedTokenizerBase, injection_char: str) -> tuple[int, int, int]:
    """Ids of the injection character and of its two neighbours in the verbalizer's prompt."""
    content = VERBALIZER_TEMPLATE.replace("{injection_char}", injection_char)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer.encode(prompt, add_special_tokens=False)
    token_id = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(injection_char)[-1])
    places = [place for place, found in enumerate(ids) if found == token_id]
    if len(places) != 1:
        raise CheckpointDrift(
            f"The injection char {injection_char!r} occurs {len(places)} times in the prompt as token {token_id}, "
            "expected once; choose another in nlareport/pairs/catalog.py."
        )
    return token_id, ids[places[0] - 1], ids[places[0] + 1]
