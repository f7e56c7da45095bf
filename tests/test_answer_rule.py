"""Runs that an earlier version began: their answers are judged anew, and everything that rests on them follows."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.scripted_runs import everything, run, scripted_content, write_corpus, write_experiment

from nlareport.checkpoints.answers import ANSWER_RULE, MARK_WORDS
from nlareport.rows.item_rows import Ablation, AnswerMark, Explanation, NullScore, Score
from nlareport.rows.run_rows import PairId
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.whole_run import read_run

SMALL = PairId("small")
BUDGET = 60
Judge = Callable[[Explanation], Explanation]


def closed(completion: str, text: str | None, n_tokens: int = 9) -> Judge:
    """An answer as the earlier rule left it: clean, since the closing tag was found."""
    return lambda row: replace(row, completion=completion, text=text, n_tokens=n_tokens, finish="closed", is_clean=True)


OLDER: list[Judge] = [
    closed("A river.</explanation>", "A river."),
    closed('<explanation >A "river".</explanation>', '<explanation >A "river".'),
    closed("<explanation> </explanation>", None),
    lambda row: replace(row, n_tokens=BUDGET),
    lambda row: replace(row, completion="A river.", text=None, finish="stop", is_clean=False),
    lambda row: replace(row, completion="<explanation>A", text=None, finish="length", is_clean=False, n_tokens=BUDGET),
]
MARKS = ["unopened_tag", "misspelt_tag", "empty", "overrun", "no_tag", "budget"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, its experiment and its corpus. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("finished")
    write_corpus(folder, 20)
    run(write_experiment(folder, experiment_content()), folder / "run.duckdb")
    return folder


@pytest.fixture
def db(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run, everything beside it."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run.duckdb"


def experiment_content(unclean: str = "unscored") -> dict[str, Any]:
    content = scripted_content(8)
    content["scoring"]["unclean"] = unclean
    return {**content, "ablations": ["words_shuffled"]}


def gone_on(db: Path, unclean: str = "unscored", only: str | None = None) -> str:
    return run(write_experiment(db.parent, experiment_content(unclean)), db, only=only)


def without_rule(db: Path, *more: str) -> None:
    """Lets the run file say no more of how its answers were judged than an earlier version did."""
    with RunFile.open(db) as run_file:
        run_file.replace({AnswerMark: []})
        made = run_file.run()
        environment = {key: value for key, value in made.environment.items() if key not in ("answer_rule", *more)}
        run_file.put([replace(made, environment=environment)])


@pytest.fixture
def older(db: Path) -> Path:
    """The same, but that the first answers of one pair say other things, judged by the closing tag alone."""
    with RunFile.open(db) as run_file:
        stored = [row for row in run_file.rows(Explanation) if row.source == SMALL]
        run_file.put([judge(row) for judge, row in zip(OLDER, stored, strict=False)])
    without_rule(db, "scored")
    return db


def small_scores(db: Path) -> dict[int, tuple[float | None, str | None]]:
    """The pair's own reading of its answers, by place."""
    rows = [row for row in read_run(db).of(Score) if (row.source, row.target) == (SMALL, SMALL)]
    return {place: (row.mse_nrm, row.unscored_reason) for place, row in enumerate(rows)}


def test_an_older_run_is_judged_by_the_rule_of_this_version_and_scored_again(older: Path) -> None:
    before = small_scores(older)
    gone_on(older)
    rows = read_run(older)
    assert rows.run.environment["answer_rule"] == ANSWER_RULE
    written = [row for row in rows.of(Explanation) if row.source == SMALL]
    assert {(row.item_id, row.mark) for row in rows.of(AnswerMark)} == {
        (row.item_id, mark) for row, mark in zip(written, MARKS, strict=False)
    }
    assert [row.is_clean for row in written] == [False] * 3 + [True] + [False] * 2 + [True] * 2
    assert [row.finish for row in written[:6]] == ["stop", "stop", "closed", "closed", "stop", "length"]
    assert [row.text for row in written[:3]] == [None] * 3
    after = small_scores(older)
    for place, mark in enumerate(MARKS):
        assert after[place] == (before[place] if mark == "overrun" else (None, f"not clean: {MARK_WORDS[mark]}"))
    assert {place: after[place] for place in (6, 7)} == {place: before[place] for place in (6, 7)}
    with DuckDBReader.open(older) as reader:
        assert reader.frame("audits/answer_beside_its_mark").is_empty()
    # Whoever looks again finds nothing to do.
    held = everything(older)
    assert gone_on(older).endswith("nothing was missing")
    assert everything(older) == held


def test_what_an_odd_answer_costs_follows_the_choice(older: Path) -> None:
    as_written = small_scores(older)[3]
    with RunFile.open(older) as run_file:
        ablations = run_file.rows(Ablation)
    gone_on(older, "raw", only="sample")
    rows = read_run(older)
    written = [row.item_id for row in rows.of(Explanation) if row.source == SMALL]
    # What was read of a text that counts no more went with the judgement.
    assert rows.of(Ablation) == [row for row in ablations if row.source != SMALL or row.item_id not in written[:3]]
    gone_on(older, "raw")
    raw = small_scores(older)
    assert all(error is not None for error, _ in raw.values())
    assert raw[3] == as_written
    assert sum((row.source, row.target) == (SMALL, SMALL) for row in read_run(older).of(Ablation)) == 8
    read = dict(zip(*everything(older)[1]["small--small"], strict=True))
    # What is quoted is read of a whole answer, too; where nothing is, the pair's constant vector is given.
    assert read[written[0]] == read[written[2]] == read[written[4]] == read[written[5]] != read[written[1]]
    gone_on(older, "penalty")
    penalty = small_scores(older)
    assert [penalty[place][0] for place in (0, 1, 3, 4, 5)] == [2.0] * 5
    # Training read an empty pair of tags.
    assert penalty[2] == raw[2] != (2.0, None)
    nulls = {row.item_id for row in read_run(older).of(NullScore) if (row.source, row.target) == (SMALL, SMALL)}
    assert nulls == {written[place] for place in (2, 6, 7)}


def test_an_older_run_without_an_odd_answer_only_says_by_which_rule_it_was_judged(db: Path) -> None:
    before = everything(db)
    without_rule(db, "scored")
    gone_on(db)
    assert everything(db) == before


def test_a_run_of_this_version_is_not_judged_again(db: Path) -> None:
    """The last token of a budget may be the one that ends an answer: only the verbalizer knew, and only once."""
    with RunFile.open(db) as run_file:
        (first, *_) = run_file.rows(Explanation)
        run_file.put([replace(first, n_tokens=BUDGET)])
    gone_on(db, "penalty")
    assert read_run(db).of(AnswerMark) == []


def test_a_published_run_of_an_earlier_rule_stays_as_it_is(db: Path) -> None:
    without_rule(db)
    ActivationStore(db).folder.rename(db.parent / "elsewhere")
    before = db.read_bytes()
    assert gone_on(db).endswith("nothing was missing")
    assert db.read_bytes() == before


def test_answers_and_their_marks_are_stored_together(tmp_path: Path) -> None:
    write_corpus(tmp_path, 20)
    content = scripted_content(8)
    content["decoding"]["max_new_tokens"] = 10
    experiment, db = write_experiment(tmp_path, content), tmp_path / "run.duckdb"
    for stage in ("sample", "extract", "verbalize"):
        run(experiment, db, only=stage)
    rows = read_run(db)
    marks = {(row.source, row.item_id): row.mark for row in rows.of(AnswerMark)}
    # Ten words, the closing tag the last of them, leave none for the end.
    expected = {
        (row.source, row.item_id): "overrun" if row.is_clean else "budget"
        for row in rows.of(Explanation)
        if len((row.completion or "").split(" ")) == 10
    }
    assert set(marks.values()) == {"overrun", "budget"}
    assert marks == expected
