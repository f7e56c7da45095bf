"""Names made of strangers' ids stay in their folder, and no two ids share one."""

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.files.file_names import LONGEST, distinct_names, file_name

AWKWARD = st.sampled_from(["-", "--", ".", "..", "/", "a", "b", "A", "con", "~", " ", "\\", "ü", "\x00", "\ud800"])
IDS = st.one_of(st.text(max_size=200), st.lists(AWKWARD, max_size=6).map("".join))


@pytest.mark.parametrize("ordinary", ["qwen7-L20", "18-cross-family", "a--b", "v1.2", "_", "Run", "x" * LONGEST])
def test_an_ordinary_id_is_its_own_name(ordinary: str) -> None:
    assert file_name(ordinary) == ordinary
    assert file_name("qwen7-L20", "smollm2-L20") == "qwen7-L20--smollm2-L20"


@given(IDS)
def test_a_name_is_one_part_of_a_path_everywhere(each: str) -> None:
    name = file_name(each)
    assert Path("folder", name).parent == Path("folder")
    assert PureWindowsPath("folder", name).parent == PureWindowsPath("folder")
    assert not name.startswith(".")
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].lower() not in {"con", "nul", "aux", "prn", "com1", "lpt9"}
    assert len(name.encode()) <= LONGEST


@pytest.mark.parametrize("device", ["CON", "nul", "Aux.txt", "com1", "LPT9.tar.gz"])
def test_a_device_of_windows_is_no_name(device: str) -> None:
    assert file_name(device).partition("~")[1] == "~"
    assert "." not in file_name(device)


@given(st.lists(st.tuples(IDS, IDS), unique=True, max_size=6), st.sampled_from(["--", "-vs-", "."]))
def test_no_two_cells_share_a_name(cells: list[tuple[str, str]], joint: str) -> None:
    assert len({file_name(*cell, joint=joint) for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("one", "other"), [(("a", "b--c"), ("a--b", "c")), (("a-", "b"), ("a", "-b")), (("a", ""), ("", "a"))]
)
def test_what_is_joined_alike_is_told_apart(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert file_name(*one) != file_name(*other)


def test_an_id_spelled_like_a_name_made_for_another_is_not_taken_for_it() -> None:
    assert file_name(file_name("../x")) != file_name("../x")


@given(st.lists(IDS, max_size=6))
def test_names_given_together_differ_where_case_is_not_seen(ids: list[str]) -> None:
    names = distinct_names(ids, taken=("a", "B"))
    assert set(names) == set(ids)
    assert len({name.casefold() for name in [*names.values(), "a", "b"]}) == len(names) + 2
