"""What is downloaded, built or trained stands in the cache whole or not at all, also when two make the same."""

from pathlib import Path

import pytest

from nlareport.pairs.folders import made_whole


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def cut_off(destination: Path, anew: bool) -> None:
    with made_whole(destination, anew=anew) as folder:
        (folder / "weights").write_text("half")
        raise KeyboardInterrupt


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    destination = tmp_path / "pairs" / "av"
    with made_whole(destination) as folder:
        (folder / "weights").write_text("first")
        assert not destination.exists()
    assert contents(tmp_path) == {"pairs/av/weights": "first"}


@pytest.mark.parametrize("anew", [False, True])
def test_what_fails_on_the_way_leaves_no_trace(tmp_path: Path, anew: bool) -> None:
    with made_whole(tmp_path / "av") as folder:
        (folder / "weights").write_text("former")
    with pytest.raises(KeyboardInterrupt):
        cut_off(tmp_path / "av", anew)
    assert contents(tmp_path) == {"av/weights": "former"}


@pytest.mark.parametrize(("anew", "stays"), [(False, "first"), (True, "second")])
def test_of_two_the_first_stays_unless_it_is_made_anew(tmp_path: Path, anew: bool, stays: str) -> None:
    with made_whole(tmp_path / "av", anew=anew) as mine:
        (mine / "weights").write_text("second")
        other = tmp_path / "of-another-process"
        other.mkdir()
        (other / "weights").write_text("first")
        other.rename(tmp_path / "av")
    assert contents(tmp_path) == {"av/weights": stays}
