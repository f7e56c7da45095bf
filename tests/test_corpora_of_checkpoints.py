"""Chats and given vectors through real checkpoints, tiny ones: from the experiment file to the scores."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support.scripted_runs import run, write_experiment
from support.tiny_checkpoints import Architecture, TinyPair, copied_pair
from transformers import AutoTokenizer

from nlareport.backends.transformers_reading import TransformersTokenizer
from nlareport.errors import CheckpointChanged, CorpusTooShort
from nlareport.rows.item_rows import Alignment, Item, Score, Tag
from nlareport.rows.run_rows import Document, Making
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore

CHATS = [
    [
        {"role": "system", "content": "Explain."},
        {"role": "user", "content": f"The river rose by {n} metres?"},
        {"role": "assistant", "content": "It was swept away."},
    ]
    for n in range(3)
]


def an_experiment(folder: Path, pairs: list[TinyPair], corpus: dict[str, Any], **sampling: Any) -> Path:
    content = {
        "experiment": "tiny",
        "title": "Tiny pairs",
        "corpus": {"name": "mine", **corpus},
        "sampling": {"seed": 1, "n_items": 3, "reference_pair": pairs[0].pair_spec.pair_id, **sampling},
        "decoding": {"max_new_tokens": 4},
        "compute": {"dtype": "float32"},
        "scoring": {"bootstrap_draws": 100, "unclean": "raw"},
        "pairs": [pair.pair_spec.model_dump() for pair in pairs],
    }
    return write_experiment(folder, content)


def write_chats(folder: Path, chats: list[list[dict[str, str]]]) -> dict[str, Any]:
    (folder / "chats.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats))
    return {"kind": "local", "path": "chats.jsonl", "messages_column": "messages"}


def prompt_of(pair: TinyPair, chat: list[dict[str, str]]) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(pair.base)
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return tokenizer.encode(text, add_special_tokens=False)


def test_the_place_where_a_chat_is_answered_is_the_end_of_each_pairs_own_prompt(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    pairs = [copied_pair(tiny_pairs[name], tmp_path / name) for name in ("qwen2", "gemma3")]
    corpus = write_chats(tmp_path, CHATS)
    experiment, db = an_experiment(tmp_path, pairs, corpus, positions="generation_prompt"), tmp_path / "run.duckdb"
    assert run(experiment, db, "transformers", limit=2) == "2 items, 4 explanations, 8 scores"
    with RunFile.open_to_read(db) as run_file:
        assert {item.token for item in run_file.rows(Item)} == {"assistant:"}
        assert all(item.context.endswith("metres?\n\nassistant:") for item in run_file.rows(Item))
        found = {(row.pair_id, row.item_id): row.token_index + 1 for row in run_file.rows(Alignment)}
        templates = {
            row.pair_id for row in run_file.rows(Making) if row.kind == "chat_template" and row.role == "base_model"
        }
        assert len(templates) == 2
    for pair in pairs:
        for number in range(2):
            assert found[pair.pair_spec.pair_id, number] == len(prompt_of(pair, CHATS[number][:2]))
    template = pairs[1].base / "chat_template.jinja"
    template.write_text(template.read_text().replace("<start_of_turn>model", "<start_of_turn>a model"))
    with pytest.raises(CheckpointChanged, match="chat template of the base model of pair tiny-gemma3"):
        run(experiment, db, "transformers")


def test_the_last_token_of_a_role_is_read_again_from_kept_chats_once_the_corpus_is_gone(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    pairs = [tiny_pairs["llama"], tiny_pairs["gemma3"]]
    corpus = write_chats(tmp_path, CHATS)
    experiment = an_experiment(tmp_path, pairs, corpus, positions="last", roles=["user"])
    db = tmp_path / "run.duckdb"
    run(experiment, db, "transformers", only="sample")
    (tmp_path / "chats.jsonl").unlink()
    run(experiment, db, "transformers")
    with RunFile.open_to_read(db) as run_file:
        assert {item.context.rsplit(" ", 1)[-1] for item in run_file.rows(Item)} == {"metres?"}
        assert {(tag.name, tag.value) for tag in run_file.rows(Tag)} >= {("role", "user")}
        assert {row.char_error for row in run_file.rows(Alignment)} == {0}
        assert len(run_file.rows(Score)) == 12


def test_a_chat_that_one_pairs_template_refuses_is_no_item_of_any(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    pairs = [tiny_pairs["qwen2"], copied_pair(tiny_pairs["llama"], tmp_path / "llama")]
    template = pairs[1].base / "chat_template.jinja"
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    template.write_text(refusal + template.read_text())
    experiment = an_experiment(
        tmp_path, pairs, write_chats(tmp_path, [CHATS[0], CHATS[1][1:], CHATS[2]]), positions="last"
    )
    with pytest.raises(
        CorpusTooShort, match=r"2 of 3 documents cannot be rendered .*tiny-llama .*System role not supp"
    ):
        run(experiment, tmp_path / "run.duckdb", "transformers", only="sample")
    with RunFile.open_to_read(tmp_path / "run.duckdb") as run_file:
        assert [row.skipped_reason is None for row in run_file.rows(Document)] == [False, True, False]


def test_special_tokens_that_a_text_spells_are_those_tokens_and_no_items(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    text = "<bos><start_of_turn>user\nThe river<end_of_turn>\n<start_of_turn>model\n"
    (tmp_path / "texts.txt").write_text(f"{text}one\n\n{text}two\n\n{text}three")
    corpus = {"kind": "local", "path": "texts.txt"}
    pair = copied_pair(tiny_pairs["gemma3"], tmp_path / "gemma3")
    # As released: only the vocabulary flags what begins and ends a turn.
    path = pair.base / "tokenizer_config.json"
    named = json.loads(path.read_text())
    del named["extra_special_tokens"]
    path.write_text(json.dumps(named))
    experiment = an_experiment(tmp_path, [pair], corpus, positions={"every": 1}, min_left_context=0)
    db = tmp_path / "run.duckdb"
    run(experiment, db, "transformers", limit=3, only="sample")
    with RunFile.open_to_read(db) as run_file:
        items = run_file.rows(Item)
    tokenizer = AutoTokenizer.from_pretrained(tiny_pairs["gemma3"].base)
    token_ids = tokenizer.encode(f"{text}one", add_special_tokens=False)
    special = {*tokenizer.all_special_ids}
    assert not {*TransformersTokenizer(pair.base).special_ids} >= special
    assert len(items) == sum(token_id not in special for token_id in token_ids)
    assert not any("_of_turn" in item.token or "bos" in item.token for item in items)
    run(experiment, db, "transformers", limit=3, only="extract")
    with RunFile.open_to_read(db) as run_file:
        assert max(row.token_index for row in run_file.rows(Alignment)) == len(token_ids) - 1


def test_given_vectors_are_explained_and_read_without_a_base_model(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    pairs = [copied_pair(tiny_pairs[name], tmp_path / name) for name in ("qwen2", "llama")]
    vectors = np.random.default_rng(1).standard_normal((2, 3, 32)).astype(np.float32)
    for pair, rows in zip(pairs, vectors, strict=True):
        shutil.rmtree(pair.base)
        frame = {"activation_vector": rows.tolist(), "label": ["anger", "calm", "French"], "activation_layer": [1] * 3}
        pl.DataFrame(frame).write_parquet(tmp_path / f"{pair.pair_spec.pair_id}.parquet")
    path = {pair.pair_spec.pair_id: f"{pair.pair_spec.pair_id}.parquet" for pair in pairs}
    experiment, db = an_experiment(tmp_path, pairs, {"kind": "vectors", "path": path}), tmp_path / "run.duckdb"
    assert run(experiment, db, "transformers") == "3 items, 6 explanations, 12 scores"
    assert run(experiment, db, "transformers").endswith("nothing was missing")
    with RunFile.open_to_read(db) as run_file:
        assert [item.token for item in run_file.rows(Item)] == ["anger", "calm", "French"]
    stored = ActivationStore(db).read_activations("tiny-llama").vectors
    assert np.array_equal(stored, vectors[1])
