"""PEFT behind one door: the adapters of both halves of a pair, and what to say where the library is not installed."""

from nlareport.errors import ExtraMissing

try:
    from peft import LoraConfig, PeftModel, get_peft_model
except ModuleNotFoundError as error:
    raise ExtraMissing('The pocket pairs need PEFT: pip install "nlareport[pairs]".') from error

__all__ = ["PeftModel", "get_peft_model", "lora_config"]


def lora_config(rank: int) -> LoraConfig:
    """LoRA on every linear map of every block, scaled so that the rank does not change the step."""
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", lora_dropout=0.0)
