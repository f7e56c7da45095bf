"""Sentences on what a checkpoint is made of: an adapter's base model, a commit of the hub, where its vectors enter.

Takes a contract, returns one sentence per topic for the report; none for a checkpoint as the first release has it.
"""

from pathlib import Path

from nlareport.backends.contract import Contract, ReconstructorContract, VerbalizerContract
from nlareport.checkpoints.injection_rule import RELEASED
from nlareport.checkpoints.prompts import is_asked_raw
from nlareport.checkpoints.sidecar import SIDECAR_NAME
from nlareport.models.hub_names import commit_of
from nlareport.shown import listed

Topics = dict[str, str]
"""What was chosen, one sentence by topic."""


def of_shipping(contract: Contract) -> Topics:
    """Of either half: an adapter, what only the experiment says of it, the commit that the hub gave."""
    shipped, topics = contract.shipped, Topics()
    if shipped.adapter is not None:
        rank = shipped.adapter.config.get("r")
        name = Path(shipped.model_name).name if Path(shipped.model_name).is_dir() else shipped.model_name
        topics["adapter"] = f"It is a LoRA adapter (rank {rank}), merged into the weights of {name} when it is opened."
    stated = sorted(set(shipped.stated.content) - {"base_model"})
    if stated:
        has_file = (shipped.directory / SIDECAR_NAME).exists()
        topics["sidecar"] = (
            f"Its sidecar does not say {listed(stated)}; the experiment file does."
            if has_file
            else f"It has no {SIDECAR_NAME}; the experiment file says what that would."
        )
    commits = {name: commit for name in (shipped.directory, shipped.model) if (commit := commit_of(name))}
    if commits:
        topics["commit"] = f"From the hub, commit {' and of its base model '.join(dict.fromkeys(commits.values()))}."
    return topics


def of_asking(contract: VerbalizerContract) -> Topics:
    """Of an AV: another way in for its vectors, a prompt without a chat template."""
    sidecar, topics = contract.sidecar, Topics()
    rule = sidecar.injection
    if rule != RELEASED:
        does = "takes the place of" if rule.mode == "replace" else "is added to"
        scale = sidecar.injection_scale
        norm = "its own norm" if scale is None else f"norm {scale:g}"
        norm = "the norm of what is there" if rule.norm_match else norm
        factor = "" if rule.coefficient == 1.0 else f" times {rule.coefficient:g}"
        topics["injection"] = f"The vector, at {norm}{factor}, {does} what is at the marker at {rule.place}."
    if is_asked_raw(contract.tokenizer, sidecar):
        why = "as its sidecar says" if sidecar.is_raw_prompt else "since its tokenizer has no chat template"
        topics["prompt"] = f"It is asked its template alone, without a chat template, {why}."
    return topics


def of_reading(contract: ReconstructorContract, block_index: int) -> Topics:
    """Of an AR: a block other than the one whose vectors it gives, or blocks that it keeps and does not need."""
    n_blocks, reads = contract.config.num_hidden_layers, contract.block_index
    if reads != block_index:
        return {"reads_block": f"It reads the output of block {reads} and gives vectors of block {block_index}."}
    if n_blocks > reads + 1 and contract.shipped.adapter is None:
        return {
            "reads_block": f"It keeps {n_blocks} blocks and is read at the output of block {reads}; no later block and "
            "no final norm is applied."
        }
    return {}
