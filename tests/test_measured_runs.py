"""What stands beside the matrix, from the run file to the page: tables that audits can make again, and what is said."""

import re
from pathlib import Path
from typing import get_args

import duckdb
import pytest
from support.made_runs import write_computed_run
from support.reports import write_report
from support.tiny_runs import make_older

from nlareport.review.known_figures import run_figures
from nlareport.rows.cell_rows import Cell
from nlareport.rows.measures import MEASURES, MeasureName
from nlareport.store.reader import DuckDBReader

AUDITS = (
    "subset_cell_beside_its_scores", "subset_range_beside_its_items", "measure_beside_its_items",
    "ceiling_fraction_beside_its_diagonal", "sink_without_flag", "outlier_flag_without_reason", "interval_ends_swapped",
)  # fmt: skip


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    return write_computed_run(tmp_path / "run.duckdb", pairs=3)


def found(db: Path) -> dict[str, int]:
    """Rows of each audit that has some."""
    with DuckDBReader.open(db) as reader:
        counts = {name: len(reader.frame(f"audits/{name}")) for name in AUDITS}
    return {name: count for name, count in counts.items() if count}


def page_of(db: Path, out: Path) -> str:
    return write_report(db, out).read_text(encoding="utf-8")


def section(page: str, anchor: str) -> str:
    """From a heading to the next."""
    cut = re.search(rf'<h3 id="{anchor}">.*?(?=<h3 |</section>)', page, re.DOTALL)
    assert cut is not None
    return " ".join(
        re.sub(r"<[^>]+>", " ", re.sub(r"<details class=\"origin\">.*?</details>", "", cut[0], flags=re.DOTALL)).split()
    )


@pytest.mark.parametrize(
    ("audit", "statement"),
    [
        ("subset_cell_beside_its_scores", "UPDATE cell SET fve_nrm = 0.9 WHERE subset = 'atypical_2'"),
        ("subset_range_beside_its_items", "UPDATE subset_range SET high = high + 400 WHERE subset = 'norm_1'"),
        ("measure_beside_its_items", "UPDATE measure SET value = 0.9 WHERE measure = 'identified_of_all'"),
        ("ceiling_fraction_beside_its_diagonal", "UPDATE measure SET value = 2 WHERE measure = 'ceiling_fraction'"),
        ("sink_without_flag", "INSERT INTO outlier VALUES (5, 'smollm2-L20', 'near_duplicate', 2)"),
        ("outlier_flag_without_reason", "UPDATE item SET is_outlier = true WHERE item_id = 5"),
        ("interval_ends_swapped", "UPDATE effect SET ci_low = 1"),
    ],
)
def test_a_sound_run_passes_and_a_planted_fault_is_caught(audit: str, statement: str, measured: Path) -> None:
    assert found(measured) == {}
    with duckdb.connect(str(measured)) as connection:
        connection.execute(statement)
    assert audit in found(measured)


def test_graded_subsets_stay_out_of_sizes_and_of_what_prose_is_held_against(measured: Path) -> None:
    with DuckDBReader.open(measured) as reader:
        assert reader.frame("subset_sizes")["subset"].to_list() == [
            "all", "without_outliers", "prose", "punctuation", "digits",
        ]  # fmt: skip
        assert {cell.subset for cell in reader.rows(Cell, "check_cells")} == {
            "all", "without_outliers", "prose", "punctuation", "digits",
        }  # fmt: skip
        names = {figure.name for figure in run_figures(reader)}
    assert any("identified_of_10" in name for name in names)
    assert not any("(norm_" in name or "(context_" in name for name in names)


def test_the_page_shows_every_figure_with_its_interval_and_what_chance_gives(measured: Path, tmp_path: Path) -> None:
    page = page_of(measured, tmp_path / "out")
    comparable = section(page, "comparable")
    assert "91% [87%, 94%]" in comparable
    assert "By chance −0.880 to −0.610 – −0.012 50% 10% 1% –" in comparable
    assert re.search(r"\+0\.\d{3} \[", section(page, "writers"))
    assert "refitting it to each draw of documents" in section(page, "writers")
    graded = section(page, "graded")
    for words in ("Tokens of left context", "Activation norm", "Atypicality", "Every cell by quarter", "50 to "):
        assert words in graded


def test_the_page_lists_sinks_first_and_leads_to_the_rest(tmp_path: Path) -> None:
    db = write_computed_run(tmp_path / "run.duckdb")
    with duckdb.connect(str(db)) as connection:
        connection.execute("INSERT INTO outlier SELECT item_id, 'qwen05-L16', 'norm', 5 FROM item WHERE item_id > 90")
    page = page_of(db, tmp_path / "out")
    rows = re.search(r'<figure id="table-outliers">.*?</figure>', page, re.DOTALL)
    assert rows is not None
    items = re.findall(r'<a href="items/(\d+).html">Item \d+</a>', rows[0])
    assert items[:2] == ["11", "64"]
    assert len(items) == 20
    assert "And 13 more." in rows[0]
    assert 'href="browse.html#cell=smollm2-L20~smollm2-L20&amp;item=11"' in rows[0]
    assert "sink: norm 23.5 × the median, 2 items explained nearly alike" in rows[0]


def test_a_run_of_an_older_version_says_quietly_what_it_does_not_hold(tmp_path: Path) -> None:
    path = write_computed_run(tmp_path / "run.duckdb", pairs=3, with_measures=False)
    make_older(path, 2)
    page = page_of(path, tmp_path / "out")
    assert "this run did not compute them" in section(page, "comparable")
    assert "Items were not graded" in section(page, "graded")
    assert "2 items are flagged, but the run does not say why" in section(page, "outliers")
    # Effects need no vector.
    assert re.search(r"\+0\.\d{3}", section(page, "writers"))


def test_published_figures_give_fractions_and_effects_and_a_sentence_for_the_rest(published_report: Path) -> None:
    page = (published_report / "index.html").read_text(encoding="utf-8")
    assert re.search(r"\d\d% 0\.\d{3}", section(page, "ceilings"))
    assert re.search(r"\+0\.\d{3}", section(page, "writers"))
    for anchor in ("comparable", "graded", "outliers"):
        assert "<table" not in page.split(f'<h3 id="{anchor}">')[1].split("<h3 ")[0]
    assert "Items were not checked for outliers" in section(page, "outliers")


def test_every_measure_has_one_declaration_and_a_column(measured: Path, tmp_path: Path) -> None:
    names = [measure.name for measure in MEASURES]
    assert sorted(names) == sorted({*get_args(MeasureName), "fve_nrm", "fve_meannorm"})
    page = page_of(measured, tmp_path / "out")
    table = page[page.index('id="table-comparable"') :]
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table[: table.index("</thead>")])
    # What only results from elsewhere have is no column of a computed run.
    usual = [measure for measure in MEASURES if not measure.is_rare]
    assert heads == ["Cell", *(measure.label for measure in usual)]
    for measure in usual:
        for sentence in filter(None, (measure.about, measure.chance)):
            assert sentence.replace("'", "&#39;") in page
