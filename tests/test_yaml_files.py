from __future__ import annotations

import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.refusals import LONGEST_LINE, refusal_of

from nlareport.errors import ExperimentInvalid
from nlareport.experiment.experiment_file import load_experiment
from nlareport.files.given_files import what_it_is
from nlareport.files.yaml_files import MOST_BYTES, mapping_in, text_of, yaml_text


def read(text: str) -> dict[str, Any]:
    return mapping_in(text, Path("my.yaml"), ExperimentInvalid, "experiment", "`pairs`")


def refused(text: str) -> str:
    with pytest.raises(ExperimentInvalid, match=r"^my\.yaml") as refusal:
        read(text)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("12", 12),
        ("-3", -3),
        ("0x1F", 31),
        ("0.5", 0.5),
        ("8e4", "8e4"),
        ("8.5e+4", 85_000.0),
        ("0o7", "0o7"),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("true", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ('"\\ud83d\\ude00"', "😀"),
        ("[1, [a, {b: c}]]", [1, ["a", {"b": "c"}]]),
    ],
)
def test_a_scalar_is_what_it_looks_like(written: str, value: object) -> None:
    found = read(f"key: {written}")["key"]
    assert (found, type(found)) == (value, type(value))


def test_anchors_and_merged_keys_are_read_and_a_key_of_ones_own_wins() -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nme: {<<: [*b, *o], x: 9}\n'<<': kept"
    assert read(text)["me"] == {"x": 9, "y": 2, "z": 4}
    assert read(text)["<<"] == "kept"


def chained(first: str, following: str, n: int) -> str:
    """A YAML text of n + 1 lines, each naming the one before: ``k0`` holds `first`, where `following` says ``OLD``."""
    lines = [f"k{number}: &k{number} {following.replace('OLD', f'*k{number - 1}')}" for number in range(1, n + 1)]
    return "\n".join([f"k0: &k0 {first}", *lines])


DOUBLING = chained("[x, x]", "[OLD, OLD]", 21)
MERGING = chained("{k: 1}", "{<<: [OLD, OLD]}", 21)
CHAIN = chained("[x]", "[OLD]", 400)
LONG = f'a: &a "{"x" * 5000}"\nb: [{", ".join(["*a"] * 400)}]'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DOUBLING, "line 18: its aliases stand for more than 1,000,000 characters"),
        (MERGING, "its aliases stand for more than 1,000,000 characters"),
        (LONG, "line 2: its aliases stand for more than 1,000,000 characters"),
        (CHAIN, "line 50: is nested more than 50 levels deep"),
        ("a: &a [*a]", "line 1: an alias is used within the value it names"),
        ("a: " + "[" * 5000, "line 1: is nested more than 50 levels deep"),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "line 4: the key 'b' is repeated in one mapping; keep one"),
        ("a: 1\n'a': 2", "line 2: the key 'a' is repeated"),
        ("pairs:\n\t- a", "line 2: is not YAML: a tab is used where YAML wants spaces; indent with spaces"),
        ("a: 1\nb: \x07", "line 2: holds the control character 0x7; remove it"),
        ('a: "\\ud800"', "line 1: holds half of a surrogate pair, which is no character"),
        ("a: " + "9" * 5000, "line 1: a number has 5,000 digits"),
        ("a: !!python/object:os.system x", "line 1: the tag 'tag:yaml.org,2002:python/object:os.system' is not"),
        ("a: !!int word", "line 1: 'word' is not of the type its tag says, 'int'"),
        ("a: !!binary aGk=", "line 1: the tag 'tag:yaml.org,2002:binary' is not read here"),
        ("? [a, b]\n: c", "line 1: a key is a list or a mapping; keys must be words"),
        ("<<: 3", "line 1: `<<` must name a mapping or a list of mappings"),
        ("a: *" + "x" * 100_000, "line 1: is not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "line 2: is not YAML: expected a single document in the stream, but found another"),
        ("", "holds no experiment; the top level must be keys such as `pairs`"),
        ("- a", "holds no experiment"),
        ("just words", "holds no experiment"),
        ("7: a", "holds no experiment"),
    ],
)  # fmt: skip
def test_what_would_not_stay_small_or_says_two_things_is_refused_with_its_line(text: str, said: str) -> None:
    message = refused(text)
    assert said in message
    assert len(message) <= LONGEST_LINE


def test_a_fault_of_a_value_of_any_size_is_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    extras = "".join(f"extra{number}: 1\n" for number in range(500))
    path.write_text(f"{chained('[x, x]', '[OLD, OLD]', 13)}\npairs: *k13\n{extras}")
    assert re.search(r"and \d+ more faults\.$", str(refusal_of(lambda: load_experiment(path))))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("title: Päire\n".encode("utf-16"), r"is UTF-16 text, .*: save it as UTF-8\. Give a file\."),
        (b"experiment: a\r\ntitle: P\xe4ire\r\n", r", line 2: is not UTF-8 text \(byte 0xe4\)\. Save it as UTF-8\."),
        (b"\0" * 8 + b"DUCK" + b"\0" * 30, 'is a DuckDB database, as run files are: "nlareport render"'),
        (b"PAR1\x15\x04", "is a Parquet file"),
        (b"\x1f\x8b\x08\x00", "decompress it with gunzip"),
        (b"PK\x03\x04....", "is a zip archive: unpack it"),
        (b"\x80\x04\x95K", "is a Python pickle, which is never opened here"),
        (b"a" * (MOST_BYTES + 1), f"holds {MOST_BYTES + 1:,} bytes; {MOST_BYTES:,} is the most"),
    ],
)
def test_a_file_that_is_no_utf8_text_is_named_for_what_it_is(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    refusal = refusal_of(lambda: yaml_text(tmp_path / "x.yaml", ExperimentInvalid, "Give a file."))
    assert re.search(said, str(refusal))


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - c\r\n")
    assert read(yaml_text(tmp_path / "x.yaml", ExperimentInvalid, "")) == {"a": 1, "b": ["c"]}


def test_a_file_of_gigabytes_of_nothing_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "x.yaml").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(ExperimentInvalid, match="holds 2,147,483,648 bytes"):
        yaml_text(tmp_path / "x.yaml", ExperimentInvalid, "")


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "linked").symlink_to(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    expected = {
        tmp_path: "is a folder, not a file",
        tmp_path / "pipe": "is a named pipe, not a file",
        tmp_path / "linked": "is a named pipe, not a file",
        tmp_path / "zero": "is a device, not a file",
        tmp_path / "loop": "cannot be read",
        tmp_path / "none": r"cannot be read \(No such file or directory\)",
        tmp_path / "a\0b": "is no path",
        tmp_path / ("x" * 300): r"cannot be read \(File name too long\)",
    }
    for path, said in expected.items():
        with pytest.raises(ExperimentInvalid, match=said):
            yaml_text(path, ExperimentInvalid, "Give a file.")
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/s")
        with pytest.raises(ExperimentInvalid, match="is a socket, not a file"):
            yaml_text(Path(f"{short}/s"), ExperimentInvalid, "Give a file.")


def test_text_is_no_known_kind_of_file() -> None:
    assert what_it_is(b"pairs: []") is None
    assert what_it_is(b"") is None


WRITING = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WRITING, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(content=st.dictionaries(WRITING, VALUES, max_size=4))
def test_what_another_program_dumps_is_read_as_it_was(content: dict[str, Any]) -> None:
    assert read(yaml.safe_dump(content, allow_unicode=False)) == content


@settings(max_examples=60, deadline=None)
@given(content=st.dictionaries(WRITING, VALUES, max_size=4))
@example(content={"b": "a\x85b", "a": ["\x85", "line\r\nline", "\ufeff", "a\u2028b", "two\nlines\n", "8e4"]})
def test_what_is_written_reads_back_whatever_breaks_its_lines(content: dict[str, Any]) -> None:
    assert list(read(text_of(content)).items()) == list(content.items())


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("ab1 :-[]{}&*!<>|?'\"#%@,\n\t\\x0ué\ud800"), max_size=60) | st.text(max_size=60))
@example(text="a: &a\n  b: *a")
@example(text="!!set {a}")
@example(text="? ? ?")
def test_any_text_is_a_mapping_or_one_bounded_refusal(text: str) -> None:
    refusal_of(lambda: read(text), ExperimentInvalid)
