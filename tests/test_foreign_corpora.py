"""Corpus files as strangers have them: texts, or one sentence that names the file and the place in it."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import LONGEST_LINE, refusal_of

from nlareport.errors import CorpusUnreadable
from nlareport.experiment.corpus_section import LocalCorpus
from nlareport.files import corpus_files
from nlareport.files.json_lines import record_in
from nlareport.stages.corpus import read_documents

# Without a time in it: the name of a test is made of its bytes, and every process must give it the same one.
GZIPPED = gzip.compress(b'{"text": "a"}', mtime=0)


def texts_in(path: Path, **changes: object) -> list[str]:
    chosen = LocalCorpus.model_validate({"kind": "local", "name": "mine", "path": path.name, **changes})
    return [document.text for document in read_documents(chosen, path.parent, list)]


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("bom.jsonl", b'\xef\xbb\xbf{"text": "a"}\r\n{"text": "b"}\r\n', ["a", "b"]),
        ("bom.txt", b"\xef\xbb\xbfone\r\ntwo\r\n\r\nthree", ["one\ntwo", "three"]),
        ("nul.jsonl", b'{"text": "a\\u0000b"}', ["a\0b"]),
        ("pair.jsonl", b'{"text": "\\ud83d\\ude00", "other": "\\ud800"}', ["\U0001f600"]),
        ("null.jsonl", b'{"text": null}\n{"text": ""}', ["", ""]),
        ("empty.jsonl", b"", []),
        ("texts.jsonl.gz", GZIPPED, ["a"]),
        ("texts.txt.gz", gzip.compress(b"one\n\ntwo", mtime=0), ["one", "two"]),
        ("list.json", b'\xef\xbb\xbf [{"text": "a"}, {"n": 1, "text": "b"}]', ["a", "b"]),
        ("lines.json", b'{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
        ("table.csv", b'\xef\xbb\xbfid,text\r\n1,"a, ""b""\r\nc"\r\n\r\n2,\r\n', ['a, "b"\nc', ""]),
        ("table.tsv.gz", gzip.compress(b"id\ttext\n1\ta,b\n", mtime=0), ["a,b"]),
        ("long.csv", b"text\n" + b"word " * 40_000, ["word " * 40_000]),
        ("head.csv", b"text\n", []),
    ],
)
def test_files_of_other_systems_are_read(name: str, content: bytes, texts: list[str], tmp_path: Path) -> None:
    assert texts_in(written(tmp_path, name, content)) == texts


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("half.jsonl", b'{"text": "a"}\n{"text": "\\udc00"}', "line 2: column 'text' holds half of a surrogate pair"),
        ("deep.jsonl", b'{"text": "a", "b": ' + b"[" * 99_999, "line 1: is nested too deeply"),
        ("digits.jsonl", b'\n{"n": ' + b"9" * 5000 + b"}", "line 2: holds a number of too many digits"),
        ("comma.jsonl", b'{"text": "a"},\n{"text": "b"}', "line 1: ends in a comma"),
        ("array.jsonl", b'[\n{"text": "a"}\n]', "line 1: begins a JSON array; write one object a line"),
        ("word.jsonl", b'"word"', "line 1: is no JSON object"),
        ("twice.jsonl", b'{"text": "a", "text": "b"}', "line 1: holds the key 'text' twice"),
        ("number.jsonl", b'{"text": 7}', "line 1: column 'text' holds int, not text"),
        ("latin.jsonl", b'{"text": "a"}\n{"text": "caf\xe9"}', "line 2: is not UTF-8 text .byte 0xe9.. Save it"),
        ("latin.txt", b"a\n" * 70_000 + b"caf\xe9", "line 70001: is not UTF-8 text"),
        ("wide.jsonl", json.dumps({"c" * 9999 + str(n): 1 for n in range(50)}).encode(), "and 40 more. Correct"),
        ("notepad.txt", "Päivää".encode("utf-16"), "is UTF-16 text.*save it as UTF-8"),
        ("texts.jsonl", GZIPPED, "is compressed with gzip: decompress it with gunzip, or give it a name that ends in"),
        ("half.jsonl.gz", GZIPPED[:-9], "is damaged or not gzipped .Compressed file ended.*Write it again"),
        ("not.jsonl.gz", b'{"text": "a"}', "is damaged or not gzipped"),
        ("zip.txt.gz", gzip.compress(b"PK\x03\x04", mtime=0), "is a zip archive"),
        ("open.json", b'[{"text": "a"},\n {"text": ', "is not JSON .Expecting value, line 2"),
        ("word.json", b'"word"', "holds no JSON list; write a list of objects"),
        ("mixed.json", b'[{"text": "a"}, 7]', "row 2 is no JSON object"),
        ("one.json", b'{\n"text": "a"}', "begins an object over several lines; write a list of objects"),
        ("comma.json", b'{"text": "a"}\n{"text": "b",}', "line 2: is not JSON"),
        ("latin.json", b'[{"text":\n"caf\xe9"}]', "line 2: is not UTF-8 text"),
        ("short.csv", b"id,text\n1,a\n2\n", "line 3: has 1 fields, the header 2. Put fields that hold"),
        ("quote.csv", b'id,text\n1,"a\nb\n', "line 2: the row that begins there is not CSV"),
        ("twice.csv", b"text,text\n1,a\n", "more than one column 'text'; rename"),
        ("semicolons.csv", b"id;text\n1;a\n", "its columns are separated by semicolons; separate them by commas"),
        ("latin.csv", b"text\ncaf\xe9\n", "line 2: is not UTF-8 text"),
        ("texts.txt", b"PK\x03\x04", "is a zip archive: unpack it"),
        ("run.parquet", b"\0" * 8 + b"DUCK", "is a DuckDB database"),
        ("rows.jsonl", b"PAR1", "is a Parquet file: give it a name that ends in .parquet"),
        ("rows.parquet", b"PAR1 and no more", "is damaged or no Parquet file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence_with_its_place(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(CorpusUnreadable, match=f"^{path}.*{said}") as refusal:
        texts_in(path)
    assert len(str(refusal.value)) <= 20 * LONGEST_LINE
    assert "\n" not in str(refusal.value)


def test_lines_and_paragraphs_of_gigabytes_are_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "MOST_LINE_CHARS", 100)
    with pytest.raises(CorpusUnreadable, match="line 2: has more than 100 characters, which is no document"):
        texts_in(written(tmp_path, "a.jsonl", b'{"text": "a"}\n{"text": "' + b"b" * 100 + b'"}'))
    with pytest.raises(
        CorpusUnreadable, match=r"line 6: .* more than 100 characters. Separate documents by blank lines"
    ):
        texts_in(written(tmp_path, "a.txt", b"short\n\n" + b"a line of thirty characters ok\n" * 9))


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    (tmp_path / "folder.parquet").mkdir()
    for name, said in (("pipe.jsonl", "named pipe"), ("zero.txt", "device"), ("folder.parquet", "folder")):
        with pytest.raises(CorpusUnreadable, match=f"is a {said}, not a file"):
            texts_in(tmp_path / name)


def a_table(path: Path) -> list[str]:
    texts = [f"Text {number}. " + "word " * number for number in range(60)]
    pq.write_table(pa.table({"n": range(60), "text": texts}), path, row_group_size=25, compression="none")
    return texts


@pytest.mark.parametrize(("first", "last"), [(0, None), (0, 0), (24, 25), (30, 49), (50, 99), (60, None)])
def test_rows_are_counted_across_row_groups(first: int, last: int | None, tmp_path: Path) -> None:
    texts = a_table(tmp_path / "t.parquet")
    expected = texts[first : None if last is None else last + 1]
    assert texts_in(tmp_path / "t.parquet", first_index=first, last_index=last) == expected


def test_a_row_that_is_not_utf8_is_named_and_rows_before_it_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    texts = a_table(path)
    content = path.read_bytes()
    assert content.count(b"Text 33. word") == 1
    path.write_bytes(content.replace(b"Text 33. word", b"Text 33. w\xffrd"))
    assert texts_in(path, last_index=32) == texts[:33]
    with pytest.raises(CorpusUnreadable, match=r"t\.parquet, row group 1, row 33: is not UTF-8 text \(byte 0xff\)"):
        texts_in(path)


def damaged_tables_end_well(folder: Path, seeds: range) -> int:
    """How many of the damaged files were refused; any other end of reading them is an error."""
    path, n_refused = folder / "t.parquet", 0
    a_table(path)
    whole = path.read_bytes()
    for seed in seeds:
        generator = random.Random(seed)
        content = bytearray(whole)
        for _ in range(generator.choice([1, 1, 4, 30])):
            content[generator.randrange(4, len(content))] = generator.randrange(256)
        path.write_bytes(content[: generator.choice([len(content), generator.randrange(len(content))])])
        said = refusal_of(lambda: texts_in(path), CorpusUnreadable)
        assert said is None or str(path) in said
        n_refused += said is not None
    return n_refused


def test_a_damaged_table_gives_texts_or_one_sentence(tmp_path: Path) -> None:
    assert damaged_tables_end_well(tmp_path, range(60)) > 20


@pytest.mark.soak
def test_thousands_of_damaged_tables_give_texts_or_one_sentence(tmp_path: Path) -> None:
    assert damaged_tables_end_well(tmp_path, range(100, 4_100)) > 1_000


@settings(max_examples=100, deadline=None)
@given(line=st.text(st.sampled_from('{}[]",:\\ue9dtrn1.-\ud800é '), max_size=40) | st.text(max_size=40))
def test_any_line_is_an_object_or_one_short_sentence(line: str) -> None:
    refusal_of(lambda: record_in(line), ValueError)
