"""Checks a checkpoint against its sidecar: role, tokenizer, prompt, context, width.

Takes a checkpoint directory, returns its parts, which agree, or an error that says which do not. Reads no weights.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nlareport.backends.clock import standing_clock
from nlareport.checkpoints.chat_templates import end_of_turn
from nlareport.checkpoints.prompts import check_against_tokenizer
from nlareport.checkpoints.sidecar import Sidecar, read_sidecar
from nlareport.checkpoints.sidecar_values import Role
from nlareport.errors import (
    ChatTemplateFails,
    CheckpointDrift,
    CheckpointMissing,
    ContextTooShort,
    FamilyUnsupported,
    NonFiniteWeights,
)
from nlareport.experiment.experiment_file import overflow_advice
from nlareport.models.configuration import context_tokens, load_text_config, read_stop_ids
from nlareport.models.loading import each_weight
from nlareport.models.quiet import quiet
from nlareport.models.tokenizers import chat_template_file, load_tokenizer


@dataclass(frozen=True, slots=True)
class Contract:
    """What one half of a pair says of itself, checked against its own tokenizer and configuration."""

    name: str
    """The pair that errors speak of."""
    directory: Path
    sidecar: Sidecar
    tokenizer: Any
    config: Any
    """Transformers' configuration of the language model."""
    context_tokens: int | None
    """How many tokens it reads at most; None when it does not say."""


@dataclass(frozen=True, slots=True)
class VerbalizerContract(Contract):
    """An AV's, with the prompt it is asked: rendered once, at one moment."""

    prompt_ids: tuple[int, ...]
    marker_index: int
    stop_ids: tuple[int, ...]
    """Those its files name, and what ends a turn in its chat template."""
    turn_end: int | None
    """What ends a turn in its chat template; None when that is no token of its own."""
    further_stop_id: int | None
    """The same, where no file names it as a stop id."""
    dates: tuple[str, ...]
    """The dates that the chat template asked the clock for, as it wrote them."""


def open_verbalizer_contract(
    directory: Path, name: str, max_new_tokens: int, moment: datetime | None = None
) -> VerbalizerContract:
    """An AV's contract; `name` is the pair that errors speak of, `moment` the time that its chat template is given.

    Raises:
        CheckpointMissing: the sidecar, the configuration, the tokenizer, its chat template or a stop id is not there.
        CheckpointDamaged: one of the files is damaged.
        CheckpointInvalid: the sidecar has faults.
        CheckpointDrift: the sidecar is of the other role, or disagrees with the tokenizer or the configuration.
        ChatTemplateFails: the chat template does not render.
        ContextTooShort: the prompt and an answer of `max_new_tokens` are more than the model reads.
        FamilyUnsupported: a vector cannot take the place of a token's embedding.
    """
    contract = _open_contract(directory, "av", name)
    _refuse_no_place(contract)
    if not contract.tokenizer.chat_template:
        raise CheckpointMissing(f"{directory}: has no chat template, and a verbalizer is prompted through one.")
    try:
        with quiet(), standing_clock(moment or datetime.now(UTC)) as dates:
            prompt = check_against_tokenizer(contract.sidecar, contract.tokenizer, name)
    except ChatTemplateFails as error:
        raise ChatTemplateFails(f"{chat_template_file(directory)}: {error}") from error
    prompt_ids, place = prompt or ([], 0)
    _refuse_unreadable_prompt(contract, prompt_ids, max_new_tokens)
    with quiet():
        turn_end = end_of_turn(contract.tokenizer)
    stop_ids, further = read_stop_ids(directory, contract.config, turn_end)
    return VerbalizerContract(
        **{field.name: getattr(contract, field.name) for field in fields(Contract)},
        prompt_ids=tuple(prompt_ids),
        marker_index=place,
        stop_ids=tuple(stop_ids),
        turn_end=turn_end,
        further_stop_id=further,
        dates=tuple(dates),
    )


def open_reconstructor_contract(directory: Path, name: str) -> Contract:
    """An AR's contract; `name` is the pair that errors speak of.

    Raises:
        CheckpointMissing: the sidecar, the configuration or the tokenizer is not there.
        CheckpointDamaged: one of the files is damaged.
        CheckpointInvalid: the sidecar has faults.
        CheckpointDrift: the sidecar is of the other role, or disagrees with the tokenizer or the configuration.
    """
    contract = _open_contract(directory, "ar", name)
    with quiet():
        check_against_tokenizer(contract.sidecar, contract.tokenizer, name)
    n_blocks, block_index = contract.config.num_hidden_layers, contract.sidecar.block_index
    if block_index is not None and n_blocks != block_index + 1:
        raise CheckpointDrift(
            f"{directory}: has {n_blocks} blocks, a reconstructor for block {block_index} keeps {block_index + 1}. "
            "Use the config.json and sidecar released together."
        )
    return contract


def _open_contract(directory: Path, role: Role, name: str) -> Contract:
    sidecar = read_sidecar(directory)
    if sidecar.role != role:
        raise CheckpointDrift(
            f"Pair {name}: {directory} calls itself an {sidecar.role.upper()}, it is used as the {role.upper()}. "
            "Swap the two in the experiment file."
        )
    config = load_text_config(directory)
    tokenizer = load_tokenizer(directory, config.vocab_size)
    check_width(sidecar, config, directory)
    return Contract(name, directory, sidecar, tokenizer, config, context_tokens(config))


def _refuse_unreadable_prompt(contract: Contract, prompt_ids: list[int], max_new_tokens: int) -> None:
    """Pass when the model knows every token of its prompt, and has room for an answer after it."""
    n_known = contract.config.vocab_size
    if unknown := [token_id for token_id in prompt_ids if token_id >= n_known]:
        raise CheckpointDrift(
            f"Pair {contract.name}: the verbalizer's prompt holds the token {unknown[0]}, its config.json knows "
            f"{n_known:,}. Use the tokenizer and the weights that were released together."
        )
    if contract.context_tokens is not None and len(prompt_ids) + max_new_tokens > contract.context_tokens:
        left = contract.context_tokens - len(prompt_ids)
        advice = f"Set decoding.max_new_tokens to {left} or less." if left > 0 else "Use another verbalizer."
        raise ContextTooShort(
            f"Pair {contract.name}: the verbalizer's prompt of {len(prompt_ids)} tokens and {max_new_tokens} new ones "
            f"are more than the {contract.context_tokens} it reads. {advice}"
        )


def _refuse_no_place(contract: Contract) -> None:
    """Pass when the model takes in nothing of a token but the embedding that the vector replaces."""
    config = contract.config
    what = f"{contract.directory}: a vector cannot take a token's place in a {config.model_type}"
    if getattr(config, "hidden_size_per_layer_input", None):
        raise FamilyUnsupported(
            f"{what}: every block looks the token up once more (hidden_size_per_layer_input), and a vector is none. "
            "Give a verbalizer of another family."
        )
    n_entering = getattr(config, "word_embed_proj_dim", None) or contract.sidecar.d_model
    if n_entering != contract.sidecar.d_model:
        raise FamilyUnsupported(
            f"{what}: its embeddings have {n_entering} entries (word_embed_proj_dim), a vector has "
            f"{contract.sidecar.d_model}. Give a verbalizer of another family."
        )


def check_width(sidecar: Sidecar, config: Any, directory: Path) -> None:
    """Pass when the model is as wide as the sidecar says.

    Raises:
        CheckpointDrift: it is not.
    """
    if config.hidden_size != sidecar.d_model:
        raise CheckpointDrift(
            f"{directory}: its config.json has hidden_size {config.hidden_size}, its sidecar d_model "
            f"{sidecar.d_model}. Use the files released together."
        )


def refuse_non_finite(model: Any, directory: Path, dtype: str) -> None:
    """Pass when every weight of a model, opened in `dtype`, is finite.

    Raises:
        NonFiniteWeights: one is not.
    """
    for name, weight in each_weight(model):
        # Whole numbers are finite.
        if weight.is_meta or not weight.is_floating_point():
            continue
        # Of one byte are quantized weights, for which torch does not ask.
        if not bool((weight.float() if weight.itemsize == 1 else weight).isfinite().all()):
            wider = overflow_advice(dtype)
            advice = (
                f"{wider} If they are not finite there either, fetch the checkpoint again."
                if wider
                else "Fetch the checkpoint again."
            )
            raise NonFiniteWeights(f"{directory}: the weights of {name} are not all finite in {dtype}. {advice}")
