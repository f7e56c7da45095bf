"""Finds or downloads checkpoints: a directory on this machine, or a Hugging Face hub id that is downloaded first.

Takes a name, returns a directory. A hub id may name a revision and a folder inside the repository, as
``owner/name@revision:folder``. Every failure of the hub becomes one sentence here.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import errors as hub_errors
from huggingface_hub import get_session, snapshot_download
from huggingface_hub.utils import logging as hub_logging

from nlareport.errors import CheckpointMissing
from nlareport.models.hub_names import LEFT_OUT, HubName, hub_name
from nlareport.models.wall import is_an_end, named_line
from nlareport.shown import shown

SILENT_SECONDS = 60.0
"""How long the hub may stay silent."""


def checkpoint_directory(checkpoint: str | Path, *, with_weights: bool = True) -> Path:
    """Where a checkpoint is on this machine; a hub id is downloaded first, a directory never asks the network.

    What an interrupted download has already brought is kept, and the next one continues from there.

    Raises:
        CheckpointMissing: it is neither, or the hub does not provide it.
    """
    directory = Path(checkpoint)
    if directory.is_dir():
        return directory
    name = hub_name(str(checkpoint))
    if name is None:
        raise CheckpointMissing(
            f"{shown(str(checkpoint))}: is neither a directory nor a hub id (owner/name, owner/name@revision, "
            "owner/name:folder). Give one of them."
        )
    try:
        _refuse_silence()
        with _without_warnings():
            snapshot = Path(_download(name, with_weights=with_weights))
    except BaseException as error:
        # The hub's client lets through errors of its HTTP library and of the JSON parser.
        if is_an_end(error):
            raise
        raise CheckpointMissing(
            f"{checkpoint}: is no directory here, and the hub does not provide it: {_reason(error)}"
        ) from error
    return name.inside(snapshot)


def _download(name: HubName, *, with_weights: bool) -> str:
    """The folder of the repository's snapshot, once it holds the checkpoint's files."""
    named: dict[str, Any] = {} if name.revision is None else {"revision": name.revision}
    patterns = name.patterns(with_weights=with_weights)
    folder: str = snapshot_download(name.repository, allow_patterns=patterns, ignore_patterns=LEFT_OUT, **named)
    return folder


def _reason(error: BaseException) -> str:
    """What the hub said, and what to do about it."""
    # The error about a missing snapshot hides what the hub or the network really said.
    cause = error.__cause__ if isinstance(error, hub_errors.LocalEntryNotFoundError) and error.__cause__ else error
    if isinstance(cause, hub_errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set and it was not downloaded before. Unset it, or give a checkpoint directory."
    if isinstance(cause, hub_errors.GatedRepoError):
        return "it is gated. Accept its licence on its page on the hub, and put a token of that account in HF_TOKEN."
    if isinstance(cause, hub_errors.RepositoryNotFoundError):
        return (
            "the hub knows no such repository, or hides it. "
            "Correct the name, or put a token that may read it in HF_TOKEN."
        )
    if isinstance(cause, hub_errors.RevisionNotFoundError):
        return "the repository has no such revision. Name a branch, a tag or a commit that it has."
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status == 429:
        return "too many requests for now. Run again later; what was downloaded is kept."
    if isinstance(status, int):
        return f"it answers with status {status}. Run again later; what was downloaded is kept."
    if isinstance(cause, OSError) and cause.errno is not None:
        return f"the download cannot be stored ({cause.strerror}). Make room, or set HF_HOME to another folder."
    return f"{named_line(cause)}. Check the network and run again; what was downloaded is kept."


def _refuse_silence() -> None:
    """Gives every request a timeout: the client waits for ever for a server that accepts a call and stays silent."""
    client = get_session()
    asked = client.event_hooks["request"]
    if _limit not in asked:
        client.event_hooks = {**client.event_hooks, "request": [*asked, _limit]}


def _limit(request: Any) -> None:
    given = request.extensions.get("timeout") or {}
    kinds = ("connect", "read", "write", "pool")
    request.extensions["timeout"] = {kind: given.get(kind) or SILENT_SECONDS for kind in kinds}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Inside, the hub's client does not log each attempt of a download; the error reports their outcome once."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        hub_logging.set_verbosity(verbosity)
