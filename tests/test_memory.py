"""Batches that do not fit into memory are answered in halves, and the answers are those of whole ones."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted_runs import run, scripted_content, write_corpus, write_experiment
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair
from transformers import PreTrainedModel

from nlareport.backends.transformers_local import (
    TransformersExtractor,
    TransformersReconstructor,
    TransformersVerbalizer,
)
from nlareport.batches import Completion
from nlareport.errors import MemoryTooSmall
from nlareport.models.memory import BatchSize, is_out_of_memory
from nlareport.run import identity
from nlareport.store.run_file import RunFile

torch.set_num_threads(1)

GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)")


@settings(max_examples=20)
@given(n_rows=st.integers(0, 40), at_once=st.integers(1, 50), fits=st.integers(1, 50))
def test_every_row_is_answered_once_and_in_order_whatever_fits(n_rows: int, at_once: int, fits: int) -> None:
    batch, asked = BatchSize(at_once, "a model"), []

    def answer(rows: list[int]) -> list[int]:
        asked.append(len(rows))
        if len(rows) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [-row for row in rows]

    assert batch.answer_all(list(range(n_rows)), answer) == [-row for row in range(n_rows)]
    assert batch.n_rows <= at_once
    assert batch.rows_that_fit == (batch.n_rows if n_rows and min(n_rows, at_once) > fits else None)
    n_failed = sum(n > fits for n in asked)
    assert n_failed <= max(at_once, 1).bit_length(), "what failed once is not tried again"


def test_one_row_that_does_not_fit_is_told_and_other_errors_pass() -> None:
    def never(_rows: Any) -> list[int]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    def broken(_rows: Any) -> list[int]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(MemoryTooSmall, match=r"^Pair tiny: its verbalizer: does not fit into memory with one item"):
        BatchSize(8, "Pair tiny: its verbalizer").answer_all([1, 2, 3], never)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        BatchSize(8, "a model").answer_all([1, 2, 3], broken)
    assert all(is_out_of_memory(error) for error in (GPU, CPU, CUBLAS, MemoryError()))
    assert not is_out_of_memory(ValueError("out of memory"))


class Narrow:
    """Lets a module's forward pass see at most so many rows, as a device with that much memory would."""

    def __init__(self, module: Any, n_rows: int, error: BaseException) -> None:
        self.largest = 0

        def before(_module: Any, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            rows = next(value for value in (*inputs, *keywords.values()) if isinstance(value, torch.Tensor))
            if len(rows) > n_rows:
                raise error
            self.largest = max(self.largest, len(rows))

        module.register_forward_pre_hook(before, with_kwargs=True)


def test_vectors_and_texts_are_those_of_whole_batches(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    pair = tiny_pairs["gemma3"]
    texts = [f"Snippet {number} about weather{' and markets' * (number % 3)}." for number in range(7)]
    token_ids = [[5 + place % 90 for place in range(3 + 4 * number)] for number in range(7)]
    vectors = np.random.default_rng(4).standard_normal((7, D_MODEL)).astype(np.float32)
    settings: dict[str, Any] = {"device": "cpu", "dtype": "float32", "batch_size": 7}
    with TransformersExtractor(pair.base, 1, **settings) as extractor:
        whole = extractor.extract(token_ids)
        narrow = Narrow(extractor._model, 2, CPU)
        np.testing.assert_allclose(extractor.extract(token_ids), whole, rtol=1e-4, atol=1e-4)
        assert 0 < narrow.largest <= 2
    with TransformersReconstructor(pair.reconstructor, **settings) as reconstructor:
        whole = reconstructor.reconstruct(texts)
        narrow = Narrow(reconstructor._model, 3, CUBLAS)
        np.testing.assert_allclose(reconstructor.reconstruct(texts), whole, rtol=1e-4, atol=1e-4)
        assert 0 < narrow.largest <= 3
    with TransformersVerbalizer(pair.verbalizer, max_new_tokens=5, **settings) as verbalizer:
        written = verbalizer.verbalize(vectors)
        narrow = Narrow(verbalizer._model.model, 1, GPU)
        assert verbalizer.verbalize(vectors) == written
        assert narrow.largest == 1


def test_a_model_that_cannot_read_one_text_says_so_by_its_pair(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    with TransformersReconstructor(tiny_pairs["qwen2"].reconstructor, device="cpu", name="qwen") as reconstructor:
        Narrow(reconstructor._model, 0, MemoryError())
        with pytest.raises(MemoryTooSmall, match=r"^Pair qwen: its reconstructor: does not fit into memory"):
            reconstructor.reconstruct(["a text"])


def test_a_model_too_large_for_its_device_is_told_with_its_folder(
    tiny_pairs: dict[Architecture, TinyPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any, **_keywords: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 130.00 GiB.")

    directory: Path = tiny_pairs["qwen2"].base
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", full)
    with pytest.raises(MemoryTooSmall, match=rf"^{directory}: the model does not fit into the memory of cpu"):
        TransformersExtractor(directory, 1, device="cpu")


UNDER_A_LIMIT = """
import resource, sys
import numpy as np
from nlareport.backends.transformers_local import TransformersExtractor
with TransformersExtractor(sys.argv[1], 2, device="cpu", dtype="float32", batch_size=1500) as extractor:
    token_ids = [[(5 + 7 * row + place) % 300 for place in range(200)] for row in range(1500)]
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 120_000_000, resource.RLIM_INFINITY))
    vectors = extractor.extract(token_ids)
    assert extractor._batch.n_rows < 1500, "the limit was never met"
    np.testing.assert_allclose(extractor.extract(token_ids[:8]), vectors[:8], rtol=1e-4, atol=1e-4)
"""


@pytest.mark.soak
def test_a_process_that_may_have_no_more_memory_goes_on_with_smaller_batches(
    tiny_pairs: dict[Architecture, TinyPair],
) -> None:
    command = [sys.executable, "-c", UNDER_A_LIMIT, str(tiny_pairs["qwen2"].base)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_says_where_memory_made_its_batches_smaller_also_when_it_is_stopped(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, 16)
    content: dict[str, Any] = scripted_content(8) | {"pairs": [tiny_pairs["llama"].pair_spec.model_dump()]}
    content["sampling"]["reference_pair"] = pair_id = tiny_pairs["llama"].pair_spec.pair_id
    content |= {"decoding": {"max_new_tokens": 3}, "compute": {"batch_size": 4, "dtype": "float32"}}
    experiment, db = write_experiment(tmp_path, content), tmp_path / "run.duckdb"
    for stage in ("sample", "extract"):
        run(experiment, db, "transformers", only=stage)
    asked: list[int] = []

    def narrow(_verbalizer: TransformersVerbalizer, _vectors: torch.Tensor, places: list[int], *_draws: Any) -> Any:
        asked.append(len(places))
        if len(places) > 2:
            raise GPU
        if len(asked) > 3:
            raise KeyboardInterrupt
        return [Completion("text", 1, "stop")] * len(places)

    monkeypatch.setattr(TransformersVerbalizer, "_write", narrow)
    with pytest.raises(KeyboardInterrupt):
        run(experiment, db, "transformers", only="verbalize")
    assert asked == [4, 2, 2, 2]
    with RunFile.open_to_read(db) as run_file:
        environment = run_file.run().environment
    assert environment["smaller_batches"] == {pair_id: {"verbalizer": 2}}
    assert environment["batch_size"] == 4


def test_the_smallest_batch_of_each_model_is_kept() -> None:
    once = identity.with_smaller_batches({"device": "cpu"}, "a", "verbalizer", 3)
    assert once == {"device": "cpu", "smaller_batches": {"a": {"verbalizer": 3}}}
    assert identity.with_smaller_batches(once, "a", "verbalizer", 5) == once
    more = identity.with_smaller_batches(once, "b", "reconstructor", 1)
    more = identity.with_smaller_batches(more, "a", "verbalizer", 2)
    assert more["smaller_batches"] == {"a": {"verbalizer": 2}, "b": {"reconstructor": 1}}
