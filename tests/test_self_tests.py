"""Every self-test fails when the real thing is broken, stops a run where numbers would be wrong, and is told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support.scripted_runs import run, scripted_content, write_corpus, write_experiment
from support.tiny_checkpoints import ARCHITECTURES, Architecture, TinyPair, copied_pair

from nlareport.backends import scripted
from nlareport.backends.transformers_local import (
    TransformersExtractor,
    TransformersReconstructor,
    TransformersTokenizer,
    TransformersVerbalizer,
)
from nlareport.checks import Finding
from nlareport.cli import cli
from nlareport.errors import SelfTestFailed
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import SelfTest
from nlareport.stages.read_again import read_again
from nlareport.statistics.reading_tolerance import READING, Bounds, distance_over_variance, number_finding
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import read_run

torch.set_num_threads(1)

TEXTS = [
    "The river rose by 14 metres in the spring of 1998, and the old bridge was swept away.",
    "Shares fell.",
    "“Größe, naïve café” — she said — is not what I'd call plain English…" * 2,
    "Shares of the company fell 3.2% after the report; analysts had expected worse.",
]


def extractor_findings(pair: TinyPair, dtype: str, spoil: Callable[[Any], object] = id) -> dict[str, Finding]:
    tokenizer = TransformersTokenizer(pair.base)
    sequences = [tokenizer.tokenize(text, None).token_ids for text in TEXTS]
    with TransformersExtractor(pair.base, 1, dtype=dtype) as extractor:
        spoil(extractor)
        vectors = extractor.extract(sequences)
        found = read_again(sequences, vectors, extractor.extract, dtype)
        return by_name(found + extractor.self_tests(sequences, vectors))


def verbalizer_findings(pair: TinyPair, dtype: str, spoil: Callable[[Any], object] = id) -> dict[str, Finding]:
    vectors = np.random.default_rng(3).normal(size=(3, 32)).astype(np.float32)
    with TransformersVerbalizer(pair.verbalizer, dtype=dtype, max_new_tokens=12) as verbalizer:
        spoil(verbalizer)
        verbalizer.verbalize(vectors)
        return by_name(verbalizer.self_tests(vectors))


def reconstructor_findings(pair: TinyPair, dtype: str, spoil: Callable[[Any], object] = id) -> dict[str, Finding]:
    with TransformersReconstructor(pair.reconstructor, dtype=dtype) as reconstructor:
        spoil(reconstructor)
        vectors = reconstructor.reconstruct(TEXTS)
        found = read_again(TEXTS, vectors, reconstructor.reconstruct, dtype)
        return by_name(found + reconstructor.self_tests(TEXTS, vectors))


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.test: finding for finding in findings}


def failing(findings: dict[str, Finding]) -> dict[str, bool]:
    """The tests that fail, and whether they say that numbers are wrong."""
    return {name: finding.is_wrong for name, finding in findings.items() if not finding.passed}


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    [*((architecture, "bfloat16") for architecture in ARCHITECTURES), ("gemma3", "float32"), ("qwen2", "float16")],
)
def test_sound_models_pass_in_every_dtype(
    tiny_pairs: dict[Architecture, TinyPair], architecture: Architecture, dtype: str
) -> None:
    pair = tiny_pairs[architecture]
    found = [
        extractor_findings(pair, dtype),
        verbalizer_findings(pair, dtype),
        reconstructor_findings(pair, dtype),
    ]
    assert [list(findings) for findings in found] == [
        ["alone_equals_batch", "repeated", "block_output"],
        ["marker", "injected_vector", "other_embeddings", "stop_ids", "greedy"],
        ["alone_equals_batch", "repeated", "block_output", "plain_pass", "suffix"],
    ]
    assert [failing(findings) for findings in found] == [{}, {}, {}]


# Models that are broken ---------------------------------------------------------------------------------------------


def sees_padding(model: Any) -> None:
    """Attention that looks both ways and has no mask: what pads a text is read with it."""
    inner = model._model
    for layer in inner.layers:
        layer.self_attn.is_causal = False

    def unmask(_module: Any, given: Any, named: dict[str, Any]) -> Any:
        named["attention_mask"] = {
            kind: torch.zeros(1, 1, 1, 1) for kind in ("full_attention", "sliding_attention", "causal")
        }
        return given, named

    inner.register_forward_pre_hook(unmask, with_kwargs=True)


def drops_out(model: Any) -> None:
    """What is left of training: a part of every vector is dropped, another one each time."""
    model._model.layers[0].register_forward_hook(lambda _module, _given, output: torch.dropout(output, 0.1, True))


def test_a_model_that_sees_padding_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    pair = tiny_pairs["gemma3"]
    assert failing(extractor_findings(pair, "float32", sees_padding)) == {"alone_equals_batch": True}
    assert failing(reconstructor_findings(pair, "bfloat16", sees_padding))["alone_equals_batch"]


def test_a_model_that_draws_at_random_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    found = failing(extractor_findings(tiny_pairs["llama"], "bfloat16", drops_out))
    assert found == {"alone_equals_batch": True, "repeated": False}


def test_a_vector_that_is_fed_at_another_norm_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    def rescale(verbalizer: Any) -> None:
        def shrunk(_module: Any, given: Any, named: dict[str, Any]) -> Any:
            if (embeds := named.get("inputs_embeds")) is not None and embeds.shape[1] > 1:
                named["inputs_embeds"] = embeds.clone()
                named["inputs_embeds"][:, verbalizer._marker_index] *= 0.98
            return given, named

        verbalizer._model.model.register_forward_pre_hook(shrunk, with_kwargs=True)

    found = verbalizer_findings(tiny_pairs["qwen2"], "bfloat16", rescale)
    assert failing(found)["injected_vector"]
    assert found["injected_vector"].value == pytest.approx(0.02, abs=0.002)
    assert "against the vector at norm 150: relative error, in bfloat16" in found["injected_vector"].text


def test_a_vector_at_the_wrong_place_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    def shift(verbalizer: Any) -> None:
        verbalizer._marker_index += 1

    found = failing(verbalizer_findings(tiny_pairs["gemma3"], "float32", shift))
    assert {"marker": True, "injected_vector": True, "other_embeddings": True}.items() <= found.items()


def test_embeddings_that_something_hooked_to_them_changes_are_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    def rescale(verbalizer: Any) -> None:
        embedding = verbalizer._model.get_input_embeddings()
        embedding.register_forward_hook(lambda _module, _ids, embedded: embedded * 1.01)

    assert failing(verbalizer_findings(tiny_pairs["llama"], "float32", rescale)) == {"other_embeddings": True}


def test_a_stop_id_that_stops_nothing_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    def forget(verbalizer: Any) -> None:
        _first, *rest = verbalizer._generation_config.eos_token_id
        assert rest
        verbalizer._generation_config.eos_token_id = rest

    found = verbalizer_findings(tiny_pairs["qwen2"], "float32", forget)
    assert failing(found) == {"stop_ids": True}
    assert "Each of the stop ids 0, 2 ends an answer" in found["stop_ids"].text


def test_an_answer_written_behind_its_end_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    def go_on(verbalizer: Any) -> None:
        generated = verbalizer._generated

        def longer(*given: Any) -> list[list[int]]:
            stop_id = min(verbalizer._stop_ids)
            return [[7, stop_id, 7] if len(row) > 2 else row for row in generated(*given)]

        verbalizer._generated = longer

    assert failing(verbalizer_findings(tiny_pairs["qwen2"], "float32", go_on))["stop_ids"]


def test_an_answer_that_is_drawn_instead_of_decoded_greedily_is_told(
    tiny_pairs: dict[Architecture, TinyPair],
) -> None:
    def draw(verbalizer: Any) -> None:
        torch.manual_seed(1)
        verbalizer._generation_config.do_sample = True
        verbalizer._generation_config.temperature = 5.0
        verbalizer._generation_config.top_k = 0

    found = verbalizer_findings(tiny_pairs["llama"], "float32", draw)
    assert failing(found) == {"greedy": True}
    assert "would be another one alone" in found["greedy"].text


def test_a_head_that_is_not_the_one_on_file_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    def bend(reconstructor: Any) -> None:
        noise = torch.randn(32, 32, generator=torch.manual_seed(1))
        reconstructor._head = replace(reconstructor._head, weight=reconstructor._head.weight + 0.1 * noise)

    assert failing(reconstructor_findings(tiny_pairs["gemma3"], "bfloat16", bend)) == {"plain_pass": True}


def test_a_reconstructor_that_reads_the_token_before_the_last_is_told(
    tiny_pairs: dict[Architecture, TinyPair],
) -> None:
    def step_back(reconstructor: Any) -> None:
        reader = reconstructor._reader
        read_at = reader.read_at
        reader.read_at = lambda batch, places: read_at(batch, [(row, token - 1) for row, token in places])

    assert failing(reconstructor_findings(tiny_pairs["llama"], "bfloat16", step_back)) == {"plain_pass": True}


def test_a_prompt_that_ends_in_something_else_is_told(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    def lengthen(reconstructor: Any) -> None:
        template = reconstructor.sidecar.reconstructor_template
        reconstructor.sidecar = replace(reconstructor.sidecar, reconstructor_template=f"{template}.")

    assert failing(reconstructor_findings(tiny_pairs["qwen2"], "float32", lengthen)) == {"suffix": True}


# What is compared ---------------------------------------------------------------------------------------------------


def test_only_texts_that_were_read_are_read_again() -> None:
    vectors = np.array([[np.inf, 0.0], [0.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    asked: list[list[str]] = []

    def read(texts: list[str]) -> np.ndarray:
        asked.append(texts)
        return np.array([[1.0, 0.0]] * len(texts), dtype=np.float32)

    assert not failing(by_name(read_again(["a", "b", "longest"], vectors, read, "float32")))
    assert {text for texts in asked for text in texts} == {"longest"}
    assert read_again(["a", "b"], vectors[:2], read, "float32") == []


def test_a_distance_is_a_share_of_v() -> None:
    # Two unit vectors at right angles: V is 1/2, and they are 2 apart.
    one, other = np.array([[1.0, 0.0]], dtype=np.float32), np.array([[0.0, 3.0]], dtype=np.float32)
    assert distance_over_variance(one, other, np.concatenate([one, other])) == pytest.approx(4.0)
    # Of one vector V says nothing: it stands for the smallest that a released pair has.
    assert distance_over_variance(one, other, one) == pytest.approx(2 / 0.03)
    assert np.isnan(distance_over_variance(one, 0 * other, one))


def test_a_test_without_a_number_where_one_should_be_is_wrong() -> None:
    assert number_finding("greedy", float("nan"), Bounds(1.0, 2.0), "") == Finding("greedy", False, "", None, 1.0, True)
    assert [number_finding("x", value, Bounds(1.0, 2.0), "").is_wrong for value in (1.0, 1.5, 2.0, 2.5)] == [0, 0, 0, 1]
    assert [number_finding("x", value, Bounds(1.0, 2.0), "").passed for value in (1.0, 1.5)] == [True, False]


# In a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def experiment(tmp_path: Path, tiny_pairs: dict[Architecture, TinyPair]) -> Path:
    """Four items on one tiny random pair, in float32."""
    write_corpus(tmp_path, 6)
    content = scripted_content(4)
    pair = copied_pair(tiny_pairs["qwen2"], tmp_path)
    content["pairs"] = [pair.pair_spec.model_dump(mode="json")]
    content["sampling"]["reference_pair"] = pair.pair_spec.pair_id
    content["scoring"]["unclean"] = "raw"
    content["decoding"]["max_new_tokens"] = 6
    return write_experiment(tmp_path, content)


def self_tests(db: Path) -> list[SelfTest]:
    return read_run(db).of(SelfTest)


def test_a_run_keeps_its_self_tests_and_shows_them(experiment: Path, tmp_path: Path) -> None:
    db = tmp_path / "run.duckdb"
    run(experiment, db, "transformers")
    kept = self_tests(db)
    assert len(kept) == 3 + 5 + 5
    assert all(row.passed and row.text for row in kept)
    checked = CliRunner().invoke(cli, ["check", str(db)])
    assert "Self-tests of the models, made while the run computed: 13 of 13 passed." in checked.output
    CliRunner().invoke(cli, ["render", str(db), "--out", str(tmp_path / "report")])
    page = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert "13 of 13 tests passed" in page
    assert "<code>injected_vector</code>" in page
    assert (tmp_path / "report/downloads/queries/self_tests.csv").exists()


def test_what_is_wrong_stops_a_run_before_anything_is_stored(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "run.duckdb"
    monkeypatch.setattr(TransformersReconstructor, "prompt_ids", lambda _self, text: [len(text) % 7, 3])
    with pytest.raises(SelfTestFailed, match=r"Pair tiny-qwen2: its reconstructor fails the self-test plain_pass, so"):
        run(experiment, db, "transformers")
    assert not list((tmp_path / "run.activations").glob("reconstructions/*/*.parquet"))
    assert {row.role for row in self_tests(db)} == {"base_model", "verbalizer"}
    monkeypatch.undo()
    run(experiment, db, "transformers")
    assert len(read_run(db).of(Score)) == 4


def test_what_is_only_less_exact_is_stored_and_told_as_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path, 10)
    experiment, db = write_experiment(tmp_path, scripted_content(4)), tmp_path / "run.duckdb"
    extract = scripted.ScriptedExtractor.extract

    def trembling(self: Any, token_ids: list[list[int]]) -> np.ndarray:
        vectors = np.asarray(extract(self, token_ids))
        vectors[:, 0] += 0.05 * len(token_ids)
        return vectors

    monkeypatch.setattr(scripted.ScriptedExtractor, "extract", trembling)
    run(experiment, db)
    failed = [row for row in self_tests(db) if not row.passed]
    assert {row.test for row in failed} == {"alone_equals_batch"}
    assert all(READING["float32"].tolerance < (row.value or 0) < READING["float32"].wrong_from for row in failed)
    checked = CliRunner().invoke(cli, ["check", str(db)])
    assert checked.exit_code == 1
    assert "self-test alone_equals_batch of pair small, base_model, did not pass: The shortest text" in checked.stderr
    assert "6 of 8 passed" in checked.stdout


def extract(experiment: Path, db: Path) -> None:
    for stage in ("sample", "extract"):
        run(experiment, db, only=stage)


def test_tests_are_made_once_unless_the_run_goes_on_otherwise(tmp_path: Path) -> None:
    write_corpus(tmp_path, 10)
    content = scripted_content(4)
    experiment, db = write_experiment(tmp_path, content), tmp_path / "run.duckdb"
    extract(experiment, db)
    marked = replace(self_tests(db)[0], text="From the first time.")
    with RunFile.open(db) as run_file:
        run_file.put([marked])
    content["sampling"]["n_items"] = 6
    extract(write_experiment(tmp_path, content), db)
    assert marked in self_tests(db)
    content["sampling"]["n_items"], content["compute"]["batch_size"] = 8, 3
    extract(write_experiment(tmp_path, content), db)
    assert marked not in self_tests(db)
    failed = replace(marked, passed=False)
    with RunFile.open(db) as run_file:
        run_file.put([failed])
    content["sampling"]["n_items"] = 10
    write_corpus(tmp_path, 15)
    extract(write_experiment(tmp_path, content), db)
    assert failed in self_tests(db)
