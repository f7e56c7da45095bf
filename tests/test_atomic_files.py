"""What is written whole is there whole or not at all, whoever stops, and nobody else's file gives way to it."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nlareport.errors import FileUnwritable
from nlareport.files import atomic_files, locks
from nlareport.files.atomic_files import whole_file, whole_folder, write_whole
from nlareport.files.scratch_folders import HOST


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def cut_off(destination: Path, replaces: bool) -> None:
    with whole_folder(destination, replaces=replaces) as folder:
        (folder / "weights").write_text("half")
        raise KeyboardInterrupt


def killed_while_writing(path: Path, *, when: str = "os.fsync") -> None:
    """A process that died where it calls `when`, with a file of the name half made."""
    program = (
        "import os, shutil, signal, sys; from pathlib import Path; from nlareport.files import atomic_files\n"
        f"{when} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with atomic_files.whole_folder(Path(sys.argv[1]), replaces=True) as folder:\n"
        "    (folder / 'weights').write_text('half')"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9


@contextmanager
def at_most_bytes(n: int) -> Iterator[None]:
    """Files of this process end at `n` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(params=[None, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with hard links, and those that refuse them in their several ways."""

    def refuse(source: Path, destination: Path) -> None:
        raise OSError(request.param, os.strerror(request.param), str(source), None, str(destination))

    if request.param is not None:
        monkeypatch.setattr(atomic_files.os, "link", refuse)


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    destination = tmp_path / "pairs" / "av"
    with whole_folder(destination) as folder:
        (folder / "weights").write_text("first")
        assert not destination.exists()
    assert contents(tmp_path) == {"pairs/av/weights": "first"}
    assert names(destination.parent) == ["av"]


@pytest.mark.parametrize("replaces", [False, True])
def test_what_fails_on_the_way_leaves_no_trace(tmp_path: Path, replaces: bool) -> None:
    with whole_folder(tmp_path / "av") as folder:
        (folder / "weights").write_text("former")
    with pytest.raises(KeyboardInterrupt):
        cut_off(tmp_path / "av", replaces)
    assert contents(tmp_path) == {"av/weights": "former"}
    assert names(tmp_path) == ["av"]


@pytest.mark.parametrize(("replaces", "stays"), [(False, "first"), (True, "second")])
def test_of_two_folders_the_first_stays_unless_it_is_made_anew(tmp_path: Path, replaces: bool, stays: str) -> None:
    with whole_folder(tmp_path / "av", replaces=replaces) as mine:
        (mine / "weights").write_text("second")
        other = tmp_path / "of-another-process"
        other.mkdir()
        (other / "weights").write_text("first")
        other.rename(tmp_path / "av")
    assert contents(tmp_path) == {"av/weights": stays}


def test_of_two_files_the_first_stays_also_without_hard_links(tmp_path: Path, links: None) -> None:
    with whole_file(tmp_path / "run.duckdb", replaces=False) as aside:
        aside.write_text("second")
        (tmp_path / "run.duckdb").write_text("first")
    assert contents(tmp_path) == {"run.duckdb": "first"}
    with whole_file(tmp_path / "other.duckdb", replaces=False) as aside:
        aside.write_text("alone")
        assert not (tmp_path / "other.duckdb").exists()
    assert contents(tmp_path) == {"run.duckdb": "first", "other.duckdb": "alone"}


def test_a_file_that_replaces_shows_the_former_one_until_it_is_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "part", b"former")
    with whole_file(tmp_path / "part") as aside:
        aside.write_text("ne")
        assert (tmp_path / "part").read_text() == "former"
        aside.write_text("new")
    assert contents(tmp_path) == {"part": "new"}


def test_a_name_as_long_as_names_may_be_is_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("ü" * 127), b"x")
    assert names(tmp_path) == ["ü" * 127]


def test_what_a_killed_process_left_is_cleared_by_the_next_that_writes_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "av" / "weights", b"former")
    killed_while_writing(tmp_path / "av")
    assert contents(tmp_path)["av/weights"] == "former"
    assert len(names(tmp_path)) == 2
    write_whole(tmp_path / "another name", b"whole")
    assert contents(tmp_path) == {"av/weights": "former", "another name": "whole"}
    assert names(tmp_path) == ["another name", "av"]


def test_a_folder_whose_successor_was_killed_between_two_renames_comes_back(tmp_path: Path) -> None:
    write_whole(tmp_path / "av" / "weights", b"former")
    program = (
        "import os, signal, sys; from pathlib import Path; from nlareport.files import atomic_files\n"
        "rename = Path.rename\n"
        "Path.rename = lambda path, to: rename(path, to) if path == Path(sys.argv[1]) else os.kill(os.getpid(), 9)\n"
        "with atomic_files.whole_folder(Path(sys.argv[1]), replaces=True) as folder:\n"
        "    (folder / 'weights').write_text('new')"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "av")], check=False).returncode == -9
    assert not (tmp_path / "av").exists()
    write_whole(tmp_path / "another", b"x")
    assert contents(tmp_path) == {"av/weights": "former", "another": "x"}


def test_what_a_living_process_makes_is_never_cleared(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from nlareport.files.atomic_files import whole_file; from nlareport.files.scratch_folders import HOST\n"
        "with whole_file(Path(sys.argv[1])) as aside:\n"
        "    aside.write_text('of the other'); print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "slow")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        write_whole(tmp_path / "quick", b"mine")
        with whole_file(tmp_path / "mine too") as aside:
            aside.write_text("nested")
            write_whole(tmp_path / "within", b"x")
        other.stdin.close()
    assert other.returncode == 0
    assert contents(tmp_path) == {"slow": "of the other", "quick": "mine", "mine too": "nested", "within": "x"}


def test_only_names_of_our_own_pattern_are_cleared(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    pid, alive = int(gone.stdout), os.getppid()
    strangers = [
        f"run.{pid}.bak",
        ".other.writing",
        f"x.run.{pid}.tmp",
        f".run.creating-{pid}.old",
        f".other.creating-{pid}",
        f".run.creating-{alive}",
        f".run.nlareport-{HOST}-{pid}",
        f"run.nlareport-{HOST}-{pid}-00000000",
        f".run.nlareport-{HOST}-{pid}-00000000",
        f".run.creating-{10**30}",
    ]
    for name in strangers:
        (tmp_path / name).write_text("a user's")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "kept").write_text("a user's")
    (tmp_path / f".link.nlareport-{HOST}-{pid}-00000000").symlink_to(tmp_path / "target")
    (tmp_path / f".run.nlareport-{HOST}-{alive}-00000007").mkdir()
    left = [f".run.creating-{pid}", f".run.creating-{pid}.wal", ".run.writing"]
    for name in left:
        (tmp_path / name).write_text("left by an earlier version")
    (tmp_path / f"run.{pid}.tmp").mkdir()
    (tmp_path / f".any.nlareport-{HOST}-{pid}-00000000").mkdir()
    before = contents(tmp_path)
    write_whole(tmp_path / "run", b"x")
    assert contents(tmp_path) == {name: text for name, text in before.items() if name not in left} | {"run": "x"}
    assert (tmp_path / f".run.nlareport-{HOST}-{alive}-00000007").exists()
    assert not (tmp_path / f"run.{pid}.tmp").exists()
    assert not (tmp_path / f".any.nlareport-{HOST}-{pid}-00000000").exists()


def a_file_as_folder(folder: Path) -> Path:
    (folder / "file").write_text("mine")
    return folder / "file" / "below" / "out"


def a_folder_as_file(folder: Path) -> Path:
    write_whole(folder / "taken" / "inner", b"mine")
    return folder / "taken"


def a_long_name(folder: Path) -> Path:
    return folder / ("x" * 300)


def a_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop" / "out"


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        (a_file_as_folder, "a file or a broken link is where a folder is needed"),
        (a_folder_as_file, "a folder has this name"),
        (a_long_name, "choose a shorter name"),
        (a_loop, "a file or a broken link is where a folder is needed"),
    ],
)
def test_a_place_that_takes_no_file_is_told_with_what_to_do(
    tmp_path: Path, place: Callable[[Path], Path], advice: str
) -> None:
    path = place(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(FileUnwritable, match=f"could not be written .*{advice}.*then run again"):
        write_whole(path, b"x")
    assert contents(tmp_path) == before


def test_a_disk_that_ends_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "part", b"former")
    with pytest.raises(FileUnwritable, match="part: could not be written"), at_most_bytes(1_000):
        write_whole(tmp_path / "part", b"x" * 5_000)
    assert contents(tmp_path) == {"part": "former"}
    assert names(tmp_path) == ["part"]


def test_what_cannot_be_read_elsewhere_is_not_told_as_a_fault_of_this_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="model"), whole_folder(tmp_path / "av"):
        (tmp_path / "model").read_bytes()
    assert names(tmp_path) == []


@pytest.mark.parametrize("has_locks", [True, False])
def test_what_another_machine_makes_is_cleared_only_where_its_lock_tells_that_it_is_gone(
    has_locks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    if not has_locks:
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    here, elsewhere = (tmp_path / f".run.nlareport-{host}-999999999-00000000" for host in (HOST, "0" * 8))
    for left in (here, elsewhere):
        (left / "new").mkdir(parents=True)
        (left / "new" / "run").write_text("half")
    write_whole(tmp_path / "run", b"whole")
    assert (tmp_path / "run").read_bytes() == b"whole"
    assert not here.exists()
    assert elsewhere.exists() is not has_locks
    assert len(names(tmp_path)) == (1 if has_locks else 2)


def test_a_copy_of_read_only_files_is_kept_as_it_is(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "av") as folder:
        (folder / "weights").write_text("w")
        (folder / "weights").chmod(0o444)
        (folder / "link").symlink_to("/nowhere")
    assert (tmp_path / "av" / "weights").stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "av" / "link").is_symlink()


def test_a_name_that_was_only_taken_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, source: Path, destination: Path) -> None:
        raise OSError(number, os.strerror(number), str(source), None, str(destination))

    monkeypatch.setattr(atomic_files.os, "link", lambda *places: refuse(errno.EPERM, *places))
    monkeypatch.setattr(Path, "replace", lambda *places: refuse(errno.EIO, *places))
    with (
        pytest.raises(FileUnwritable, match="Input/output error"),
        whole_file(tmp_path / "run", replaces=False) as aside,
    ):
        aside.write_text("whole")
    assert names(tmp_path) == []
