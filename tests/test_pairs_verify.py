"""`nlareport pairs verify`: pairs built and measured anew beside a recorded run, scripted and on tiny real pairs."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from support.scripted_runs import run, scripted_content, write_corpus, write_experiment
from transformers import AutoModelForCausalLM

from nlareport.cli import cli
from nlareport.models.quiet import quiet
from nlareport.models.trainable import open_cut_model
from nlareport.pairs.adapters import add_adapter
from nlareport.pairs.building import build_pair
from nlareport.pairs.catalog import PAIRS
from nlareport.rows.item_rows import Item, Score
from nlareport.store.run_file import RunFile


def verify(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["pairs", "verify", *map(str, arguments)])


def fault(result: Result) -> str:
    """The one line of our own on stderr of a command that ended with exit code 1."""
    assert result.exit_code == 1, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("nlareport: ")]
    return line


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recorded run of 70 items on two scripted pairs, and what it was made from. Copy it."""
    folder = tmp_path_factory.mktemp("recorded")
    write_corpus(folder, 95)
    run(write_experiment(folder, scripted_content(70)), folder / "recorded.duckdb")
    return folder


@pytest.fixture
def scripted(recorded: Path, tmp_path: Path) -> list[object]:
    """Arguments that verify the pairs of the recorded run, of which every test has its own copy."""
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    experiment, db = tmp_path / "experiment.yaml", tmp_path / "recorded.duckdb"
    return ["--against", db, "--experiment", experiment, "--engine", "scripted"]


def test_pairs_that_measure_as_recorded_agree(scripted: list[object], tmp_path: Path) -> None:
    recorded = (tmp_path / "recorded.duckdb").read_bytes()
    result = verify(*scripted)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["small", "large"]
    for line in lines:
        assert ": 64 items, " in line
        assert line.endswith("difference +0.000, 64 of 64 texts the same; agrees")
    assert (tmp_path / "recorded.duckdb").read_bytes() == recorded


def test_one_pair_is_measured_as_among_all_at_places_drawn_by_another(scripted: list[object]) -> None:
    # Positions are drawn in the tokenization of "small", and only "large" is asked for.
    both, one = verify(*scripted), verify("large", *scripted)
    assert one.exit_code == 0, one.output
    assert one.stdout.splitlines() == both.stdout.splitlines()[1:]
    assert "small" not in one.stderr


def test_a_recorded_score_that_was_changed_is_found(scripted: list[object], tmp_path: Path) -> None:
    with RunFile.open(tmp_path / "recorded.duckdb") as run_file:
        # The first item's score on the diagonal of "small": off by as much as a direction can be.
        score = next(row for row in run_file.rows(Score) if row.source == row.target == "small")
        run_file.put([replace(score, mse_nrm=4.0)])
    result = verify(*scripted)
    assert fault(result).startswith("nlareport: small: scores differ from those recorded in ")
    assert [line.rpartition("; ")[2] for line in result.stdout.splitlines()] == ["does not agree", "agrees"]


def test_scores_of_later_items_and_of_other_cells_are_not_compared(scripted: list[object], tmp_path: Path) -> None:
    with RunFile.open(tmp_path / "recorded.duckdb") as run_file:
        apart = [row for row in run_file.rows(Score) if row.source != row.target or row.item_id >= 64]
        run_file.put([replace(row, mse_nrm=4.0) for row in apart])
    assert verify(*scripted).exit_code == 0


def test_a_missing_recorded_run_is_named(scripted: list[object], tmp_path: Path) -> None:
    line = fault(verify(*scripted, "--against", tmp_path / "nowhere.duckdb"))
    assert "nowhere.duckdb: no run file stands here" in line


def test_a_pair_the_recorded_run_lacks_is_named(scripted: list[object], tmp_path: Path) -> None:
    content, db = scripted_content(9), tmp_path / "small.duckdb"
    del content["pairs"][1]
    run(write_experiment(tmp_path, content), db)
    write_experiment(tmp_path, scripted_content(9))
    assert "small.duckdb: holds no scores of large; compute them" in fault(verify(*scripted, "--against", db))
    assert verify("small", *scripted, "--against", db).exit_code == 0


def test_a_recorded_run_that_was_never_scored_is_refused(scripted: list[object], tmp_path: Path) -> None:
    run(tmp_path / "experiment.yaml", tmp_path / "begun.duckdb", only="sample", limit=9)
    assert "holds no scores of small, large" in fault(verify(*scripted, "--against", tmp_path / "begun.duckdb"))


def test_a_pair_the_experiment_lacks_is_answered_with_those_it_has(scripted: list[object]) -> None:
    assert "The experiment has no pair medium; it has small, large." in fault(verify("medium", *scripted))


def test_published_figures_are_no_recorded_run(scripted: list[object], tmp_path: Path) -> None:
    db = tmp_path / "published.duckdb"
    CliRunner().invoke(cli, ["import", "data/published/18-cross-family.yaml", "--db", str(db)])
    assert "holds published figures, not a computed run" in fault(verify(*scripted, "--against", db))


def test_another_protocol_is_refused_and_named(scripted: list[object], tmp_path: Path) -> None:
    content = scripted_content(70)
    content["decoding"]["max_new_tokens"] = 7
    write_experiment(tmp_path, content)
    assert "was computed with other values of decoding.max_new_tokens" in fault(verify(*scripted))


def test_recorded_items_at_other_places_are_named(scripted: list[object], tmp_path: Path) -> None:
    with RunFile.open(tmp_path / "recorded.duckdb") as run_file:
        item = run_file.rows(Item)[5]
        run_file.put([replace(item, char_end=7)])
    line = fault(verify(*scripted))
    assert "1 of its first 64 items are not the places the experiment draws; item 5 is " in line
    assert f"at character 7 of {item.doc_id}" in line


def test_a_corpus_that_became_shorter_is_told_by_its_first_missing_item(scripted: list[object], tmp_path: Path) -> None:
    write_corpus(tmp_path, 30)
    assert "40 of its first 64 items are not the places the experiment draws; item 24 is" in fault(verify(*scripted))


@pytest.fixture(scope="module")
def recorded_checkout(tmp_path_factory: pytest.TempPathFactory, tiny_pairs: dict) -> Path:
    """A checkout with the adapters of two tiny pocket pairs, their recorded run, and the cache they were built in."""
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "data/experiments").mkdir(parents=True)
    write_corpus(checkout / "data/experiments", 10)
    content = scripted_content(6)
    # Random verbalizers close no tag.
    content.update(pairs=[], scoring={"bootstrap_draws": 200, "unclean": "raw"})
    content["decoding"]["max_new_tokens"] = 8
    content["sampling"]["reference_pair"] = "tiny-qwen2"
    for architecture in ("llama", "qwen2"):
        content["pairs"].append(commit_pocket_pair(checkout, tiny_pairs[architecture]))
    write_experiment(checkout / "data/experiments", content).rename(checkout / "data/experiments/pocket.yaml")
    with pytest.MonkeyPatch.context() as patch:
        enter(checkout, tiny_pairs, patch)
        run(Path("data/experiments/pocket.yaml"), Path("data/pocket.duckdb"), "transformers")
    return checkout


@pytest.fixture
def tiny_pocket(recorded_checkout: Path, tmp_path: Path, tiny_pairs: dict, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checkout that a test may damage, and that it stands in."""
    shutil.copytree(recorded_checkout, tmp_path / "checkout")
    enter(tmp_path / "checkout", tiny_pairs, monkeypatch)
    return tmp_path / "checkout"


def enter(checkout: Path, tiny_pairs: dict, patch: pytest.MonkeyPatch) -> None:
    """Stands in a checkout whose catalog also knows the tiny pairs."""
    patch.chdir(checkout)
    patch.setenv("NLAREPORT_CACHE", str(checkout / "cache"))
    any_pair = next(iter(PAIRS.values()))
    for architecture in ("llama", "qwen2"):
        spec = tiny_pairs[architecture].pair_spec
        base = replace(any_pair.base, name=spec.pair_id)
        known = replace(any_pair, pair_id=spec.pair_id, block_index=spec.block_index, base=base)
        patch.setitem(PAIRS, spec.pair_id, known)


def commit_pocket_pair(checkout: Path, tiny: Any) -> dict[str, Any]:
    """Puts a tiny pair where pocket pairs stand, its base in the cache, its adapters in data/pairs; and its spec."""
    spec = tiny.pair_spec
    shutil.copytree(tiny.base, checkout / "cache/bases" / spec.pair_id)
    adapters = checkout / "data/pairs" / spec.pair_id
    with quiet():
        for role, origin, model in (
            ("av", tiny.verbalizer, AutoModelForCausalLM.from_pretrained(tiny.base)),
            ("ar", tiny.reconstructor, open_cut_model(tiny.base, spec.block_index, "float32").model),
        ):
            write_adapter(model, adapters / role)
            shutil.copy(origin / "nla_meta.yaml", adapters / role)
    shutil.copy(tiny.reconstructor / "value_head.safetensors", adapters / "ar")
    names = {"base_model": "base", "verbalizer": "av", "reconstructor": "ar"}
    located = {key: f"pocket:{spec.pair_id}/{part}" for key, part in names.items()}
    return {**spec.model_dump(mode="json"), **located}


def write_adapter(model: Any, folder: Path) -> None:
    torch.manual_seed(5)
    adapted = add_adapter(model, rank=2)
    # A fresh adapter changes nothing; one that does shows whether it was merged.
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(folder)


def build_folder(checkout: Path, pair_id: str) -> Path:
    (folder,) = (checkout / "cache/pairs" / pair_id).iterdir()
    return folder


def test_real_pairs_are_built_anew_and_agree(tiny_pocket: Path) -> None:
    weights = build_folder(tiny_pocket, "tiny-llama") / "av" / "model.safetensors"
    built = weights.read_bytes()
    weights.write_bytes(b"no weights at all")
    build_pair(PAIRS["tiny-llama"], Path("data/pairs"))
    assert weights.read_bytes() == b"no weights at all"
    result = verify("--device", "cpu")
    assert result.exit_code == 0, result.output
    assert [line.partition(",")[0] for line in result.stdout.splitlines()] == [
        "tiny-llama: 6 items",
        "tiny-qwen2: 6 items",
    ]
    assert weights.read_bytes() == built


def test_of_the_reference_pair_only_the_base_model_is_needed(tiny_pocket: Path) -> None:
    shutil.rmtree(tiny_pocket / "cache/pairs/tiny-qwen2")
    shutil.rmtree(tiny_pocket / "data/pairs/tiny-qwen2")
    result = verify("tiny-llama", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("tiny-llama: 6 items, ")
    assert "data/pairs/tiny-qwen2/av/adapter_model.safetensors" in fault(verify("--device", "cpu"))


def test_a_pair_with_other_adapters_does_not_agree(tiny_pocket: Path) -> None:
    head = torch.randn(32, 32, generator=torch.Generator().manual_seed(99)) / 32**0.5
    save_file({"weight": head}, "data/pairs/tiny-llama/ar/value_head.safetensors")
    result = verify("tiny-llama", "--device", "cpu")
    assert fault(result).startswith("nlareport: tiny-llama: scores differ from those recorded in data/pocket.duckdb. ")
    assert "6 of 6 texts the same; does not agree" in result.stdout
