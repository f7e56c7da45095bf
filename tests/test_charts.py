import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.made_runs import PAIRS, run_row
from support.reports import write_report

from nlareport.render.charts.chart_style import FILE_INKS
from nlareport.render.charts.interval_chart import interval_chart, interval_file
from nlareport.render.charts.matrix_chart import matrix_file
from nlareport.render.report.query_rows import MatrixCell
from nlareport.render.template_environment import templates_folder
from nlareport.store.run_file import create_run_file


def cells(value: float | None = 0.5) -> list[MatrixCell]:
    interval = (None, None) if value is None else (value - 0.1, value + 0.1)
    return [
        MatrixCell(
            s.pair_id, t.pair_id, s.label, t.label, "", value, *interval, None, None, None, None, value
        )
        for s in PAIRS
        for t in PAIRS
    ]  # fmt: skip


def test_a_drawing_on_the_page_takes_its_colours_from_the_page() -> None:
    svg = interval_chart(cells(), 620, "a")
    assert svg is not None
    assert not re.search(r"#[0-9a-fA-F]{3,8}\"", svg)
    assert {"var(--same)", "var(--cross)", "var(--ink)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert svg.count('role="img"') == 1


def test_labels_with_line_ends_of_their_own_are_drawn_in_one_line() -> None:
    odd = [replace(cell, source_label=f"one\u2028two\u2029{cell.source_label}") for cell in cells()]
    assert "one two " in (interval_chart(odd, 620, "a") or "")


def test_two_drawings_on_a_page_share_no_id() -> None:
    first, second = (set(re.findall(r'id="([^"]+)"', interval_chart(cells(), 620, name) or "")) for name in "ab")
    assert not first & second


@pytest.mark.parametrize("draw", [interval_file, matrix_file])
def test_a_drawing_to_take_away_stands_alone(draw) -> None:
    svg = draw(cells(), 'A & B <"title">')
    assert "var(" not in svg
    text = "".join(ElementTree.fromstring(svg).itertext())
    assert 'A & B <"title">' in text
    assert "Qwen2.5-0.5B" in text
    assert "0.500" in text


@pytest.mark.parametrize("draw", [interval_file, matrix_file])
def test_nothing_is_drawn_without_a_value(draw) -> None:
    assert draw(cells(None), "title") is None


def test_inks_of_files_are_those_of_the_light_page() -> None:
    css = (templates_folder() / "report" / "report.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css[: css.index("@media")]))
    for name in ("paper", "ink", "quiet", "rule", "same", "cross"):
        assert getattr(FILE_INKS, name) == light[name]


def test_drawings_lie_beside_the_report_and_are_linked_from_it(computed_report: Path) -> None:
    page = (computed_report / "index.html").read_text(encoding="utf-8")
    linked = re.findall(r'href="(downloads/charts/[^"]+)" download', page)
    assert linked == [
        f"downloads/charts/{name}.{kind}" for name in ("matrix", "intervals", "cuts") for kind in ("svg", "png")
    ]
    for name in linked:
        start = (computed_report / name).read_bytes()[:8]
        assert start == b"\x89PNG\r\n\x1a\n" if name.endswith("png") else start.startswith(b"<svg")


def test_a_run_without_values_has_no_drawing_to_take_away(tmp_path: Path) -> None:
    create_run_file(tmp_path / "run.duckdb", run_row(), PAIRS)
    page = write_report(tmp_path / "run.duckdb", tmp_path / "out").read_text(encoding="utf-8")
    assert "downloads/charts" not in page
    assert not (tmp_path / "out" / "downloads" / "charts").exists()
