import numpy as np
import pytest
from support.tiny_runs import GEMMA, QWEN, an_explanation, an_item

from nlareport.rows.text_rows import ContextOverlap, TextSummary
from nlareport.statistics.context_overlap import compare_with_contexts, summarize_texts
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.text_words import content_words, words_found


def keys(text: str) -> list[str]:
    return [word.key for word in content_words(text)]


def test_content_words_are_told_from_words_of_grammar() -> None:
    assert keys("The news of the 2016 election, and AI: it's what they've been about!") == [
        "news",
        "2016",
        "election",
        "ai",
        "they've",
    ]
    assert keys("Cities and boxes, the Senate’s buses; classes") == ["city", "boxe", "senate", "buse", "classe"]
    assert keys("well-known x 7") == ["well-known"]
    assert keys("<think>ends</think> a turn<|im_end|> <explanation>x < y > z") == ["end", "turn"]


def test_a_word_is_found_in_any_case_in_singular_or_plural() -> None:
    found = words_found('Trump’s ALLIES meet; "allied" powers', "An ally of Trump met the powers")
    assert [(word.start, word.end) for word in found] == [(0, 7), (8, 14), (30, 36)]


def test_chinese_is_compared_in_pairs_of_letters() -> None:
    assert keys("农业GPT的作物") == ["农业", "gpt", "的作", "作物"]
    assert [word.key for word in words_found("农作物", "很多农作物和田地")] == ["农作", "作物"]


def test_the_words_of_an_explanation_are_counted_in_its_context_and_in_another_documents() -> None:
    contexts = {0: "wheat and barley", 1: "the court ruled", 2: "wheat prices", 3: None}
    items = [an_item(k, doc_id=f"d{k}", context=context) for k, context in contexts.items()]
    texts = {0: "wheat, wheat and a court", 1: "barley", 2: "the of", 3: "wheat"}
    explanations = [an_explanation(k, text=text) for k, text in texts.items()]
    rows = compare_with_contexts(explanations, items, DocumentDraws.of(items, 10, seed=3))
    # An explanation without a content word has no row, nor has one whose item has no context.
    assert [(row.item_id, row.n_words, row.n_found) for row in rows] == [(0, 2, 1), (1, 1, 0)]
    for row in rows:
        assert row.other_item_id in (0, 1, 2)
        assert row.other_item_id != row.item_id
        held = words_found(texts[row.item_id] or "", contexts[row.other_item_id] or "")
        assert row.n_found_elsewhere == len({word.key for word in held})


def test_nothing_is_drawn_by_chance_where_one_document_holds_most_items() -> None:
    items = [an_item(k, doc_id="d0" if k < 3 else "d1", context="a word of wheat") for k in range(4)]
    explanations = [an_explanation(k, text="wheat field") for k in range(4)]
    draws = DocumentDraws.of(items, 50, seed=3)
    rows = compare_with_contexts(explanations, items, draws)
    assert rows == [ContextOverlap(QWEN, k, 2, 1) for k in range(4)]
    (summary,) = summarize_texts([QWEN, GEMMA], explanations, rows, draws)
    assert (summary.n_texts, summary.n_compared, summary.share_found, summary.share_elsewhere) == (4, 4, 0.5, None)
    assert (summary.found_low, summary.found_high, summary.excess_low) == (0.5, 0.5, None)


def test_a_source_whose_items_have_no_context_is_only_counted() -> None:
    items = [an_item(k, context=context) for k, context in enumerate([None, "", None])]
    explanations = [an_explanation(k, source=GEMMA, text="wheat") for k in range(3)]
    draws = DocumentDraws.of(items, 10, seed=3)
    assert summarize_texts([QWEN, GEMMA], explanations, [], draws) == [TextSummary(GEMMA, 3, 0)]


def test_texts_that_quote_their_context_stand_clear_of_chance_and_made_up_ones_do_not() -> None:
    rng = np.random.default_rng(5)
    vocabulary = [f"word{number}x" for number in range(400)]
    chosen = [list(rng.choice(vocabulary, 20, replace=False)) for _ in range(60)]
    items = [an_item(k, doc_id=f"d{k // 2}", context=" ".join(words)) for k, words in enumerate(chosen)]
    quoting = [an_explanation(k, source=QWEN, text=" ".join(words[:5])) for k, words in enumerate(chosen)]
    made_up = [an_explanation(k, source=GEMMA, text=" ".join(rng.choice(vocabulary, 5))) for k in range(60)]
    draws = DocumentDraws.of(items, 500, seed=3)
    overlaps = compare_with_contexts([*quoting, *made_up], items, draws)
    quoted, invented = summarize_texts([QWEN, GEMMA], [*quoting, *made_up], overlaps, draws)
    assert quoted.share_found == 1.0
    assert quoted.share_elsewhere == pytest.approx(0.05, abs=0.05)
    assert quoted.excess_low is not None
    assert quoted.excess_low > 0.8
    assert invented.excess_low is not None
    assert invented.excess_high is not None
    assert invented.excess_low < 0 < invented.excess_high
