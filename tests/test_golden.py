"""`nlareport check --golden`: a sound pair scores what was recorded of it, and a pair with one thing wrong does not."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file
from support.scripted_runs import run, scripted_content, write_corpus, write_experiment
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair, copied_pair

from nlareport.backends.transformers_local import (
    TransformersEngine,
    TransformersExtractor,
    TransformersReconstructor,
    TransformersTokenizer,
)
from nlareport.checks import GoldenOutcome
from nlareport.cli import cli
from nlareport.errors import GoldenInvalid, PairUnknown
from nlareport.experiment.experiment_file import Experiment
from nlareport.golden_files import Golden, GoldenCase, Recorder, golden_text, read_golden
from nlareport.review.golden_scores import (
    Measurement,
    cases_by_pair,
    golden_faults,
    outcome,
    text_faults,
    written_texts,
)
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import mse_nrm

torch.set_num_threads(1)

TEXTS = [
    "The river rose by 14 metres in the spring of 1998, and the old bridge",
    "Shares of the company fell 3.2% after the report; analysts had expected",
    "“Größe, naïve café” — she said — is not what I'd call",
]


def check(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, arguments), "--device", "cpu"])


@pytest.fixture
def pair(tmp_path: Path, tiny_pairs: dict[Architecture, TinyPair]) -> TinyPair:
    return copied_pair(tiny_pairs["gemma3"], tmp_path)


def experiment_of(pair: TinyPair, folder: Path) -> Path:
    content = scripted_content(4)
    content["pairs"] = [pair.pair_spec.model_dump(mode="json")]
    content["sampling"]["reference_pair"] = pair.pair_spec.pair_id
    return write_experiment(folder, content)


@pytest.fixture
def experiment(pair: TinyPair, tmp_path: Path) -> Path:
    return experiment_of(pair, tmp_path)


def write_golden(folder: Path, **keys: Any) -> Path:
    cases = [
        {"name": f"text {number}", "text": text, "explanation": f"A text about {text[4:12]}."}
        for number, text in enumerate(TEXTS)
    ]
    path = folder / "golden.yaml"
    path.write_text(yaml.safe_dump({"golden": "tiny", "source": "A test.", "cases": cases, **keys}), encoding="utf-8")
    return path


@pytest.fixture
def golden(experiment: Path, tmp_path: Path) -> Path:
    """Recorded of the tiny pair while it was sound."""
    path = write_golden(tmp_path)
    recorded = check(experiment, "--golden", path, "--record")
    assert (recorded.exit_code, recorded.stdout) == (0, f"{path}: 3 scores recorded.\n")
    return path


def test_a_sound_pair_scores_what_was_recorded_of_it(experiment: Path, golden: Path, pair: TinyPair) -> None:
    result = check(experiment, "--golden", golden)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert re.match(r"within +tiny-gemma3, text 0: mse_nrm [\d.]+ recorded, [\d.]+ here, at most", lines[0])
    assert lines[-1] == "3 of 3 recorded scores are what is measured here, within rounding."
    # What was recorded is what the two models say when nothing of the gate is between.
    content = yaml.safe_load(golden.read_text(encoding="utf-8"))
    assert content["dtype"] == "float32"
    with TransformersExtractor(pair.base, 1, dtype="float32") as extractor:
        gold = extractor.extract([TransformersTokenizer(pair.base).tokenize(text, None).token_ids for text in TEXTS])
    with TransformersReconstructor(pair.reconstructor, dtype="float32") as reconstructor:
        found = mse_nrm(gold, reconstructor.reconstruct([case["explanation"] for case in content["cases"]]))
    assert [case["mse_nrm"] for case in content["cases"]] == pytest.approx(found.tolist(), rel=1e-4)
    assert [case["pair"] for case in content["cases"]] == ["tiny-gemma3"] * 3


def bend_head(pair: TinyPair) -> None:
    path = pair.reconstructor / "value_head.safetensors"
    weight = load_file(path)["weight"]
    save_file({"weight": weight + 0.02 * torch.randn(D_MODEL, D_MODEL, generator=torch.manual_seed(1))}, path)


def lose_bos(pair: TinyPair) -> None:
    for name, key in (("tokenizer.json", "post_processor"), ("tokenizer_config.json", "bos_token")):
        path = pair.base / name
        content = json.loads(path.read_text(encoding="utf-8"))
        content[key] = None
        path.write_text(json.dumps(content), encoding="utf-8")


def exchange_base(pair: TinyPair) -> None:
    path = pair.base / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("layers.1.post_feedforward_layernorm.weight"))
    save_file(weights | {name: weights[name] + 1}, path, metadata={"format": "pt"})


@pytest.mark.parametrize("spoil", [bend_head, lose_bos, exchange_base])
def test_a_pair_with_one_thing_wrong_is_told(
    spoil: Callable[[TinyPair], None], experiment: Path, golden: Path, pair: TinyPair
) -> None:
    spoil(pair)
    result = check(experiment, "--golden", golden)
    assert result.exit_code == 1
    assert "of 3 recorded scores are not what is measured here, mean mse_nrm" in result.stderr
    assert "outside" in result.stdout


def test_a_block_that_is_off_by_one_is_told(experiment: Path, golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        TransformersEngine,
        "extractor",
        lambda _self, spec: TransformersExtractor(spec.base_model, spec.block_index - 1, device="cpu", dtype="float32"),
    )
    result = check(experiment, "--golden", golden)
    assert result.exit_code == 1
    assert re.search(r"\d of 3 activations have another norm\. Hold base model, block", result.stderr)


def test_a_reconstructor_without_its_bos_is_told(
    experiment: Path, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TransformersReconstructor.prompt_ids
    monkeypatch.setattr(TransformersReconstructor, "prompt_ids", lambda self, text: whole(self, text)[1:])
    result = check(experiment, "--golden", golden)
    assert result.exit_code == 1
    assert "the activations' norms agree" in result.stderr


def test_a_case_without_an_explanation_gets_what_the_pair_writes(experiment: Path, tmp_path: Path) -> None:
    path = write_golden(tmp_path, cases=[{"name": "one", "text": TEXTS[0]}])
    unfinished = check(experiment, "--golden", path)
    assert "1 cases have no explanation or no mse_nrm, one is the first" in unfinished.stderr
    assert check(experiment, "--golden", path, "--record").exit_code == 0
    assert read_golden(path)[0].cases[0].explanation
    again = check(experiment, "--golden", path, "--texts")
    assert again.exit_code == 0, again.output
    assert "tiny-gemma3: its AV writes 1 of 1 texts as recorded; those it writes score mse_nrm" in again.stdout


def test_texts_that_say_less_than_the_recorded_ones_are_a_fault_where_there_are_enough() -> None:
    def faults(n_cases: int, here: float) -> list[str]:
        cases = [GoldenCase(name="c", text="x", explanation="A  text.", mse_nrm=0.2)] * n_cases
        own = [case.model_copy(update={"explanation": "A text."}) for case in cases]
        found = written_texts(PairId("p"), cases, own, [Measurement(here, 1.0)] * n_cases)
        assert (found.n_same, found.recorded, found.here) == (n_cases, pytest.approx(0.2), pytest.approx(here))
        return text_faults([found])

    assert faults(20, 0.24) == faults(19, 0.3) == []
    assert "score mse_nrm 0.3 on average, the recorded ones 0.2. Hold its AV, the chat" in faults(20, 0.3)[0]


def test_the_experiment_may_be_given_as_its_run(tmp_path: Path) -> None:
    write_corpus(tmp_path, 6)
    db = tmp_path / "run.duckdb"
    run(write_experiment(tmp_path, scripted_content(4)), db)
    result = check(db, "--golden", write_golden(tmp_path), "--record", "--pair", "nobody")
    assert "The experiment has no pair nobody; it has small, large." in result.stderr


# Transcripts --------------------------------------------------------------------------------------------------------


def transcript(pair: TinyPair, folder: Path, **changes: str) -> Path:
    """A transcript in the public release's form, of what a tiny pair really scores."""
    prompt, reply = "<bos><start_of_turn>user\nWhat is it?<end_of_turn>\n", 'The river rose by "14 metres'
    tokenizer = TransformersTokenizer(pair.base)
    cut = tokenizer.tokenize(prompt + reply, None)
    ids, spans = cut.token_ids, list(zip(cut.char_starts, cut.char_ends, strict=True))
    texts = [f"A text.\n\n    About {number}." for number in range(len(ids))]
    with TransformersExtractor(pair.base, 1, dtype="float32") as extractor:
        gold = extractor.extract([ids[: place + 1] for place in range(len(ids))])
    with TransformersReconstructor(pair.reconstructor, dtype="float32") as reconstructor:
        # The file's own indentation is no part of a text.
        errors = mse_nrm(gold, reconstructor.reconstruct([text.replace("    ", "") for text in texts]))
    rows = [
        f"[{place:3}]  REPLY   token={(prompt + reply)[start:end]!r}  ||v||={np.linalg.norm(vector):.1f}  "
        f"mse_nrm={error:.3f}  cos={1 - error / 2:.3f}  fve_nrm=0.123\n    {text}\n"
        for place, ((start, end), vector, error, text) in enumerate(zip(spans, gold, errors, texts, strict=True))
    ]
    facts = {"ar": "someone/ar", "layer": "1", "width": str(D_MODEL), "reply": repr(reply), **changes}
    path = folder / "transcript.txt"
    path.write_text(
        f"AR checkpoint:     {facts['ar']}\nExtraction:        layer {facts['layer']} residual stream\n"
        f"d_model:           {facts['width']}\n\n"
        f"After apply_chat_template(add_generation_prompt=True):\n  {prompt!r}\n\n"
        f"2. BASE MODEL REPLY (temp=0)\n────\n\n  {facts['reply']}\n\n" + "\n".join(rows),
        encoding="utf-8",
    )
    return path


def test_a_transcript_of_the_release_is_held_against_its_pair(pair: TinyPair, experiment: Path, tmp_path: Path) -> None:
    path = transcript(pair, tmp_path)
    result = check(experiment, "--golden", path)
    assert result.exit_code == 0, result.output
    assert "tiny-gemma3, token 0: mse_nrm" in result.stdout
    assert re.search(r"(\d+) of \1 recorded scores are what is measured here", result.stdout)
    exchange_base(pair)
    assert "recorded scores are not what is measured here" in check(experiment, "--golden", path).stderr


def test_a_transcript_of_another_tokenizer_is_told_by_its_tokens(
    pair: TinyPair, tmp_path: Path, tiny_pairs: dict[Architecture, TinyPair]
) -> None:
    path = transcript(pair, tmp_path)
    result = check(experiment_of(tiny_pairs["qwen2"], tmp_path), "--golden", path, "--pair", "tiny-qwen2")
    assert result.exit_code == 1
    assert re.search(
        r"moved +tiny-qwen2, token \d+: there (stands the token .* instead of|the text ends)", result.stdout
    )
    assert "Use the tokenizer that the scores were recorded with." in result.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ar": "someone/else"}, "is of 'someone/else', which no pair of the experiment names. Say --pair with one of"),
        ({"layer": "2"}, "is of block 2 at d_model 32, pair tiny-gemma3 of block 1 at 32. Give the transcript"),
        ({"reply": "'cut"}, "is no transcript of the public release: it lacks reply. Give a golden file"),
        ({"reply": "'it's'"}, "holds 'it's'…, which is no quoted text."),
        ({"reply": "'a' if 1 else 'b'"}, "which is no quoted text."),
    ],
)
def test_what_is_wrong_with_a_transcript_is_named(
    changes: dict[str, str], said: str, pair: TinyPair, experiment: Path, tmp_path: Path
) -> None:
    result = check(experiment, "--golden", transcript(pair, tmp_path, **changes))
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_transcript_is_never_written_anew(pair: TinyPair, experiment: Path, tmp_path: Path) -> None:
    path = transcript(pair, tmp_path)
    before = path.read_bytes()
    assert (
        "is a transcript of another's figures. Give a golden file (YAML) to record."
        in check(experiment, "--golden", path, "--record").stderr
    )
    assert path.read_bytes() == before


# The file, and the verdicts -----------------------------------------------------------------------------------------


def test_a_golden_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    golden = Golden(
        golden="g", source="A test.", cases=[GoldenCase(name="a", text="x\ny ", explanation="  z", mse_nrm=0.25)]
    )
    path = tmp_path / "golden.yaml"
    path.write_text(golden_text(golden), encoding="utf-8")
    assert read_golden(path) == (golden, None)


def test_every_fault_of_a_golden_file_is_listed(tmp_path: Path) -> None:
    path = write_golden(tmp_path, dtype="int8", cases=[{"name": "a", "text": "x", "mse_nrm": 5}, {"name": "b"}])
    with pytest.raises(GoldenInvalid) as told:
        read_golden(path)
    assert [line.split(": ")[1] for line in str(told.value).splitlines()] == [
        "dtype",
        "cases.0.mse_nrm",
        "cases.1.text",
    ]


def held(recorded: list[float], here: list[float], **keys: Any) -> list[GoldenOutcome]:
    cases = [GoldenCase(name=f"c{n}", text="x", mse_nrm=value) for n, value in enumerate(recorded)]
    golden = Golden(golden="g", source="A test.", cases=cases, **keys)
    rows = zip(cases, here, strict=True)
    return [outcome(PairId("p"), golden, case, Measurement(value, 1.0), "float32") for case, value in rows]


def test_a_tolerance_is_of_the_coarser_dtype_and_knows_how_many_decimals_were_recorded() -> None:
    assert held([0.5], [0.5], dtype="float32")[0].tolerance == pytest.approx(0.005)
    assert held([0.5], [0.5], dtype="bfloat16")[0].tolerance == pytest.approx(0.05)
    assert held([0.5], [0.5], dtype="float32", decimals=3)[0].tolerance == pytest.approx(0.0055)
    assert held([0.0], [0.0], dtype="float32")[0].tolerance == pytest.approx(1e-4)


def test_one_case_of_twenty_may_be_outside_but_not_the_mean() -> None:
    level = [0.5] * 20
    assert golden_faults(held(level, [*level[1:], 0.56])) == []
    assert "2 of 20 recorded scores are not" in golden_faults(held(level, [*level[2:], 0.56, 0.56]))[0]
    assert "1 of 19 recorded scores are not" in golden_faults(held(level[1:], [*level[2:], 0.56]))[0]
    assert "0 of 20 recorded scores are not" in golden_faults(held(level, [0.53] * 20))[0]
    assert golden_faults(held(level[:3], [0.53] * 3)) == []


def test_cases_go_to_the_pairs_they_name() -> None:
    experiment = Experiment.model_validate(scripted_content(4))
    cases = [GoldenCase(name=name, text="x", pair=name or None) for name in ("large", "small", "large")]
    golden = Golden(golden="g", source="A test.", cases=cases)
    place = Path("golden.yaml")
    found = cases_by_pair(experiment, golden, None, None, place)
    assert [(spec.pair_id, len(some)) for spec, some in found] == [("small", 1), ("large", 2)]
    assert [len(some) for _, some in cases_by_pair(experiment, golden, None, "large", place)] == [2]
    with pytest.raises(PairUnknown, match="The experiment has no pair other; it has small, large"):
        cases_by_pair(experiment, golden, None, "other", place)
    unnamed = Golden(golden="g", source="A test.", cases=[GoldenCase(name="a", text="x")])
    with pytest.raises(GoldenInvalid, match=r"golden\.yaml: a: names no pair\. Say --pair with one of small"):
        cases_by_pair(experiment, unnamed, None, None, place)
    with pytest.raises(GoldenInvalid, match=r"golden\.yaml: no case is of large\. Give the golden file"):
        cases_by_pair(experiment, golden.model_copy(update={"cases": cases[1:2]}), None, "large", place)
    recorder = Recorder("someone/small", 2, 16)
    assert cases_by_pair(experiment, golden, recorder, None, place)[0][0].pair_id == "small"


@pytest.mark.parametrize("options", [("--pair", "small"), ("--record",), ("--texts",)])
def test_options_of_the_gate_want_it(options: tuple[str, ...], tmp_path: Path) -> None:
    result = check(tmp_path / "run.duckdb", *options)
    assert (result.exit_code, "--pair, --texts and --record need --golden." in result.stderr) == (2, True)
    both = check(tmp_path / "run.duckdb", "--golden", tmp_path / "g.yaml", "--prose", tmp_path / "page.md")
    assert both.exit_code == 2


@pytest.mark.soak
def test_the_pocket_pairs_score_what_was_recorded_of_them() -> None:
    result = check("data/experiments/pocket.yaml", "--golden", "data/golden/pocket.yaml")
    assert result.exit_code == 0, result.output
    assert "12 of 12 recorded scores are what is measured here, within rounding." in result.stdout
