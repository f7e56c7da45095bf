"""Explanations drawn at a temperature: the same from the same seed, in any batch, and in a run that was stopped."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from support import scripted_runs
from support.scripted_runs import everything, run, scripted_content, write_corpus, write_experiment
from support.tiny_checkpoints import D_MODEL, Architecture, TinyPair

from nlareport.backends.drawn_tokens import token_drawers
from nlareport.backends.transformers_local import TransformersVerbalizer
from nlareport.batches import TokenDraws
from nlareport.cli import cli
from nlareport.errors import ExperimentInvalid, RunOfAnotherExperiment
from nlareport.experiment.experiment_file import parse_experiment
from nlareport.render.report.draw_tables import read_draws
from nlareport.rows.draw_rows import BestOfDraws, DrawSpread, TextAgreement
from nlareport.rows.item_rows import Explanation
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import read_run

torch.set_num_threads(1)


def drawn_content(n_items: int = 6, **decoding: Any) -> dict[str, Any]:
    content = scripted_content(n_items)
    content["decoding"] |= {"temperature": 1.0, "draws": 3, **decoding}
    return content


def computed(folder: Path, content: dict[str, Any], engine: str = "scripted") -> Path:
    folder.mkdir(exist_ok=True)
    write_corpus(folder, 12)
    run(write_experiment(folder, content), folder / "run.duckdb", engine)
    return folder / "run.duckdb"


def answers(db: Path) -> dict[tuple[str, int, int], str | None]:
    return {(row.source, row.draw, row.item_id): row.completion for row in read_run(db).of(Explanation)}


def picked(scores: torch.Tensor, draws: TokenDraws) -> list[int]:
    """The token that is left of each row."""
    for drawer in token_drawers(draws, draws.names, 1):
        scores = drawer(torch.zeros((len(scores), 0), dtype=torch.long), scores)
    return scores.argmax(dim=-1).tolist()


@pytest.mark.parametrize(
    ("decoding", "fault"),
    [
        ({"draws": 2, "temperature": 0}, "2 greedy explanations of a vector are all the same; give a temperature"),
        ({"draws": 1, "temperature": 0, "top_p": 0.9}, "nothing is drawn at temperature 0; give a temperature"),
        ({"temperature": 0.001}, "0.001 is not 0 and below 0.01; give 0"),
    ],
)
def test_decoding_that_would_do_nothing_is_refused(decoding: dict[str, Any], fault: str) -> None:
    with pytest.raises(ExperimentInvalid, match=fault):
        parse_experiment(yaml.safe_dump(drawn_content(**decoding)), Path("my.yaml"))


def test_one_explanation_at_a_temperature_may_be_asked_for() -> None:
    decoding = parse_experiment(yaml.safe_dump(drawn_content(draws=1)), Path("my.yaml")).decoding
    assert (decoding.draws, decoding.top_p, decoding.is_greedy) == (1, 1.0, False)


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_tokens_are_drawn_as_often_as_their_probability_says(top_p: float) -> None:
    shares = np.array([0.45, 0.3, 0.15, 0.1])
    draws = TokenDraws(temperature=0.5, top_p=top_p, names=[f"answer {k}" for k in range(4_000)])
    # At temperature 0.5 scores count twice, so these give the shares.
    scores = torch.from_numpy(0.5 * np.log(shares)).float().repeat(4_000, 1)
    found = np.bincount(picked(scores, draws), minlength=4) / 4_000
    # The smallest set that holds 0.8 is the first three.
    expected = shares if top_p == 1.0 else np.array([0.5, 1 / 3, 1 / 6, 0.0])
    np.testing.assert_allclose(found, expected, atol=0.025)
    assert found[expected == 0].sum() == 0


def test_a_token_follows_from_the_name_of_its_answer_and_not_from_the_batch() -> None:
    scores = torch.randn((5, 300), generator=torch.Generator().manual_seed(1))
    names = [f"answer {k}" for k in range(5)]
    together = picked(scores, TokenDraws(1.0, 0.95, names))
    alone = [picked(scores[k : k + 1], TokenDraws(1.0, 0.95, [name]))[0] for k, name in enumerate(names)]
    assert together == alone
    assert together != picked(scores, TokenDraws(1.0, 0.95, [f"other {k}" for k in range(5)]))


def test_scores_that_are_no_numbers_pick_some_token_and_are_told_later() -> None:
    assert 0 <= picked(torch.full((1, 7), torch.nan), TokenDraws(1.0, 1.0, ["answer"]))[0] < 7


def test_a_drawn_answer_does_not_depend_on_its_batch(tiny_pairs: dict[Architecture, TinyPair]) -> None:
    vectors = np.random.default_rng(3).standard_normal((5, D_MODEL)).astype(np.float32)
    draws = TokenDraws(1.0, 1.0, [f"answer {k}" for k in range(5)])
    found = []
    for batch_size in (1, 2, 5):
        with TransformersVerbalizer(
            tiny_pairs["gemma3"].verbalizer, dtype="float32", max_new_tokens=10, batch_size=batch_size
        ) as verbalizer:
            found.append(verbalizer.verbalize(vectors, draws))
            greedy = verbalizer.verbalize(vectors)
    assert found[0] == found[1] == found[2] != greedy


def test_tiny_checkpoints_write_the_same_draws_in_other_batches(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path
) -> None:
    content = drawn_content(3, max_new_tokens=8, draws=2)
    content["pairs"] = [tiny_pairs["qwen2"].pair_spec.model_dump() | {"pair_id": "one"}]
    content["sampling"]["reference_pair"] = "one"
    content["scoring"]["unclean"] = "raw"
    whole = computed(tmp_path / "whole", content, "transformers")
    assert len(set(answers(whole).values())) == 6
    with DuckDBReader.open(whole) as reader:
        assert all(row["passed"] for row in reader.frame("self_tests").to_dicts())
    content["compute"]["batch_size"] = 3
    assert answers(computed(tmp_path / "wider", content, "transformers")) == answers(whole)


def test_more_draws_of_a_finished_run_are_those_of_a_run_that_had_them_at_once(tmp_path: Path) -> None:
    at_once = computed(tmp_path / "at_once", drawn_content(draws=3))
    later = computed(tmp_path / "later", drawn_content(draws=1))
    first = answers(later)
    assert read_run(later).of(DrawSpread) == []
    computed(tmp_path / "later", drawn_content(draws=3))
    assert first.items() <= answers(later).items()
    rows, vectors = everything(later)
    expected, expected_vectors = everything(at_once)
    assert rows.tables == expected.tables
    assert vectors == expected_vectors
    assert len(rows.of(DrawSpread)) == len({(row.source, row.target) for row in rows.of(BestOfDraws)}) == 4
    assert [row.source for row in rows.of(TextAgreement)] == ["large", "small"]


@pytest.mark.parametrize(
    ("decoding", "key"), [({"draws": 2}, "decoding.draws"), ({"temperature": 0.7}, "decoding.temperature")]
)
def test_fewer_draws_and_another_temperature_are_another_experiment(
    decoding: dict[str, Any], key: str, tmp_path: Path
) -> None:
    computed(tmp_path, drawn_content())
    with pytest.raises(RunOfAnotherExperiment, match=key):
        computed(tmp_path, drawn_content(**decoding))


def test_a_killed_run_goes_on_with_the_same_draws(tmp_path: Path) -> None:
    expected = computed(tmp_path / "whole", drawn_content())
    stopped = tmp_path / "stopped"
    shutil.copytree(expected.parent, stopped, ignore=lambda *_: {"run.duckdb", "run.activations"})
    asked = [str(stopped / "experiment.yaml"), str(stopped / "run.duckdb"), "scripted", "Explanation", "5"]
    killed = subprocess.run([sys.executable, scripted_runs.__file__, *asked], check=False)
    assert killed.returncode < 0
    assert 0 < len(answers(stopped / "run.duckdb")) < len(answers(expected))
    run(stopped / "experiment.yaml", stopped / "run.duckdb")
    assert everything(stopped / "run.duckdb")[0].tables == everything(expected)[0].tables


def test_the_page_shows_draws_where_there_are_several_and_nothing_of_them_elsewhere(tmp_path: Path) -> None:
    several = computed(tmp_path / "several", drawn_content())
    result = CliRunner().invoke(cli, ["render", str(several), "--out", str(tmp_path / "report")])
    assert result.exit_code == 0, result.output
    page, item, browser = (
        (tmp_path / "report" / name).read_text(encoding="utf-8")
        for name in ("index.html", "items/0.html", "browse.html")
    )
    assert "drawn at temperature 1, 3 explanations of every item" in page
    assert "Several draws of an explanation" in page
    assert "random numbers that tokens are drawn with follow from the seed" in page
    assert "greedy" not in page
    assert page.count("All 3 draws") >= 2
    assert item.count("All 3 draws") == 2
    assert ", the best" in item
    assert "means over the draws" in browser
    with DuckDBReader.open(computed(tmp_path / "one", drawn_content(draws=1))) as reader:
        assert read_draws(reader) is None
