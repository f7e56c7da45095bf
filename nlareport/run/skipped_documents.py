"""Says which documents gave no item and why, in words, and what to do when a corpus gave too few.

Takes `Document` rows with the reasons that `stages/sample.py` and the stage ``sample`` give; returns sentences.
"""

from collections.abc import Sequence

from nlareport.experiment.corpus_section import MIN_LEFT_CONTEXT, Indexed, Sampling
from nlareport.experiment.experiment_file import Experiment
from nlareport.rows.run_rows import Document
from nlareport.stages.sample import CANNOT_READ, CANNOT_RENDER, IN_MESSAGES_OF, TOO_LONG, TOO_SHORT


def n_unreadable(documents: Sequence[Document]) -> int:
    """How many of the documents gave no item because a model cannot read as far."""
    return sum(CANNOT_READ in (document.skipped_reason or "") for document in documents)


def skipped_counts(documents: Sequence[Document], least_left_context: int = MIN_LEFT_CONTEXT) -> str:
    """How many of the documents gave no item and why, in words; empty when all of them gave one."""
    reasons = [document.skipped_reason for document in documents if document.skipped_reason is not None]
    n_short = sum(reason.startswith(TOO_SHORT) for reason in reasons)
    n_long = sum(reason.startswith(TOO_LONG) for reason in reasons)
    refused = [reason for reason in reasons if CANNOT_RENDER in reason]
    n_unread = n_unreadable(documents)
    n_bare = len(reasons) - n_short - n_long - len(refused) - n_unread
    of_roles = {roles for reason in reasons if (roles := reason.partition(IN_MESSAGES_OF)[2])}
    where = f"{IN_MESSAGES_OF}{of_roles.pop()} (sampling.roles)" if of_roles else ""
    said = {
        f"have fewer than {least_left_context + 1} tokens (an item needs {least_left_context} before it)": n_short,
        f"have no token of text after the first {least_left_context}{where}": n_bare,
        "have their item beyond sampling.truncation_tokens": n_long,
        f"cannot be rendered as a chat by every pair (the first: {refused[0] if refused else ''})": len(refused),
        "cannot be read by every pair as far as their item": n_unread,
    }
    return " and ".join(f"{n:,} of {len(documents):,} documents {what}" for what, n in said.items() if n)


def too_few_items(experiment: Experiment, documents: Sequence[Document], n_items: int) -> str:
    """What the corpus gave, why it was no more, and what can be done about it."""
    sampling = experiment.sampling
    if not documents:
        first_index = experiment.corpus.first_index if isinstance(experiment.corpus, Indexed) else 0
        return (
            f"The corpus holds no document from index {first_index} on, so there is nothing to "
            "measure. Lower corpus.first_index, or give another corpus."
        )
    skipped = skipped_counts(documents, sampling.least_left_context)
    said = (
        f"The corpus gave {n_items} items from {len(documents):,} documents, the experiment asks for "
        f"{sampling.n_items}{f': {skipped}' if skipped else ''}. "
    )
    if n_unreadable(documents):
        return f"{said}Lower sampling.truncation_tokens and give another --db, or give a corpus of shorter documents."
    if advice := _advice_for_all(documents, sampling):
        return f"{said}{advice}"
    more = "Widen the corpus's index range or give a longer corpus"
    # A run needs two items, so a smaller --limit would be refused.
    if n_items < 2:
        return f"{said}{more}; a run needs at least 2 items."
    return f"{said}What was found is stored: {more.lower()}, or go on with --limit {n_items}."


def _advice_for_all(documents: Sequence[Document], sampling: Sampling) -> str | None:
    """What to do where no document gave an item; None where one did."""
    reasons = [document.skipped_reason for document in documents if document.skipped_reason is not None]
    if len(reasons) < len(documents):
        return None
    if all(CANNOT_RENDER in reason for reason in reasons):
        return "Give chats that the chat template of every pair renders, such as ones without a system message."
    if all(reason.startswith(TOO_LONG) for reason in reasons):
        return "Raise sampling.truncation_tokens, or give a corpus of shorter documents."
    if sampling.positions == "sampled":
        return "Give a corpus of longer documents, or lower sampling.min_left_context and give another --db."
    return "Give a corpus of longer documents, or choose other sampling.positions and give another --db."
