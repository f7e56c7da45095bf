"""The numbers of a verbalizer's residual stream: a choice of the experiment, told in the run, kept by both halves."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support.scripted_runs import run, scripted_content, write_corpus, write_experiment
from support.tiny_checkpoints import Architecture, TinyPair

from nlareport.backends.streams import keeps_float32, stream_choice
from nlareport.backends.transformers_local import TransformersVerbalizer
from nlareport.cli import cli
from nlareport.errors import RunOfAnotherExperiment
from nlareport.experiment.decoding_section import Decoding, Stream
from nlareport.models.injection import rescale
from nlareport.rows.item_rows import Explanation
from nlareport.rows.run_rows import Choice
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile

torch.set_num_threads(1)

STREAMS: tuple[Stream, ...] = get_args(Stream)


def vectors(n: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((n, 32)).astype(np.float32)


@pytest.mark.parametrize(
    ("stream", "scale", "kept"),
    [
        ("float32", 80_000.0, True),
        ("float32", 1_000.0, True),
        ("float32", None, True),
        ("float32", 999.0, False),
        ("model", 80_000.0, False),
        ("model", None, False),
        ("model", 30.0, False),
    ],
)
def test_only_vectors_of_a_large_norm_or_of_their_own_are_kept_in_32_bits(
    stream: Stream, scale: float | None, kept: bool
) -> None:
    assert keeps_float32(stream, scale) is kept


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            ("float32", 60_000.0, "bfloat16"),
            "Vectors enter at norm 60,000, so they and the residual stream are kept in float32 while weights are "
            "bfloat16; the public server computes in bfloat16, so single texts differ from its.",
        ),
        (
            ("model", 60_000.0, "bfloat16"),
            "Vectors enter at norm 60,000 and are rounded to bfloat16 like the whole residual stream, as on the public "
            "server.",
        ),
        (
            ("float32", 59.87, "bfloat16"),
            "Vectors enter at norm 59.87 and are rounded to bfloat16 like the whole residual stream, as on the public "
            "server.",
        ),
        (
            ("float32", None, "float32"),
            "Vectors enter at their own norm; the whole verbalizer runs in float32; the public server computes in "
            "bfloat16, so single texts differ from its.",
        ),
    ],
)
def test_every_stream_is_told_beside_the_public_servers(asked: tuple[Stream, float | None, str], sentence: str) -> None:
    assert stream_choice(*asked) == sentence


def test_the_two_streams_carry_the_same_vector_in_other_numbers(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    exact = torch.from_numpy(rescale(vectors(2), 60_000.0))
    seen: dict[str, list[torch.Tensor]] = {}
    for stream in STREAMS:
        with TransformersVerbalizer(
            tiny_pairs["gemma3"].verbalizer, dtype="bfloat16", max_new_tokens=2, stream=stream
        ) as verbalizer:
            inputs: list[torch.Tensor] = []
            for block in verbalizer._model.model.layers:
                block.register_forward_pre_hook(lambda _block, given, kept=inputs: kept.append(given[0].clone()))
            verbalizer.verbalize(vectors(2))
            seen[stream] = inputs
            entering = inputs[0][:, verbalizer._marker_index]
        torch.testing.assert_close(entering, exact if stream == "float32" else exact.bfloat16(), rtol=0, atol=0)
    assert {stream: {given.dtype for given in inputs} for stream, inputs in seen.items()} == {
        "float32": {torch.float32},
        "model": {torch.bfloat16},
    }


def test_either_stream_runs_from_the_command_line_and_the_run_says_which(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    write_corpus(tmp_path, 6)
    content: dict[str, Any] = scripted_content(2) | {"pairs": [tiny_pairs["gemma3"].pair_spec.model_dump()]}
    content["sampling"]["reference_pair"] = tiny_pairs["gemma3"].pair_spec.pair_id
    content["compute"] = {"batch_size": 2, "dtype": "bfloat16"}
    told = {}
    for stream in STREAMS:
        content["decoding"] = {"max_new_tokens": 3, "stream": stream}
        experiment, db = write_experiment(tmp_path, content), tmp_path / f"{stream}.duckdb"
        command = ["run", experiment, "--db", db, "--device", "cpu", "--only"]
        for stage in ("sample", "extract", "verbalize"):
            result = CliRunner().invoke(cli, [str(argument) for argument in (*command, stage)])
            assert result.exit_code == 0, result.output
        with DuckDBReader.open(db) as reader:
            assert len(reader.table(Explanation)) == 2
            rows = [Choice(**row) for row in reader.table(Choice).iter_rows(named=True)]
        (told[stream],) = (row.text for row in rows if (row.role, row.topic) == ("verbalizer", "stream"))
    assert "kept in float32 while weights are bfloat16" in told["float32"]
    assert "as on the public server" in told["model"]


def test_an_experiment_that_does_not_name_the_stream_means_float32_and_a_run_keeps_to_its_own(tmp_path: Path) -> None:
    assert Decoding() == Decoding(stream="float32")
    write_corpus(tmp_path, 6)
    content, db = scripted_content(2), tmp_path / "run.duckdb"
    run(write_experiment(tmp_path, content), db, only="sample")
    content["decoding"]["stream"] = "model"
    with pytest.raises(RunOfAnotherExperiment, match=r"other values of decoding\.stream: put those keys back"):
        run(write_experiment(tmp_path, content), db)
    content["decoding"]["stream"] = "float32"
    run(write_experiment(tmp_path, content), db, only="sample")
    with RunFile.open_to_read(db) as run_file:
        assert "stream: float32" in (run_file.run().experiment_yaml or "")
