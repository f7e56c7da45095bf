from typing import get_args

import pytest

from nlareport.checkpoints.answers import MARK_WORDS, Judgement, judge_answer, unclean_words
from nlareport.rows.item_rows import Mark


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("<explanation>\nA recipe.\n\nFor bread.\n</explanation>", "A recipe.\n\nFor bread."),
        ("```xml\n<explanation>A recipe.</explanation>\n```", "A recipe."),
        ("<think>Bread?</think> <explanation>A recipe.</explanation>", "A recipe."),
        ("<think><explanation>Bread</explanation></think><explanation>A recipe.</explanation>", "Bread"),
        ("<explanation>A recipe.</explanation> <explanation>A menu.</explanation>", "A recipe."),
        ("<explanation>It quotes <explanation> first.</explanation>", "It quotes <explanation> first."),
        ("</explanation><explanation>A recipe.</explanation>", "A recipe."),
        ("<Explanation><explanation>A recipe.</explanation>", "A recipe."),
        ("<explanation>A </Explanation> recipe.</explanation>", "A </Explanation> recipe."),
    ],
)
def test_an_answer_with_a_text_between_its_tags_is_clean_whatever_stands_around_them(completion: str, text: str):
    assert judge_answer(completion, "stop") == Judgement(text, None)
    assert judge_answer(completion, "stop").is_clean
    # Training did not reward an answer whose budget ran out, even behind the closing tag.
    assert judge_answer(completion, "length") == Judgement(text, "overrun")
    assert judge_answer(completion, "length").is_clean
    assert judge_answer(completion, "length").is_closed


@pytest.mark.parametrize("completion", ["<explanation></explanation>", "a <explanation>\n\u00a0\t</explanation> b"])
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_pair_of_tags_with_nothing_between_is_closed_and_not_clean(completion: str, finish):
    found = judge_answer(completion, finish)
    assert found == Judgement(None, "empty")
    assert found.is_closed
    assert not found.is_clean


def test_an_empty_pair_counts_before_a_later_one_with_a_text():
    assert judge_answer("<explanation></explanation><explanation>A recipe.</explanation>", "stop").mark == "empty"


@pytest.mark.parametrize(
    ("completion", "stopped", "cut"),
    [
        ("", "no_tag", "budget"),
        ("1. A recipe\n2. A menu", "no_tag", "budget"),
        ("**Explanation**: a recipe", "no_tag", "budget"),
        ("<description>A recipe.</description>", "no_tag", "budget"),
        ("<examination>A recipe.</examination>", "no_tag", "budget"),
        ("<explore>A recipe.</explore>", "no_tag", "budget"),
        ("<think>A recipe</think>", "no_tag", "budget"),
        ("1 < 2 and explanation", "no_tag", "budget"),
        ("<e x p l", "no_tag", "budget"),
        ("<explanation>A recipe", "unclosed_tag", "budget"),
        ("<explanation>A recipe <exploration> of </b>", "unclosed_tag", "budget"),
        ("<explanation>A <explanation> recipe", "unclosed_tag", "budget"),
        ("</explanation><explanation>A recipe", "unclosed_tag", "budget"),
        ("<explanation>A [explanation] of a recipe", "unclosed_tag", "budget"),
        ("A recipe.</explanation>", "unopened_tag", "unopened_tag"),
        ("A recipe.</explanation> A menu.</explanation", "unopened_tag", "unopened_tag"),
        ("A recipe.</explanation> A menu.</explanations>", "unopened_tag", "unopened_tag"),
    ],
)
def test_an_answer_without_a_pair_of_tags_says_which_it_lacks(completion: str, stopped: Mark, cut: Mark):
    assert judge_answer(completion, "stop") == Judgement(None, stopped)
    assert judge_answer(completion, "length") == Judgement(None, cut)
    assert not judge_answer(completion, "stop").is_closed


@pytest.mark.parametrize(
    "opening",
    [
        "<EXPLANATION>", "<Explanation>", "<explanation >", "< explanation>", "<explanation\n>", "<expla nation>",
        "<explanations>", "<explaination>", "<explantion>", "<epxlanation>", "<xplanation>", "<explain>", "<explan>",
        "<explanation type='text'>", "[explanation]", "‹explanation›", "＜explanation＞", "&lt;explanation&gt;",
        "<explanation ", "<\uff45\uff58planation>", "«explanation»", "〈explanation〉", "⟨explanation⟩",
        "《explanation》", "<e x p l a n a t i o n>", "<epxlanation of it>", "<epx lanation of it>",
    ],
)  # fmt: skip
def test_an_opening_tag_that_is_spelt_otherwise_is_none_and_told(opening: str):
    closing = opening.translate({ord(bracket): f"{bracket}/" for bracket in "<[‹＜«〈⟨《"}).replace("&lt;", "&lt;/")
    for completion in (f"{opening}A recipe.</explanation>", f"{opening}A recipe.{closing}", f"So: {opening}A recipe."):
        for finish in ("stop", "length"):
            assert judge_answer(completion, finish) == Judgement(None, "misspelt_tag"), completion


@pytest.mark.parametrize(
    "closing",
    ["</Explanation>", "</explanation >", "< /explanation>", "<\\/explanation>", "<\\explanation>", "[/explanation]",
     "＜/explanation＞", "</explaination>", "</ explanation>", "</expla nation>"],
)  # fmt: skip
def test_a_closing_tag_that_is_spelt_otherwise_closes_nothing_and_is_told(closing: str):
    for finish in ("stop", "length"):
        assert judge_answer(f"<explanation>A recipe.{closing} And on.", finish) == Judgement(None, "misspelt_tag")
        assert judge_answer(f"A recipe.{closing} And on.", finish) == Judgement(None, "misspelt_tag")


@pytest.mark.parametrize("beginning", ["<", "<e", "<expla", "<explanation", "</", "</expla", "</explanation"])
def test_a_tag_that_the_budget_cut_is_not_misspelt(beginning: str):
    assert judge_answer(f"A recipe.{beginning}", "length").mark == "budget"
    assert judge_answer(f"<explanation>A recipe.{beginning}", "length").mark == "budget"
    # Of an answer that ended by itself it is.
    if len(beginning) > 5:
        assert judge_answer(f"A recipe.{beginning}", "stop").mark == "misspelt_tag"


def test_what_a_cut_tag_leaves_before_it_is_still_judged():
    assert judge_answer("<Explanation>A recipe.</expla", "length").mark == "misspelt_tag"
    assert judge_answer("<explanation>A recipe.</Explanation> </expla", "length").mark == "misspelt_tag"
    assert judge_answer("A recipe.</explanation> <expla", "length").mark == "unopened_tag"


def test_every_mark_has_its_own_words_and_answers_without_one_are_worded_by_how_they_ended():
    assert set(MARK_WORDS) == set(get_args(Mark))
    assert len(set(MARK_WORDS.values())) == len(MARK_WORDS)
    assert [unclean_words(mark, "stop") for mark in MARK_WORDS] == list(MARK_WORDS.values())
    assert unclean_words(None, "length") == "the token budget ran out before the closing tag"
    assert unclean_words(None, "stop") == unclean_words(None, None) == "the answer ended without the closing tag"
