"""A character that the reference cuts into several tokens: the drawn one is measured wherever texts are cut alike."""

import json
from pathlib import Path
from typing import Any

import torch
from support.scripted_runs import run, scripted_content, write_experiment
from support.tiny_checkpoints import Architecture, TinyPair, tiny_tokenizer

from nlareport.rows.item_rows import Alignment, Item
from nlareport.stages.sample import sample_positions
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore

torch.set_num_threads(1)

N_DOCUMENTS, K = 2, 6


def test_pairs_that_cut_as_the_reference_read_the_drawn_piece_and_others_the_whole_character(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    texts = ["The river " + "江河水位上涨了" * 9 + f" rose {n}." for n in range(N_DOCUMENTS)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "documents.jsonl").write_text(lines, encoding="utf-8")
    qwen, llama = (tiny_pairs[name].pair_spec for name in ("qwen2", "llama"))
    content: dict[str, Any] = scripted_content(N_DOCUMENTS * K)
    # Of the same base under two names, as pairs of two blocks are; Llama's BOS moves every place by one.
    content["pairs"] = [
        spec.model_dump() | {"pair_id": name} for name, spec in (("one", qwen), ("other", llama), ("twin", qwen))
    ]
    content["sampling"] |= {"reference_pair": "one", "positions_per_document": K}
    db = tmp_path / "run.duckdb"
    run(write_experiment(tmp_path, content), db, "transformers", only="sample")
    run(write_experiment(tmp_path, content), db, "transformers", only="extract")
    with RunFile.open_to_read(db) as run_file:
        items, found = run_file.rows(Item), run_file.rows(Alignment)
    index = {(row.pair_id, row.item_id): row.token_index for row in found}
    tokenizer = tiny_tokenizer("qwen2")
    drawn = [
        position
        for n, text in enumerate(texts)
        for position in sample_positions(tokenizer.encode(text), K, set(), f"reports:local:{n}", 3)
    ]
    assert [index["one", item.item_id] for item in items] == drawn
    assert [index["twin", item.item_id] for item in items] == drawn
    ahead = {index["other", item.item_id] - 1 - index["one", item.item_id] for item in items}
    assert ahead == {0, 1, 2}, "the last piece of the character, wherever the drawn one is"
    assert {row.char_error for row in found} == {0}
    vectors = {name: ActivationStore(db).read_activations(name).vectors for name in ("one", "twin")}
    assert (vectors["one"] == vectors["twin"]).all()
