"""A run goes on with the very checkpoints it was begun with: whatever decides their answers is told when it changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file, save_file
from support.scripted_runs import request, run, scripted_content, write_corpus, write_experiment
from support.tiny_checkpoints import TinyPair, build_tiny_pair

from nlareport.backends.transformers_local import TransformersEngine, TransformersVerbalizer
from nlareport.errors import CheckpointChanged, VectorsOfAnotherMaking
from nlareport.rows.item_rows import Score
from nlareport.rows.run_rows import Making, PairId
from nlareport.run.checkpoint_changes import changes
from nlareport.run.pipeline import start_over
from nlareport.store.run_file import RunFile
from nlareport.store.whole_run import read_run

Change = Callable[[Path], None]


def experiment_of(pair: TinyPair, folder: Path) -> Path:
    """An experiment on the pair, whose checkpoints stand in the folder."""
    content = scripted_content(4)
    spec = pair.pair_spec.model_dump(mode="json", exclude_none=True)
    spec |= {"base_model": str(pair.base), "verbalizer": str(pair.verbalizer), "reconstructor": str(pair.reconstructor)}
    content |= {"pairs": [spec], "decoding": {"max_new_tokens": 6}}
    content["scoring"] = {"bootstrap_draws": 100, "unclean": "raw"}
    content["sampling"]["reference_pair"] = spec["pair_id"]
    return write_experiment(folder, content)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Path, bytes]]:
    """A folder with a pair in shards, a corpus, an experiment and half of its run; and what its files hold."""
    folder = tmp_path_factory.mktemp("half")
    pair = build_tiny_pair(folder / "pair", "qwen2", seed=1)
    in_shards(pair.base)
    write_corpus(folder, 12)
    run(experiment_of(pair, folder), folder / "run.duckdb", engine="transformers", limit=2)
    return folder, {path: path.read_bytes() for path in (folder / "pair").rglob("*") if path.is_file()}


def in_shards(directory: Path) -> None:
    """The weights of a checkpoint in two files, as large ones are released."""
    weights = load_file(directory / "model.safetensors")
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: weights[name] for name in held}, directory / shard, metadata={"format": "pt"})
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {name: shard for shard, held in shards.items() for name in held},
    }
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    (directory / "model.safetensors").unlink()


def scaled(name: str) -> Change:
    def change(directory: Path) -> None:
        weights = {key: value * 1.5 for key, value in load_file(directory / name).items()}
        save_file(weights, directory / name, metadata={"format": "pt"})

    return change


def set_in(name: str, **values: Any) -> Change:
    """Sets keys of a JSON file, which is made when it is not there."""

    def change(directory: Path) -> None:
        path = directory / name
        path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))

    return change


def tokenizer_normalizes(directory: Path) -> None:
    set_in("tokenizer.json", normalizer={"type": "Lowercase"})(directory)


def template_says(text: str) -> Change:
    def change(directory: Path) -> None:
        path = directory / "chat_template.jinja"
        path.write_text(text + path.read_text())

    return change


def sidecar_says(key: str, old: str, new: str) -> Change:
    def change(directory: Path) -> None:
        path = directory / "nla_meta.yaml"
        content = yaml.safe_load(path.read_text())
        content[key] = yaml.safe_load(yaml.safe_dump(content[key], allow_unicode=True).replace(old, new))
        path.write_text(yaml.safe_dump(content, allow_unicode=True))

    return change


CHANGES: dict[str, tuple[str, Change, str]] = {
    "a shard": ("base", scaled("model-00002-of-00002.safetensors"), r"weights \(\*\.safetensors\) of the base model"),
    "the base's tokenizer": ("base", tokenizer_normalizes, r"tokenizer \(.*\) of the base model"),
    "the base's special tokens": (
        "base",
        set_in("special_tokens_map.json", additional_special_tokens=["river"]),
        r"tokenizer \(.*\) of the base model",
    ),
    "the base's configuration": (
        "base",
        set_in("config.json", rms_norm_eps=0.5),
        r"configuration .* of the base model",
    ),
    "the AV's weights": ("av", scaled("model.safetensors"), r"weights \(\*\.safetensors\) of the verbalizer"),
    "the AV's stop ids": ("av", set_in("generation_config.json", eos_token_id=[2]), r"stop ids .* of the verbalizer"),
    "the AV's chat template": (
        "av",
        template_says("Today is the 27th.\n"),
        r"chat template of the verbalizer .* the rendered prompt of the verbalizer",
    ),
    "the AV's scale": (
        "av",
        sidecar_says("extraction", "mse_scale: 5", "mse_scale: 6"),
        r"sidecar .* of the verbalizer",
    ),
    "the AR's head": ("ar", scaled("value_head.safetensors"), r"weights \(\*\.safetensors\) of the reconstructor"),
    "the AR's template": (
        "ar",
        sidecar_says("prompt_templates", "Summary of the following", "What follows is the"),
        r"sidecar .* of the reconstructor .*; the rendered prompt of the reconstructor",
    ),
}


def put_back(files: dict[Path, bytes], root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_file() and path not in files:
            path.unlink()
    for path, held in files.items():
        if path.read_bytes() != held:
            path.write_bytes(held)


@pytest.mark.parametrize(("part", "change", "named"), CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_that_changed_between_two_halves_is_refused_by_name(
    part: str, change: Change, named: str, half: tuple[Path, dict[Path, bytes]]
) -> None:
    folder, files = half
    before = read_run(folder / "run.duckdb")
    try:
        change(folder / "pair" / part)
        with pytest.raises(
            CheckpointChanged, match=rf"Changed since: the {named} of pair tiny-qwen2 \(sha256 .*-new-run"
        ):
            run(folder / "experiment.yaml", folder / "run.duckdb", engine="transformers")
    finally:
        put_back(files, folder / "pair")
    assert read_run(folder / "run.duckdb") == before


def rewritten(name: str) -> Change:
    """The same JSON laid out otherwise, its keys in another order."""

    def change(directory: Path) -> None:
        content = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(dict(reversed(content.items())), indent=7))

    return change


def sidecar_with_a_comment(directory: Path) -> None:
    path = directory / "nla_meta.yaml"
    path.write_text("# fetched on a Monday\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def copied_anew(directory: Path) -> None:
    shutil.copytree(directory, directory.with_name("again"))
    shutil.rmtree(directory)
    directory.with_name("again").rename(directory)


HARMLESS: dict[str, tuple[str, Change]] = {
    "the same bytes in new files": ("ar", copied_anew),
    "a comment in the sidecar": ("av", sidecar_with_a_comment),
    "a configuration laid out anew": ("base", rewritten("config.json")),
    "the version that saved it": ("av", set_in("generation_config.json", transformers_version="9.9")),
    "a page about it": ("base", lambda directory: (directory / "README.md").write_text("read me") and None),
}


def test_what_decides_no_answer_may_change(half: tuple[Path, dict[Path, bytes]]) -> None:
    folder, files = half
    try:
        for part, change in HARMLESS.values():
            change(folder / "pair" / part)
        said = run(folder / "experiment.yaml", folder / "run.duckdb", engine="transformers", limit=2)
        assert said.startswith("2 items")
    finally:
        put_back(files, folder / "pair")


def test_a_chat_template_that_renders_the_same_prompt_is_the_same() -> None:
    def rows(template: str, *prompt: str) -> list[Making]:
        pair_id = PairId("tiny")
        of_prompt = [Making(pair_id, "verbalizer", "prompt", digest) for digest in prompt]
        return [Making(pair_id, "verbalizer", "chat_template", template), *of_prompt]

    assert changes(rows("a", "p"), rows("b", "p")) == []
    assert [change.then.kind for change in changes(rows("a", "p"), rows("b", "q"))] == ["chat_template", "prompt"]
    # Where nobody rendered it, the template itself tells.
    assert [change.then.kind for change in changes(rows("a", "p"), rows("b"))] == ["chat_template"]


@pytest.fixture
def fresh(half: tuple[Path, dict[Path, bytes]], tmp_path: Path) -> Path:
    """A folder of one's own with the pair, the corpus and the experiment."""
    folder, _ = half
    shutil.copytree(folder / "pair", tmp_path / "pair")
    shutil.copy(folder / "documents.jsonl", tmp_path)
    text = (folder / "experiment.yaml").read_text().replace(str(folder), str(tmp_path))
    (tmp_path / "experiment.yaml").write_text(text)
    return tmp_path


def test_a_finished_run_needs_no_checkpoint_but_refuses_another_one_and_starts_over_when_told(fresh: Path) -> None:
    experiment, db = fresh / "experiment.yaml", fresh / "run.duckdb"
    run(experiment, db, engine="transformers", limit=2)
    rows = read_run(db)
    weights = {row.role: row.digest for row in rows.of(Making) if row.kind == "weights"}
    assert rows.run.environment["checkpoints"] == {"tiny-qwen2": weights}
    (fresh / "pair").rename(fresh / "away")
    assert run(experiment, db, engine="transformers", limit=2).endswith("nothing was missing")
    (fresh / "away").rename(fresh / "pair")
    assert run(experiment, db, engine="transformers", limit=2).endswith("nothing was missing")
    scaled("value_head.safetensors")(fresh / "pair" / "ar")
    with pytest.raises(CheckpointChanged, match=r"weights \(\*\.safetensors\) of the reconstructor"):
        run(experiment, db, engine="transformers", limit=2)
    # As an earlier version left it, a run file tells of its weights alone.
    with RunFile.open(db) as run_file:
        run_file.replace({type(rows.of(Making)[0]): []})
    with pytest.raises(CheckpointChanged, match=r"weights \(\*\.safetensors\) of the reconstructor"):
        run(experiment, db, engine="transformers", limit=2)
    # Without its run file, the vectors themselves tell.
    db.rename(fresh / "kept.duckdb")
    with pytest.raises(VectorsOfAnotherMaking, match=r"reconstructions/.*: reconstructor weights \(sha256 .* there, "):
        run(experiment, db, engine="transformers", limit=2)
    assert start_over(request(experiment, db, "transformers")) is not None
    run(experiment, db, engine="transformers", limit=2)
    assert read_run(db).of(Score) != rows.of(Score)
    assert (fresh / "run.1.activations").is_dir()


def test_weights_exchanged_while_they_are_used_are_told_and_not_recorded(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, db = fresh / "experiment.yaml", fresh / "run.duckdb"
    original = (fresh / "pair/av/model.safetensors").read_bytes()
    written = TransformersVerbalizer.verbalize

    def exchanged(self: TransformersVerbalizer, vectors: Any) -> Any:
        answers = written(self, vectors)
        scaled("model.safetensors")(fresh / "pair" / "av")
        return answers

    monkeypatch.setattr(TransformersVerbalizer, "verbalize", exchanged)
    with pytest.raises(CheckpointChanged, match=r"weights \(\*\.safetensors\) of the verbalizer"):
        run(experiment, db, engine="transformers", limit=2)
    monkeypatch.undo()
    (fresh / "pair/av/model.safetensors").write_bytes(original)
    run(experiment, db, engine="transformers", limit=2)
    assert len(read_run(db).of(Score)) == 2


def test_a_template_that_looks_at_the_clock_is_told_as_one(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, db = fresh / "experiment.yaml", fresh / "run.duckdb"
    prompts = TransformersEngine.prompt_ids

    def on(day: int) -> None:
        monkeypatch.setattr(TransformersEngine, "prompt_ids", lambda self, pair: (day, *prompts(self, pair)))

    on(26)
    run(experiment, db, engine="transformers", only="sample")
    on(27)
    with pytest.raises(CheckpointChanged, match=r"Its chat template may write the date: take that out of it"):
        run(experiment, db, engine="transformers")
