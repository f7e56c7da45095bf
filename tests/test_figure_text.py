import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nlareport
from nlareport import figure_text
from nlareport.render.charts import colours
from nlareport.render.charts.colours import heat_step
from nlareport.render.template_environment import templates_folder


def test_negative_figures_have_a_true_minus_and_zero_has_none() -> None:
    assert figure_text.signed(-0.66, 2) == "−0.66"
    assert figure_text.signed(-0.0004) == "0.000"
    assert figure_text.signed(None) == "–"


def test_thousands_are_parted_by_a_narrow_no_break_space() -> None:
    assert figure_text.count(80000.0) == "80\u202f000"
    assert figure_text.count(59.87) == "59.87"
    assert figure_text.count(2000) == "2\u202f000"


def test_percent_is_whole_and_says_all_or_nothing_only_when_it_is_so() -> None:
    assert [figure_text.percent(value) for value in (0.0, 0.001, 0.904, 0.998, 1.0)] == [
        "0%",
        "<1%",
        "90%",
        ">99%",
        "100%",
    ]


def test_a_range_that_rounds_to_one_figure_is_one_figure() -> None:
    assert figure_text.percents([0.651, 0.903]) == "65–90%"
    assert figure_text.percents([0.431, 0.432]) == "43%"
    assert figure_text.percents([-0.04, 0.2]) == "−4% to 20%"
    assert figure_text.signeds([-0.0412, 0.2]) == "−0.041 to 0.200"
    assert figure_text.signeds([0.2001, 0.2004]) == "0.200"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_heat_steps_are_clamped(value: float) -> None:
    assert 0 <= int(heat_step(value)) <= 20


@pytest.mark.parametrize("theme", [colours.LIGHT, colours.DARK])
@pytest.mark.parametrize("role", list(colours.HUES))
def test_text_on_every_colour_step_meets_wcag_aa(theme: colours.Theme, role: str) -> None:
    for step in range(colours.STEPS):
        background, text = colours.step_colours(theme, role, step)
        assert colours.contrast(background, text) >= 4.5, (role, step, background)


@pytest.mark.parametrize("theme", [colours.LIGHT, colours.DARK])
def test_lightness_orders_the_values(theme: colours.Theme) -> None:
    for role in colours.HUES:
        lights = [colours.luminance(colours.step_colours(theme, role, step)[0]) for step in range(colours.STEPS)]
        assert lights in (sorted(lights), sorted(lights, reverse=True))


def test_inks_of_both_themes_meet_wcag_aa_on_their_paper() -> None:
    css = (templates_folder() / "report" / "report.css").read_text(encoding="utf-8")
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    light, dark = (theme for theme in themes if "paper" in theme)
    for theme in (light, dark):
        for ink in ("ink", "quiet", "same", "cross", "link"):
            for paper in ("paper", "wash"):
                assert colours.contrast(theme[ink], theme[paper]) >= 4.5, (ink, paper, theme)
        assert colours.contrast(theme["mark-ink"], theme["mark"]) >= 4.5


def test_an_installed_package_uses_its_own_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "nlareport"
    for folder in (package / "templates" / "report", tmp_path / "site-packages" / "templates" / "report"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(nlareport, "__file__", str(package / "__init__.py"))
    assert templates_folder() == package / "templates"


def test_missing_templates_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nlareport, "__file__", str(tmp_path / "nlareport" / "__init__.py"))
    with pytest.raises(FileNotFoundError, match="install nlareport again"):
        templates_folder()


@pytest.mark.parametrize(
    ("value", "as_score", "as_count"),
    [
        (-1e308, "−∞", "−∞"),
        (1.7e299, "1.70e299", "1.70e299"),
        (-2_500_000.0, "−2.50e6", "−2 500 000"),
        (999_999.0, "999999.00", "999 999"),
        (5e-324, "0.00", "4.941e−324"),
        (2**63 - 1, "9.22e18", "9.22e18"),
        (math.inf, "∞", "∞"),
        (math.nan, "–", "–"),
    ],
)
def test_figures_of_any_size_are_short(value: float, as_score: str, as_count: str) -> None:
    assert figure_text.signed(value, 2) == as_score
    assert figure_text.count(value) == as_count
    assert figure_text.plus(value, 2) in (as_score, f"+{as_score}")
    assert len(figure_text.percent(value)) < 12
