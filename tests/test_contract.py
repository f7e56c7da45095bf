"""What a checkpoint's files leave open: used, refused by name, or told as a choice before the first batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import run, write_corpus, write_experiment
from tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair, write_sidecar

from nlareport.assurance_rows import Choice
from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.transformers_reading import TransformersReconstructor
from nlareport.checkpoint import read_sidecar
from nlareport.errors import CheckpointDrift
from nlareport.rows import PairId
from nlareport.store.database import RunFile
from nlareport.store.queries import DuckDBReader

SETTINGS = EngineSettings(device="cpu", dtype="bfloat16", batch_size=2, max_new_tokens=8)


@pytest.fixture
def pair_of(tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path) -> Callable[[Architecture], TinyPair]:
    """Copies of tiny pairs that may be changed."""
    return lambda architecture: copied_pair(tiny_pairs[architecture], tmp_path / architecture)


def topics(pair: TinyPair, settings: EngineSettings = SETTINGS) -> dict[tuple[str, str], str]:
    rows = load_engine("transformers", settings).choices(pair.pair_spec)
    assert all(row.pair_id == pair.pair_spec.pair_id for row in rows)
    found = {(row.role, row.topic): row.text for row in rows}
    assert len(found) == len(rows)
    return found


def restate(directory: Path, **values: Any) -> None:
    write_sidecar(directory, replace(read_sidecar(directory), **values))


def tiny_content(pair: TinyPair, n_items: int = 3) -> dict[str, Any]:
    """An experiment on one tiny pair, to stand beside a `write_corpus` of its texts."""
    return {
        "experiment": "tiny",
        "title": "A tiny pair",
        "corpus": {"kind": "local", "name": "reports", "path": "documents.jsonl"},
        "sampling": {"seed": 3, "n_items": n_items, "reference_pair": pair.pair_spec.pair_id},
        "decoding": {"max_new_tokens": 4},
        "compute": {"batch_size": 2, "dtype": "float32"},
        "scoring": {"bootstrap_draws": 100, "unclean": "raw"},
        "pairs": [pair.pair_spec.model_dump(mode="json")],
    }


def test_a_verbalizer_without_an_injection_scale_is_told_as_a_choice(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("qwen2")
    assert ("verbalizer", "injection_scale") not in topics(pair)
    restate(pair.verbalizer, injection_scale=None)
    pair = replace(pair, pair_spec=pair.pair_spec.model_copy(update={"injection_scale": None}))
    assert topics(pair)["verbalizer", "injection_scale"] == (
        "Its sidecar names no injection scale, so every vector is injected at its own norm; "
        "the public client calls that a fault."
    )


def test_embeddings_that_the_model_scales_itself_are_told_with_both_factors(
    tiny_pairs: dict[Architecture, TinyPair],
) -> None:
    assert topics(tiny_pairs["gemma3"])["verbalizer", "embeddings"] == (
        "The other tokens of its prompt are embedded by the model's own module, which multiplies by 5.65625 in "
        "bfloat16; the public client multiplies by √d_model, 5.65685."
    )
    assert (
        "5.65685 in float32"
        in topics(tiny_pairs["gemma3"], replace(SETTINGS, dtype="float32"))["verbalizer", "embeddings"]
    )
    assert ("verbalizer", "embeddings") in topics(tiny_pairs["gemma3_multimodal"])
    assert ("verbalizer", "embeddings") not in topics(tiny_pairs["llama"])


def test_a_reconstructor_trained_at_another_norm_is_told_and_one_at_the_root_of_d_model_is_not(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("llama")
    assert ("reconstructor", "mse_scale") not in topics(pair)
    restate(pair.reconstructor, mse_scale=100.0)
    assert topics(pair)["reconstructor", "mse_scale"] == (
        "It was trained with both vectors at norm 100 (mse_scale); scores have them at √d_model = 5.65685, so an "
        "mse_nrm is not that of its training."
    )
    restate(pair.reconstructor, mse_scale=None)
    assert topics(pair)["reconstructor", "mse_scale"] == (
        "It was trained on raw vectors (mse_scale null); scores compare directions, both vectors at norm "
        "√d_model = 5.65685."
    )


def test_halves_that_do_not_name_their_block_are_opened_for_that_of_the_experiment(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("gemma3")
    for directory in (pair.verbalizer, pair.reconstructor):
        restate(directory, block_index=None)
    load_engine("transformers", SETTINGS).check(pair.pair_spec)
    told = topics(pair)
    assert told["verbalizer", "block_index"] == (
        "Its sidecar names no block; it is taken to have learned block 1, as the experiment says."
    )
    assert told["reconstructor", "block_index"] == (
        "Its sidecar names no block; its config.json keeps 2 blocks, so it reads the output of block 1, as the "
        "experiment says."
    )
    with TransformersReconstructor(pair.reconstructor, device="cpu", dtype="float32") as reconstructor:
        assert reconstructor.reconstruct(["A river rose."]).shape == (1, D_MODEL)
    other = replace(pair, pair_spec=pair.pair_spec.model_copy(update={"block_index": 2}))
    with pytest.raises(
        CheckpointDrift,
        match=r"^Pair tiny-gemma3: .*/ar has 2 blocks, so it reads block 1, .* says block_index 2",
    ):
        load_engine("transformers", SETTINGS).check(other.pair_spec)


def test_a_sidecar_of_a_later_time_is_read_and_told(pair_of: Callable[[Architecture], TinyPair]) -> None:
    pair = pair_of("llama")
    assert not {topic for _, topic in topics(pair)} & {"schema_version", "block_index"}
    restate(pair.verbalizer, schema_version=3)
    told = topics(pair)
    assert told["verbalizer", "schema_version"] == (
        "Its sidecar is of schema version 3, newer than the 2 known here; it was read as far as it says the same."
    )
    assert ("reconstructor", "schema_version") not in told


def test_choices_stand_in_the_run_file_before_the_first_batch_and_leave_those_of_others_alone(
    pair_of: Callable[[Architecture], TinyPair], tmp_path: Path
) -> None:
    pair = pair_of("qwen2")
    restate(pair.reconstructor, mse_scale=100.0)
    db, experiment = tmp_path / "tiny.duckdb", write_experiment(tmp_path, tiny_content(pair))
    write_corpus(tmp_path, 8)
    run(experiment, db, "transformers", only="sample")
    with DuckDBReader.open(db) as reader:
        asked = load_engine("transformers", replace(SETTINGS, dtype="float32")).choices(pair.pair_spec)
        stored = [Choice(**record) for record in reader.table(Choice).iter_rows(named=True)]
        assert sorted(stored, key=str) == sorted(asked, key=str)
    other = Choice(PairId(pair.pair_spec.pair_id), "verbalizer", "another_topic", "A sentence.")
    stale = replace(asked[0], text="As an earlier version said it.")
    with RunFile.open(db) as run_file:
        run_file.put([other, stale])
    run(experiment, db, "transformers", only="sample")
    with RunFile.open_to_read(db) as run_file:
        assert sorted(run_file.rows(Choice), key=str) == sorted([*asked, other], key=str)


def test_a_script_leaves_nothing_open(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    assert load_engine("scripted").choices(tiny_pairs["qwen2"].pair_spec) == []
