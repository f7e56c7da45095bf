"""`nlareport check`: every planted fault is caught and named, sound runs pass, and prose is read as it is written."""

import math
import re
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from support.made_runs import PUBLISHED

from nlareport.checks import Figure, Replication, WrittenNumber
from nlareport.claims.reading import claim_templates
from nlareport.cli import cli
from nlareport.comparison import CellDifference
from nlareport.render.check_text import replication_line, replication_summary
from nlareport.review import replication
from nlareport.review.prose_numbers import judge, rounds_to, written_numbers
from nlareport.review.sources import open_run
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Pair, PairId

POCKET = Path("data/pocket.duckdb")
QWEN, LLAMA = PairId("qwen7-L20"), PairId("llama70-L53")
NAMES = {"qwen-7B": QWEN, "llama-70B": LLAMA, QWEN: QWEN, LLAMA: LLAMA}


def check(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, arguments)])


def planted(path: Path, tmp_path: Path, *statements: str) -> Result:
    """The check of a copy of a run in which something was changed behind nlareport's back."""
    copy = tmp_path / "planted.duckdb"
    shutil.copyfile(path, copy)
    with duckdb.connect(str(copy)) as connection:
        for statement in statements:
            connection.execute(statement)
    result = check(copy)
    assert result.exit_code == 1, result.output
    return result


def faults(result: Result) -> list[str]:
    return result.stderr.splitlines()


def faults_of(audit: str, result: Result) -> list[str]:
    return [line for line in faults(result) if f"audit {audit}: source" in line]


def test_the_pocket_run_has_no_fault() -> None:
    result = check(POCKET)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    # It is older than the marks of answers, the signs of texts and differences of tags, and has neither versions nor
    # texts without a model: one line for each sentence.
    unasked = [line.partition(":")[0].removeprefix("cannot be asked ") for line in lines if line.startswith("cannot")]
    assert unasked == ["versions", "tags", "given_texts", "content_words", "other_scripts", "answers"]
    forms = {template.claim_id: 1 if template.otherwise is None else 2 for template in claim_templates()}
    assert len(lines) == sum({**forms, **dict.fromkeys(unasked, 1)}.values())
    assert any(line.startswith("holds           above_constant (required): Every diagonal beats") for line in lines)
    assert any(re.match(r"does not hold   clean: All 4\s000 decodes", line) for line in lines)


def test_published_figures_have_no_fault_and_say_what_they_cannot_be_asked(published_run: Path) -> None:
    result = check(published_run)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        "cannot be asked above_constant (required): the best constant guess is not known; a computed" in result.stdout
    )
    unasked = [line for line in result.stdout.splitlines() if line.startswith("cannot be asked")]
    assert len(unasked) == 11
    assert "{" not in result.stdout
    assert check(PUBLISHED).stdout == result.stdout


def test_swapped_target_columns_of_scores_are_caught(tmp_path: Path) -> None:
    swap = (
        "CREATE TEMP TABLE s AS SELECT * REPLACE (CASE target WHEN 'gemma270-L9' THEN 'smollm2-L10' "
        "WHEN 'smollm2-L10' THEN 'gemma270-L9' ELSE target END AS target) FROM score"
    )
    result = planted(POCKET, tmp_path, swap, "DELETE FROM score", "INSERT INTO score SELECT * FROM s")
    found = faults(result)
    assert sum("audit fve_nrm_beside_its_mse_nrm: item_id" in line for line in found) == 10
    assert any("audit fve_nrm_beside_its_mse_nrm: and " in line and " more. See" in line for line in found)
    assert any("audit cell_beside_its_scores: source" in line for line in found)


def test_swapped_columns_of_the_matrix_are_caught_beside_the_diagonal(tmp_path: Path) -> None:
    result = planted(
        POCKET,
        tmp_path,
        "UPDATE cell SET fve_nrm = ceiling_fraction, ceiling_fraction = fve_nrm "
        "WHERE source = 'gemma270-L6' AND target = 'smollm2-L20' AND subset = 'prose'",
    )
    named = "source gemma270-L6, target smollm2-L20, subset prose"
    assert any(f"audit ceiling_fraction_beside_its_diagonal: {named}" in line for line in faults(result))
    assert any(f"audit subset_cell_beside_its_scores: {named}" in line for line in faults(result))


def test_swapped_columns_of_published_cells_are_caught_by_their_own_figures(
    published_run: Path, tmp_path: Path
) -> None:
    result = planted(
        published_run,
        tmp_path,
        "UPDATE cell SET fve_nrm = 0.514, ci_low = 0.499, ci_high = 0.529 "
        "WHERE source = 'llama70-L53' AND target = 'gemma12-L32'",
    )
    expected = "cell llama70-L53 → gemma12-L32: is 0.514 [0.499, 0.529] in the cell table and 0.63 [0.613, 0.646] in"
    assert any(expected in line for line in faults(result))


def test_swapped_ends_of_an_interval_are_caught(tmp_path: Path) -> None:
    result = planted(
        POCKET, tmp_path, "UPDATE cell SET ci_low = ci_high, ci_high = ci_low WHERE source = 'gemma270-L6'"
    )
    assert any("audit interval_ends_swapped: source gemma270-L6" in line for line in faults(result))


def test_an_error_no_two_directions_have_is_caught(tmp_path: Path) -> None:
    result = planted(POCKET, tmp_path, "UPDATE score SET mse_nrm = 4.5 WHERE item_id = 3 AND source = 'smollm2-L10'")
    assert any(
        "audit number_out_of_range: place score.mse_nrm, row_key 3 smollm2-L10" in line for line in faults(result)
    )


@pytest.mark.parametrize("pair_id", ["gemma270-L9", "smollm2-L10"])
def test_a_mislabelled_family_is_caught(pair_id: str, tmp_path: Path) -> None:
    result = planted(POCKET, tmp_path, f"UPDATE pair SET family = 'wrong' WHERE pair_id = '{pair_id}'")
    assert any(f"pair {pair_id}: family is 'wrong' in the pair table" in line for line in faults(result))


def test_one_base_model_in_two_families_is_caught_without_an_experiment(tmp_path: Path) -> None:
    result = planted(
        POCKET,
        tmp_path,
        "UPDATE run SET experiment_yaml = NULL",
        "UPDATE pair SET family = 'wrong', base_model = (SELECT base_model FROM pair WHERE pair_id = 'gemma270-L6') "
        "WHERE pair_id = 'gemma270-L9'",
    )
    assert any("audit base_model_in_two_families: base_model" in line for line in faults(result))


def test_a_sink_row_without_its_flag_is_caught(tmp_path: Path) -> None:
    result = planted(
        POCKET,
        tmp_path,
        "UPDATE alignment SET activation_norm = 860000 WHERE pair_id = 'gemma270-L9' AND item_id = "
        "(SELECT min(item_id) FROM item WHERE NOT is_outlier)",
    )
    (line,) = [line for line in faults(result) if "audit sink_without_flag" in line]
    assert "pair_id gemma270-L9, reason norm, activation_norm 860000, median_norm" in line


@pytest.mark.parametrize(
    "lie",
    [
        "UPDATE claim SET text = regexp_replace(text, '0[.][0-9]+', '0.999') WHERE claim_id = 'cross_family'",
        "UPDATE claim SET holds = true WHERE claim_id = 'cross_family.otherwise'",
        "UPDATE claim SET figures = json_merge_patch(figures, '{\"lowest\": 0.9}') WHERE claim_id = 'cross_family'",
        "INSERT INTO claim VALUES ('cross_family.best', 'Text is all you need.', 'matrix', true, '{}')",
    ],
)
def test_a_false_sentence_is_caught(lie: str, tmp_path: Path) -> None:
    (line,) = faults(planted(POCKET, tmp_path, lie))
    assert "claim cross_family" in line


@pytest.mark.parametrize("subset", ["all", "prose", "without_outliers"])
def test_a_null_that_is_not_that_of_its_null_scores_is_caught(subset: str, tmp_path: Path) -> None:
    statement = (
        "UPDATE cell SET null_fve = null_fve + 0.001 "
        f"WHERE source = 'gemma270-L6' AND target = 'smollm2-L20' AND subset = '{subset}'"
    )
    (line,) = faults_of("null_beside_its_null_scores", planted(POCKET, tmp_path, statement))
    assert f"source gemma270-L6, target smollm2-L20, subset {subset}, null_fve" in line


def test_a_null_score_changed_behind_the_cells_back_is_caught(tmp_path: Path) -> None:
    statement = "UPDATE null_score SET mse_nrm = 0 WHERE item_id = 3 AND source = target AND target = 'smollm2-L10'"
    found = faults_of("null_beside_its_null_scores", planted(POCKET, tmp_path, statement))
    assert all("source smollm2-L10, target smollm2-L10, subset" in line for line in found)
    assert len(found) >= 2


def test_a_pair_below_its_null_is_a_fault(tmp_path: Path) -> None:
    result = planted(
        POCKET,
        tmp_path,
        "UPDATE cell SET null_fve = 0.9 WHERE source = target",
    )
    assert any("claim diagonal_above_null: is required and does not hold" in line for line in faults(result))


def test_a_required_sentence_that_does_not_hold_is_a_fault(tmp_path: Path) -> None:
    result = planted(POCKET, tmp_path, "UPDATE baseline SET fve_nrm = 0.9")
    expected = "claim above_constant: is required and does not hold"
    assert any(expected in line for line in faults(result))
    # That the stored sentence is false now is another fault.
    assert any("claim above_constant: the stored claim says" in line for line in faults(result))


def test_a_missed_replication_target_is_caught(published_run: Path, tmp_path: Path) -> None:
    result = planted(published_run, tmp_path, "UPDATE cell SET fve_nrm = 0.75 WHERE source = target")
    assert any("audit replication_target_missed: pair_id gemma27-L41, fve_nrm 0.75" in line for line in faults(result))


def test_a_sentence_newer_than_the_file_is_no_fault(tmp_path: Path) -> None:
    older = tmp_path / "older.duckdb"
    shutil.copyfile(POCKET, older)
    with duckdb.connect(str(older)) as connection:
        connection.execute("DELETE FROM claim WHERE claim_id LIKE 'best_and_worst%'")
    result = check(older)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "holds           best_and_worst: Of 12" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "is_fault"),
    [
        ("scores highest", "has the highest score", False),
        ("12 cross-model", "13 cross-model", True),
        ("B9 lowest", "B6 lowest", True),
    ],
)
def test_a_stored_sentence_may_be_worded_otherwise_and_may_not_say_other_figures(
    old: str, new: str, is_fault: bool, tmp_path: Path
) -> None:
    older = tmp_path / "older.duckdb"
    shutil.copyfile(POCKET, older)
    with duckdb.connect(str(older)) as connection:
        connection.execute(
            "UPDATE claim SET text = replace(text, $old, $new) WHERE claim_id LIKE 'best_and_worst%'",
            {"old": old, "new": new},
        )
    assert (check(older).exit_code != 0) == is_fault


def difference(here: tuple[float, float, float], earlier: tuple[float, float | None, float | None]) -> CellDifference:
    return CellDifference(
        QWEN, LLAMA, "", "", *earlier, *here, None, None, here[0] - earlier[0], None, None, 0, 0, 0
    )  # fmt: skip


def verdict(here: tuple[float, float, float], earlier: tuple[float, float | None, float | None]) -> Replication:
    (found,) = replication.replications([difference(here, earlier)], {(QWEN, LLAMA): 120}, 0.05)
    return found


def test_a_figure_replicates_when_the_whole_interval_of_the_difference_lies_within_the_tolerance() -> None:
    found = verdict((0.53, 0.50, 0.56), (0.54, 0.50, 0.58))
    # By hand: 0.03 and 0.04 make 0.05, so -0.01 ± 0.05: it crosses -0.05.
    assert found.interval == pytest.approx((-0.06, 0.04))
    assert found.verdict == "undecided"
    assert verdict((0.54, 0.51, 0.57), (0.54, 0.52, 0.56)).verdict == "replicated"


def test_a_figure_does_not_replicate_when_the_interval_lies_beyond_the_tolerance() -> None:
    assert verdict((0.40, 0.38, 0.42), (0.54, 0.52, 0.56)).verdict == "not replicated"


def test_a_wide_interval_is_no_replication_and_says_how_many_items_would_decide() -> None:
    found = verdict((0.54, 0.44, 0.64), (0.54, None, None))
    # By hand: one error is 0.1 / 1.96; it must be 0.05 / 3.2415, so 120 · (0.05102 / 0.015425)² = 1,313 items.
    assert (found.verdict, found.n_needed) == ("undecided", 1313)
    assert "about 1,313 would tell no difference from one of 0.05" in replication_line(found)


def test_a_verdict_gives_the_minimum_detectable_difference_and_the_power_at_the_tolerance() -> None:
    found = verdict((0.54, 0.51, 0.57), (0.54, 0.50, 0.58))
    # By hand: 0.03 and 0.04 make ± 0.05, an error of 0.0255; 2.802 of them are 0.0715. At 0.05, 1.96 errors away, half
    # of all intervals leave out 0.
    assert found.minimum_detectable_difference == pytest.approx(0.0715, abs=1e-4)
    assert found.power == pytest.approx(0.5, abs=1e-3)
    assert "minimum detectable difference 0.071 (80% power), power at ±0.05: 50%" in replication_line(found)
    assert replication_summary([found, verdict((0.54, 0.44, 0.64), (0.54, None, None))]) == (
        "1 of 2 cells replicated within 0.05, 0 not, 1 undecided. "
        "Minimum detectable difference (80% power): 0.071 to 0.143."
    )


def test_a_cell_without_an_interval_says_nothing_of_power() -> None:
    cell = CellDifference(QWEN, LLAMA, "", "", 0.5, 0.4, 0.6, 0.5, None, None, None, None, 0.0, None, None, 0, 0, 0)
    (found,) = replication.replications([cell], {}, 0.05)
    assert (found.minimum_detectable_difference, found.power) == (None, None)
    assert "power" not in replication_line(found)
    assert replication_summary([found]) == "0 of 1 cells replicated within 0.05, 0 not, 1 undecided."


def test_an_earlier_interval_that_is_too_wide_is_blamed_and_no_number_of_items_is_asked_for() -> None:
    found = verdict((0.54, 0.50, 0.58), (0.54, 0.44, 0.64))
    assert found.n_needed is None
    assert found.because is not None
    assert "with any number of items here" in found.because


@given(
    st.floats(-1, 1), st.floats(-1, 1), st.tuples(*[st.floats(0.001, 0.5)] * 4), st.floats(0.001, 1)
)  # fmt: skip
def test_verdicts_do_not_depend_on_which_run_is_the_earlier(
    a: float, b: float, reach: tuple[float, float, float, float], tolerance: float
) -> None:
    one, other = (a, a - reach[0], a + reach[1]), (b, b - reach[2], b + reach[3])
    low, high = replication.difference_interval(difference(one, other)) or (math.nan, math.nan)
    swapped = replication.difference_interval(difference(other, one))
    assert swapped == pytest.approx((-high, -low))
    assert low <= a - b <= high


def test_a_run_replicates_itself(published_run: Path) -> None:
    result = check(published_run, "--against", PUBLISHED)
    lines = [line for line in result.stdout.splitlines() if line.startswith("replicated ")]
    assert (result.exit_code, len(lines)) == (0, 16)
    assert "qwen7-L20 → llama70-L53: 0.543 [0.531, 0.554] here, 0.543 [0.531, 0.554] there" in result.stdout


def test_a_cell_that_is_not_replicated_is_a_fault(published_run: Path, tmp_path: Path) -> None:
    text = PUBLISHED.read_text(encoding="utf-8").replace(
        "fve_nrm: 0.543\n  ci95:\n  - 0.531\n  - 0.554", "fve_nrm: 0.843\n  ci95:\n  - 0.831\n  - 0.854"
    )
    (tmp_path / "earlier.yaml").write_text(text, encoding="utf-8")
    result = check(published_run, "--against", tmp_path / "earlier.yaml")
    (line,) = faults(result)
    assert result.exit_code == 1
    assert "cell qwen7-L20 → llama70-L53: is not replicated: 0.543 here, 0.843 there" in line


def test_runs_without_a_shared_pair_are_one_fault_and_the_rest_of_the_check_is_done() -> None:
    result = check(POCKET, "--against", PUBLISHED)
    (line,) = faults(result)
    assert result.exit_code == 1
    assert "share no pair" in line
    assert result.stdout == check(POCKET).stdout


def test_a_computed_run_is_held_against_published_figures_of_its_pairs(tmp_path: Path) -> None:
    """Published figures of the pocket pairs, made up: no items, so the runs' own intervals are compared."""
    with open_run(POCKET) as reader:
        pairs, cells = reader.rows(Pair, "pair_table"), reader.rows(Cell, "check_cells")
    figures = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    figures["pairs"] = [
        {**figures["pairs"][0], "pair_id": row.pair_id, "label": row.label, "family": row.family,
         "base_model": row.base_model, "block_index": row.block_index, "d_model": row.d_model}
        for row in pairs
    ]  # fmt: skip
    figures["cells"] = [
        {"source": cell.source, "target": cell.target, "fve_nrm": cell.fve_nrm, "ci95": [cell.ci_low, cell.ci_high]}
        for cell in cells
        if cell.subset == "all"
    ]
    for key in ("samples", "replication_targets", "median_activation_norm"):
        figures.pop(key, None)
    (tmp_path / "earlier.yaml").write_text(yaml.safe_dump(figures), encoding="utf-8")
    result = check(POCKET, "--against", tmp_path / "earlier.yaml", "--tolerance", 0.2)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert sum(line.startswith(("replicated ", "undecided ")) for line in lines) == 16
    # By hand: two such intervals of one cell reach hypot(below, above) to either side, and 2.802 / 1.960 = 1.4294.
    reaches = [math.hypot(row["ci95"][1] - row["fve_nrm"], row["fve_nrm"] - row["ci95"][0]) for row in figures["cells"]]
    seen = f"{1.4294 * min(reaches):.3f} to {1.4294 * max(reaches):.3f}"
    assert lines[-1].endswith(f"Minimum detectable difference (80% power): {seen}.")


def numbers(text: str) -> list[tuple[str, float]]:
    return [(number.text, number.value) for number in written_numbers(text, NAMES)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from −0.98 to -0.66", [("−0.98", -0.98), ("-0.66", -0.66)]),
        ("a gain of +0.05.", [("+0.05", 0.05)]),
        ("2,000 documents, 8 000 and 12\u202f345", [("2,000", 2000), ("8", 8), ("000", 0), ("12\u202f345", 12345)]),
        ("65–90% of it", [("65%", 0.65), ("90%", 0.90)]),
        ("85% to 113%", [("85%", 0.85), ("113%", 1.13)]),
        ("0.5-0.7", [("0.5", 0.5), ("0.7", 0.7)]),
        ("[0.571,0.603]", [("0.571", 0.571), ("0.603", 0.603)]),
        ("the 4×4 matrix", [("4", 4), ("4", 4)]),
        ("95% interval of qwen-7B, H100, v3, gemma-3, 3.11.2, 2026-03-01", []),
        ("1. first\n## 2. second\n`0.5` [link](a/0.7.html) <!-- 9 -->\n```\n0.1\n```\nhttps://a.b/7 [^1]", []),
    ],
)
def test_numbers_are_read_as_they_are_written(text: str, expected: list[tuple[str, float]]) -> None:
    found = numbers(text)
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected])


@given(st.integers(0, 10**9), st.sampled_from([",", "\u202f", "\u00a0"]))
def test_thousands_separators_do_not_change_a_number(value: int, separator: str) -> None:
    assert numbers(f"about {value:,} of them".replace(",", separator))[0][1] == value


@given(st.floats(-10, 10), st.integers(1, 4))
def test_a_figure_confirms_every_rounding_of_itself(value: float, decimals: int) -> None:
    (number,) = written_numbers(f"is {value:.{decimals}f} here", {})
    assert rounds_to(value, number)
    assert not rounds_to(value + 2 * 10.0**-decimals, number)


def cells(text: str) -> list[tuple[str, tuple[PairId, PairId] | None]]:
    return [(number.text, number.cell) for number in written_numbers(text, NAMES)]


@pytest.mark.parametrize("arrow", ["→", "->", "~", "to", "into", "read by"])
def test_the_number_after_a_cell_and_its_interval_are_the_cells(arrow: str) -> None:
    text = f"llama-70B {arrow} qwen-7B reaches\n0.638 [0.628, 0.648], 0.2 elsewhere"
    cell = (LLAMA, QWEN)
    assert cells(text) == [("0.638", cell), ("0.628", cell), ("0.648", cell), ("0.2", None)]


@pytest.mark.parametrize(
    "text",
    [
        "llama-70B → qwen-7B is lower by 0.05",
        "llama-70B → qwen-7B is the best. Then 0.05",
        "llama-70B → qwen-7B, and qwen-7B has 0.05",
        "llama-70B and qwen-7B have 0.05",
        "| llama-70B → qwen-7B | 0.05 |",
        f"llama-70B → qwen-7B {'very ' * 20} 0.05",
    ],
)
def test_a_number_of_something_else_is_not_the_cells(text: str) -> None:
    assert cells(text)[-1] == ("0.05", None)


def test_a_cells_number_is_not_confirmed_by_another_cell() -> None:
    figures = [Figure("here", 0.5, (LLAMA, QWEN)), Figure("elsewhere", 0.6, (QWEN, LLAMA))]
    number = WrittenNumber(1, "0.60", 0.6, 0.01, is_whole=False, cell=(LLAMA, QWEN))
    (finding,) = judge([number], figures)
    assert (finding.verdict, finding.about) == ("contradicted", "here 0.5000")


def test_prose_is_confirmed_contradicted_or_beyond_the_run(published_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# What we saw\n\nOn 2,000 documents llama-70B → qwen-7B scores 0.638\n[0.628, 0.648], 65–90% of the ceiling\n"
        "and block 53. It took 17.5 hours.\n\nElsewhere on 3,000 documents\nllama-70B → qwen-7B 0.512 was seen.\n"
        "Seed 7, nulls of −0.98.\n",
        encoding="utf-8",
    )
    result = check(published_run, "--prose", page)
    found = [line for line in result.stdout.splitlines() if str(page) in line]
    said = [(line[:16].strip(), line.split(f"{page}:")[1].split(":")[0], line.split(": ")[1]) for line in found]
    assert said == [
        ("confirmed", "3", "2,000"),
        ("confirmed", "3", "0.638"),
        ("confirmed", "4", "0.628"),
        ("confirmed", "4", "0.648"),
        ("confirmed", "4", "65%"),
        ("confirmed", "4", "90%"),
        ("confirmed", "5", "53"),
        ("cannot know", "5", "17.5"),
        ("contradicted", "7", "3,000"),
        ("contradicted", "8", "0.512"),
        ("contradicted", "9", "7"),
        ("confirmed", "9", "−0.98"),
    ]
    assert result.exit_code == 1
    assert "llama70-L53 → qwen7-L20 fve_nrm (all) 0.6380" in found[1]
    assert len(faults(result)) == 3
    assert "page.md:8: says 0.512; the run says llama70-L53 → qwen7-L20 fve_nrm (all) 0.6380" in faults(result)[1]


def test_a_page_that_is_not_there_is_one_sentence(published_run: Path, tmp_path: Path) -> None:
    result = check(published_run, "--prose", tmp_path / "none.md")
    assert result.exit_code == 1
    assert "none.md: cannot be read" in result.stderr
