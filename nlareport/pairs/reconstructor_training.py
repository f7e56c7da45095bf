"""Trains a reconstructor: LoRA on a cut base model and a linear head, by the error between directions.

Takes texts and vectors, returns a folder with a PEFT adapter and a value head.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nlareport.checkpoints.sidecar import Sidecar
from nlareport.files.atomic_files import whole_folder
from nlareport.models.block_reader import BlockReader
from nlareport.models.checkpoint_files import VALUE_HEAD_NAME
from nlareport.models.tokenizers import open_tokenizer, reconstructor_prompt_ids
from nlareport.models.trainable import open_cut_model
from nlareport.pairs.adapters import add_adapter, save_adapter
from nlareport.pairs.catalog import Lesson
from nlareport.pairs.training_loop import Texts, Trainee, batch_rows, kept_at, train


def train_reconstructor(trainee: Trainee, name: str, texts: Texts, lesson: Lesson, start: Path | None) -> Path:
    """The folder of the adapter after the lesson, trained from the one in `start` or from nothing.

    It holds the value head as well.
    """
    sidecar = trainee.sidecar
    destination = kept_at(trainee.folder, name, lesson, trainee.rank, start and start.name)
    if destination.exists():
        return destination
    torch.manual_seed(lesson.seed)
    reader = open_cut_model(trainee.base, sidecar.named_block, "bfloat16")
    peft_model = add_adapter(reader.model, trainee.rank, start)
    head = nn.Linear(sidecar.d_model, sidecar.d_model, bias=False)
    if start is None:
        # The base model already has the item's vector where it read the item's own token: start from passing it on.
        nn.init.eye_(head.weight)
    else:
        head.load_state_dict(load_file(start / VALUE_HEAD_NAME))
    task = _ReconstructorTask(reader, head, sidecar, texts, lesson)
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

    def __init__(self, reader: BlockReader, head: nn.Linear, sidecar: Sidecar, texts: Texts, lesson: Lesson):
        self.reader, self.head, self.lesson = reader, head, lesson
        tokenizer = open_tokenizer(reader.directory)
        self.prompts = [reconstructor_prompt_ids(tokenizer, sidecar, text) for text in texts.explanations]
        self.gold = torch.from_numpy(texts.vectors)

    def loss_at(self, step: int) -> Float[Tensor, ""]:
        """Mean ``mse_nrm = 2 (1 - cos)`` over the batch."""
        rows = batch_rows(step, len(self.prompts), self.lesson)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            last = self.reader.read_for_training([self.prompts[row] for row in rows])
        cosine = nn.functional.cosine_similarity(self.head(last), self.gold[rows], dim=1)
        return 2 * (1 - cosine).mean()
