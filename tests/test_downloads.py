import csv
import hashlib
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reports import write_report

from nlareport.figure_text import size
from nlareport.files.written_folders import Terms, written_folder
from nlareport.publish import publish_run
from nlareport.render.origins import Origin
from nlareport.render.report.downloads import origins_in
from nlareport.render.text_tables import guarded
from nlareport.store.reader import DuckDBReader


def listed(computed_report: Path) -> dict[str, tuple[str, str]]:
    """Every download of the page with its size and digest as they are written there."""
    page = (computed_report / "downloads.html").read_text(encoding="utf-8")
    found = re.findall(
        r'<a href="(downloads/[^"]+)" download>.*?<td class="num">([^<]+)</td>.*?<code class="digest">(\w+)', page
    )
    return {href: (written, digest) for href, written, digest in found}


names = st.dictionaries(st.sampled_from("ab"), st.text(max_size=12) | st.sampled_from(["a.b", "a", "b.a", "con"]))


@settings(deadline=None)
@given(names, names)
def test_no_two_answers_share_a_file_and_each_stays_in_its_folder(one: dict[str, str], other: dict[str, str]) -> None:
    names = {Origin("q", "", dict(parameters), 1).csv_name for parameters in (one.items(), other.items())}
    values = {tuple(value for _, value in sorted(parameters.items())) for parameters in (one, other)}
    assert len(names) == len(values)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._~-]*[.]csv", name) for name in names)


def test_ordinary_answers_keep_plain_names() -> None:
    assert Origin("matrix", "", {"subset": "all"}, 4).csv_name == "matrix.all.csv"
    assert Origin("tails", "", {}, 4).csv_name == "tails.csv"
    assert Origin("x", "", {"b": "y", "a": 7}, 1).csv_name == "x.7.y.csv"


def test_every_download_is_listed_with_its_true_size_and_digest(computed_report: Path) -> None:
    files = {
        path.relative_to(computed_report).as_posix(): path
        for path in (computed_report / "downloads").rglob("*")
        if path.is_file()
    }
    assert set(listed(computed_report)) == set(files)
    for href, (written, digest) in listed(computed_report).items():
        content = files[href].read_bytes()
        assert digest == hashlib.sha256(content).hexdigest()
        assert written == size(len(content))
    assert {"downloads/pocket.duckdb", "downloads/pocket-parquet.zip", "downloads/pocket-csv.zip"} <= set(files)


def test_rendering_twice_gives_the_same_bytes_everywhere_and_nothing_of_a_former_run_stays(
    computed_run: Path, computed_report: Path, tmp_path: Path
) -> None:
    with written_folder(tmp_path, Terms("report")) as former:
        former.file("downloads/queries/gone.csv").write_text("old")
    assert (tmp_path / "downloads/queries/gone.csv").exists()
    publish_run(computed_run, tmp_path)
    first, second = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (computed_report, tmp_path)
    )
    assert first == second


def test_every_origin_shown_in_the_report_has_its_answer_as_csv(computed_run: Path, computed_report: Path) -> None:
    page = (computed_report / "index.html").read_text(encoding="utf-8")
    shown = re.findall(
        r"<p>Query <code>(\w+)</code>((?:, <code>\$\w+</code> = <code>[^<]*</code>)*), ([^ ]+) rows?", page
    )
    assert len(shown) > 20
    for query, parameters, n_rows in shown:
        values = re.findall(r"= <code>([^<]*)</code>", parameters)
        origin = Origin(query, "", {str(place): value for place, value in enumerate(values)}, 0)
        path = computed_report / "downloads/queries" / origin.csv_name
        with path.open(newline="", encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) == int(n_rows)


def test_a_query_answer_holds_the_figures_of_the_run(computed_run: Path, computed_report: Path) -> None:
    with DuckDBReader.open(computed_run) as reader:
        matrix = reader.frame("matrix", subset="all")
    answer = pl.read_csv(computed_report / "downloads/queries/matrix.all.csv")
    assert answer.columns == matrix.columns
    assert answer["fve_nrm"].to_list() == matrix["fve_nrm"].to_list()
    assert answer["source"].to_list() == matrix["source"].to_list()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("\t=1+1", "'\t=1+1"),
        ("\r=1+1", "'\r=1+1"),
        ("＝1+1", "'＝1+1"),
        ("-0.5", "-0.5"),
        ("+1.5e-3", "+1.5e-3"),
        ("a = b", "a = b"),
        ("'=1", "'=1"),
        ("", ""),
        (None, None),
    ],
)
def test_texts_that_a_spreadsheet_would_run_stand_behind_an_apostrophe(text: str | None, written: str | None) -> None:
    frame = pl.DataFrame({"text": [text], "fve_nrm": [-0.5]}, schema={"text": pl.String, "fve_nrm": pl.Float64})
    answer = guarded(frame)
    assert answer.rows() == [(written, -0.5)]
    assert answer.schema == frame.schema


def test_origins_are_found_however_deep_and_given_once() -> None:
    one, other = Origin("b", "", {}, 1), Origin("a", "", {}, 1)
    assert origins_in({"x": [(one, "text"), {"y": other}], "z": one}) == [other, one]


def test_a_report_without_its_runs_copies_says_so_and_has_no_console(computed_run: Path, tmp_path: Path) -> None:
    index = write_report(computed_run, tmp_path)
    assert not (tmp_path / "console.html").exists()
    assert "console.html" not in index.read_text(encoding="utf-8")
    assert "rendered without its run's copies" in (tmp_path / "downloads.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("n_bytes", "written"),
    [
        (12, "1 kB"),
        (66_400, "66 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (7_640_000, "7.6 MB"),
        (123_000_000, "123 MB"),
    ],
)
def test_sizes_are_written_as_people_say_them(n_bytes: int, written: str) -> None:
    assert size(n_bytes) == written
