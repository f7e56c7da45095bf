from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_runs import QWEN

from nlareport.rows.item_rows import Explanation
from nlareport.rows.text_rows import Sign
from nlareport.statistics.letter_scripts import script_shares
from nlareport.statistics.text_signs import LEAST_UNITS, find_text_signs, is_loop, signs_in

CHINESE = "这个向量描述了一个关于农业的段落，下一个词可能是“作物”。"
ENGLISH = "A report about farming in the north. Likely next: “the harvest”. Ends on “crops”, after a list of fields."


def written(text: str | None = None, **changes: object) -> Explanation:
    row = Explanation(0, QWEN, text, completion=None, n_tokens=None, finish=None, is_clean=None)
    return replace(row, **changes)


def found(explanation: Explanation, context: str | None = None) -> dict[Sign, bool | None]:
    rows = find_text_signs([explanation], {} if context is None else {0: context})
    return {row.sign: row.in_context for row in rows}


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        (ENGLISH, set()),
        (CHINESE, {"cjk"}),
        ("農業についての文章です。次は「作物」。", {"cjk"}),
        ("농업에 관한 글입니다.", {"cjk"}),
        ("A passage about farming. 接下来的词可能是农作物或者田地，然后是收成。", {"cjk"}),
        ("A passage about Chinese farming, naming 农业 once. Likely next: “the fields in the north”.", set()),
        ("Отрывок о сельском хозяйстве.", {"other_script"}),
        ("Mentions the river Дон and the letter α, in a list of rivers and of Greek letters.", set()),
        ("Ｆｕｌｌ－ｗｉｄｔｈ ｌｅｔｔｅｒｓ and 𝐦𝐚𝐭𝐡𝐞𝐦𝐚𝐭𝐢𝐜𝐚𝐥 ones are Latin; 2 µm, 3 Ω, naïve café", set()),
        ("the " * 18, {"loop"}),
        ("!" * 60, {"loop"}),
        ("ha" * 60, {"loop"}),
        ("的" * 40, {"cjk", "loop"}),
        (ENGLISH + " I'm really" * 20, {"loop"}),
        ("ha ha ha ha ha ha", set()),
        (ENGLISH + " Likely next: “the harvest”.", set()),
        ("Code that sets\nself.a = a\nself.b = b\nself.c = c\nand then returns.\n" + "-" * 12, set()),
        ("Ends on a tag. <explanation>Again", {"tag"}),
        ("A page of </Explanation > tags", {"tag"}),
        ("An escaped &lt;explanation&gt; and <concept>", {"tag"}),
        ("a concept, an [explanation]", set()),
        ("An HTML list: <ul><li>one</li></ul>, x < y > z", set()),
        ("done<end_of_turn>", {"special_token"}),
        ("done<|im_end|> and <｜end▁of▁sentence｜>", {"special_token"}),
        ("It says [INST] and </s>", {"special_token"}),
        ("ends<turn|> and <|turn>user", {"special_token"}),
        ("ĠtheĠharvestĠfailed", {"special_token"}),
        ("the Maltese town of Ħaż-Żabbar and Għajn Ġedida", set()),
        ("a <b> c | d |> e <| f", set()),
        ("<think>let me see</think>A report.", {"draft"}),
        ("let me see</think>A report.", {"draft"}),
        ("<think>\n\n</think>A report.", set()),
        ("I think that <thinking> is a tag", {"draft"}),
        ("[THINK]hm[/THINK]A report.", {"draft"}),
        ("\u202eright to left\u202c", {"unseen"}),
        ("zero\u200bwidth", {"unseen"}),
        ("not decoded: F\ufffd\ufffdin", {"unseen"}),
        ("tabs\tand\nlines\r\n are seen, soft\u00adhyphens and 👩\u200d🌾 too, می\u200cروم", set()),
        ("\x1b[31mred", {"unseen"}),
    ],
)
def test_a_text_shows_these_signs(text: str, signs: set[Sign]) -> None:
    assert set(signs_in(text)) == signs


def test_a_context_that_shows_the_same_is_told() -> None:
    assert found(written(CHINESE), "农业的段落，下一个词") == {"cjk": True}
    assert found(written(CHINESE), ENGLISH) == {"cjk": False}
    assert found(written(CHINESE)) == {"cjk": None}
    assert found(written("Отрывок о хозяйстве."), "Еще одно слово") == {"other_script": True}
    assert found(written("Отрывок о хозяйстве."), "κάτι άλλο") == {"other_script": False}
    assert found(written("0 " * 30), "0, 0, " * 20) == {"loop": True}
    assert found(written("A chat turn ends: <|im_end|>"), "<|im_start|>user\nHi<|im_end|>") == {"special_token": True}


def test_the_form_of_an_answer_without_an_explanation_is_told() -> None:
    assert found(written("")) == found(written(" \u200b\n".replace("\u200b", ""))) == {"empty": None}
    assert found(written(completion="<explanation> </explanation>")) == {"empty": None}
    assert found(written(completion="A report about farming.")) == {"tagless": None}
    assert found(written(completion="<explanation>cut in the mid", finish="length")) == {"cut": None}
    assert found(written(completion="<explanation>ended by itself", finish="stop")) == {"cut": None}
    assert found(written("A report about far", finish="length"), ENGLISH) == {"cut": None}
    # Nothing is known of a text that was not published.
    assert found(written()) == {}


def test_a_whole_answer_is_looked_at_without_its_own_tags() -> None:
    closed = f"<explanation>{ENGLISH}</explanation>"
    assert found(written(ENGLISH, completion=closed, finish="closed")) == {}
    assert found(written(completion=f"<explanation>{CHINESE}", finish="length"), "") == {"cjk": False, "cut": None}
    assert found(written(completion="<explanation>a <explanation>b"), "") == {"tag": False, "cut": None}
    drafted = f"<think>Farming, I think.</think>{closed}"
    assert found(written(ENGLISH, completion=drafted, finish="closed"), "") == {"draft": False}
    assert found(written(ENGLISH, completion=f"<think>\n</think>{closed}", finish="closed")) == {}


def test_a_word_is_cut_where_the_run_has_the_whole_of_it() -> None:
    assert found(written("A report about agricul"), "on agriculture in the north") == {"cut": None}
    assert found(written("A report about agriculture"), "on agriculture in the north") == {}
    texts = [replace(written("A report about agricul"), draw=draw) for draw in range(3)]
    assert [row.draw for row in find_text_signs(texts, {0: "on agriculture"})] == [0, 1, 2]
    # A plural, an end by a mark and an answer that says it ended by itself are no cut.
    assert found(written("A report about the Republican"), "the Republicans said") == {}
    assert found(written("A report about agricul."), "on agriculture in the north") == {}
    assert found(written("A report about agricul", finish="closed"), "on agriculture") == {}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=60)
def test_any_text_can_be_looked_at(text: str) -> None:
    shares = script_shares(text)
    assert not shares or sum(shares.values()) == pytest.approx(1.0)
    rows = find_text_signs([written(text), written(completion=text)], {0: text})
    assert all(row.in_context is not False for row in rows if row.sign != "draft")


@given(st.lists(st.sampled_from("abcdefgh"), min_size=LEAST_UNITS, max_size=40))
def test_a_text_said_twice_and_no_more_loops_only_by_repeating_itself(words: list[str]) -> None:
    assert is_loop(" ".join(words * 3))
    different = [f"word{place}" for place in range(len(words))]
    assert not is_loop(" ".join(different))
