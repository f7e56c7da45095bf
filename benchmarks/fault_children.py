"""Child processes to be killed or limited, and what they leave on the disk.

A trial forks them from a process that has imported everything and run nothing. A fork copies no running thread, so
libraries that start threads (DuckDB, polars, torch) are used only in children.
"""

import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from select import select
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support import scripted_runs
from support.scripted_runs import request

from nlareport.errors import NlareportError
from nlareport.rows.item_rows import Item
from nlareport.run.pipeline import run_experiment
from nlareport.store.vectors.activations import ActivationStore

Tell = Callable[[str], None]
EXPERIMENT, DB, CORPUS = "experiment.yaml", "run.duckdb", "documents.jsonl"
CAP_DAC_OVERRIDE = 1 << 1
LONGEST_S = 300
"""Seconds after which a child is considered to hang."""


@dataclass(frozen=True)
class Ended:
    """How a child ended, and the lines it sent before."""

    was_killed: bool
    told: list[str]

    @property
    def last(self) -> str:
        return self.told[-1] if self.told else ""

    @property
    def is_done(self) -> bool:
        return self.last == "done"

    @property
    def refusal(self) -> str | None:
        """The message of a `NlareportError`, if it ended in one."""
        return self.last.removeprefix("refused ") if self.last.startswith("refused ") else None


class Child:
    """A fork of this process that performs one action and reports its progress through a pipe."""

    def __init__(self, action: Callable[..., None], *arguments: Any) -> None:
        self._pipe, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            _act(action, arguments, writing)
        os.close(writing)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def ended(self, within_s: float = LONGEST_S, n_told: int = 0) -> Ended:
        """How the child ended: by itself, or killed `within_s` seconds after it had sent `n_told` lines."""
        deadline, content, is_counting = time.monotonic() + LONGEST_S, b"", False
        while True:
            if not is_counting and content.count(b"\n") >= n_told:
                deadline, is_counting = time.monotonic() + within_s, True
            if not select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.kill()
                break
            if not (chunk := os.read(self._pipe, 65_536)):
                break
            content += chunk
        _, status = os.waitpid(self._pid, 0)
        # Lines it sent just before it ended.
        while chunk := os.read(self._pipe, 65_536):
            content += chunk
        os.close(self._pipe)
        return Ended(os.WIFSIGNALED(status), content.decode(errors="replace").split("\n")[:-1])


def _act(action: Callable[..., None], arguments: tuple[Any, ...], pipe: int) -> None:
    def tell(line: str) -> None:
        os.write(pipe, (" ".join(line.split("\n")) + "\n").encode())

    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    try:
        action(tell, *arguments)
        tell("done")
    except NlareportError as error:
        tell(f"refused {type(error).__name__}: {error}")
    except BaseException as error:  # exactly what the trials look for
        tell(f"traceback {type(error).__name__}: {error}")
    os._exit(0)


def stage_seconds(folder: Path, engine: str) -> list[float]:
    """How long a run takes before its first stage, and in each stage."""
    ended = run_to_end(_timed, folder, engine)
    moments = [float(line) for line in ended.told if line != "done"]
    return [after - before for before, after in pairwise(moments)]


def _timed(tell: Tell, folder: Path, engine: str) -> None:
    tell(str(time.monotonic()))
    compute(lambda _: tell(str(time.monotonic())), folder, engine)
    tell(str(time.monotonic()))


def run_to_end(action: Callable[..., None], *arguments: Any) -> Ended:
    return Child(action, *arguments).ended()


class _Stages:
    """Progress that reports each stage as it begins."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def stage(self, name: str, n_total: int, n_done: int) -> None:  # noqa: ARG002 - the port's names
        self._tell(f"stage {name.split()[0]}")

    def advance(self, n: int) -> None: ...


def compute(tell: Tell, folder: Path, engine: str = "scripted") -> None:
    """Computes the run of a folder to its end."""
    run_experiment(request(folder / EXPERIMENT, folder / DB, engine), _Stages(tell))


def give_up_rights() -> None:
    """From now on file permissions apply to this process, even if it runs as root."""
    # Not by another user id, which might not be allowed to read the interpreter's own files.
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        if libc.capget(header, sets) == 0:
            sets[0] &= ~CAP_DAC_OVERRIDE
            libc.capset(header, sets)


def state_of(folder: Path) -> dict[str, str]:
    """Digests of every table, of vectors and texts, and the names of all files."""
    return {**rows_of(folder / DB), "files": file_names(folder)}


def rows_of(db: Path) -> dict[str, str]:
    """Digests of every table of a run file except its time of creation, and of its vectors and texts.

    Raises:
        RuntimeError: something cannot be read.
    """
    ended = run_to_end(_tell_rows, db)
    if not ended.is_done:
        raise RuntimeError(ended.last or "the process that reads the state was killed")
    found: dict[str, str] = json.loads(ended.told[0])
    return found


def _tell_rows(tell: Tell, db: Path) -> None:
    rows, vectors = scripted_runs.everything(db)
    # Only the texts of documents with items are read again when they are missing.
    documents = {document.doc_id: document.text for document in ActivationStore(db).read_documents()}
    texts = {item.doc_id: documents.get(item.doc_id) for item in rows.of(Item)}
    tables = {row_type.__name__: [asdict(row) for row in table] for row_type, table in rows.tables.items()}
    state = {"Run": asdict(rows.run), **tables, "vectors": vectors, "texts": texts}
    tell(json.dumps({name: _digest(value) for name, value in state.items()}))


def file_names(folder: Path) -> str:
    """The names of all files and folders in a folder, hidden ones included."""
    return " ".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))


def tree(folder: Path) -> dict[str, str]:
    """The digest of every file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """The names under which two states differ."""
    return [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]
