import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_runs import PAIRS, PUBLISHED, run_row, write_computed_run
from support.reports import write_report

from nlareport.figure_text import signed
from nlareport.render.pages import item_pages
from nlareport.render.pages.item_pages import ItemDetail, ItemPages
from nlareport.render.pages.sample_browser import browser_score
from nlareport.store.published.published_run import import_published
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import create_run_file

HOSTILE = "<script>alert(1)</script>\"'</p>\u2028{{ 7 * 7 }}"
N_ITEMS = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_computed_run(tmp_path_factory.mktemp("run") / "run.duckdb", n_items=N_ITEMS, hostile=HOSTILE)


def rendered(db: Path, out: Path) -> Path:
    return write_report(db, out).parent


@pytest.fixture(scope="module")
def site(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendered(run, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def shared_site(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_pages, "MOST_SINGLE_PAGES", 50)
        patch.setattr(item_pages, "ITEMS_PER_LIST", 50)
        return rendered(run, tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def details(run: Path) -> list[ItemDetail]:
    with DuckDBReader.open(run) as reader:
        return reader.rows(ItemDetail, "item_details", first=0, last=N_ITEMS)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def assert_shows(page: str, item: ItemDetail) -> None:
    """The page holds the item's context, its explanations or answers, and its score in every cell, in order."""
    # Words of the context are underlined in explanations.
    text = unescape(page.replace('<u class="held">', "").replace("</u>", ""))
    assert item.context is not None
    assert item.context.removesuffix(item.token) + f"<mark>{item.token}</mark>" in text
    for written, answer in zip(item.text, item.completion, strict=True):
        assert f"<p>{written if written is not None else answer}</p>" in text
    shown = re.findall(r'<td class="(?:same|cross)-\w+">([^<]+)</td>', page)
    assert shown == [signed(value, 2) for value in item.fve_nrm]


def test_every_item_has_a_page_with_its_context_explanations_and_scores(site: Path, details: list[ItemDetail]) -> None:
    assert len(details) == N_ITEMS
    for item in details:
        assert_shows(read(site / "items" / f"{item.item_id}.html"), item)


def test_on_shared_pages_every_item_stands_at_its_anchor(shared_site: Path, details: list[ItemDetail]) -> None:
    pages = sorted((shared_site / "items").glob("page-*.html"))
    articles = [re.findall(r'<article class="entry" id="item-(\d+)".*?</article>', read(page), re.S) for page in pages]
    assert [int(found) for part in articles for found in part] == [item.item_id for item in details]
    first = re.search(
        r'<article class="entry" id="item-107".*?</article>', read(shared_site / "items/page-2.html"), re.S
    )
    assert first is not None
    assert_shows(first.group(), details[107])
    assert not (shared_site / "items" / "7.html").exists()


@pytest.mark.parametrize("name", ["site", "shared_site"])
def test_items_are_linked_one_after_another(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name) / "items"
    page, seen = ("0.html" if name == "site" else "page-1.html"), []
    while page:
        seen.append(page)
        assert len(seen) <= N_ITEMS
        later = re.search(r'rel="next" href="([^"#]+)', read(folder / page))
        earlier = re.search(r'rel="prev" href="([^"#]+)', read(folder / page))
        assert (earlier and earlier[1]) == (seen[-2] if len(seen) > 1 else None)
        page = later[1] if later else ""
    assert len(seen) == (N_ITEMS if name == "site" else 2)


@pytest.mark.parametrize("name", ["site", "shared_site"])
def test_static_lists_lead_to_every_item(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name) / "items"
    page, hrefs = "index.html", []
    while page:
        text = read(folder / page)
        hrefs += re.findall(r'<th scope="row" class="num"><a href="([^"]+)">', text)
        later = re.search(r'rel="next" href="([^"]+)"', text)
        page = later[1] if later else ""
    assert len(hrefs) == len(set(hrefs)) == N_ITEMS
    for href in hrefs:
        file, _, anchor = href.partition("#")
        assert not anchor or f'id="{anchor}"' in read(folder / file)
        assert (folder / file).exists()


@pytest.mark.parametrize("name", ["site", "shared_site"])
def test_every_link_of_these_pages_has_its_place(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    for path in [*(folder / "items").iterdir(), folder / "browse.html"]:
        for href in re.findall(r'<(?:a|script)\b[^>]* (?:href|src)="([^"]+)"', read(path)):
            file, _, anchor = href.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), f"{path.name}: {href}"
            if anchor and target.name != "browse.html":
                assert f'id="{anchor}"' in read(target), f"{path.name}: {href}"


def test_where_an_item_stands_depends_on_how_many_there_are() -> None:
    few = ItemPages([3, 8, 1_000])
    assert few.href(8) == "items/8.html"
    many = ItemPages(range(0, 20_000, 2))
    assert many.href(0) == "items/page-1.html#item-0"
    assert many.href(198) == "items/page-1.html#item-198"
    assert many.href(200) == "items/page-2.html#item-200"


def test_an_answer_that_is_not_clean_says_how_it_ended_and_why_it_is_unscored(
    site: Path, details: list[ItemDetail]
) -> None:
    item = next(item for item in details if False in item.is_clean)
    page = read(site / "items" / f"{item.item_id}.html")
    assert "Not clean: the token budget ran out before the closing tag." in page
    assert "It holds no explanation; the whole answer reads:" in page
    assert page.count("Unscored: explanation not closed within 160 tokens.") == 1


@pytest.mark.parametrize("name", ["site", "shared_site"])
def test_hostile_text_stays_text_on_every_page(name: str, request: pytest.FixtureRequest) -> None:
    for path in (request.getfixturevalue(name) / "items").iterdir():
        page = read(path)
        assert "<script" not in page
        assert "{{ 7 * 7 }}" in page


def test_items_without_texts_say_so(tmp_path: Path) -> None:
    import_published(PUBLISHED, tmp_path / "run.duckdb")
    site = rendered(tmp_path / "run.duckdb", tmp_path / "site")
    pages = [read(path) for path in (site / "items").iterdir() if path.name != "index.html"]
    assert len(pages) == 4
    for page in pages:
        assert "does not hold this item's text" in page
        assert "does not hold the explanations" in page
        assert len(re.findall(r'<td class="(?:same|cross)-\d+">', page)) == 16


def test_a_run_without_items_has_no_browser_and_no_link_to_one(tmp_path: Path) -> None:
    create_run_file(tmp_path / "run.duckdb", run_row(), PAIRS)
    site = rendered(tmp_path / "run.duckdb", tmp_path / "site")
    assert not (site / "browse.html").exists()
    assert not (site / "items").exists()
    assert "browse.html" not in read(site / "index.html")


def test_same_run_file_gives_the_same_files_twice(run: Path, site: Path, tmp_path: Path) -> None:
    again = rendered(run, tmp_path / "again")
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((site / name).read_bytes() == (again / name).read_bytes() for name in files)


def test_a_list_shows_whole_words_of_the_context_before_the_token(details: list[ItemDetail]) -> None:
    tail = details[0].tail(40)
    assert tail.token == details[0].token
    assert tail.before.startswith("…")
    assert len(tail.before) <= 41
    assert "\u2028" not in tail.before


@given(st.floats(-50, 1))
def test_the_browser_writes_the_same_two_decimals_as_a_page(fve_nrm: float) -> None:
    value = browser_score(fve_nrm)
    assert value is not None
    assert signed((value + 50) // 100 / 100, 2) == signed(fve_nrm, 2)
    assert abs(value / 10_000 - fve_nrm) < 0.00011
