"""Texts beyond what a model reads: documents are skipped, explanations unscored, and the page counts both."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.scripted_runs import run, write_corpus, write_experiment
from support.tiny_checkpoints import Architecture, TinyPair, copied_pair, set_stop_ids

from nlareport.backends.transformers_local import TransformersReconstructor
from nlareport.batches import UNREAD, ActivationBatch, ReadingLimits
from nlareport.errors import CorpusTooShort, NonFiniteWeights
from nlareport.publish import publish_run
from nlareport.rows.item_rows import Explanation
from nlareport.rows.run_rows import PairId
from nlareport.statistics.scores import score_cell
from nlareport.store.reader import DuckDBReader

CONTEXT, N_ITEMS = 90, 8


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("limits", "token_ids", "reason"),
    [
        (ReadingLimits(3, 10), [1, 2, 3], None),
        (ReadingLimits(3, 10), [1, 2, 3, 4], "is longer than the 3 tokens that are read"),
        (ReadingLimits(None, 10), [9], None),
        (ReadingLimits(None, 10), [10], "holds a token without an embedding"),
        (ReadingLimits(None, None), list(range(99)), None),
        (ReadingLimits(1, 1), [], None),
    ],
)
def test_what_a_model_can_read_is_bounded_by_length_and_by_its_tokens(
    limits: ReadingLimits, token_ids: list[int], reason: str | None
) -> None:
    assert limits.why_unreadable(token_ids) == reason


def test_an_explanation_that_was_not_read_is_told_apart_from_one_without_direction() -> None:
    gold = ActivationBatch(PairId("a"), np.arange(4), np.eye(4, dtype=np.float32))
    vectors = np.array([[1, 0, 0, 0], [UNREAD] * 4, [UNREAD, 0, 0, 1], [np.nan] * 4], dtype=np.float32)
    said = [Explanation(item, PairId("a"), "text", "text", 1, "closed", True) for item in range(4)]
    answers = ActivationBatch(PairId("a"), np.arange(4), vectors)
    scores = score_cell(PairId("a"), PairId("a"), gold, answers, said, 0.5, "unscored")
    assert scores[0].mse_nrm == pytest.approx(0)
    assert scores[1].unscored_reason == (
        "a cannot read the explanation: it is longer than its context, or holds a token it does not know"
    )
    assert {row.unscored_reason for row in scores[2:]} == {
        "the reconstruction of a has no direction: it is zero or not finite"
    }


def test_a_run_leaves_out_what_a_model_cannot_read_and_its_page_counts_it(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    pair = copied_pair(tiny_pairs["gemma3"], tmp_path)
    # Documents have about 20 or 80 words; Gemma's tiny tokenizer cuts these into more tokens than that.
    change(tmp_path / "base" / "config.json", max_position_embeddings=CONTEXT)
    change(tmp_path / "ar" / "config.json", max_position_embeddings=28)
    # With so many stop ids some answers end early and fit, and some do not.
    set_stop_ids(tmp_path / "av", list(range(0, 320, 20)))
    write_corpus(tmp_path, 40)
    content = {
        "experiment": "bounded",
        "title": "Bounded",
        "corpus": {"kind": "local", "name": "reports", "path": "documents.jsonl"},
        "sampling": {"seed": 3, "n_items": N_ITEMS, "reference_pair": "tiny"},
        "decoding": {"max_new_tokens": 20},
        "compute": {"batch_size": 4, "dtype": "float32"},
        "scoring": {"bootstrap_draws": 200, "unclean": "raw"},
        "pairs": [pair.pair_spec.model_dump() | {"pair_id": "tiny"}],
    }
    experiment, db = write_experiment(tmp_path, content), tmp_path / "bounded.duckdb"
    run(experiment, db, "transformers")
    with DuckDBReader.open(db) as reader:
        (largest,) = reader.frame("SELECT max(token_index) + 1 AS n FROM alignment")["n"].to_list()
        skipped = dict(reader.frame("skipped_documents").iter_rows())
        unscored = dict(reader.frame("unscored_reasons").select("reason", "n_items").iter_rows())
        n_scored = reader.frame("SELECT count(mse_nrm) AS n FROM score")["n"].item()
    beyond = f"tiny cannot read it as far as its item: the text is longer than the {CONTEXT} tokens that are read"
    assert 50 < largest <= CONTEXT
    assert skipped[beyond] >= 1
    (unread,) = unscored
    assert unread.startswith("tiny cannot read the explanation")
    assert 1 <= unscored[unread] < N_ITEMS, "some explanations fit, some do not"
    assert n_scored == N_ITEMS - unscored[unread]
    assert run(experiment, db, "transformers").endswith("nothing was missing")
    page = publish_run(db, tmp_path / "report").read_text(encoding="utf-8")
    assert unread in page
    assert beyond in page


def test_where_no_document_can_be_read_the_advice_is_to_draw_earlier(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    pair = copied_pair(tiny_pairs["gemma3"], tmp_path)
    change(tmp_path / "base" / "config.json", max_position_embeddings=52)
    (tmp_path / "documents.txt").write_text("\n\n".join(f"{n} " + "The river rose in spring. " * 60 for n in range(6)))
    content: dict[str, Any] = {
        "experiment": "beyond",
        "title": "Beyond",
        "corpus": {"kind": "local", "name": "reports", "path": "documents.txt"},
        "sampling": {"seed": 1, "n_items": 2, "reference_pair": "tiny"},
        "decoding": {"max_new_tokens": 4},
        "compute": {"dtype": "float32"},
        "pairs": [pair.pair_spec.model_dump() | {"pair_id": "tiny"}],
    }
    experiment = write_experiment(tmp_path, content)
    with pytest.raises(CorpusTooShort, match=r"Lower sampling.truncation_tokens and give another --db") as caught:
        run(experiment, tmp_path / "beyond.duckdb", "transformers", only="sample")
    assert "5 of 6 documents cannot be read by every pair as far as their item" in str(caught.value)
    content["sampling"]["truncation_tokens"] = 52
    write_experiment(tmp_path, content)
    run(experiment, tmp_path / "within.duckdb", "transformers", only="sample")


def test_a_text_that_overflows_is_an_items_fault_and_a_plain_sentence_that_does_the_models(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    directory = copied_pair(tiny_pairs["llama"], tmp_path).reconstructor
    path = tmp_path / "ar" / "model.safetensors"
    weights = load_file(path)
    # A token in no plain sentence, to which the first block adds more than float16 can hold.
    loud = 24
    weights["model.embed_tokens.weight"][loud] = 6e4
    weights["model.layers.0.self_attn.v_proj.weight"] *= 1e4
    save_file(weights, path, metadata={"format": "pt"})
    with TransformersReconstructor(directory, device="cpu", dtype="float16") as reconstructor:
        word = reconstructor._tokenizer.decode([loud])
        assert loud in reconstructor.prompt_ids(word)
        plain, overflowing = np.isfinite(reconstructor.reconstruct(["plain", word]))
        assert plain.all()
        assert not overflowing.all()
    weights = {name: weight * (1e30 if "down_proj" in name else 1) for name, weight in weights.items()}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(
        NonFiniteWeights, match=r"are not all finite in float16. Set compute.dtype to bfloat16 or float32"
    ):
        TransformersReconstructor(directory, device="cpu", dtype="float16")
