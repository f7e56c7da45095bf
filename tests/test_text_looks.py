"""How the texts of a run look: queries, sentences, audits, the table on the page, underlined words, the filter."""

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Browser, expect
from support.made_runs import write_computed_run
from support.reports import write_report
from support.tiny_runs import GEMMA, QWEN, a_pair, a_run, a_score, an_explanation, an_item, make_older

from nlareport.claims.reading import read_claims
from nlareport.render.marked_words import held_spans, underlined
from nlareport.render.report.text_looks import SIGN_HEADS, SIGN_MEANINGS, SignCount, SourceTexts
from nlareport.render.shared_phrases import share_phrases
from nlareport.rows.item_rows import Item
from nlareport.rows.text_rows import Sign
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.run_summary import ItemRows, summarize_run
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import RunRows, store_run

N_ITEMS = 40
TOPICS = ["wheat", "court", "bridge", "election", "harbour"]
AUDITS = ("text_sign_beside_its_text", "text_summary_beside_its_texts", "number_out_of_range")


def sick_texts() -> list[str]:
    """Of 40 answers 16 in Chinese, 6 loops, an empty one, and one with tags and tokens left in."""
    texts = [f"A report on the {TOPICS[k % 5]} of a town. Likely next: “was {TOPICS[k % 5]}”." for k in range(N_ITEMS)]
    texts[:16] = ["这个向量描述了一个关于农业的段落，下一个词可能是“作物”。"] * 16
    texts[16:22] = ["the " * 18] * 6
    texts[22] = ""
    texts[24] = "<explanation>\nnested tag <end_of_turn> and <|im_end|>"
    return texts


def run_of(texts: list[str], contexts: list[str]) -> RunRows:
    """A computed run of two pairs, the first of which wrote the texts."""
    items = [an_item(k, context=context) for k, context in enumerate(contexts)]
    pairs = [a_pair(QWEN, variance_nrm=0.75), a_pair(GEMMA, ordinal=1, variance_nrm=0.5)]
    explanations = [an_explanation(k, text=text) for k, text in enumerate(texts)]
    explanations = [replace(row, completion=None, is_clean=None, finish=None) for row in explanations]
    draws = DocumentDraws.of(items, 200, seed=3, pairs=pairs)
    scores = [a_score(k, s, t) for k in range(len(texts)) for s in (QWEN, GEMMA) for t in (QWEN, GEMMA)]
    summary = summarize_run(ItemRows(pairs, items, draws, scores=scores, explanations=explanations))
    return RunRows.gather(a_run(kind="imported", experiment_yaml=None), pairs, items, explanations, scores).with_tables(
        {row_type: list(rows) for row_type, rows in summary.items() if row_type is not Item}
    )


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sick") / "run.duckdb"
    contexts = [f"In the town the {TOPICS[k % 5]} failed" if k else "农业的段落" for k in range(N_ITEMS)]
    store_run(path, run_of(sick_texts(), contexts))
    return path


def test_every_sign_is_counted_per_source_with_those_of_the_context(sick: Path) -> None:
    with DuckDBReader.open(sick) as reader:
        counts = {row.sign: row for row in reader.rows(SignCount, "text_signs")}
        (summary,) = reader.rows(SourceTexts, "text_summaries")
    found: dict[Sign, int] = {sign: row.n_found for sign, row in counts.items()}
    assert found == {"cjk": 16, "loop": 6, "empty": 1, "tag": 1, "special_token": 1}
    assert (counts["cjk"].n_texts, counts["cjk"].share, counts["cjk"].n_in_context) == (40, 0.4, 1)
    assert (summary.source, summary.n_texts) == (QWEN, 40)
    assert summary.share_elsewhere is not None
    assert (summary.share_found or 0) > summary.share_elsewhere


def test_sentences_tell_texts_in_another_script_from_a_twentieth_on(sick: Path, tmp_path: Path) -> None:
    with DuckDBReader.open(sick) as reader:
        said = {claim.claim_id: claim for claim in read_claims(reader)}
    assert said["other_scripts"].holds
    assert said["other_scripts"].text.startswith(
        "38% of the explanations of qwen7-L20 (15 of 40) are in a script other than Latin, with no context"
    )
    assert said["content_words"].holds
    assert "content words" in said["content_words"].text
    texts, contexts = sick_texts(), ["In the town it failed"] * N_ITEMS
    store_run(tmp_path / "fewer.duckdb", run_of([texts[0], *texts[16:22], *texts[25:], *texts[25:30]], contexts[:27]))
    with DuckDBReader.open(tmp_path / "fewer.duckdb") as reader:
        said = {claim.claim_id: claim for claim in read_claims(reader)}
    assert not said["other_scripts"].holds
    assert said["content_words.otherwise"].holds


@pytest.mark.parametrize(
    ("change", "audit", "n_found"),
    [
        ("DELETE FROM text_sign WHERE sign = 'cjk' AND item_id < 3", AUDITS[0], 3),
        ("UPDATE explanation SET text = 'Plain English' WHERE item_id = 0", AUDITS[0], 1),
        ("INSERT INTO text_sign BY NAME SELECT 'qwen7-L20' AS source, 30 AS item_id, 'tag' AS sign", AUDITS[0], 1),
        ("DELETE FROM text_sign WHERE sign IN ('empty', 'special_token')", AUDITS[0], 2),
        ("UPDATE text_summary SET n_texts = 39, share_found = share_found + 0.01", AUDITS[1], 2),
        ("DELETE FROM context_overlap", AUDITS[1], 3),
        ("UPDATE context_overlap SET n_found = n_words + 1 WHERE item_id = 1", AUDITS[2], 1),
    ],
)
def test_audits_find_signs_and_shares_that_the_texts_do_not_bear_out(
    sick: Path, tmp_path: Path, change: str, audit: str, n_found: int
) -> None:
    copy = tmp_path / "run.duckdb"
    copy.write_bytes(sick.read_bytes())
    for statement, n_expected in (("SELECT 1", 0), (change, n_found)):
        with duckdb.connect(str(copy)) as connection:
            connection.execute(statement)
        with DuckDBReader.open(copy) as reader:
            found = {name: len(reader.frame(f"audits/{name}")) for name in AUDITS}
        assert found[audit] == n_expected, found


def test_the_page_counts_the_signs_and_the_browser_finds_their_items(
    sick: Path, tmp_path: Path, browser: Browser
) -> None:
    page = write_report(sick, tmp_path)
    html = page.read_text(encoding="utf-8")
    (table,) = re.findall(r'<figure id="table-texts">.*?</figure>', html, re.DOTALL)
    assert re.findall(r'<a href="(browse.html#sign=[^"]*)">(\d+)</a>', table) == [
        (f"browse.html#sign={sign}~qwen7-L20", str(n))
        for sign, n in [("cjk", 16), ("loop", 6), ("empty", 1), ("tag", 1), ("special_token", 1)]
    ]
    assert "context too: 1" in table
    assert "Explanations are guesses" in table
    item = (tmp_path / "items" / "30.html").read_text(encoding="utf-8")
    assert f'the <u class="held">{TOPICS[0]}</u> of a <u class="held">town</u>' in item
    assert "Signs:" not in item
    tagged = (tmp_path / "items" / "24.html").read_text(encoding="utf-8")
    assert (
        "Signs: a special token such as &lt;|im_end|&gt;, or pieces of a tokenizer; a tag of answer or prompt" in tagged
    )
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(f"{(tmp_path / 'browse.html').as_uri()}#sign=loop~qwen7-L20")
    expect(tab.locator("#found-count")).to_have_text("6 of 40 items")
    loops = "Signs: at least a third of the sequences of four words stood in the text before."
    expect(tab.locator(".chosen .explanation .note", has_text=loops)).to_have_count(1)
    tab.get_by_label("Signs of a text that went wrong").select_option("cjk")
    expect(tab.locator("#found-count")).to_have_text("16 of 40 items")
    tab.goto("about:blank")
    tab.goto(f"{(tmp_path / 'browse.html').as_uri()}#sign=loop~gemma12-L32")
    expect(tab.locator("#found-count")).to_have_text("0 of 40 items")
    context.close()


def test_a_report_of_an_older_run_has_no_word_of_it(tmp_path: Path) -> None:
    db = write_computed_run(tmp_path / "run.duckdb", n_items=6)
    make_older(db, 8)
    page = write_report(db, tmp_path / "report")
    for part in (page, tmp_path / "report" / "items" / "1.html", tmp_path / "report" / "browse.html"):
        html = part.read_text(encoding="utf-8")
        assert '<u class="held">' not in html
        assert "table-texts" not in html
        assert "Signs of a text" not in html


def test_underlined_words_of_a_hostile_text_stay_text() -> None:
    text = "<script src=x>alert(1)</script> “wheat” & \u202ebarley <b>wheat-field</b>"
    marked = underlined(text, "alert, script; WHEATS and barley <b>")
    assert marked == (
        '&lt;<u class="held">script</u> src=x&gt;<u class="held">alert</u>(1)&lt;/script&gt; '
        '“<u class="held">wheat</u>” &amp; \\u202ebarley &lt;b&gt;wheat-field&lt;/b&gt;'
    )
    assert underlined("<b>", None) == "&lt;b&gt;"


def test_words_are_underlined_within_phrases_that_sources_share_and_across_their_ends() -> None:
    texts = ["the old mill-stone of wheat", "an old mill stands. the old mill, x"]
    held = [held_spans(text, "an old mill-stone") for text in texts]
    first, _ = share_phrases(texts, held).marked
    assert first == (
        '<span class="shared">the <u class="held">old</u> <u class="held">mill</u></span>'
        '<u class="held">-stone</u> of wheat'
    )
    assert held_spans("农作物", "很多农作物") == [(0, 3)]


def test_every_sign_has_its_words() -> None:
    assert SIGN_HEADS.keys() == SIGN_MEANINGS.keys() == set(Sign.__args__)
