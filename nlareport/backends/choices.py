"""Sentences on what is done where a checkpoint leaves it open, or where the public release does it differently.

Takes what a checkpoint says of itself, returns one sentence per topic for the report. Decides nothing: code that does
something differently from the checkpoint or from the release says it here.
"""

from math import isclose, sqrt
from pathlib import Path
from typing import Any

import torch

from nlareport.backends.contract import ReconstructorContract, VerbalizerContract
from nlareport.backends.fingerprints import TOKENIZER_CONFIG
from nlareport.backends.shipping_choices import Topics, of_asking, of_reading, of_shipping
from nlareport.checkpoints.bos import adds_bos, bos_id
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.checkpoints.sidecar_values import KNOWN_SCHEMA_VERSION
from nlareport.models.checkpoint_files import json_object
from nlareport.models.loading import DTYPES

_SCALED_EMBEDDINGS = ("gemma", "recurrent_gemma", "vaultgemma")
"""How the model types begin whose embedding module multiplies by the root of d_model."""
_FACTORS = ("embedding_multiplier", "scale_emb")
"""What configurations call a number by which a model multiplies its inputs once they are embedded."""


def base_choices(directory: Path, tokenizer: Any, config: Any) -> Topics:
    """Of a base model: quantized weights, a BOS that its pair was trained without or that its files disagree on."""
    return _of_weights(config) | _of_bos(
        directory, tokenizer, "Texts are read", "as its pair was trained (adds_bos: false in the sidecars)"
    )


def verbalizer_choices(contract: VerbalizerContract, block_index: int, dtype: str) -> Topics:
    """Of an AV: how vectors and other tokens enter, a block it does not name, its stop ids, a date in its prompt."""
    sidecar = contract.sidecar
    topics = (
        of_shipping(contract)
        | of_asking(contract)
        | _of_sidecar(sidecar)
        | _of_weights(contract.config)
        | _of_stop_ids(contract)
        | _of_embeddings(contract, dtype)
    )
    if contract.dates:
        topics["date"] = (
            f"Its chat template asks for the date: its prompt is the one of {' and '.join(map(repr, contract.dates))}, "
            "when the run was begun, on whatever day the run goes on."
        )
    if sidecar.block_index is None:
        topics["block_index"] = (
            f"Its sidecar names no block; it is taken to have learned block {block_index}, as the experiment says."
        )
    if sidecar.injection_scale is None and not sidecar.injection.norm_match:
        topics["injection_scale"] = (
            "Its sidecar names no injection scale, so every vector is injected at its own norm; "
            "the public client calls that a fault."
        )
    return topics


def reconstructor_choices(contract: ReconstructorContract, block_index: int) -> Topics:
    """Of an AR: the norm that its training compared vectors at, a block it does not name, a BOS it does without."""
    sidecar = contract.sidecar
    topics, root = of_shipping(contract) | _of_sidecar(sidecar) | _of_weights(contract.config), sqrt(sidecar.d_model)
    topics |= _of_bos(
        contract.shipped.tokenizer,
        contract.tokenizer,
        "Explanations are read",
        "as it was trained (adds_bos: false in its sidecar)",
    )
    if sidecar.block_index is None:
        keeps = f"its config.json keeps {contract.block_index + 1} blocks, so it"
        is_cut = contract.config.num_hidden_layers == contract.block_index + 1
        topics["block_index"] = (
            f"Its sidecar names no block; {keeps if is_cut else 'it'} reads the output of block "
            f"{contract.block_index}, as the experiment says."
        )
    topics |= of_reading(contract, block_index)
    if sidecar.mse_scale is None:
        topics["mse_scale"] = (
            "It was trained on raw vectors (mse_scale null); scores compare directions, "
            f"both vectors at norm √d_model = {root:.6g}."
        )
    elif not isclose(sidecar.mse_scale, root, rel_tol=1e-6):
        topics["mse_scale"] = (
            f"It was trained with both vectors at norm {sidecar.mse_scale:g} (mse_scale); "
            f"scores have them at √d_model = {root:.6g}, so an mse_nrm is not that of its training."
        )
    return topics


def _of_weights(config: Any) -> Topics:
    """Of any: weights in fewer bits than they were trained in."""
    quantization = getattr(config, "quantization_config", None)
    if not isinstance(quantization, dict):
        return {}
    kind = quantization.get("quant_method") or "bitsandbytes"
    return {"quantization": f"Its weights are quantized ({kind}), so it is not the model as it was trained."}


def _of_embeddings(contract: VerbalizerContract, dtype: str) -> Topics:
    """Of an AV: what the model multiplies by on the way in."""
    config, root = contract.config, sqrt(contract.sidecar.d_model)
    if str(config.model_type).startswith(_SCALED_EMBEDDINGS):
        inside = torch.tensor(root, dtype=DTYPES[dtype]).item()
        return {
            "embeddings": "The other tokens of its prompt are embedded by the model's own module, which multiplies by "
            f"{inside:g} in {dtype}; the public client multiplies by √d_model, {root:.6g}."
        }
    factor = next((found for name in _FACTORS if (found := getattr(config, name, None)) not in (None, 1)), None)
    if factor is None:
        return {}
    return {
        "embeddings": f"The model multiplies whatever enters by {factor:g}, the injected vector as well as the tokens."
    }


def _of_stop_ids(contract: VerbalizerContract) -> Topics:
    """Where an answer ends without a word from ``generation_config.json``."""
    has_file = (contract.shipped.generation / "generation_config.json").exists()
    further = contract.further_stop_id
    if has_file and further is None:
        return {}
    named = [_token(contract, stop_id) for stop_id in contract.stop_ids if stop_id != further]
    in_files = f"at {' and '.join(named)}" if named else "at nothing it names"
    in_template = "" if further is None else f"{_token(contract, further)}, which ends a turn in its chat template"
    if has_file:
        return {"stop_ids": f"Its generation_config.json ends answers {in_files}; here they also end at {in_template}."}
    if not named:
        return {"stop_ids": f"No file names a token that ends an answer; answers end at {in_template}."}
    rest = f", and at {in_template}" if in_template else ""
    if contract.turn_end is None:
        rest = "; its chat template shows no token that ends a turn"
    return {"stop_ids": f"It has no generation_config.json; answers end {in_files}, from its config.json{rest}."}


def _token(contract: VerbalizerContract, token_id: int) -> str:
    return f"{contract.tokenizer.convert_ids_to_tokens(token_id)} ({token_id})"


def _of_bos(directory: Path, tokenizer: Any, read: str, why: str) -> Topics:
    """Of what reads texts: a BOS that is named and not added, or added against the word of the configuration."""
    if bos_id(tokenizer) is None:
        return {}
    bos = f"the BOS {tokenizer.bos_token!r}"
    if not adds_bos(tokenizer):
        return {"bos": f"{read} without {bos} that its tokenizer names, {why}."}
    # Transformers 4 obeyed this key; Transformers 5 does what tokenizer.json says.
    if (json_object(directory / TOKENIZER_CONFIG) or {}).get("add_bos_token") is not False:
        return {}
    return {
        "bos": f"{read} with {bos}, which its tokenizer.json adds although its {TOKENIZER_CONFIG} says add_bos_token "
        "false; the release, under Transformers 4, reads them without."
    }


def _of_sidecar(sidecar: Sidecar) -> Topics:
    """Of either: a sidecar from a later time."""
    if sidecar.schema_version == KNOWN_SCHEMA_VERSION:
        return {}
    return {
        "schema_version": f"Its sidecar is of schema version {sidecar.schema_version}, newer than the "
        f"{KNOWN_SCHEMA_VERSION} known here; it was read as far as it says the same."
    }
