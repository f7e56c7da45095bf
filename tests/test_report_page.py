import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from jinja2 import UndefinedError
from support.made_runs import PAIRS, PUBLISHED, run_row, write_computed_run
from support.reports import write_report

from nlareport.errors import RunIncomplete
from nlareport.publish import publish_run
from nlareport.render.report.sample_cards import mark_token
from nlareport.render.template_environment import template_environment
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, LearningCurve
from nlareport.rows.item_rows import Ablation
from nlareport.store.run_file import RunFile, create_run_file


def figures() -> dict:
    return yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))


def rendered(db: Path, out: Path) -> str:
    return write_report(db, out).read_text(encoding="utf-8")


def written(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


@pytest.fixture(scope="module")
def published_page(published_report: Path) -> str:
    return (published_report / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def computed_page(computed_report: Path) -> str:
    return (computed_report / "index.html").read_text(encoding="utf-8")


def cell_of(page: str, source: str, target: str) -> str:
    """What stands in one cell of the matrix."""
    found = re.search(rf'<td id="cell-{re.escape(source)}--{re.escape(target)}".*?</td>', page, re.DOTALL)
    assert found is not None
    return found.group()


def visible(page: str) -> str:
    """The page's text without styles, drawings, queries and tags."""
    for tag in ("style", "svg", "pre", "head"):
        page = re.sub(rf"<{tag}\b.*?</{tag}>", " ", page, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", page)


def test_every_published_cell_and_interval_end_stands_in_its_own_cell(published_page: str) -> None:
    cells = figures()["cells"]
    assert len(cells) == 16
    for cell in cells:
        shown = cell_of(published_page, cell["source"], cell["target"])
        low, high = cell["ci95"]
        assert f'<span class="value">{written(cell["fve_nrm"], 3)}</span>' in shown
        assert f"[{written(low, 3)}, {written(high, 3)}]" in shown


def test_every_published_item_value_stands_in_its_card_in_order(published_page: str) -> None:
    cards = re.findall(r'<article class="card".*?</article>', published_page, re.DOTALL)
    samples = figures()["samples"]
    assert len(cards) == len(samples) == 4
    for card, sample in zip(cards, samples, strict=True):
        assert sample["doc_id"] in card
        shown = re.findall(r'<td class="(?:same|cross)-\w+">([^<]+)</td>', card)
        said = [written(value, 2) for row in sample["fve_nrm"].values() for value in row.values()]
        assert shown == said


def test_hero_tells_the_best_cross_family_cell_from_the_best_cross_model_cell(published_page: str) -> None:
    hero = published_page[published_page.index('class="hero"') : published_page.index('class="contents"')]
    found = re.findall(r'<dt>([^<]+)</dt>\s*<dd><a class="figure" href="#cell-([^"]+)">([^<]+)</a>', hero)
    assert found == [
        ("Worst cross-model cell", "gemma12-L32--llama70-L53", "0.514"),
        ("Best cross-model cell", "gemma27-L41--gemma12-L32", "0.680"),
        ("Best cross-family cell", "llama70-L53--qwen7-L20", "0.638"),
        ("Best diagonal", "llama70-L53--llama70-L53", "0.791"),
    ]
    assert "−0.98 to −0.66" in hero
    assert hero.count("8\u202f000") == 2


def test_ceiling_fractions_are_computed(published_page: str) -> None:
    said = {(cell["source"], cell["target"]): cell["fve_nrm"] for cell in figures()["cells"]}
    expected = Counter(f"{100 * fve / said[t, t]:.0f}%" for (s, t), fve in said.items() if s != t)
    table = published_page[published_page.index("Ceiling fraction of every cell off the diagonal") :]
    table = table[: table.index("</table>")]
    assert Counter(re.findall(r'<span class="value">(\d+%)</span>', table)) == expected


def test_hardest_and_easiest_target_are_computed(published_page: str) -> None:
    assert "Hardest target: <strong>llama-70B</strong> (65–73%)" in published_page
    assert "Easiest: <strong>gemma-12B</strong> (78–90%)" in published_page


@pytest.mark.parametrize("name", ["published_page", "computed_page"])
def test_page_refers_to_no_other_host(name: str, request: pytest.FixtureRequest) -> None:
    page = request.getfixturevalue(name)
    assert not re.search(r"""(?:src|href|action|data|poster|srcset)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", page)
    assert not re.search(r"<(?:iframe|object|embed|form)\b|<script>|<style|\bstyle=", page)


@pytest.mark.parametrize("name", ["published_page", "computed_page"])
def test_nothing_unknown_is_printed_as_a_programmers_word(name: str, request: pytest.FixtureRequest) -> None:
    words = set(re.findall(r"[A-Za-z]+", visible(request.getfixturevalue(name))))
    assert not words & {"NaN", "nan", "None", "undefined", "inf", "NULL"}


def test_same_run_file_gives_the_same_bytes_twice(published_run: Path, published_report: Path, tmp_path: Path) -> None:
    again = publish_run(published_run, tmp_path)
    assert again.read_bytes() == (published_report / "index.html").read_bytes()


def test_figures_without_texts_render_with_a_sentence_in_their_place(published_page: str) -> None:
    assert published_page.count("does not hold this item&#39;s text") == 0
    assert published_page.count("does not hold this item's text") == 4
    assert "does not hold the explanations" in published_page
    assert "cannot be split by token" in published_page
    assert "The run holds no baseline" in published_page


def test_two_pair_run_shows_strata_outliers_nulls_baselines_and_skipped_documents(computed_page: str) -> None:
    text = " ".join(visible(computed_page).split())
    assert "without outliers 118, prose 72, punctuation 24, digits 24" in text
    assert "too short for 50 tokens 7" in text
    assert "explanation not closed within 160 tokens" in text
    assert "Leaving them out moves" in text
    assert "the cross-model cells are too few for it" in text


def test_language_and_geometry_stand_in_one_table_a_row_per_cell_and_a_column_per_method(computed_page: str) -> None:
    section = computed_page[computed_page.index('<h3 id="baselines">') : computed_page.index('<h3 id="ablations">')]
    table = section[: section.index("</table>")]
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table)
    assert heads == [
        "Cell",
        "Language",
        "Linear map",
        "Nearest neighbour",
        "Best constant",
        "Last 8 words",
        "Last 32 words",
    ]
    rows = [" ".join(visible(row).replace("&nbsp;", " ").split()) for row in table.split("<tr")[2:]]
    assert len(rows) == 4
    assert re.search(
        r"SmolLM2-135M 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\] not scored 0\.020 \[−0\.010, 0\.050\] "
        r"−0\.132 \[−0\.151, −0\.118\] 0\.710 \[0\.690, 0\.730\] 0\.790 \[0\.770, 0\.810\]$",
        rows[0],
    )
    assert "Qwen2.5-0.5B → SmolLM2-135M" in rows[1]
    assert "0.120 [0.090, 0.150]" in rows[1]
    assert "Query <code>language_and_geometry</code>, 22 rows" in section
    assert section.count('<svg role="img"') == 2


def test_a_run_scored_before_there_was_a_linear_map_says_so(tmp_path: Path) -> None:
    db = write_computed_run(tmp_path / "run.duckdb")
    with RunFile.open(db) as run_file:
        constants = [row for row in run_file.rows(Baseline) if row.method == "best_constant"]
        run_file.replace({Baseline: constants, LearningCurve: []})
    page = rendered(db, tmp_path / "page")
    section = page[page.index('<h3 id="baselines">') : page.index('<h3 id="ablations">')]
    assert "has neither a linear map nor a nearest neighbour" in section
    assert "<svg" not in section
    assert "Linear map" not in section


def _table(page: str, place: str) -> list[str]:
    table = page[page.index(f'id="{place}"') :]
    rows = re.findall(r"<tr.*?>(.*?)</tr>", table[: table.index("</table>")])
    return [" ".join(visible(row.replace("</th>", "</th> ")).replace("&nbsp;", " ").split()) for row in rows]


def test_every_cell_says_what_each_change_takes_from_it(computed_page: str) -> None:
    head, *cells = _table(computed_page, "table-ablations")
    assert head == "Cell As written Words shuffled Quotes kept only Quotes blanked Digits masked Items"
    first = "0.500 0.153 [0.132, 0.176] 0.204 [0.183, 0.227] 0.402 [0.381, 0.425] 0.003 [−0.018, 0.026] 117"
    second = "0.510 0.163 [0.132, 0.176] 0.214 [0.183, 0.227] 0.412 [0.381, 0.425] 0.013 [−0.018, 0.026] 117"
    assert cells == [
        f"SmolLM2-135M {first}",
        f"SmolLM2-135M → Qwen2.5-0.5B {second}",
        f"Qwen2.5-0.5B → SmolLM2-135M {first}",
        f"Qwen2.5-0.5B {second}",
    ]
    assert "Query <code>ablations</code>, 36 rows" in computed_page


def test_cuts_stand_in_a_drawing_with_their_figures_below_it(computed_page: str) -> None:
    head, *cells = _table(computed_page, "table-cuts")
    assert head == "Cell As written First 8 tokens First 16 tokens Last 8 tokens Last 16 tokens"
    assert cells[0].startswith("SmolLM2-135M 0.500 0.310 [0.289, 0.333] 0.270 [0.249, 0.293] 0.135 [")
    assert len(cells) == 4
    figure = computed_page[computed_page.index('id="figure-cuts"') : computed_page.index('id="table-cuts"')]
    assert figure.count("<svg") == 2
    assert figure.count("var(--same)") > 0 < figure.count("var(--cross)")
    assert figure.count(">first tokens kept<") == 1 + 2
    assert "downloads/charts/cuts.svg" in computed_page


def test_a_run_of_whole_text_changes_to_each_pairs_own_texts_has_no_drawing(tmp_path: Path) -> None:
    db = write_computed_run(tmp_path / "older.duckdb")
    with RunFile.open(db) as run_file:
        kept = [row for row in run_file.rows(AblationCell) if row.source == row.target and row.ordinal in (0, 2)]
        run_file.replace({AblationCell: kept})
    page = rendered(db, tmp_path / "page")
    assert "Only each pair's own texts were changed." in page
    assert [row.split()[0] for row in _table(page, "table-ablations")] == ["Cell", "SmolLM2-135M", "Qwen2.5-0.5B"]
    assert "figure-cuts" not in page
    assert "empty one" not in page


def test_a_run_of_cuts_alone_has_a_drawing_and_no_table_of_changes(tmp_path: Path) -> None:
    db = write_computed_run(tmp_path / "cuts.duckdb", pairs=3)
    with RunFile.open(db) as run_file:
        run_file.replace({AblationCell: [row for row in run_file.rows(AblationCell) if row.method == "last_8_tokens"]})
    page = rendered(db, tmp_path / "page")
    assert "table-ablations" not in page
    assert _table(page, "table-cuts")[0] == "Cell As written Last 8 tokens"
    assert "first tokens kept<" not in page


def test_a_page_says_of_how_many_items_texts_were_changed(tmp_path: Path, computed_page: str) -> None:
    db = write_computed_run(tmp_path / "part.duckdb")
    with RunFile.open(db) as run_file:
        pair_id = PAIRS[0].pair_id
        run_file.put([Ablation(n, pair_id, pair_id, "quotes_kept", mse_nrm=1.0) for n in range(30)])
    assert "The explanations of the first 30 items were changed" in rendered(db, tmp_path / "page")
    assert "The explanations were changed and read again" in computed_page


def test_a_run_without_ablations_has_no_such_section(published_page: str) -> None:
    assert "Which part of the text carries the score" not in published_page
    assert 'id="ablations"' not in published_page


def test_a_run_without_choices_has_no_such_section_and_figures_do_not_say_whose_v_they_are_under(
    computed_page: str, published_page: str
) -> None:
    assert 'id="choices"' not in computed_page
    assert 'id="conditions"' in computed_page
    assert 'id="conditions"' not in published_page
    text = " ".join(visible(published_page).split())
    assert "The published figures do not state V over their items for every pair" in text
    assert "So the matrix cannot be converted from one to the other." in text


def test_single_pair_renders_without_a_cross_model_cell(tmp_path: Path) -> None:
    page = rendered(write_computed_run(tmp_path / "one.duckdb", pairs=1), tmp_path / "page")
    assert "Best diagonal" in page
    assert "cross-model cell</dt>" not in page
    assert "No fraction can be given" in page


def test_hostile_text_is_shown_and_never_run(tmp_path: Path) -> None:
    hostile = '<script>alert(1)</script><img src=x onerror="alert(2)">]]>{{ 7 * 7 }}'
    page = rendered(write_computed_run(tmp_path / "run.duckdb", hostile=hostile), tmp_path / "page")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page


def test_hostile_label_stays_text_in_tables_and_drawings(tmp_path: Path) -> None:
    label = '<b onclick="x">&"\'</b>'
    pairs = [replace(pair, label=label if pair.ordinal == 0 else pair.label) for pair in PAIRS]
    cells = [Cell(s.pair_id, t.pair_id, "all", 9, 0, 0.5, 0.4, 0.6, *[None] * 6) for s in pairs for t in pairs]
    create_run_file(tmp_path / "run.duckdb", replace(run_row(), kind="imported", experiment_yaml=None), pairs, cells)
    page = rendered(tmp_path / "run.duckdb", tmp_path / "page")
    assert "<b " not in page
    assert page.count("<svg") == 2
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(drawing)


def test_run_that_has_only_begun_says_what_is_missing(tmp_path: Path) -> None:
    create_run_file(tmp_path / "run.duckdb", run_row(), PAIRS)
    page = rendered(tmp_path / "run.duckdb", tmp_path / "page")
    assert "No cell has a value yet" in page
    assert "holds too little for any sentence to be checked" in page
    assert "No card “best”: no item was scored in every cell" in page
    assert "<svg" not in page


def test_unknown_name_in_a_template_fails(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ cell.fve_nmr }}")
    template = template_environment(tmp_path).get_template("page.html")
    with pytest.raises(UndefinedError, match="fve_nmr"):
        template.render(cell={"fve_nrm": 0.5})


def test_run_without_a_pair_is_refused_with_what_to_do(tmp_path: Path) -> None:
    create_run_file(tmp_path / "empty.duckdb", run_row())
    with pytest.raises(RunIncomplete, match="run its experiment first"):
        write_report(tmp_path / "empty.duckdb", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_token_is_marked_only_where_the_context_ends_with_it() -> None:
    marked = mark_token("varieties of maize,,", ",")
    assert marked is not None
    assert (marked.before, marked.token) == ("varieties of maize,", ",")
    bare = mark_token("paradigm used", " used")
    assert bare is not None
    assert (bare.before, bare.token) == ("paradigm", " used")
    other = mark_token("somewhere else", "x")
    assert other is not None
    assert (other.before, other.token) == ("somewhere else", "")
    assert mark_token(None, "x") is None


def test_every_permalink_and_section_link_has_its_place(published_page: str, computed_page: str) -> None:
    for page in (published_page, computed_page):
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_every_shown_query_carries_its_text_row_count_and_run(computed_page: str) -> None:
    shown = re.findall(r"<p>Query <code>(\w+)</code>.*?rows?, run <code>pocket</code>\. .*?</p>\s*<pre", computed_page)
    assert {
        "hero_cells",
        "matrix",
        "target_ceilings",
        "tails",
        "subsets",
        "language_and_geometry",
        "learning_curves",
    } <= set(shown)
