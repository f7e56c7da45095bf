"""Checks a checkpoint against its sidecar: role, tokenizer, prompt, context, width.

Takes a checkpoint directory, returns its parts, which agree, or an error that says which do not. Reads no weights.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from nlareport.backends.clock import standing_clock
from nlareport.backends.hub import checkpoint_directory
from nlareport.backends.shipped import Shipped, shipped_in
from nlareport.checkpoints.chat_templates import end_of_turn
from nlareport.checkpoints.prompts import check_against_tokenizer, is_asked_raw, live_marker
from nlareport.checkpoints.sidecar import Sidecar, Stated
from nlareport.checkpoints.sidecar_values import UNRECORDED, Role
from nlareport.errors import (
    ChatTemplateFails,
    CheckpointDrift,
    CheckpointMissing,
    ContextTooShort,
    NonFiniteWeights,
)
from nlareport.experiment.experiment_file import overflow_advice
from nlareport.models.adapter_files import cut_after
from nlareport.models.configuration import context_tokens, load_text_config, read_stop_ids
from nlareport.models.injection import refuse_no_place
from nlareport.models.loading import each_weight
from nlareport.models.quiet import quiet
from nlareport.models.tokenizers import chat_template_file, load_tokenizer


@dataclass(frozen=True, slots=True)
class Contract:
    """What one half of a pair says of itself, checked against its own tokenizer and configuration."""

    name: str
    """The pair that errors speak of."""
    shipped: Shipped
    sidecar: Sidecar
    tokenizer: Any
    config: Any
    """Transformers' configuration of the language model."""
    context_tokens: int | None
    """How many tokens it reads at most; None when it does not say."""

    @property
    def directory(self) -> Path:
        """What the experiment names."""
        return self.shipped.directory


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


@dataclass(frozen=True, slots=True)
class ReconstructorContract(Contract):
    """An AR's, with the block that it reads."""

    block_index: int
    """Its vector is this block's output, before any final norm, through its head."""
    head_layer: int
    """The layer that its head is called by, where there is one per layer: that of the vectors it gives."""


def open_verbalizer_contract(
    checkpoint: Path | Shipped,
    name: str,
    max_new_tokens: int,
    moment: datetime | None = None,
    sidecar: Sidecar | None = None,
) -> VerbalizerContract:
    """An AV's contract; `name` is the pair that errors speak of, `moment` the time that its chat template is given.

    `sidecar` is its own as it is used for this pair, where that was read already.

    Raises:
        CheckpointMissing: the sidecar, the configuration, the tokenizer, its chat template or a stop id is not there.
        CheckpointDamaged: one of the files is damaged.
        CheckpointInvalid: the sidecar has faults.
        CheckpointDrift: the sidecar is of the other role, or disagrees with the tokenizer or the configuration.
        ChatTemplateFails: the chat template does not render.
        ContextTooShort: the prompt and an answer of `max_new_tokens` are more than the model reads.
        FamilyUnsupported: a vector cannot take the place of a token's embedding.
    """
    contract = _open_contract(checkpoint, "av", name, sidecar)
    refuse_no_place(contract.directory, contract.config, contract.sidecar)
    is_raw = _is_raw(contract)
    try:
        with quiet(), standing_clock(moment or datetime.now(UTC)) as dates:
            prompt = check_against_tokenizer(contract.sidecar, contract.tokenizer, name)
    except ChatTemplateFails as error:
        raise ChatTemplateFails(f"{chat_template_file(contract.shipped.tokenizer)}: {error}") from error
    prompt_ids, place = prompt or ([], 0)
    _refuse_unreadable_prompt(contract, prompt_ids, max_new_tokens)
    with quiet():
        turn_end = None if is_raw else end_of_turn(contract.tokenizer)
    stop_ids, further = read_stop_ids(contract.shipped.generation, contract.config, turn_end)
    return VerbalizerContract(
        **{field.name: getattr(contract, field.name) for field in fields(Contract)},
        prompt_ids=tuple(prompt_ids),
        marker_index=place,
        stop_ids=tuple(stop_ids),
        turn_end=turn_end,
        further_stop_id=further,
        dates=tuple(dates),
    )


def open_reconstructor_contract(
    checkpoint: Path | Shipped,
    name: str,
    block_index: int | None = None,
    n_blocks_of_base: Callable[[], int] | None = None,
) -> ReconstructorContract:
    """An AR's contract; `name` is the pair that errors speak of, `block_index` the block of an AR that names none.

    A model that keeps all blocks of its base model, `n_blocks_of_base` says how many, is read at its block like one
    that was cut there.

    Raises:
        CheckpointMissing: the sidecar, the configuration or the tokenizer is not there.
        CheckpointDamaged: one of the files is damaged.
        CheckpointInvalid: the sidecar has faults.
        CheckpointDrift: the sidecar is of the other role, or disagrees with the tokenizer or the configuration.
        AdapterUnsupported: it is an adapter that cannot be merged, or a head that was trained on the final norm.
    """
    contract = _open_contract(checkpoint, "ar", name)
    with quiet():
        check_against_tokenizer(contract.sidecar, contract.tokenizer, name)
    named = contract.sidecar.block_index if contract.sidecar.block_index is not None else block_index
    reads = _read_block(contract, named, n_blocks_of_base)
    return ReconstructorContract(
        **{field.name: getattr(contract, field.name) for field in fields(Contract)},
        block_index=reads,
        head_layer=reads if named is None else named,
    )


def _read_block(contract: Contract, named: int | None, n_blocks_of_base: Callable[[], int] | None) -> int:
    """The block that a reconstructor of the block `named` reads."""
    n_blocks: int = contract.config.num_hidden_layers
    sidecar, directory = contract.sidecar, contract.directory
    reads = cut_after(directory) if sidecar.reads_block is None else sidecar.reads_block
    if reads is not None and reads >= n_blocks:
        raise CheckpointDrift(
            f"{directory}: has {n_blocks} blocks, and is said to read block {reads}. "
            "Correct critic.reads_block, or use the files released together."
        )
    if reads is not None:
        return reads
    if named is None or n_blocks == named + 1:
        return n_blocks - 1
    is_adapter = contract.shipped.adapter is not None
    if named < n_blocks and (is_adapter or (n_blocks_of_base is not None and n_blocks_of_base() == n_blocks)):
        return named
    if sidecar.block_index is None:
        raise CheckpointDrift(
            f"Pair {contract.name}: {directory} has {n_blocks} blocks, so it reads block {n_blocks - 1}, the "
            f"experiment file says block_index {named}. Correct the one that is wrong."
        )
    raise CheckpointDrift(
        f"{directory}: has {n_blocks} blocks, a reconstructor for block {named} keeps {named + 1}. "
        "Use the config.json and sidecar released together, or say which block it reads (critic.reads_block)."
    )


def _open_contract(checkpoint: Path | Shipped, role: Role, name: str, sidecar: Sidecar | None = None) -> Contract:
    shipped = checkpoint if isinstance(checkpoint, Shipped) else _shipped_in(checkpoint, role)
    sidecar = sidecar or shipped.sidecar()
    if sidecar.role != role:
        raise CheckpointDrift(
            f"Pair {name}: {shipped.directory} calls itself an {sidecar.role.upper()}, it is used as the "
            f"{role.upper()}. Swap the two in the experiment file."
        )
    config = load_text_config(shipped.model)
    tokenizer = load_tokenizer(shipped.tokenizer, config.vocab_size)
    check_width(sidecar, config, shipped.directory)
    sidecar = _with_live_marker(sidecar, tokenizer) if role == "av" else sidecar
    return Contract(name, shipped, sidecar, tokenizer, config, context_tokens(config))


def _with_live_marker(sidecar: Sidecar, tokenizer: Any) -> Sidecar:
    """A verbalizer's sidecar with the marker's tokens as its tokenizer has them, where they are not recorded."""
    keys = ("injection_token_id", "injection_left_neighbor_id", "injection_right_neighbor_id")
    missing = [key for key in keys if getattr(sidecar, key) == UNRECORDED]
    if not missing:
        return sidecar
    # What is wrong with the template is told when the prompt is made.
    with quiet(), suppress(ChatTemplateFails):
        found: dict[str, Any] = dict(zip(keys, live_marker(tokenizer, sidecar), strict=True))
        return replace(sidecar, **{key: found[key] for key in missing})
    return sidecar


def _shipped_in(directory: Path, role: Role) -> Shipped:
    """The parts of a directory, for those who have no experiment to ask."""
    found = shipped_in(directory, partial(checkpoint_directory, with_weights=False), Stated(role=role))
    assert found is not None
    return found


def _is_raw(contract: Contract) -> bool:
    """Whether a verbalizer is asked its template alone.

    Raises:
        CheckpointMissing: its sidecar says that it is not, and it has no chat template.
    """
    is_raw = is_asked_raw(contract.tokenizer, contract.sidecar)
    if not is_raw and not contract.tokenizer.chat_template:
        raise CheckpointMissing(
            f"{contract.directory}: has no chat template, and its sidecar says that it is prompted through one "
            "(prompt_format chat). Fetch chat_template.jinja, or take prompt_format out."
        )
    return is_raw


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


def check_width(sidecar: Sidecar, config: Any, directory: Path) -> None:
    """Pass when the model is as wide as the sidecar says.

    Raises:
        CheckpointDrift: it is not.
    """
    n_joined, rest = divmod(sidecar.d_model, config.hidden_size)
    if n_joined > 1 and rest == 0:
        raise CheckpointDrift(
            f"{directory}: its sidecar has d_model {sidecar.d_model}, {n_joined} times its config.json's hidden_size "
            f"{config.hidden_size}; vectors of several blocks joined into one are not read here. "
            "Give a checkpoint for one block."
        )
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
