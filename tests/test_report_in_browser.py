from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from support.browsers import open_page

NO_SCRIPT = {"java_script_enabled": False, "viewport": {"width": 1280, "height": 900}}
RUNS = ("published", "computed")
SHOWN = ".heat.large .value:visible"


@pytest.fixture(scope="module")
def reports(computed_report: Path, published_report: Path) -> dict[str, Path]:
    return {"published": published_report / "index.html", "computed": computed_report / "index.html"}


@pytest.fixture(scope="module")
def without_script(browser: Browser, reports: dict[str, Path]) -> Iterator[Page]:
    with open_page(browser, reports["computed"], **NO_SCRIPT) as page:
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("run", RUNS)
def test_page_opens_from_disk_without_noise_and_never_scrolls_sideways(
    run: str, scheme: str, browser: Browser, reports: dict[str, Path]
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    noise: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto(reports[run].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    for width in (360, 390, 768, 1440, 2560, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour = page.evaluate("getComputedStyle(document.querySelector('.stack .view')).backgroundColor")
    assert colour not in ("rgba(0, 0, 0, 0)", "transparent")
    assert noise == []
    assert [url for url in requests if not url.startswith("file:")] == []
    context.close()


def test_the_switch_works_without_script(without_script: Page) -> None:
    said = {}
    for name in ("value", "fraction of ceiling", "shuffled null", "without outliers"):
        without_script.get_by_label(name, exact=True).check()
        said[name] = without_script.locator(SHOWN).all_inner_texts()
        assert without_script.locator(".heat.large caption strong:visible").count() == 1
    assert said["value"] == ["0.615", "0.244", "0.174", "0.562"]
    assert said["fraction of ceiling"] == ["100%", "43%", "28%", "100%"]
    assert said["shuffled null"] == ["−0.880", "−0.610", "−0.610", "−0.880"]
    assert said["without outliers"] == ["0.608", "0.307", "0.236", "0.554"]
    without_script.get_by_label("value", exact=True).check()


def test_the_switch_is_turned_by_keyboard_and_skips_what_the_run_does_not_hold(
    browser: Browser, reports: dict[str, Path]
) -> None:
    with open_page(browser, reports["published"], **NO_SCRIPT) as page:
        page.get_by_label("value", exact=True).focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(SHOWN).first.inner_text() == "100%"
        page.keyboard.press("ArrowRight")
        assert page.locator(SHOWN).first.inner_text() == "0.748"
        assert page.locator(".views input:disabled").count() == 2
        assert "(only their range is known: −0.98 to −0.66)" in page.locator(".views").inner_text()


def test_a_cell_is_one_link_to_its_items_that_says_all_of_itself(without_script: Page) -> None:
    cell = without_script.locator("#cell-smollm2-L20--qwen05-L16")
    link = cell.get_by_role("link", name="Written by SmolLM2-135M, read by Qwen2.5-0.5B")
    assert link.get_attribute("href") == "browse.html#cell=smollm2-L20~qwen05-L16"
    heard = " ".join(link.inner_text().split())
    assert heard.startswith("Written by SmolLM2-135M, read by Qwen2.5-0.5B: 0.244")
    assert "95% interval" in heard
    assert "117 scored" in heard
    box, inner = cell.bounding_box(), link.bounding_box()
    assert box is not None
    assert inner is not None
    assert inner["height"] == pytest.approx(box["height"], abs=1)


def test_a_cell_in_focus_draws_its_row_and_column_and_says_what_it_knows(without_script: Page) -> None:
    without_script.locator("#cell-smollm2-L20--qwen05-L16 a").first.focus()
    underlined = """heads => heads.filter(head => getComputedStyle(head).textDecorationLine === "underline")
        .map(head => head.textContent)"""
    heads = without_script.locator(".heat.large th")
    assert heads.evaluate_all(underlined) == ["Qwen2.5-0.5B", "SmolLM2-135M"]
    said = without_script.locator(".said:visible")
    assert said.count() == 1
    assert "0.244 [0.213, 0.273], 43% of ceiling, null −0.610, without outliers 0.307" in said.inner_text()


def test_a_link_that_is_seen_on_focus_leads_to_every_figure_and_sentence(without_script: Page) -> None:
    links = without_script.locator(".permalink")
    assert all(name.startswith("Link to ") for name in links.evaluate_all("all => all.map(a => a.ariaLabel)"))
    targets = links.evaluate_all("all => all.map(a => a.getAttribute('href').slice(1))")
    placed = "all => all.map(part => part.id)"
    for kind in (".heat.large td", ".claims li", ".card", "figure", "h3[id]"):
        ids = without_script.locator(kind).evaluate_all(placed)
        assert ids
        assert set(ids) <= set(targets), kind
    first = without_script.locator("h3 .permalink").first
    opacity = "link => getComputedStyle(link).opacity"
    assert first.evaluate(opacity) == "0"
    first.focus()
    assert first.evaluate(opacity) == "1"


def test_cards_mark_shared_phrases_only_on_request_and_lead_to_their_item(without_script: Page) -> None:
    card = without_script.locator(".card").first
    shared = card.locator(".shared").first
    colour = "part => getComputedStyle(part).backgroundColor"
    assert shared.evaluate(colour) == "rgba(0, 0, 0, 0)"
    card.get_by_label("Mark what several sources say").check()
    assert shared.evaluate(colour) != "rgba(0, 0, 0, 0)"
    assert "noun phrase mid-clause" in card.inner_text()
    number = (card.get_attribute("id") or "").split("-")[1]
    assert card.get_by_role("link", name=f"item {number}", exact=True).get_attribute("href") == f"items/{number}.html"


def test_paper_shows_the_chosen_view_and_nothing_to_click(browser: Browser, reports: dict[str, Path]) -> None:
    with open_page(browser, reports["computed"], **NO_SCRIPT) as page:
        page.get_by_label("without outliers", exact=True).check()
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator(SHOWN).all_inner_texts() == ["0.608", "0.307", "0.236", "0.554"]
        for part in ("nav", ".views", ".permalink", ".share", "details"):
            assert page.locator(f"{part}:visible").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
