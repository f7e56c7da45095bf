"""Teaches a cut base model to give back the vector a text ends in: LoRA and a linear head, error between directions.

Enters examples; leaves a PEFT adapter folder and a value head. It is trained on target explanations, not on what the
verbalizer wrote: on those it would learn to hedge towards the mean.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from nlareport.checkpoint import Sidecar
from nlareport.pairs.adapters import with_adapter
from nlareport.pairs.building import VALUE_HEAD_NAME
from nlareport.pairs.catalog import Recipe
from nlareport.pairs.examples import Examples, truncated_model
from nlareport.pairs.targets import explanation_of
from nlareport.pairs.training_loop import train
from nlareport.pairs.verbalizer_training import batch_rows, pad_right
from nlareport.ports import Progress
from nlareport.prompts import reconstructor_prompt


def train_reconstructor(
    examples: Examples, base: Path, sidecar: Sidecar, recipe: Recipe, folder: Path, progress: Progress
) -> Path:
    """The folder of the trained adapter; ``value_head.safetensors`` stands in it."""
    torch.manual_seed(recipe.seed)
    model = truncated_model(base, sidecar.block_index)
    peft_model = with_adapter(model, recipe.reconstructor_rank)
    head = nn.Linear(sidecar.d_model, sidecar.d_model, bias=False)
    # The base model already has the item's vector where it read the item's own token: start from passing it on.
    nn.init.eye_(head.weight)
    task = _ReconstructorTask(model, head, AutoTokenizer.from_pretrained(base), sidecar, examples, recipe)
    trainable: dict[str, nn.Parameter] = {
        name: parameter for name, parameter in peft_model.named_parameters() if parameter.requires_grad
    }
    train(
        "train reconstructor",
        {**trainable, "value_head": head.get_parameter("weight")},
        task.loss_at,
        recipe.reconstructor_examples // recipe.batch_size,
        recipe.reconstructor_learning_rate,
        folder / "reconstructor.state",
        progress,
    )
    peft_model.save_pretrained(folder / "reconstructor")
    save_file({"weight": head.weight.detach().contiguous()}, folder / "reconstructor" / VALUE_HEAD_NAME)
    return folder / "reconstructor"


class _ReconstructorTask:
    """Batches of target explanations and the error of the vectors read from them."""

    def __init__(
        self,
        model: PreTrainedModel,
        head: nn.Linear,
        tokenizer: PreTrainedTokenizerBase,
        sidecar: Sidecar,
        examples: Examples,
        recipe: Recipe,
    ):
        self.model, self.head, self.recipe = model, head, recipe
        prompts = [reconstructor_prompt(sidecar, explanation_of(context)) for context in examples.contexts]
        self.prompts: list[list[int]] = tokenizer(prompts, add_special_tokens=True)["input_ids"]
        self.gold = torch.from_numpy(examples.vectors)

    def loss_at(self, step: int) -> Float[Tensor, ""]:
        """Mean ``mse_nrm = 2 (1 - cos)`` over the batch."""
        rows = batch_rows(step, len(self.prompts), self.recipe)
        lengths = torch.tensor([len(self.prompts[row]) for row in rows])
        token_ids = pad_right([self.prompts[row] for row in rows], 0)
        mask = (torch.arange(token_ids.shape[1]) < lengths[:, None]).long()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = self.model.model(input_ids=token_ids, attention_mask=mask, use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(rows)), lengths - 1].float()
        cosine = nn.functional.cosine_similarity(self.head(last), self.gold[rows], dim=1)
        return 2 * (1 - cosine).mean()
