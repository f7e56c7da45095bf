"""What an import computes from the rows of a bundle, held against plain recomputations of the same figures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

from nlareport.errors import RunFileTaken
from nlareport.publish import publish_run
from nlareport.review.sources import import_figures
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, Effect, Measure, SubsetRange
from nlareport.rows.item_rows import Item, Outlier, Score
from nlareport.rows.run_rows import Claim, Pair
from nlareport.store.bundle.bundle import bundle_rows, export_bundle, import_bundle
from nlareport.store.row_tables import sort_key
from nlareport.store.whole_run import RunRows, read_run

VARIANCES = {"a": 0.7335, "b": 0.9169, "c": 0.5}
N_ITEMS = 60

Rows = Sequence[Mapping[str, Any]]


def a_bundle(folder: Path, pair_ids: str = "ab", run: Mapping[str, Any] | None = None, **tables: Rows) -> Path:
    """A folder as people write one: a title, the pairs with V, and rows as JSON lines."""
    folder.mkdir()
    pairs = [
        {"pair_id": name, "family": f"f-{name}", "base_model": f"org/{name}", "block_index": 1, "d_model": 8}
        | {"variance_nrm": VARIANCES[name]}
        for name in pair_ids
    ]
    (folder / "run.yaml").write_text(yaml.safe_dump({"title": "Made elsewhere", "pairs": pairs, **(run or {})}))
    for stem, rows in tables.items():
        (folder / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def some_scores(pair_ids: str = "ab", n_items: int = N_ITEMS) -> list[dict[str, Any]]:
    """Errors of every item in every cell."""
    rng = np.random.default_rng(5)
    return [
        {"item_id": item, "source": source, "target": target, "mse_nrm": round(float(rng.uniform(0.1, 0.6)), 4)}
        for item in range(n_items)
        for source in pair_ids
        for target in pair_ids
    ]


def some_items(n_items: int = N_ITEMS, of_each: int = 3) -> list[dict[str, Any]]:
    """Items with tokens of all three kinds, several of a document."""
    tokens = [" word", " 7", ".", " next"]
    return [
        {"item_id": k, "doc_id": f"d{k // of_each}", "token": tokens[k % 4], "context": f"so{tokens[k % 4]}"}
        for k in range(n_items)
    ]


def cells_of(rows: RunRows, subset: str = "all") -> dict[tuple[str, str], Cell]:
    return {(cell.source, cell.target): cell for cell in rows.of(Cell) if cell.subset == subset}


def errors_of(scores: Rows, source: str, target: str) -> np.ndarray:
    return np.array([row["mse_nrm"] for row in scores if (row["source"], row["target"]) == (source, target)])


def test_scores_alone_give_the_matrix_that_a_plain_recomputation_gives(tmp_path: Path) -> None:
    scores = some_scores()
    rows = bundle_rows(a_bundle(tmp_path / "scores", scores=scores))
    cells = cells_of(rows)
    assert len(cells) == len(rows.of(Cell)) == 4
    for (source, target), cell in cells.items():
        fve = 1 - errors_of(scores, source, target) / VARIANCES[target]
        assert cell.fve_nrm == pytest.approx(fve.mean(), abs=1e-12)
        assert (cell.n_scored, cell.n_unscored, cell.null_fve) == (N_ITEMS, 0, None)
        assert cell.median == pytest.approx(np.median(fve))
        assert cell.trimmed_mean == pytest.approx(stats.trim_mean(fve, 0.1))
        assert cell.share_below_zero == pytest.approx((fve < 0).mean())
        plain = stats.bootstrap((fve,), np.mean, n_resamples=10_000, method="percentile", rng=1).confidence_interval
        # Two independent sets of 10,000 draws put an end within a tenth of a standard error of each other.
        assert [cell.ci_low, cell.ci_high] == pytest.approx(list(plain), abs=0.15 * stats.sem(fve))
        # |mu|² = 1 - V on the items that V is of.
        length = (1 - VARIANCES[target]) ** 0.5
        assert cell.fve_meannorm == pytest.approx(1 - errors_of(scores, source, target).mean() / (2 * (1 - length)))
        constant = next(row for row in rows.of(Baseline) if (row.source, row.target) == (source, target))
        assert constant.fve_nrm == pytest.approx(1 - 2 * (1 - length) / VARIANCES[target])
    fraction = next(row for row in rows.of(Measure) if row.source == "a")
    assert fraction.value == pytest.approx(cells["a", "b"].fve_nrm / cells["b", "b"].fve_nrm)
    assert fraction.ci_low < fraction.value < fraction.ci_high
    assert rows.of(Item) == rows.of(Outlier) == rows.of(SubsetRange) == rows.of(Effect) == []


def test_items_of_a_document_move_together_in_the_intervals(tmp_path: Path) -> None:
    # Every item three times: the same values say no more than a third of them do.
    third = some_scores(n_items=20)
    scores = [{**row, "item_id": 3 * row["item_id"] + k} for row in third for k in range(3)]
    whole = cells_of(bundle_rows(a_bundle(tmp_path / "whole", scores=scores, items=some_items())))
    part = cells_of(bundle_rows(a_bundle(tmp_path / "part", scores=third)))
    for key, cell in whole.items():
        assert cell.fve_nrm == pytest.approx(part[key].fve_nrm)
        assert [cell.ci_low, cell.ci_high] == pytest.approx([part[key].ci_low, part[key].ci_high], abs=0.004)


def test_whatever_rests_on_items_texts_norms_and_readings_is_computed_once_they_are_there(tmp_path: Path) -> None:
    scores, items = some_scores("abc"), some_items()
    norms = [20.0 if k == 5 else 1.0 + k / 100 for k in range(N_ITEMS)]
    rows = bundle_rows(
        a_bundle(
            tmp_path / "rich",
            "abc",
            scores=scores,
            items=items,
            explanations=[{"item_id": k, "source": "a", "text": f"a text about {k} alone"} for k in range(N_ITEMS)],
            alignments=[
                {"item_id": k, "pair_id": "a", "token_index": 50 + k, "char_error": 0, "activation_norm": norms[k]}
                for k in range(N_ITEMS)
            ],
            activations=[{"item_id": k, "pair_id": "a", "atypicality": 0.3 + k / 1000} for k in range(N_ITEMS)],
            null_scores=[
                {"item_id": k, "source": "a", "target": "b", "permutation": 0, "mse_nrm": 1.8} for k in range(N_ITEMS)
            ],
            resemblances=[
                {"item_id": k, "source": "a", "target": "b", "centred_cosine": 0.5, "n_nearer": 0, "n_others": 57}
                for k in range(N_ITEMS)
            ],
            plain_readings=[{"item_id": k, "target": "b", "n_words": 8, "mse_nrm": 0.9} for k in range(N_ITEMS)],
            ablations=[
                {"item_id": k, "source": "a", "target": "b", "method": "told_by_a_third", "mse_nrm": 0.8}
                for k in range(30)
            ],
        )
    )
    assert [(row.item_id, row.reason) for row in rows.of(Outlier)] == [(5, "norm")]
    assert [item.item_id for item in rows.of(Item) if item.is_outlier] == [5]
    assert cells_of(rows, "without_outliers")["a", "b"].n_scored == N_ITEMS - 1
    assert cells_of(rows, "digits")["c", "b"].n_scored == 15
    assert cells_of(rows)["a", "b"].null_fve == pytest.approx(1 - 1.8 / VARIANCES["b"])
    assert {row.subset for row in rows.of(SubsetRange)} >= {"context_1", "norm_4", "atypical_2"}
    assert len(rows.of(Effect)) == 6
    assert all(row.ci_low is not None for row in rows.of(Effect))
    measures = {row.measure: row for row in rows.of(Measure) if (row.source, row.target) == ("a", "b")}
    assert measures["identified_of_all"].value == 1.0
    baselines = {(row.target, row.method): row for row in rows.of(Baseline) if row.source == "c"}
    assert baselines["b", "last_8_words"].fve_nrm == pytest.approx(1 - 0.9 / VARIANCES["b"])
    atypical = np.array([0.3 + k / 1000 for k in range(N_ITEMS)])
    assert baselines["a", "best_constant"].fve_nrm == pytest.approx(1 - 2 * atypical.mean() / VARIANCES["a"])
    assert baselines["a", "best_constant"].ci_low is not None
    (changed,) = rows.of(AblationCell)
    written = errors_of(scores, "a", "b")[:30].mean()
    assert (changed.method, changed.n_scored) == ("told_by_a_third", 30)
    assert changed.fve_drop == pytest.approx((0.8 - written) / VARIANCES["b"])


def test_what_the_bundle_states_stays_and_gets_the_interval_it_leaves_open(tmp_path: Path) -> None:
    scores = some_scores()
    mean = {key: cell.fve_nrm for key, cell in cells_of(bundle_rows(a_bundle(tmp_path / "s", scores=scores))).items()}
    stated = [
        {"source": "a", "target": "a", "subset": "all", "fve_nrm": round(mean["a", "a"], 3)},
        {"source": "a", "target": "b", "subset": "all", "fve_nrm": 0.125, "n_scored": N_ITEMS},
    ]
    rows = bundle_rows(a_bundle(tmp_path / "c", scores=scores, cells=stated))
    cells = cells_of(rows)
    assert len(cells) == 4
    assert cells["a", "a"].fve_nrm == round(mean["a", "a"], 3)
    assert cells["a", "a"].ci_low < cells["a", "a"].fve_nrm < cells["a", "a"].ci_high
    # The scores contradict it, so the interval of theirs would be of another figure.
    assert (cells["a", "b"].fve_nrm, cells["a", "b"].ci_low) == (0.125, None)
    assert cells["b", "b"].fve_nrm == mean["b", "b"]
    assert rows.run.environment["computed_at_import"]["stated"] == ["cell"]


def test_without_v_what_needs_it_stays_open(tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "no-v", scores=some_scores())
    described = yaml.safe_load((folder / "run.yaml").read_text())
    del described["pairs"][1]["variance_nrm"]
    (folder / "run.yaml").write_text(yaml.safe_dump(described))
    rows = bundle_rows(folder)
    cells = cells_of(rows)
    assert (cells["a", "b"].n_scored, cells["a", "b"].fve_nrm, cells["a", "b"].ci_low) == (N_ITEMS, None, None)
    assert cells["b", "a"].fve_nrm is not None
    assert {row.target for row in rows.of(Baseline)} == {"a"}
    assert [row.fve_nrm is None for row in rows.of(Score)][:2] == [False, True]
    assert [pair.mean_norm is None for pair in rows.of(Pair)] == [False, True]


def test_how_intervals_are_drawn_can_be_said_and_is_recorded(tmp_path: Path) -> None:
    scores = some_scores()
    stated = {"bootstrap": {"draws": 400, "seed": 9}}
    rows = bundle_rows(a_bundle(tmp_path / "few", scores=scores, run=stated))
    default = bundle_rows(a_bundle(tmp_path / "many", scores=scores))
    record = {name: rows.run.environment["computed_at_import"][f"bootstrap_{name}"] for name in ("draws", "seed")}
    assert record == stated["bootstrap"]
    assert default.run.environment["computed_at_import"]["bootstrap_draws"] == 10_000
    assert cells_of(rows)["a", "b"].ci_low != cells_of(default)["a", "b"].ci_low


def test_an_import_goes_out_and_comes_back_in_with_the_same_rows(tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "in", "abc", scores=some_scores("abc"), items=some_items())
    assert import_bundle(folder, tmp_path / "a.duckdb")
    export_bundle(tmp_path / "a.duckdb", tmp_path / "out", "parquet")
    assert import_bundle(tmp_path / "out", tmp_path / "b.duckdb")
    assert read_run(tmp_path / "b.duckdb") == read_run(tmp_path / "a.duckdb")
    # Without its derived tables they are computed again, from the draws it was computed with.
    for stem in ("cells", "effects", "measures", "baselines", "outliers", "claims"):
        (tmp_path / "out" / f"{stem}.parquet").unlink()
    again = bundle_rows(tmp_path / "out").of(Cell)
    assert sorted(again, key=sort_key) == read_run(tmp_path / "a.duckdb").of(Cell)


def test_published_figures_are_not_computed_from_the_few_scores_of_their_cards(tmp_path: Path) -> None:
    cell = {"source": "a", "target": "a", "subset": "all", "fve_nrm": 0.7}
    folder = a_bundle(tmp_path / "p", run={"kind": "published"}, scores=some_scores(n_items=4), cells=[cell])
    assert [row.fve_nrm for row in bundle_rows(folder).of(Cell)] == [0.7]


def test_items_without_a_token_are_in_no_stratum(tmp_path: Path) -> None:
    items = [{**item, "token": ""} for item in some_items()]
    rows = bundle_rows(a_bundle(tmp_path / "spans", scores=some_scores(), items=items))
    assert {cell.subset for cell in rows.of(Cell)} == {"all"}


def part(folder: Path, pair_ids: str, scores: Rows, **tables: Rows) -> Path:
    return a_bundle(folder, pair_ids, scores=scores, items=some_items(), **tables)


def test_parts_added_one_after_the_other_make_the_run_that_all_of_them_make(tmp_path: Path) -> None:
    scores, db = some_scores("abc"), tmp_path / "run.duckdb"
    texts = [{"item_id": k, "source": "a", "text": f"a text about {k} alone"} for k in range(N_ITEMS)]
    few = [row for row in scores if "c" not in (row["source"], row["target"])]
    first = part(tmp_path / "first", "ab", [row for row in few if row["item_id"] < 40])
    second = part(tmp_path / "second", "ba", few)
    third = part(tmp_path / "third", "cab", scores, explanations=texts)
    assert [import_bundle(folder, db) for folder in (first, second, third)] == [True, True, True]
    whole = part(tmp_path / "whole", "abc", scores, explanations=texts)
    import_bundle(whole, tmp_path / "whole.duckdb")
    added, at_once = read_run(db), read_run(tmp_path / "whole.duckdb")
    assert added.of(Cell) == at_once.of(Cell)
    assert added.of(Pair) == at_once.of(Pair)
    assert len(added.of(Claim)) > 0
    assert {row_type for row_type in added.tables if added.tables[row_type] != at_once.tables[row_type]} <= {Claim}
    before = db.read_bytes()
    assert [import_bundle(folder, db) for folder in (first, second, third)] == [False, False, False]
    assert db.read_bytes() == before


def test_an_addition_that_contradicts_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    scores, db = some_scores(), tmp_path / "run.duckdb"
    import_bundle(part(tmp_path / "first", "ab", scores), db)
    before = db.read_bytes()
    other = [{**scores[0], "mse_nrm": 0.9}, *scores[1:]]
    named = {"title": "Another"}
    cells = [{"source": "a", "target": "a", "subset": "all", "fve_nrm": 0.125}]
    for folder, said in (
        (part(tmp_path / "value", "ab", other), "score with source 'a', target 'a', draw '0', item_id '0' has mse_nrm"),
        (part(tmp_path / "cells", "abc", some_scores("abc"), cells=cells), "stated, not computed"),
        (a_bundle(tmp_path / "title", run=named, scores=scores), "'Made elsewhere' and not 'Another'"),
        (a_bundle(tmp_path / "kind", run={"kind": "published"}, scores=scores), "only an import can be added"),
    ):
        with pytest.raises(RunFileTaken, match=said):
            import_bundle(folder, db)
    described = (tmp_path / "first" / "run.yaml").read_text().replace("0.7335", "0.73")
    (tmp_path / "first" / "run.yaml").write_text(described)
    with pytest.raises(RunFileTaken, match=r"pair with pair_id 'a' has variance_nrm '0\.7335', not '0\.73'"):
        import_bundle(tmp_path / "first", db)
    assert db.read_bytes() == before


@pytest.mark.runs
def test_the_page_of_an_import_says_what_is_absent_in_one_list_and_nothing_false(tmp_path: Path) -> None:
    texts = [{"item_id": k, "source": "a", "text": f"a text about {k} alone"} for k in range(N_ITEMS)]
    folder = a_bundle(tmp_path / "in", scores=some_scores(), explanations=texts)
    done = import_figures(folder, tmp_path / "run.duckdb")
    assert done.summary == [
        "2 × 2 cells with intervals from 240 scores",
        "not there: items.*, is_clean in explanations.*, null_scores.* and 6 more (the report's notes say more)",
    ]
    page = publish_run(tmp_path / "run.duckdb", tmp_path / "out").read_text(encoding="utf-8")
    assert page.count("What was not brought") == 1
    for absent in ("items.*", "null_scores.*", "alignments.*", "resemblances.*"):
        assert page.count(f"<code>{absent}</code>") == 1
    for false in (
        "holds no decode",
        "holds no null",
        "own norm",
        "No document was skipped",
        "browse.html",
        "this run's items",
    ):
        assert false not in page
    assert "10\u202f000 draws, seed 0, V fixed; computed at import" in page
