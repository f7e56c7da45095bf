import json
from pathlib import Path
from typing import Any

import pytest
from support.scripted_runs import run as compute
from support.scripted_runs import scripted_content, write_corpus, write_experiment

from nlareport.errors import CorpusUnreadable, ExperimentInvalid, TagUnreadable
from nlareport.experiment.experiment_file import load_experiment
from nlareport.rows.cell_rows import Cell
from nlareport.rows.item_rows import Item, Tag
from nlareport.rows.tag_rows import TagDifference
from nlareport.store.reader import DuckDBReader
from nlareport.store.whole_run import RunRows, read_run

SHORT = "SELECT item_id, CASE WHEN token_index < 70 THEN 'short' ELSE 'long' END FROM alignment WHERE pair_id = 'small'"


def tagged_corpus(folder: Path, n_documents: int, **columns: Any) -> None:
    path = write_corpus(folder, n_documents)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, row in enumerate(rows):
        row |= {name: values[number % len(values)] for name, values in columns.items()}
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def run(folder: Path, **changes: Any) -> RunRows:
    compute(write_experiment(folder, {**scripted_content(8), **changes}), folder / "run.duckdb")
    return read_run(folder / "run.duckdb")


def said(rows: RunRows, name: str) -> list[str]:
    return [tag.value for tag in rows.of(Tag) if tag.name == name]


@pytest.mark.runs
def test_tags_come_from_a_column_and_a_query_and_can_be_added_to_a_finished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:password@proxy")
    tagged_corpus(tmp_path, 20, lang=["en", "de", None], n=[1, 2])
    plain = run(tmp_path)
    tags = {
        "language": {"column": "lang"},
        "n": {"column": "n"},
        "context": {"query": SHORT},
        "proxy": {"query": "SELECT item_id, current_setting('http_proxy') FROM item"},
        "scored": {"query": "SELECT item_id, count(fve_nrm) > 0 FROM score GROUP BY item_id"},
    }
    tagged = run(tmp_path, tags=tags)
    index_of = {item.item_id: int(item.doc_id.rpartition(":")[2]) for item in tagged.of(Item)}
    languages = {tag.item_id: tag.value for tag in tagged.of(Tag) if tag.name == "language"}
    assert languages == {k: ["en", "de"][n % 3] for k, n in index_of.items() if n % 3 < 2}
    assert said(tagged, "n") == [["1", "2"][n % 2] for n in index_of.values()]
    assert set(said(tagged, "context")) == {"short", "long"}
    # A query learns nothing of the machine.
    assert set(said(tagged, "proxy")) == {"none"}
    assert set(said(tagged, "scored")) <= {"true", "false"}
    # Only scored again: all cells without tags are the same to the last bit.
    assert [cell for cell in tagged.of(Cell) if "=" not in cell.subset] == plain.of(Cell)
    assert {cell.subset for cell in tagged.of(Cell)} >= {"language=en", "context=short", "n=1"}
    assert {row.name for row in tagged.of(TagDifference)} >= {"language", "context", "n"}
    with DuckDBReader.open(tmp_path / "run.duckdb") as reader:
        assert reader.frame("audits/tag_difference_beside_its_items").is_empty()
        assert reader.frame("audits/subset_cell_beside_its_scores").is_empty()
        assert reader.frame("audits/null_beside_its_null_scores").is_empty()
    again = run(tmp_path, tags={"context": {"query": SHORT}})
    assert {tag.name for tag in again.of(Tag)} == {"context"}
    assert [tag for tag in tagged.of(Tag) if tag.name == "context"] == again.of(Tag)
    assert run(tmp_path).of(Cell) == plain.of(Cell)


@pytest.mark.runs
@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"query": "SELECT item_id FROM item"}, r"tags\.x: the query gives 'item_id'; select item_id and one value"),
        ({"query": "SELECT item_id, colour FROM item"}, r'tags\.x: .*DuckDB refused it: .*"colour" not found'),
        ({"query": "DELETE FROM item"}, r"tags\.x: .*asks for no table"),
        ({"query": "SELECT item_id, content FROM item, read_text('/etc/hostname')"}, r"tags\.x: .*refused it"),
        ({"query": "SELECT item_id, source FROM score"}, r"tags\.x: the query gives an item twice"),
        ({"query": "SELECT item_id + 900 AS item_id, 1 FROM item"}, r"tags\.x: the query speaks of item 900"),
        ({"query": "SELECT item_id, repeat('x', 999) FROM item"}, r"tags\.x: .*has 999 characters; 200 are the most"),
        ({"column": "lists"}, r"tags\.x: .*documents\.jsonl, line 1, column 'lists' holds list; a tag takes a text"),
    ],
)
def test_what_gives_no_tag_is_refused_by_name(tmp_path: Path, source: dict[str, str], complaint: str) -> None:
    tagged_corpus(tmp_path, 20, lists=[[1]])
    with pytest.raises(TagUnreadable, match=complaint):
        run(tmp_path, tags={"x": source})


def test_a_column_that_no_document_has_is_named(tmp_path: Path) -> None:
    tagged_corpus(tmp_path, 20, lang=["en"])
    with pytest.raises(CorpusUnreadable, match=r"no column 'language'; there are: .*'lang'. Correct tags.x.column"):
        run(tmp_path, tags={"x": {"column": "language"}})


@pytest.mark.parametrize(
    ("tags", "complaint"),
    [
        ({"a=b": {"column": "c"}}, "holds an equals sign"),
        ({"stratum": {"column": "c"}}, "is the name of what every item has"),
        ({"x": {}}, "needs either a column of the corpus or a query"),
        ({"x": {"column": "c", "query": "SELECT 1"}}, "needs either a column of the corpus or a query"),
        ({"x": "c"}, "tags.x"),
    ],
)
def test_a_tag_that_cannot_be_is_a_fault_of_the_experiment(tmp_path: Path, tags: Any, complaint: str) -> None:
    with pytest.raises(ExperimentInvalid, match=complaint):
        load_experiment(write_experiment(tmp_path, {**scripted_content(8), "tags": tags}))


def test_a_corpus_without_columns_gives_no_tag(tmp_path: Path) -> None:
    content = {**scripted_content(8), "corpus": {"kind": "pocket"}, "tags": {"x": {"column": "lang"}}}
    with pytest.raises(ExperimentInvalid, match="a corpus of kind pocket has no columns; give a query"):
        load_experiment(write_experiment(tmp_path, content))
