"""What a checkpoint's files leave open: used, refused by name, or told as a choice before the first batch."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.scripted_runs import run, write_corpus, write_experiment
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair, set_stop_ids, write_sidecar
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

from nlareport.backends import EngineSettings, load_engine
from nlareport.backends.clock import standing_clock
from nlareport.backends.contract import open_verbalizer_contract
from nlareport.backends.transformers_reading import TransformersReconstructor, TransformersTokenizer
from nlareport.backends.transformers_writing import TransformersVerbalizer
from nlareport.checkpoints.sidecar import read_sidecar
from nlareport.errors import CheckpointDrift, FamilyUnsupported
from nlareport.models.tokenizers import special_ids
from nlareport.rows.item_rows import Explanation
from nlareport.rows.run_rows import Choice, PairId
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile

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


def configured(directory: Path, **values: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_verbalizer_in_which_a_vector_cannot_take_a_tokens_place_is_refused(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("gemma3")
    for values, reason in (
        (
            {"word_embed_proj_dim": 16},
            r"its embeddings have 16 entries \(word_embed_proj_dim\), a vector has 32\. Give",
        ),
    ):
        configured(pair.verbalizer, **values)
        with pytest.raises(FamilyUnsupported, match=rf"/av: a vector cannot take a token's place in a .*{reason}"):
            open_verbalizer_contract(pair.verbalizer, "tiny", 8)
        configured(pair.verbalizer, **dict.fromkeys(values))
        # A base model of such a kind is only read.
        configured(pair.base, **values)
    load_engine("transformers", SETTINGS).check(pair.pair_spec)
    configured(pair.verbalizer, word_embed_proj_dim=32)
    load_engine("transformers", SETTINGS).check(pair.pair_spec)


def test_a_prompt_with_a_token_that_the_model_does_not_know_is_refused(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("gemma3")
    marker = read_sidecar(pair.verbalizer).injection_token_id
    assert marker == json.loads((pair.verbalizer / "config.json").read_text())["vocab_size"] - 1
    configured(pair.verbalizer, vocab_size=marker)
    with pytest.raises(
        CheckpointDrift,
        match=rf"^Pair tiny: the verbalizer's prompt holds the token {marker}, its config.json knows {marker}\.",
    ):
        open_verbalizer_contract(pair.verbalizer, "tiny", 8)


def test_what_a_model_multiplies_its_inputs_by_is_told(pair_of: Callable[[Architecture], TinyPair]) -> None:
    pair = pair_of("llama")
    configured(pair.verbalizer, embedding_multiplier=1, scale_emb=12.0)
    assert topics(pair)["verbalizer", "embeddings"] == (
        "The model multiplies whatever enters by 12, the injected vector as well as the tokens."
    )
    configured(pair.verbalizer, scale_emb=1)
    assert ("verbalizer", "embeddings") not in topics(pair)


def test_quantized_weights_are_told_for_each_checkpoint_that_has_them(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("llama")
    configured(pair.base, quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
    told = topics(pair)
    assert told["base_model", "quantization"] == (
        "Its weights are quantized (fp8), so it is not the model as it was trained."
    )
    assert {role for role, topic in told if topic == "quantization"} == {"base_model"}
    for directory in (pair.verbalizer, pair.reconstructor):
        configured(directory, quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
    roles = {role for role, topic in topics(pair) if topic == "quantization"}
    assert roles == {"base_model", "verbalizer", "reconstructor"}


def stop_ids(pair: TinyPair) -> tuple[int, ...]:
    return open_verbalizer_contract(pair.verbalizer, "tiny", 8).stop_ids


def test_answers_end_where_a_turn_ends_whether_or_not_a_file_says_so(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("gemma3")
    generation, config = pair.verbalizer / "generation_config.json", pair.verbalizer / "config.json"
    # <eos> and <end_of_turn>; the first is what Gemma's files name at least.
    set_stop_ids(pair.verbalizer, [1])
    assert stop_ids(pair) == (1, 5)
    assert topics(pair)["verbalizer", "stop_ids"] == (
        "Its generation_config.json ends answers at <eos> (1); here they also end at <end_of_turn> (5), which ends a "
        "turn in its chat template."
    )
    with TransformersVerbalizer(pair.verbalizer, device="cpu", dtype="float32", max_new_tokens=2) as verbalizer:
        assert verbalizer._model.generation_config.eos_token_id == [1, 5]
    set_stop_ids(pair.verbalizer, [1, 5])
    assert stop_ids(pair) == (1, 5)
    assert ("verbalizer", "stop_ids") not in topics(pair)
    generation.unlink()
    content = json.loads(config.read_text())
    for named, found, told in (
        (1, (1, 5), "answers end at <eos> (1), from its config.json, and at <end_of_turn> (5), which ends a turn"),
        ([1, 5], (1, 5), "answers end at <eos> (1) and <end_of_turn> (5), from its config.json."),
        (None, (5,), "No file names a token that ends an answer; answers end at <end_of_turn> (5), which ends a turn"),
    ):
        config.write_text(json.dumps(content | {"eos_token_id": named}))
        assert stop_ids(pair) == found
        assert told in topics(pair)["verbalizer", "stop_ids"]


def test_a_template_without_a_token_behind_an_answer_leaves_the_stop_ids_to_the_files(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("llama")
    template = pair.verbalizer / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|eot_id|>", "\n"))
    set_stop_ids(pair.verbalizer, [3])
    assert stop_ids(pair) == (3,)
    assert ("verbalizer", "stop_ids") not in topics(pair)
    (pair.verbalizer / "generation_config.json").unlink()
    config = pair.verbalizer / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": 4}))
    assert topics(pair)["verbalizer", "stop_ids"] == (
        "It has no generation_config.json; answers end at <|eot_id|> (4), from its config.json; its chat template "
        "shows no token that ends a turn."
    )


def test_a_template_that_ends_turns_otherwise_is_another_checkpoint(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("llama")

    def digests() -> dict[str, str]:
        return dict(load_engine("transformers", SETTINGS).fingerprints(pair.pair_spec, "verbalizer"))

    before = digests()
    template = pair.verbalizer / "chat_template.jinja"
    written = template.read_text()
    ending = "{% if message['role'] == 'user' %}<|eot_id|>{% else %}<|end_header_id|>{% endif %}"
    template.write_text(written.replace("<|eot_id|>", ending))
    assert {kind for kind in before if digests()[kind] != before[kind]} == {"chat_template", "prompt"}
    template.write_text(written)
    assert digests() == before


def test_a_stopped_clock_tells_one_moment_and_remembers_each_answer_once() -> None:
    with standing_clock(datetime(2026, 2, 7, 23, 59, 30, 5, tzinfo=UTC)) as told:
        forms = ("%d %b %Y", "%H:%M:%S.%f", "%d %b %Y")
        answers = [chat_template_utils.datetime.now().strftime(form) for form in forms]
        assert answers == ["07 Feb 2026", "23:59:30.000005", "07 Feb 2026"]
        assert told == answers[:2]
    assert chat_template_utils.datetime is datetime
    with pytest.raises(ZeroDivisionError), standing_clock(datetime.now(UTC)):
        _ = 1 / 0
    assert chat_template_utils.datetime is datetime


DATED = "{{ bos_token }}Today is {{ strftime_now('%d %b %Y') }}. "


def with_a_date(pair: TinyPair) -> None:
    path = pair.verbalizer / "chat_template.jinja"
    path.write_text(path.read_text().replace("{{ bos_token }}", DATED, 1))


def test_a_prompt_that_holds_a_date_holds_that_of_the_run(pair_of: Callable[[Architecture], TinyPair]) -> None:
    pair = pair_of("llama")
    with_a_date(pair)
    moment = datetime(2025, 3, 9, 23, 30, tzinfo=UTC)
    settings = replace(SETTINGS, moment=moment)
    engine = load_engine("transformers", settings)
    tokenizer = AutoTokenizer.from_pretrained(pair.verbalizer)
    assert "Today is 09 Mar 2025. " in tokenizer.decode(engine.prompt_ids(pair.pair_spec))
    assert topics(pair, settings)["verbalizer", "date"] == (
        "Its chat template asks for the date: its prompt is the one of '09 Mar 2025', when the run was begun, on "
        "whatever day the run goes on."
    )
    other = load_engine("transformers", replace(settings, moment=moment + timedelta(hours=1)))
    assert engine.fingerprints(pair.pair_spec, "verbalizer") != other.fingerprints(pair.pair_spec, "verbalizer")


def test_a_run_continued_on_another_day_goes_on_with_the_prompt_of_its_first(
    pair_of: Callable[[Architecture], TinyPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_of("llama")
    with_a_date(pair)
    db, experiment = tmp_path / "tiny.duckdb", write_experiment(tmp_path, tiny_content(pair))
    write_corpus(tmp_path, 8)
    run(experiment, db, "transformers", only="sample")

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Tomorrow":
            return cls(2031, 5, 6, 7, 8, tzinfo=tz)

    for module in ("nlareport.run.start", "nlareport.backends.contract"):
        monkeypatch.setattr(f"{module}.datetime", Tomorrow)
    run(experiment, db, "transformers")
    with RunFile.open_to_read(db) as run_file:
        assert run_file.count(Explanation) == 3
        assert run_file.run().created_at.year != 2031
        ((date,),) = [[row.text for row in run_file.rows(Choice) if row.topic == "date"]]
    assert f"'{run_file_day(db)}'" in date
    run(experiment, tmp_path / "later.duckdb", "transformers", only="sample")
    assert run_file_day(tmp_path / "later.duckdb") == "06 May 2031"


def run_file_day(db: Path) -> str:
    with RunFile.open_to_read(db) as run_file:
        return run_file.run().created_at.strftime("%d %b %Y")


def test_special_tokens_are_those_that_the_tokenizers_files_name(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    class Named:
        bos_token, eos_token, unk_token, pad_token = "<s>", "</s>", None, "<pad>"
        all_special_tokens = ("<s>", "</s>", "<pad>", "<mask>", "<image>", "<turn>", "<tool>", "<sep>", "<other>")
        all_special_ids = tuple(range(9))

    written = {
        "tokenizer_config.json": {
            "bos_token": "<s>",
            "image_token": {"content": "<image>"},
            "extra_special_tokens": {"tool": "<tool>"},
            "mask_token": None,
            "added_tokens_decoder": {"3": {"content": "<mask>", "special": True}},
            "chat_template": "<mask>",
        },
        "special_tokens_map.json": {"sep_token": "<sep>", "additional_special_tokens": ["<turn>"]},
    }
    assert special_ids(tmp_path, Named()) == {0, 1, 2}
    for name, content in written.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert special_ids(tmp_path, Named()) == {0, 1, 2, 4, 5, 6, 7}
    for pair in tiny_pairs.values():
        tokenizer = AutoTokenizer.from_pretrained(pair.base)
        assert special_ids(pair.base, tokenizer) == set(tokenizer.all_special_ids)


def test_gemmas_mask_that_transformers_alone_names_is_an_ordinary_token(
    pair_of: Callable[[Architecture], TinyPair],
) -> None:
    pair = pair_of("gemma3")
    path = pair.base / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "GemmaTokenizer"}))
    vocabulary = pair.base / "tokenizer.json"
    content = json.loads(vocabulary.read_text())
    added = {"content": "<mask>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    token_id = 1 + max(entry["id"] for entry in content["added_tokens"])
    content["added_tokens"].append(added | {"id": token_id, "special": True})
    vocabulary.write_text(json.dumps(content))
    config = pair.base / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": token_id + 2}))
    tokenizer = TransformersTokenizer(pair.base)
    assert token_id in tokenizer._tokenizer.all_special_ids
    assert token_id not in tokenizer.special_ids
    assert tokenizer.tokenize("a <mask>", None).token_ids[-1] == token_id


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
