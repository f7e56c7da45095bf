"""Writes and computes small experiments on scripted pairs, and reads whole run files for comparison.

As a script it computes an experiment and kills its own process just before the n-th write of a kind:
``python scripted_runs.py EXPERIMENT DB ENGINE KIND N_WRITES``.
"""

import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from nlareport.engine_options import EngineChoice, ModelOptions
from nlareport.rows.run_rows import Pair
from nlareport.run.pipeline import run_experiment
from nlareport.run.request import RunRequest
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.whole_run import RunRows, read_run

_SENTENCE = "the river bank of the old town rose by 14 metres in spring and people said it was over , again . then"
WORDS = _SENTENCE.split()


class Silence:
    """Progress that is not shown."""

    def stage(self, name: str, n_total: int, n_done: int) -> None:
        pass

    def advance(self, n: int) -> None:
        pass


def write_corpus(folder: Path, n_documents: int) -> Path:
    """Documents of about 80 words; every fifth is too short to give an item."""
    lines = []
    for number in range(n_documents):
        n_words = 20 if number % 5 == 4 else 80
        words = [WORDS[(number * 7 + place * (number % 3 + 1)) % len(WORDS)] for place in range(n_words)]
        lines.append(json.dumps({"text": " ".join([f"Report {number}.", *words])}))
    path = folder / "documents.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def scripted_content(n_items: int) -> dict[str, Any]:
    """An experiment on two scripted pairs of different width and family."""
    pairs = [
        {
            "pair_id": name,
            "label": name.upper(),
            "family": family,
            "base_model": name,
            "block_index": 2,
            "d_model": d_model,
            "verbalizer": name,
            "reconstructor": name,
        }
        for name, family, d_model in (("small", "one", 16), ("large", "two", 24))
    ]
    return {
        "experiment": "scripted",
        "title": "Scripted pairs",
        "corpus": {"kind": "local", "name": "reports", "path": "documents.jsonl"},
        "sampling": {"seed": 3, "n_items": n_items, "reference_pair": "small"},
        "decoding": {"max_new_tokens": 60},
        "compute": {"batch_size": 2, "dtype": "float32"},
        "scoring": {"bootstrap_draws": 200},
        "pairs": pairs,
    }


def write_experiment(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def run(experiment: Path, db: Path, engine: str = "scripted", limit: int | None = None, only: str | None = None) -> str:
    return run_experiment(request(experiment, db, engine, limit, only), Silence())


def request(
    experiment: Path, db: Path, engine: str = "scripted", limit: int | None = None, only: str | None = None
) -> RunRequest:
    return RunRequest(experiment, db, ModelOptions(EngineChoice.parse([engine]), "cpu"), limit, only)


def everything(db: Path) -> tuple[RunRows, dict[str, Any]]:
    """All rows except the time of creation, and all vectors of the run."""
    rows = read_run(db)
    store = ActivationStore(db)
    pair_ids = [pair.pair_id for pair in rows.of(Pair)]
    vectors: dict[str, Any] = {pair_id: store.read_activations(pair_id).vectors.tolist() for pair_id in pair_ids}
    for source in pair_ids:
        for target in pair_ids:
            batch = store.read_reconstructions(source, target)
            vectors[f"{source}--{target}"] = (batch.item_ids.tolist(), batch.vectors.tolist())
    return replace(rows, run=replace(rows.run, created_at=datetime(2026, 1, 1, tzinfo=UTC))), vectors


def _row_types(groups: tuple[Any, ...]) -> set[str]:
    """Names of the types of the rows that a method of `RunFile` was handed."""
    tables = groups[0].values() if isinstance(groups[0], dict) else groups
    return {type(row).__name__ for rows in tables if isinstance(rows, list) for row in rows}


def _die_before_write(kind: str, n_writes: int) -> None:
    """Lets this process be killed at the n-th write of a kind, as by the kernel: nothing is cleaned up.

    A kind is a row type's name, the name of a method of the `ActivationStore`, or `any`.
    """
    written: Counter[str] = Counter()

    def counted(method: Any) -> Any:
        def write(self: Any, *groups: Any, **keywords: Any) -> Any:
            written.update({"any", method.__name__, *_row_types(groups)})
            if written[kind] >= n_writes:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(self, *groups, **keywords)

        return write

    for name in ("append_all", "put", "replace"):
        setattr(RunFile, name, counted(getattr(RunFile, name)))
    for name in ("write_documents", "write_activations", "write_reconstructions"):
        setattr(ActivationStore, name, counted(getattr(ActivationStore, name)))


if __name__ == "__main__":
    _die_before_write(sys.argv[4], int(sys.argv[5]))
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
