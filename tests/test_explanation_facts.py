"""What the report says explanations are like as texts: each share against texts counted by hand."""

from pathlib import Path

import pytest
from support.tiny_runs import QWEN, a_small_run, an_explanation, an_item

from nlareport.render.report.query_rows import ExplanationFacts
from nlareport.rows.item_rows import Explanation, Item
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import store_run

ITEMS = [
    an_item(0, token=" bridge", context="over the old bridge"),
    an_item(1, token="ood", context="carried off by the flood"),
    an_item(2, token='"', context='he called it "late"'),
    an_item(3, token=" May", context="in the month of May"),
    an_item(4, token=" May", context="in the month of May"),
    an_item(5, token=" May", context="in the month of May"),
]
TEXTS = [
    'About water. Ends on "Bridge", in "the old bridge", after: the old bridge',
    'Ends on "flood waters"',
    "Ends on \"'late'\"",
    "No quote here: May",
    'Ends on "June", first “May”, then “the month of June”',
    'Ends on "June", first “May”, then “the month of June”',
]


def test_shares_are_of_the_explanations_that_have_a_text(tmp_path: Path) -> None:
    explanations = [an_explanation(number, text=text) for number, text in enumerate(TEXTS)]
    items = [*ITEMS, an_item(6)]
    run = a_small_run().with_tables({Item: items, Explanation: [*explanations, an_explanation(6, text=None)]})
    store_run(tmp_path / "run.duckdb", run)
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        (found,) = reader.rows(ExplanationFacts, "explanation_facts")
    assert (found.source, found.n_explanations, found.n_distinct) == (QWEN, 6, 5)
    assert found.share_distinct == pytest.approx(5 / 6)
    assert found.share_quoting == pytest.approx(5 / 6)
    # Its last quote ends in the word: "the old bridge" and "'late'". "flood waters" holds it, and the token, elsewhere.
    assert found.share_ending_on_word == pytest.approx(2 / 6)
    assert found.share_holding_item == pytest.approx(3 / 6)
    assert found.median_words == 7
