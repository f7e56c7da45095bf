import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect
from support.made_runs import PUBLISHED, write_computed_run
from support.reports import write_report
from support.sites import serve_folder

from nlareport.figure_text import signed
from nlareport.render.pages.item_pages import ItemDetail
from nlareport.store.published.published_run import import_published
from nlareport.store.reader import DuckDBReader

HOSTILE = '<script>alert(1)</script></script><img src=x onerror="alert(2)">\u2028"\'\\'
N_ITEMS = 120
CELL = "smollm2-L20~qwen05-L16"
DIAGONAL, CROSSING = 0, 1
"""Places in an item's scores of the 2 × 2 run: SmolLM2 read by itself, and by Qwen."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_computed_run(tmp_path_factory.mktemp("run") / "run.duckdb", n_items=N_ITEMS, hostile=HOSTILE)


@pytest.fixture(scope="module")
def details(run: Path) -> list[ItemDetail]:
    with DuckDBReader.open(run) as reader:
        return reader.rows(ItemDetail, "item_details", first=0, last=N_ITEMS)


@pytest.fixture(scope="module")
def site(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(run, tmp_path_factory.mktemp("site")).parent


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with serve_folder(site) as address:
        yield address.rstrip("/")


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """An empty tab in which nothing may go wrong and no other host may be asked for anything."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=address)
    tab = context.new_page()
    noise: list[str] = []
    tab.on("console", lambda message: noise.append(message.text))
    tab.on("pageerror", lambda error: noise.append(str(error)))
    # The worker that searches has its source from a blob of the page itself.
    own = (address, "file:", "blob:")
    tab.on("request", lambda asked: None if asked.url.startswith(own) else noise.append(asked.url))
    tab.on("dialog", lambda dialog: noise.append(dialog.message))
    yield tab
    context.close()
    assert noise == []


def open_page(page: Page, hash_: str = "") -> Page:
    # By way of an empty page: an address that differs in its hash alone would not be loaded anew.
    page.goto("about:blank")
    page.goto(f"/browse.html{hash_}")
    expect(page.locator(".browser")).to_be_visible()
    return page


def listed(page: Page) -> list[int]:
    """The ids in the part of the list that is shown."""
    return [int(re.findall(r"item (\d+)", text)[0]) for text in page.locator(".row .facts").all_text_contents()]


def counted(page: Page, n_found: int) -> None:
    expect(page.locator("#found-count")).to_have_text(f"{n_found} of {N_ITEMS} items")


def ranked(details: list[ItemDetail], cell: int) -> list[int]:
    """Ids by one cell's score, highest first, ties by id, the unscored last."""
    return [
        item.item_id
        for item in sorted(details, key=lambda item: (item.fve_nrm[cell] is None, -round(item.fve_nrm[cell] or 0, 4)))
    ]


def test_filters_keep_exactly_the_items_they_name(page: Page, details: list[ItemDetail]) -> None:
    open_page(page)
    page.get_by_label("punctuation").uncheck()
    page.get_by_label("prose").uncheck()
    counted(page, sum(item.stratum == "digits" for item in details))
    page.get_by_label("Outliers").select_option("without")
    counted(page, sum(item.stratum == "digits" and not item.is_outlier for item in details))
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#found-count")).to_have_text(f"{N_ITEMS} items")
    page.get_by_label("Answers").select_option("n")
    counted(page, sum(False in item.is_clean for item in details))
    page.get_by_label("Source family").select_option("qwen")
    counted(page, sum(item.is_clean[1] is False for item in details))


def test_a_range_holds_for_the_score_shown_or_for_any_cell_in_view(page: Page, details: list[ItemDetail]) -> None:
    open_page(page, f"#cell={CELL}")
    page.get_by_label("from", exact=True).fill("0.4")
    counted(page, sum((item.fve_nrm[CROSSING] or -9) >= 0.4 for item in details))
    page.get_by_label("to", exact=True).fill("0.5")
    counted(page, sum(0.4 <= (item.fve_nrm[CROSSING] or -9) <= 0.5 for item in details))
    page.get_by_label("Which score must be in the range").select_option("any")
    counted(page, sum(any(0.4 <= (fve or -9) <= 0.5 for fve in item.fve_nrm) for item in details))
    page.get_by_label("Target family").select_option("qwen")
    counted(page, sum(any(0.4 <= (fve or -9) <= 0.5 for fve in item.fve_nrm[1::2]) for item in details))


def test_a_cell_link_opens_the_list_sorted_by_that_cell(page: Page, details: list[ItemDetail]) -> None:
    open_page(page, f"#cell={CELL}")
    assert listed(page) == ranked(details, CROSSING)[:50]
    best = details[listed(page)[0]]
    assert page.locator(".row .score").first.text_content() == signed(best.fve_nrm[CROSSING], 2)
    assert page.locator(".heat td.shown button").get_attribute("value") == CELL
    page.get_by_label("Order").select_option("low")
    lowest = min(item.fve_nrm[CROSSING] for item in details if item.fve_nrm[CROSSING] is not None)
    assert page.locator(".row .score").first.text_content() == signed(lowest, 2)


def test_items_sort_by_gap_by_norm_and_by_number(page: Page, details: list[ItemDetail]) -> None:
    open_page(page, "#score=gap")
    known = [item for item in details if item.gap is not None]
    assert listed(page)[0] == max(known, key=lambda item: item.gap or 0).item_id
    page.get_by_label("Sort by").select_option(label="norm in SmolLM2-135M")
    assert listed(page)[:2] == sorted((11, 64), key=lambda number: -(details[number].activation_norm[0] or 0))
    assert " · norm 900." in (page.locator(".row .facts").first.text_content() or "")
    page.get_by_label("Sort by").select_option(label="item number")
    page.get_by_label("Order").select_option(label="lowest first")
    assert listed(page) == list(range(50))
    page.get_by_role("button", name="Later in the list").click()
    assert listed(page) == list(range(50, 100))


def test_search_finds_substrings_in_contexts_or_explanations(page: Page, details: list[ItemDetail]) -> None:
    open_page(page)
    page.get_by_label("Search", exact=True).fill("Sports COLUMN")
    counted(page, sum("Sports column" in "".join(map(str, item.completion)) for item in details))
    assert page.locator(".chosen mark.hit").first.text_content() == "Sports column"
    page.get_by_label("Search in").select_option("context")
    counted(page, 0)
    expect(page.locator(".chosen")).to_have_text("No item passes these filters.")
    page.get_by_label("Search", exact=True).fill("delayed twice")
    expect(page.locator("#found-count")).to_have_text(f"{N_ITEMS} items")
    assert {"filter", "search"} <= set(page.evaluate("performance.getEntriesByType('measure').map(e => e.name)"))


def test_letters_just_typed_survive_another_choice(page: Page) -> None:
    open_page(page)
    page.evaluate(
        """() => {
            const query = document.getElementById("query");
            query.value = "no such words";
            query.dispatchEvent(new Event("input", { bubbles: true }));
            const outlier = document.getElementById("outlier");
            outlier.value = "n";
            outlier.dispatchEvent(new Event("change", { bubbles: true }));
        }"""
    )
    counted(page, 0)
    expect(page.get_by_label("Search", exact=True)).to_have_value("no such words")
    assert "outlier=n" in page.url


def test_an_expression_searches_and_a_bad_one_is_named(page: Page, details: list[ItemDetail]) -> None:
    open_page(page, "#regex=1")
    page.get_by_label("Search", exact=True).fill(r"league match|cabinet\s+reshuffle")
    wanted = re.compile(r"league match|cabinet\s+reshuffle", re.I)
    n_found = sum(any(wanted.search(text or "") for text in item.completion) for item in details)
    counted(page, n_found) if n_found < N_ITEMS else None
    page.get_by_label("Search", exact=True).fill("(unclosed")
    expect(page.locator("#query-fault")).to_contain_text("Unterminated group")
    expect(page.get_by_label("Search", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Search", exact=True).fill("2019$")
    expect(page.locator("#query-fault")).to_be_empty()
    counted(page, sum(bool(item.context) and item.token.endswith("2019") for item in details))


ENDLESS = r"([a-z]+[ ,.]?)+#"
"""Tries every way of cutting a text into words before it fails."""


def test_a_search_without_end_is_stopped_and_keeps_the_last_answer(
    page: Page, details: list[ItemDetail], site: Path
) -> None:
    open_page(page, "#query=Sports+COLUMN")
    n_found = sum("Sports column" in "".join(map(str, item.completion)) for item in details)
    counted(page, n_found)
    page.get_by_label("regular expression").check()
    page.get_by_label("Search", exact=True).fill(ENDLESS)
    fault = page.locator("#query-fault")
    expect(page.locator("#progress")).to_have_text("Searching")
    page.locator(".row").nth(1).click()
    expect(page.locator(".row").nth(1)).to_have_attribute("aria-current", "true")
    kept = "The list is still that of “Sports COLUMN”."
    expect(fault).to_have_text(f"Stopped after 2 s: searching these texts for this takes too long. {kept}")
    counted(page, n_found)
    expect(page.locator("#progress")).to_be_empty()
    page.get_by_label("Search", exact=True).fill("(unclosed")
    expect(fault).to_contain_text(f"Unterminated group. {kept}")
    page.get_by_label("Search", exact=True).fill("delayed (twice|once)")
    expect(page.locator("#found-count")).to_have_text(f"{N_ITEMS} items")
    expect(page.locator(".chosen mark.hit").first).to_have_text("delayed twice")
    # A link alone must not freeze a reader's page either, wherever it was opened from.
    page.goto((site / "browse.html").as_uri() + f"#regex=1&query={quote(ENDLESS)}")
    expect(fault).to_have_text(re.compile("^Stopped after 2 s.* The list is not searched[.]$"))
    expect(page.locator("#found-count")).to_have_text(f"{N_ITEMS} items")


def test_marks_without_end_are_stopped_too(page: Page) -> None:
    # Found at once, in the first letter of every text; what follows it is sought in vain in all ways.
    open_page(page, f"#regex=1&query={quote('^[^]|' + ENDLESS)}&place=explanation")
    expect(page.locator(".chosen")).to_contain_text("so nothing is marked here.")
    expect(page.locator("#query-fault")).to_be_empty()
    page.get_by_label("Search", exact=True).fill("Sports")
    expect(page.locator(".chosen mark.hit").first).to_have_text("Sports")


@pytest.mark.parametrize(
    "refusal", ["delete window.Worker", "window.Worker = class { constructor() { throw new Error('no') } }"]
)
def test_without_workers_plain_search_stays_and_expressions_say_why_not(
    page: Page, refusal: str, details: list[ItemDetail]
) -> None:
    page.add_init_script(refusal)
    open_page(page, "#query=sports+column")
    n_found = sum("Sports column" in "".join(map(str, item.completion)) for item in details)
    counted(page, n_found)
    expect(page.locator(".chosen mark.hit").first).to_have_text("Sports column")
    page.get_by_label("regular expression").check()
    expect(page.locator("#query-fault")).to_contain_text("this browser starts none here. Plain text is searched.")
    counted(page, n_found)


def test_keys_move_search_explain_and_open(page: Page, details: list[ItemDetail]) -> None:
    open_page(page, f"#cell={CELL}")
    order = ranked(details, CROSSING)
    for _ in range(51):
        page.keyboard.press("j")
    expect(page.locator(".chosen h2")).to_have_text(f"Item {order[51]}")
    assert listed(page) == order[50:100]
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(page.locator(".row[aria-current] .facts")).to_contain_text(f"item {order[49]} ")
    page.keyboard.press("/")
    page.keyboard.type("jk?")
    expect(page.get_by_label("Search", exact=True)).to_have_value("jk?")
    counted(page, 0)
    page.get_by_label("Search", exact=True).fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#found-count")).to_have_text(f"{N_ITEMS} items")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/items/{order[0]}.html")


def test_single_letter_keys_can_be_turned_off(page: Page) -> None:
    open_page(page)
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("single-letter keys are on").uncheck()
    page.keyboard.press("Escape")
    before = page.locator(".chosen h2").text_content()
    page.keyboard.press("j")
    assert page.locator(".chosen h2").text_content() == before
    assert "keys=off" in page.url


def test_the_address_restores_the_view_and_back_undoes_a_step(page: Page, details: list[ItemDetail]) -> None:
    open_page(page, f"#cell={CELL}")
    page.get_by_label("Outliers").select_option("n")
    page.get_by_label("punctuation").uncheck()
    page.get_by_label("Search", exact=True).fill("ministry' \\&#")
    page.get_by_label("Search", exact=True).fill("minister")
    page.locator(".row").nth(3).click()
    page.get_by_role("group", name="Sources side by side").get_by_label("SmolLM2-135M").uncheck()
    before = (listed(page), page.locator(".chosen").text_content(), page.url)
    page.reload()
    expect(page.locator(".chosen .explanation")).to_have_count(1)
    expect(page.get_by_label("Search", exact=True)).to_have_value("minister")
    expect(page.get_by_label("punctuation")).not_to_be_checked()
    expect(page.locator(".row")).not_to_have_count(0)
    assert (listed(page), page.locator(".chosen").text_content(), page.url) == before
    page.go_back()
    expect(page.locator(".chosen .explanation")).to_have_count(2)
    page.go_back()
    expect(page.locator(".row").nth(0)).to_have_attribute("aria-current", "true")
    page.go_back()
    expect(page.get_by_label("Search", exact=True)).to_have_value("")
    page.go_back()
    expect(page.get_by_label("punctuation")).to_be_checked()
    counted(page, sum(not item.is_outlier for item in details))
    page.go_back()
    expect(page.get_by_label("Outliers")).to_have_value("")


def test_chosen_sources_stand_side_by_side_with_their_scores(page: Page, details: list[ItemDetail]) -> None:
    open_page(page, f"#cell={CELL}&item=5")
    titles = page.locator(".chosen .explanation h3")
    item = details[5]
    expect(titles.nth(0)).to_contain_text(f"own AR {signed(item.fve_nrm[DIAGONAL], 2)}")
    expect(titles.nth(0)).to_contain_text(f"→ Qwen2.5-0.5B {signed(item.fve_nrm[CROSSING], 2)}")
    boxes = [box.bounding_box() for box in page.locator(".chosen .explanation").all()]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"]
    shown = page.locator(".chosen .heat button").all_text_contents()
    assert shown == [signed(value, 2) for value in item.fve_nrm]
    page.get_by_label("Source family").select_option("qwen")
    assert len(page.locator(".chosen .heat button").all()) == 2


def test_a_cell_of_the_small_matrix_becomes_the_score_shown(page: Page, details: list[ItemDetail]) -> None:
    open_page(page)
    page.locator(f".heat button[value='{CELL}']").click()
    expect(page.locator(f".heat button[value='{CELL}']")).to_be_focused()
    expect(page.get_by_label("Score shown")).to_have_value(CELL)
    assert listed(page) == ranked(details, CROSSING)[:50]
    assert page.url.endswith(f"#cell={CELL}")


def test_an_unclean_item_says_so_and_is_sorted_last(page: Page, details: list[ItemDetail]) -> None:
    unclean = next(item for item in details if item.is_clean[0] is False)
    open_page(page, f"#cell={CELL}&item={unclean.item_id}")
    expect(page.locator(".chosen")).to_contain_text("Not clean: the token budget ran out before the closing tag.")
    expect(page.locator(".chosen")).to_contain_text("Unscored: explanation not closed within 160 tokens.")
    assert unclean.item_id in ranked(details, CROSSING)[-10:]
    assert page.locator(".row[aria-current] .score").text_content() == "–"


def test_hostile_text_is_shown_and_never_run(page: Page) -> None:
    open_page(page, "#item=7")
    expect(page.locator(".chosen .context")).to_contain_text("<script>alert(1)</script></script><img src=x")
    expect(page.locator(".chosen .explanation").first).to_contain_text('<img src=x onerror="alert(2)">')
    assert page.locator("main script, main img").count() == 0
    page.get_by_label("Search", exact=True).fill("</script><img")
    expect(page.locator("#found-count")).to_have_text(f"{N_ITEMS} items")
    assert page.locator("mark.hit").first.text_content() == "</script><img"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_disk_and_fits_every_width(site: Path, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto((site / "browse.html").as_uri() + f"#cell={CELL}&query=minister")
    expect(page.locator(".chosen .context")).to_contain_text("The talks")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    for width in (360, 768, 1440, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#open-item").click()
    page.wait_for_url("**/items/*.html")
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_script_it_leads_to_the_static_pages(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{address}/browse.html")
    assert tab.locator("main").is_hidden()
    assert "needs script" in (tab.locator(".no-script").text_content() or "")
    tab.locator(".no-script a").click()
    tab.get_by_role("link", name="7", exact=True).click()
    assert tab.url.endswith("/items/7.html")
    tab.get_by_role("link", name="Item 8 →").first.click()
    assert tab.locator("h1").text_content() == "Item 8"
    context.close()


def test_a_run_of_few_items_without_texts_is_browsed_as_well(browser: Browser, tmp_path: Path) -> None:
    import_published(PUBLISHED, tmp_path / "run.duckdb")
    write_report(tmp_path / "run.duckdb", tmp_path / "site")
    tab = browser.new_page()
    tab.goto((tmp_path / "site" / "browse.html").as_uri() + "#cell=gemma27-L41~qwen7-L20")
    expect(tab.locator("#found-count")).to_have_text("4 items")
    expect(tab.locator(".chosen")).to_contain_text("The run file does not hold this item's text.")
    assert tab.locator(".chosen .heat button").count() == 16
    tab.close()


def test_a_lost_file_of_texts_is_said_and_stops_nothing(browser: Browser, site: Path, tmp_path: Path) -> None:
    for path in sorted(site.rglob("*")):
        if path.is_file() and "texts-1" not in path.name:
            copy = tmp_path / path.relative_to(site)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    tab = browser.new_page()
    tab.goto((tmp_path / "browse.html").as_uri() + "#item=110")
    expect(tab.locator(".chosen")).to_contain_text("The file with this item's texts could not be read.")
    tab.get_by_label("Search", exact=True).fill("delayed twice")
    counted(tab, 100)
    expect(tab.locator("#progress")).to_have_text("Texts that could not be read, and are not searched: 1 of 2 files.")
    tab.close()


def test_the_data_are_parsed_as_scripts_that_call_one_function(site: Path) -> None:
    for path in (site / "data").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        call = re.fullmatch(r"nlaBrowser\.(items|texts)\((.*)\);\n", text, re.DOTALL)
        assert call is not None
        json.loads(f"[{call[2]}]")
