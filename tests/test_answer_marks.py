"""What pages, queries and audits say of a run whose answers are odd in every way there is."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import yaml
from support.made_runs import BUDGET, ODD_ANSWERS, write_computed_run
from support.reports import write_report
from support.tiny_runs import QWEN, a_small_run

from nlareport.checkpoints.answers import MARK_WORDS
from nlareport.claims.answer_marks import PHRASES, counted
from nlareport.claims.reading import absent_needs, read_claims
from nlareport.render.report.answer_notes import LETTERS, answer_letter, answer_note, letter_notes
from nlareport.render.report.protocol_strip import answer_rule
from nlareport.render.report.query_rows import RunHead
from nlareport.rows.item_rows import AnswerMark
from nlareport.store.bundle.bundle import export_bundle, import_bundle
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import read_run, store_run

UNCLEAN = [mark for mark in ODD_ANSWERS if mark != "overrun"]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first pair's first answers bear one mark each. Copy it before changing it."""
    return write_computed_run(
        tmp_path_factory.mktemp("marked") / "run.duckdb", n_items=12, with_marks=True, with_measures=False
    )


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run before answers had marks."""
    return write_computed_run(tmp_path_factory.mktemp("older") / "run.duckdb", n_items=40, with_measures=False)


@pytest.fixture(scope="module")
def report(marked: Path) -> Path:
    return write_report(marked, marked.parent / "report").parent


def text_of(page: str, pattern: str) -> str:
    """What a part of a page says, without its tags."""
    found = re.search(pattern, page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub("<[^>]+>", " ", found[0]).split())


def test_the_report_counts_answers_by_what_is_odd_about_them(report: Path) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    hero = text_of(page, r"<dt>Clean decodes</dt>.*?</div>")
    assert hero.startswith(
        "Clean decodes 18 of 24; not clean: 1 cut by the token budget, 1 with nothing between the tags, "
    )
    assert hero.endswith("; of the clean 1 cut after the closing tag")
    for mark in UNCLEAN:
        assert f"1 {PHRASES[mark]}" in hero
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", text_and_tags(page, "table-decodes"))
    assert [cells[:9], cells[11:20]] == [["12", "6", *["1"] * 7], ["12", "12", *["0"] * 7]]
    rule = text_of(page, r'id="unclean".*?</p>')
    assert (
        "is clean when its first opening tag and the closing tag after it were found within the token budget, with"
        in rule
    )
    assert "Clean: 18 of 24." in rule
    assert "18 of 24 answers are clean. Not clean (6): 1 cut by the token budget," in text_of(
        page, r'id="claim-answers.*?</p>'
    )


def text_and_tags(page: str, anchor: str) -> str:
    found = re.search(rf'id="{anchor}".*?</table>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_an_items_page_says_in_words_what_is_odd_about_each_answer(report: Path) -> None:
    for item_id, mark in enumerate(ODD_ANSWERS):
        page = (report / "items" / f"{item_id}.html").read_text(encoding="utf-8")
        start = "Clean, but" if mark == "overrun" else "Not clean:"
        notes = re.findall(r'<p class="note">((?:Clean|Not clean)[^<]*)</p>', page)
        assert notes == [f"{start} {MARK_WORDS[mark]}.", "Clean."]
        assert ("It holds no explanation; the whole answer reads:" in page) == (mark != "overrun")


def test_the_browser_offers_every_mark_that_occurs(report: Path) -> None:
    page = (report / "browse.html").read_text(encoding="utf-8")
    choices = text_and_tags(page.replace("</select>", "</table>"), "clean")
    offered = dict(re.findall(r'<option value="([^"]*)">([^<]*)</option>', choices))
    assert {LETTERS[mark]: PHRASES[mark] for mark in ODD_ANSWERS}.items() <= offered.items()
    assert set(offered) == {"", "y", "n", *(LETTERS[mark] for mark in ODD_ANSWERS)}
    data = next((report / "data").glob("items*.js")).read_text(encoding="utf-8")
    assert "".join(LETTERS[mark] for mark in ODD_ANSWERS) + "ccccc" in data


def test_notes_letters_and_phrases_are_all_different_and_say_nothing_of_what_nobody_judged() -> None:
    assert answer_note(None, None) is None
    assert answer_letter(None, None) == "-"
    assert [answer_note(True, None), answer_letter(True, None)] == ["Clean.", "c"]
    assert answer_note(False, "unknown") == "Not clean: nothing says why."
    assert letter_notes() == {
        "c": "Clean.",
        **{LETTERS[mark]: answer_note(mark == "overrun", mark) for mark in LETTERS},
    }
    assert len(set(letter_notes().values())) == len(letter_notes()) == len(LETTERS) + 1
    assert set(PHRASES) == set(LETTERS)
    assert (
        counted({"budget": 1_200, "empty": 1}) == "1\u202f200 cut by the token budget, 1 with nothing between the tags"
    )


def test_a_run_without_marks_is_counted_by_how_its_answers_ended(older: Path) -> None:
    with DuckDBReader.open(older) as reader:
        assert reader.frame("answer_marks").rows() == [("budget", 2)]
        assert [row[2:6] for row in reader.frame("decode_finish").rows()] == [(40, 39, 0, 1)] * 2
        assert "answers" in absent_needs(reader)
        said = {claim.claim_id: claim.text for claim in read_claims(reader) if claim.holds}
    assert said["clean.otherwise"].startswith("78 of 80 decodes are clean; 2 ended, or ran out of tokens, without")
    assert "answers.otherwise" not in said


@pytest.mark.parametrize(
    ("kind", "environment", "rule"),
    [
        ("computed", {"answer_rule": "first_pair"}, "An answer is clean when its first opening tag and the closing"),
        ("imported", {"answer_rule": "first_pair"}, "An answer is clean when its first opening tag and the closing"),
        ("computed", {"answer_rule": "of a later version"}, "This run was judged by an earlier rule: it calls"),
        ("computed", {}, "This run was judged by an earlier rule: it calls an answer clean when the closing tag"),
        ("imported", {}, "Which answers are clean is what the imported bundle says."),
        ("published", {}, "Which answers are clean is what the published figures say; their rule is not known."),
    ],
)
def test_a_run_says_by_which_rule_its_answers_were_judged(older: Path, kind, environment, rule: str) -> None:
    with DuckDBReader.open(older) as reader:
        (head,) = reader.rows(RunHead, "report_run")
    assert answer_rule(replace(head, kind=kind, environment=json.dumps(environment))).startswith(rule)


def changed(marked: Path, folder: Path, *statements: str) -> list[tuple[int, str]]:
    """Faults that the audit finds once these statements were run on a copy."""
    copy = shutil.copy(marked, folder / "copy.duckdb")
    with duckdb.connect(str(copy)) as connection:
        for statement in statements:
            connection.execute(statement)
    with DuckDBReader.open(Path(copy)) as reader:
        found = reader.frame("audits/answer_beside_its_mark")
    return list(zip(found["item_id"].to_list(), found["fault"].to_list(), strict=True))


def test_marks_texts_and_cleanness_that_agree_pass(marked: Path, older: Path, tmp_path: Path) -> None:
    assert changed(marked, tmp_path) == []
    assert changed(older, tmp_path) == []


OF_FIRST = "WHERE source = 'smollm2-L20' AND item_id"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (f"UPDATE explanation SET is_clean = true {OF_FIRST} = 4", (4, "clean, with the mark of one that is not")),
        (f"UPDATE explanation SET is_clean = false {OF_FIRST} = 6", (6, "not clean, with the mark of one that is")),
        (f"DELETE FROM answer_mark {OF_FIRST} = 2", (2, "not clean, without a mark")),
        (f"UPDATE explanation SET text = ' ' {OF_FIRST} = 9", (9, "clean, without a text")),
        (f"UPDATE explanation SET completion = text {OF_FIRST} = 9", (9, "clean, without a pair of tags")),
        (f"DELETE FROM explanation {OF_FIRST} = 3", (3, "a mark without an answer")),
        ("INSERT INTO answer_mark VALUES ('smollm2-L20', 6, 'empty', 0)", (6, "two marks")),
    ],
)
def test_a_contradiction_between_marks_and_answers_is_told(
    statement: str, fault: tuple[int, str], marked: Path, tmp_path: Path
) -> None:
    assert changed(marked, tmp_path, statement) == [fault]


def test_an_older_run_is_not_asked_for_marks_it_cannot_have(older: Path, tmp_path: Path) -> None:
    assert changed(older, tmp_path, "UPDATE explanation SET text = NULL WHERE item_id = 3") == []


def test_two_marks_of_one_answer_do_not_count_it_twice(marked: Path, tmp_path: Path) -> None:
    changed(marked, tmp_path, "INSERT INTO answer_mark VALUES ('smollm2-L20', 6, 'empty', 0)")
    with DuckDBReader.open(tmp_path / "copy.duckdb") as reader:
        assert reader.frame("SELECT count(*) AS n FROM judged_answer")["n"].to_list() == [24]
        assert reader.frame("decode_finish")["n_decodes"].to_list() == [12, 12]


def test_marks_travel_in_bundles(tmp_path: Path) -> None:
    marks = [AnswerMark(QWEN, 0, "empty"), AnswerMark(QWEN, 2, "overrun")]
    store_run(tmp_path / "run.duckdb", a_small_run().with_tables({AnswerMark: marks}))
    for bundle_format in ("csv", "jsonl"):
        export_bundle(tmp_path / "run.duckdb", tmp_path / bundle_format, bundle_format)
        import_bundle(tmp_path / bundle_format, tmp_path / f"{bundle_format}.duckdb")
        assert read_run(tmp_path / f"{bundle_format}.duckdb").of(AnswerMark) == marks


def test_a_bundle_that_says_what_is_clean_needs_no_marks(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    pair = {"pair_id": "a", "label": "A", "family": "f", "base_model": "m", "block_index": 1, "d_model": 8}
    (bundle / "run.yaml").write_text(yaml.safe_dump({"title": "x", "pairs": [pair]}))
    (bundle / "scores.csv").write_text("item_id,source,target,mse_nrm\n1,a,a,0.5\n2,a,a,\n3,a,a,0.25\n")
    (bundle / "explanations.csv").write_text(
        f"item_id,source,text,is_clean,finish,n_tokens\n1,a,word,true,closed,5\n2,a,,false,length,{BUDGET}\n3,a,,true,,\n"
    )
    import_bundle(bundle, tmp_path / "run.duckdb")
    assert read_run(tmp_path / "run.duckdb").of(AnswerMark) == []
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        assert reader.frame("audits/answer_beside_its_mark").is_empty()
        assert reader.frame("answer_marks").rows() == [("budget", 1)]
        assert reader.frame("SELECT is_clean, mark FROM judged_answer ORDER BY item_id").rows() == [
            (True, None),
            (False, "budget"),
            (True, None),
        ]
