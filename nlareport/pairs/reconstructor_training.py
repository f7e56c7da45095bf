"""Teaches a cut base model to give back the vector a text ends in: LoRA and a linear head, error between directions.

Enters texts and vectors; leaves a PEFT adapter folder and a value head.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from nlareport.checkpoints.prompts import reconstructor_prompt
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.files.atomic_files import whole_folder
from nlareport.pairs.adapters import save_adapter, with_adapter
from nlareport.pairs.building import VALUE_HEAD_NAME
from nlareport.pairs.catalog import Lesson
from nlareport.pairs.examples import truncated_model
from nlareport.pairs.training_loop import Texts, Trainee, batch_rows, kept_at, pad_right, train


def train_reconstructor(trainee: Trainee, name: str, texts: Texts, lesson: Lesson, start: Path | None) -> Path:
    """The folder of the adapter after the lesson, trained from the one in `start` or from nothing.

    The value head stands in it.
    """
    sidecar = trainee.sidecar
    destination = kept_at(trainee.folder, name, lesson, trainee.rank, start and start.name)
    if destination.exists():
        return destination
    torch.manual_seed(lesson.seed)
    model = truncated_model(trainee.base, sidecar.named_block)
    peft_model = with_adapter(model, trainee.rank, start)
    head = nn.Linear(sidecar.d_model, sidecar.d_model, bias=False)
    if start is None:
        # The base model already has the item's vector where it read the item's own token: start from passing it on.
        nn.init.eye_(head.weight)
    else:
        head.load_state_dict(load_file(start / VALUE_HEAD_NAME))
    task = _ReconstructorTask(model, head, AutoTokenizer.from_pretrained(trainee.base), sidecar, texts, lesson)
    trainable: dict[str, nn.Parameter] = {
        name: parameter for name, parameter in peft_model.named_parameters() if parameter.requires_grad
    }
    parameters = {**trainable, "value_head": head.get_parameter("weight")}
    train(f"train {name}", parameters, task.loss_at, lesson, destination.with_suffix(".state"), trainee.progress)
    with whole_folder(destination) as folder:
        save_adapter(peft_model, folder)
        save_file({"weight": head.weight.detach().contiguous()}, folder / VALUE_HEAD_NAME)
    return destination


class _ReconstructorTask:
    """Batches of explanations and the error of the vectors read from them."""

    def __init__(
        self,
        model: PreTrainedModel,
        head: nn.Linear,
        tokenizer: PreTrainedTokenizerBase,
        sidecar: Sidecar,
        texts: Texts,
        lesson: Lesson,
    ):
        self.model, self.head, self.lesson = model, head, lesson
        prompts = [reconstructor_prompt(sidecar, explanation) for explanation in texts.explanations]
        self.prompts: list[list[int]] = tokenizer(prompts, add_special_tokens=True)["input_ids"]
        self.gold = torch.from_numpy(texts.vectors)

    def loss_at(self, step: int) -> Float[Tensor, ""]:
        """Mean ``mse_nrm = 2 (1 - cos)`` over the batch."""
        rows = batch_rows(step, len(self.prompts), self.lesson)
        lengths = torch.tensor([len(self.prompts[row]) for row in rows])
        token_ids = pad_right([self.prompts[row] for row in rows], 0)
        mask = (torch.arange(token_ids.shape[1]) < lengths[:, None]).long()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = self.model.model(input_ids=token_ids, attention_mask=mask, use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(rows)), lengths - 1].float()
        cosine = nn.functional.cosine_similarity(self.head(last), self.gold[rows], dim=1)
        return 2 * (1 - cosine).mean()
