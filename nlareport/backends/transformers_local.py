"""The engine ``transformers``: models run by Transformers on this machine.

Takes a `PairSpec`, returns what answers the four ports for it, after checking each sidecar against what the experiment
file expects.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nlareport.backends.choices import base_choices, reconstructor_choices, verbalizer_choices
from nlareport.backends.contract import (
    ReconstructorContract,
    VerbalizerContract,
    open_reconstructor_contract,
    open_verbalizer_contract,
)
from nlareport.backends.expectations import refuse_unexpected, sidecar_for
from nlareport.backends.fingerprints import checkpoint_here, file_digests, prompt_digest
from nlareport.backends.hub import checkpoint_directory
from nlareport.backends.shipped import Shipped, find_shipped
from nlareport.backends.shipping_choices import Topics
from nlareport.backends.streams import entering_norm, stream_choice
from nlareport.backends.transformers_reading import (
    TransformersExtractor,
    TransformersReconstructor,
    TransformersTokenizer,
)
from nlareport.backends.transformers_writing import TransformersVerbalizer
from nlareport.batches import ReadingLimits
from nlareport.checkpoints.bos import refuse_missing_bos
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.engine_options import EngineSettings
from nlareport.errors import CheckpointDrift, NlareportError
from nlareport.experiment.pair_section import PairSpec
from nlareport.models.adapter_files import adapter_weights
from nlareport.models.checkpoint_files import refuse_cut, refuse_damaged_weights
from nlareport.models.configuration import context_tokens, load_text_config
from nlareport.models.loading import machine, placement, refuse_unknown_block
from nlareport.models.tokenizers import load_tokenizer
from nlareport.models.value_head import load_value_head
from nlareport.rows.run_rows import CheckpointRole, Choice, MakingKind, PairId

__all__ = [
    "TransformersEngine",
    "TransformersExtractor",
    "TransformersReconstructor",
    "TransformersTokenizer",
    "TransformersVerbalizer",
]


class TransformersEngine:
    """Opens a pair's models one by one; each is freed when its ``with`` block ends."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.device = placement(settings.device)
        """Where models really run: ``cpu``, ``cuda``, or ``auto`` for all GPUs."""
        self.machine = machine(self.device)
        """What of this machine decides how sums are rounded."""
        self.libraries = {name: version(name) for name in ("torch", "transformers")}
        """The versions of the libraries that compute answers."""
        self._verbalizers: dict[str, VerbalizerContract] = {}
        """By everything that decides what a verbalizer is asked."""

    def check(self, pair: PairSpec) -> None:
        """Pass when the checkpoints run here are sound as far as can be seen without reading all of their weights.

        Raises:
            NlareportError: one of them is not; any error that opening it would raise before a block is read.
        """
        roles = self._roles(pair)
        if "base_model" in roles:
            self._check_base(pair)
        if "verbalizer" in roles:
            self._verbalizer(pair)
        contract = self._reconstructor(pair) if "reconstructor" in roles else None
        # A checkpoint on the hub is downloaded when it is used: a run needs room for one at a time.
        for role in roles:
            if Path(pair.checkpoint(role)).is_dir():
                _refuse_damaged(_shipped(pair, role))
        if contract is not None and Path(pair.checkpoint("reconstructor")).is_dir():
            load_value_head(contract.directory, contract.sidecar.d_model, contract.head_layer)

    def prompt_ids(self, pair: PairSpec) -> tuple[int, ...]:
        """What the pair's AV is asked; rendered once: a date in it stays the same."""
        return self._verbalizer(pair).prompt_ids

    def limits(self, pair: PairSpec) -> ReadingLimits:
        """What the pair's base model can read at all."""
        config = load_text_config(checkpoint_directory(pair.base_model, with_weights=False))
        return ReadingLimits(context_tokens(config), config.vocab_size)

    def tokenizer(self, pair: PairSpec) -> TransformersTokenizer:
        """The base model's tokenizer; errors are those of `TransformersTokenizer`."""
        return TransformersTokenizer(pair.base_model, self._settings.moment)

    def extractor(self, pair: PairSpec) -> TransformersExtractor:
        """The base model up to the pair's block.

        Raises:
            CheckpointDrift: the model is not as wide as the experiment file says.
        """
        settings = self._settings
        # Checked by the configuration, before gigabytes of weights are read.
        self._check_base(pair)
        return TransformersExtractor(
            pair.base_model,
            pair.block_index,
            device=settings.device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
        )

    def verbalizer(self, pair: PairSpec) -> TransformersVerbalizer:
        """The pair's AV.

        Raises:
            CheckpointDrift: its sidecar contradicts the experiment file.
        """
        settings = self._settings
        return TransformersVerbalizer(
            pair.checkpoint("verbalizer"),
            device=settings.device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
            max_new_tokens=settings.max_new_tokens,
            stream=settings.stream,
            name=pair.pair_id,
            contract=self._verbalizer(pair),
        )

    def reconstructor(self, pair: PairSpec) -> TransformersReconstructor:
        """The pair's AR.

        Raises:
            CheckpointDrift: its sidecar contradicts the experiment file.
        """
        settings = self._settings
        return TransformersReconstructor(
            pair.checkpoint("reconstructor"),
            device=settings.device,
            dtype=settings.dtype,
            batch_size=settings.batch_size,
            name=pair.pair_id,
            contract=self._reconstructor(pair),
        )

    def sidecar(self, pair: PairSpec) -> Sidecar:
        """What the pair's AV says of itself; its weights are not asked for yet.

        Raises:
            CheckpointMissing: the checkpoint or its sidecar is not there.
            CheckpointInvalid: the sidecar has faults.
            CheckpointDrift: it contradicts the experiment file.
        """
        return sidecar_for(pair, _shipped(pair, "verbalizer"))

    def choices(self, pair: PairSpec) -> list[Choice]:
        """What is done where the pair's checkpoints leave it open; errors are those of `check`."""
        topics: dict[CheckpointRole, Topics] = {}
        roles = self._roles(pair)
        if "base_model" in roles:
            directory = checkpoint_directory(pair.base_model, with_weights=False)
            topics["base_model"] = base_choices(directory, *self._base(pair))
        if "verbalizer" in roles:
            topics["verbalizer"] = self._verbalizer_choices(pair)
        if "reconstructor" in roles:
            topics["reconstructor"] = reconstructor_choices(self._reconstructor(pair), pair.block_index)
        return [
            Choice(PairId(pair.pair_id), role, topic, text)
            for role, found in topics.items()
            for topic, text in found.items()
        ]

    def fingerprints(
        self, pair: PairSpec, role: CheckpointRole, advance: Callable[[int], None] | None = None
    ) -> Mapping[MakingKind, str]:
        """The digests of the checkpoint's files, and of an AV's prompt as it is sent.

        A checkpoint that cannot be opened has no prompt; what is wrong is reported where it is used.

        Raises:
            CheckpointChanged: somebody writes to the weights meanwhile.
        """
        shipped = find_shipped(pair, role, checkpoint_here)
        if shipped is None:
            return {}
        digests = file_digests(shipped, role, advance, with_chats=self._settings.reads_chats)
        if role == "verbalizer":
            with suppress(NlareportError):
                further = self._verbalizer(pair).further_stop_id
                digests["prompt"] = prompt_digest(self.prompt_ids(pair), () if further is None else (further,))
        return digests

    def _verbalizer_choices(self, pair: PairSpec) -> Topics:
        contract, settings = self._verbalizer(pair), self._settings
        is_matched = contract.sidecar.injection.norm_match
        stream = stream_choice(settings.stream, entering_norm(contract.sidecar), settings.dtype, is_matched=is_matched)
        return verbalizer_choices(contract, pair.block_index, settings.dtype) | {"stream": stream}

    def _check_base(self, pair: PairSpec) -> None:
        directory = checkpoint_directory(pair.base_model, with_weights=False)
        config = load_text_config(directory)
        if config.hidden_size != pair.d_model:
            raise CheckpointDrift(
                f"Pair {pair.pair_id}: {pair.base_model} has d_model {config.hidden_size}, the experiment file says "
                f"{pair.d_model}. Correct the one that is wrong."
            )
        refuse_unknown_block(directory, config, pair.block_index)
        # Nothing of a base model says how the pair was trained, but its two halves do.
        halves = [_shipped(pair, role).sidecar() for role in self._roles(pair) if role != "base_model"]
        said = False if halves and all(sidecar.adds_bos is False for sidecar in halves) else None
        what = f"Pair {pair.pair_id}: the base model {pair.base_model}"
        where = "the nla_meta.yaml of its verbalizer and of its reconstructor"
        TransformersTokenizer(pair.base_model)
        refuse_missing_bos(self._base(pair)[0], said, what, where)

    def _roles(self, pair: PairSpec) -> list[CheckpointRole]:
        """The roles that are run here, of those the pair has."""
        return [role for role in self._settings.roles if pair.has(role)]

    def _base(self, pair: PairSpec) -> tuple[Any, Any]:
        """The tokenizer and the configuration of a base model."""
        directory = checkpoint_directory(pair.base_model, with_weights=False)
        config = load_text_config(directory)
        return load_tokenizer(directory, config.vocab_size), config

    def _verbalizer(self, pair: PairSpec) -> VerbalizerContract:
        shipped = _shipped(pair, "verbalizer")
        sidecar = sidecar_for(pair, shipped)
        key = repr((shipped.directory, shipped.model, sidecar))
        if key not in self._verbalizers:
            settings = self._settings
            self._verbalizers[key] = open_verbalizer_contract(
                shipped, pair.pair_id, settings.max_new_tokens, settings.moment, sidecar
            )
        return self._verbalizers[key]

    def _reconstructor(self, pair: PairSpec) -> ReconstructorContract:
        shipped = _shipped(pair, "reconstructor")
        refuse_unexpected(pair, shipped.sidecar())
        return open_reconstructor_contract(
            shipped, pair.pair_id, pair.block_index, lambda: int(self._base(pair)[1].num_hidden_layers)
        )


def _shipped(pair: PairSpec, role: CheckpointRole) -> Shipped:
    """The parts of a pair's checkpoint; of one on the hub everything but its weights is downloaded."""
    found = find_shipped(pair, role, partial(checkpoint_directory, with_weights=False))
    assert found is not None
    return found


def _refuse_damaged(shipped: Shipped) -> None:
    """Pass when the weights are whole, as far as they are on this machine."""
    if Path(shipped.model_name).is_dir():
        refuse_damaged_weights(shipped.model)
    if shipped.adapter is not None:
        refuse_cut(adapter_weights(shipped.adapter))
