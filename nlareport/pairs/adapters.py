"""LoRA adapters with PEFT: adds them to a base model, saves them, merges trained ones into its weights.

Without the library installed, importing this says what to do.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import PreTrainedModel

from nlareport.errors import ExtraMissing

try:
    from peft import LoraConfig, PeftModel, get_peft_model
except ModuleNotFoundError as error:
    raise ExtraMissing('The pocket pairs need PEFT. Run: pip install "peft>=0.21"') from error


def add_adapter(model: PreTrainedModel, rank: int, start: Path | None = None) -> PeftModel:
    """The model with LoRA on every linear map of every block, scaled to keep the step the same at any rank.

    The adapter is fresh, or the trained one of the folder `start`. The base weights are frozen; the adapter is float32
    in any case. `model` itself is changed.
    """
    with _without_known_warning():
        if start is not None:
            return PeftModel.from_pretrained(model, start, is_trainable=True)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", lora_dropout=0.0)
        return get_peft_model(model, config)


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Writes the model's adapter into a folder."""
    # Embeddings are not trained; left to decide, PEFT would look the base model up on the hub.
    model.save_pretrained(folder, save_embedding_layers=False)


def merge_adapter(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """The model itself, with a trained adapter's folder merged into its weights."""
    with _without_known_warning():
        return PeftModel.from_pretrained(model, adapter).merge_and_unload()


@contextmanager
def _without_known_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        # PEFT 0.21 asks Transformers 5 for an attribute under its old name.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield
