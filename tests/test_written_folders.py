"""A written folder: what others have in it is never touched, and what a former call wrote gives way to the new."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlareport.errors import FileUnwritable, FolderOfOthers
from nlareport.files.written_folders import MANIFEST, Terms, read_manifest, written_folder

REPORT = Terms("report")
FORCED = Terms("report", is_shared=True)

Tree = dict[str, bytes | str | None]
"""A file's bytes, None for a folder, or where a link leads."""


def write(root: Path, files: dict[str, str], terms: Terms = REPORT) -> None:
    with written_folder(root, terms) as place:
        for name, text in files.items():
            place.file(name).write_text(text)


def tree(root: Path) -> Tree:
    """Everything below a folder; links are not followed."""
    found: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            found[key] = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


def texts(root: Path) -> dict[str, str]:
    return {
        name: content.decode()
        for name, content in tree(root).items()
        if isinstance(content, bytes) and Path(name).name != MANIFEST
    }


def test_what_a_former_call_wrote_gives_way_and_leaves_no_empty_folder(tmp_path: Path) -> None:
    write(tmp_path / "out", {"index.html": "a", "items/1.html": "1", "items/deep/2.html": "2"})
    write(tmp_path / "out", {"index.html": "b", "items/1.html": "1", "data/new": "n"})
    assert texts(tmp_path / "out") == {"index.html": "b", "items/1.html": "1", "data/new": "n"}
    assert sorted(os.listdir(tmp_path / "out")) == [MANIFEST, "data", "index.html", "items"]
    assert sorted(os.listdir(tmp_path / "out/items")) == ["1.html"]


def test_the_same_files_give_the_same_manifest_and_nothing_is_written_twice(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, {"x": "former"})
        write(tmp_path / name, {"z/y": "2", "index.html": "1"})
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    before = {path: path.stat().st_ino for path in (tmp_path / "a").rglob("*")}
    write(tmp_path / "a", {"z/y": "2", "index.html": "1"})
    assert {path: path.stat().st_ino for path in (tmp_path / "a").rglob("*")} == before


def test_a_folder_with_files_of_others_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(FolderOfOthers, match=r"is not empty.*--out NEW, or --force"):
        write(tmp_path, {"index.html": "a"})
    assert tree(tmp_path) == before
    write(tmp_path, {"index.html": "a"}, FORCED)
    assert texts(tmp_path) == {"notes.txt": "mine", "index.html": "a"}
    write(tmp_path, {"about.html": "b"})
    assert texts(tmp_path) == {"notes.txt": "mine", "about.html": "b"}


def test_a_folder_of_another_kind_is_no_former_one(tmp_path: Path) -> None:
    write(tmp_path / "out", {"run.yaml": "bundle"}, Terms("bundle"))
    with pytest.raises(FolderOfOthers, match="holds a 'bundle' that nlareport wrote"):
        write(tmp_path / "out", {"index.html": "a"})
    assert texts(tmp_path / "out") == {"run.yaml": "bundle"}


def test_a_file_changed_since_is_neither_overwritten_nor_removed(tmp_path: Path) -> None:
    write(tmp_path / "out", {"index.html": "a", "stale.css": "s", "kept.css": "k"})
    (tmp_path / "out/index.html").write_text("edited by hand")
    with pytest.raises(FolderOfOthers, match=r"what is at 'index.html' is not as nlareport wrote it"):
        write(tmp_path / "out", {"index.html": "b"})
    assert texts(tmp_path / "out") == {"index.html": "edited by hand", "stale.css": "s", "kept.css": "k"}
    (tmp_path / "out/index.html").write_text("a")
    (tmp_path / "out/kept.css").write_text("edited by hand")
    write(tmp_path / "out", {"index.html": "b"})
    assert texts(tmp_path / "out") == {"index.html": "b", "kept.css": "edited by hand"}
    assert set(read_manifest(tmp_path / "out").files) == {"index.html"}


def test_a_strangers_file_with_our_content_stays_a_strangers(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("the same")
    write(tmp_path, {"LICENSE": "the same", "index.html": "a"}, FORCED)
    write(tmp_path, {"index.html": "a"})
    assert texts(tmp_path) == {"LICENSE": "the same", "index.html": "a"}


def test_no_link_is_followed_out_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, {"data/raw.bin": "gpu weeks", "index.html": "mine"})
    write(tmp_path / "out", {"index.html": "a", "data/raw.bin": "gpu weeks", "data/b": "b"})
    # The very bytes that the manifest lists, behind a link in the place of our folder and of our file.
    shutil.rmtree(tmp_path / "out/data")
    (tmp_path / "out/data").symlink_to(outside / "data")
    before = tree(outside)
    write(tmp_path / "out", {"index.html": "b"})
    assert tree(outside) == before
    assert (tmp_path / "out/data").is_symlink()
    for name in ("data/new", "data"):
        with pytest.raises(FolderOfOthers, match=f"what is at '{name}'"):
            write(tmp_path / "out", {name: "c"})
    (tmp_path / "out/index.html").unlink()
    (tmp_path / "out/index.html").symlink_to(outside / "index.html")
    with pytest.raises(FolderOfOthers, match=r"what is at 'index\.html'"):
        write(tmp_path / "out", {"index.html": "d"})
    assert tree(outside) == before


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write(tmp_path / "out", {"index.html": "a"})
    write(tmp_path / "out", {"index.html": "b"})
    assert texts(tmp_path / "disk") == {"index.html": "b"}
    assert (tmp_path / "out").is_symlink()


def test_what_is_being_read_is_never_written(tmp_path: Path) -> None:
    write(tmp_path / "out", {"downloads/run.duckdb": "the run", "index.html": "a"})
    terms = Terms("report", reads=(tmp_path / "out/../out/downloads/run.duckdb",))
    for files in ({"index.html": "b"}, {"downloads/run.duckdb": "another", "index.html": "b"}):
        with pytest.raises(FolderOfOthers, match=r"run\.duckdb: is being read, and would be replaced, removed"):
            write(tmp_path / "out", files, terms)
    assert texts(tmp_path / "out") == {"downloads/run.duckdb": "the run", "index.html": "a"}
    write(tmp_path / "out", {"downloads/run.duckdb": "the run", "index.html": "b"}, terms)
    assert texts(tmp_path / "out") == {"downloads/run.duckdb": "the run", "index.html": "b"}


def test_nothing_is_written_among_the_vectors_of_the_run_that_is_read(tmp_path: Path) -> None:
    vectors = tmp_path / "run.activations"
    vectors.mkdir()
    (tmp_path / "link").symlink_to(vectors)
    for out in (vectors, vectors / "deep", tmp_path / "link" / "report"):
        with pytest.raises(FolderOfOthers, match="is being read"):
            write(out, {"index.html": "a"}, Terms("report", is_shared=True, reads=(vectors,)))
    assert tree(vectors) == {}


DIGEST = hashlib.sha256(b"precious").hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "../precious",
        "a/../../precious",
        "/etc/precious",
        "",
        ".",
        "a//b",
        "./a",
        "..",
        "a/..",
        "\ud800",
        "a\0b",
        MANIFEST,
    ],
)
def test_a_manifest_that_leads_out_of_the_folder_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    content = {"kind": "report", "files": {name: [DIGEST]}}
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(content))
    before = tree(tmp_path)
    for terms in (REPORT, FORCED):
        with pytest.raises(FolderOfOthers, match="is no list of files that nlareport wrote"):
            write(tmp_path / "out", {"index.html": "a"}, terms)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"files": {}}',
        b'{"kind": "report", "files": []}',
        b'{"kind": "report", "files": {"a": "b"}}',
        b'{"kind": "report", "files": {"a": [1]}}',
        b"[" * 200_000,
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(FolderOfOthers, match="is no list of files that nlareport wrote"):
        write(tmp_path, {"index.html": "a"}, FORCED)
    assert tree(tmp_path) == {MANIFEST: content}


def test_a_link_in_the_manifests_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"kind": "report", "files": {}}')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderOfOthers, match="it is no file"):
        write(tmp_path / "out", {"index.html": "a"}, FORCED)


def test_an_error_on_the_way_changes_nothing_and_leaves_no_folder_behind(tmp_path: Path) -> None:
    write(tmp_path / "out", {"index.html": "a"})
    before = tree(tmp_path)

    def stopped(root: Path) -> None:
        with written_folder(root, REPORT) as place:
            place.file("index.html").write_text("half")
            raise KeyboardInterrupt

    for name in ("out", "new"):
        with pytest.raises(KeyboardInterrupt):
            stopped(tmp_path / name)
    assert tree(tmp_path) == before


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileUnwritable, match=f"^{tmp_path / 'out'}: could not be written .*choose another place"):
        write(tmp_path / "out", {"index.html": "a"})
    assert texts(tmp_path) == {"out": "mine"}


KILLED = """
import os, signal, sys
from pathlib import Path
from nlareport.files import atomic_files, written_folders
n_left = int(sys.argv[2])

def counted(function):
    def call(*arguments, **named):
        global n_left
        n_left -= 1
        if n_left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call

for name in ("replace", "unlink", "mkdir", "rmdir"):
    setattr(Path, name, counted(getattr(Path, name)))
with written_folders.written_folder(Path(sys.argv[1]), written_folders.Terms("report")) as place:
    for name in ("index.html", "items/1.html", "items/3.html"):
        place.file(name).write_text("new")
"""


def test_a_process_killed_anywhere_leaves_what_the_next_one_completes(tmp_path: Path) -> None:
    former = {"index.html": "former", "items/1.html": "new", "stale/2.html": "former"}
    n_before_kill, was_killed = 0, True
    while was_killed:
        out = tmp_path / str(n_before_kill)
        write(out, former)
        (out / "notes").write_text("mine")
        command = [sys.executable, "-c", KILLED, str(out), str(n_before_kill)]
        was_killed = subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert (out / "notes").read_text() == "mine"
        assert all(text in ("former", "new", "mine") for name, text in texts(out).items() if not name.startswith("."))
        write(out, {"index.html": "last", "items/1.html": "new"})
        assert texts(out) == {"index.html": "last", "items/1.html": "new", "notes": "mine"}
        assert sorted(os.listdir(out)) == [MANIFEST, "index.html", "items", "notes"]
        n_before_kill += 2
    assert n_before_kill > 10


NAMES = st.sampled_from(["index.html", "data", "data/a", "items", "items/1.html", "assets", "x", "x/y", MANIFEST])
CONTENT = st.sampled_from(["file", "the very file", "folder", "link to file", "link to folder", "link to nothing"])


@settings(max_examples=60, deadline=None)
@given(
    strangers=st.dictionaries(NAMES, CONTENT, max_size=5),
    was_written=st.booleans(),
    force=st.booleans(),
    files=st.lists(NAMES.filter(lambda name: name not in (MANIFEST, "data", "items", "x")), min_size=1, unique=True),
)
def test_whatever_others_put_there_stays_as_it_is(
    strangers: dict[str, str],
    was_written: bool,
    force: bool,
    files: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("folder")
    out, outside = root / "out", root / "outside"
    write(outside, {"file": "new", "folder/1.html": "new", "folder/a": "new"})
    if was_written:
        write(out, {"index.html": "former", "data/a": "former", "items/1.html": "new"})
    theirs = {name: kind for name, kind in strangers.items() if put(out / name, kind, outside)}
    if was_written:
        # The same bytes under the same name are what was written there.
        theirs = {name: kind for name, kind in theirs.items() if (name, kind) != ("items/1.html", "the very file")}
    before = {name: content for name, content in tree(root).items() if name.removeprefix("out/") in theirs}
    before |= {name: content for name, content in tree(root).items() if name.startswith("outside")}
    all_before = tree(root)
    refusal = refused(out, dict.fromkeys(files, "new"), Terms("report", is_shared=force))
    if refusal is None:
        assert {name: texts(out)[name] for name in files} == dict.fromkeys(files, "new")
    else:
        assert "\n" not in refusal
        assert tree(root) == all_before
    assert {name: content for name, content in tree(root).items() if name in before} == before
    assert not [name for name in os.listdir(root / "out") if "nlareport-" in name.replace(MANIFEST, "")]


def refused(out: Path, files: dict[str, str], terms: Terms) -> str | None:
    try:
        write(out, files, terms)
    except FolderOfOthers as refusal:
        return str(refusal)
    return None


def put(path: Path, kind: str, outside: Path) -> bool:
    """Puts something of a stranger's at the path, in the place of what nlareport wrote; false where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        match kind:
            case "folder":
                path.mkdir()
            case "link to file":
                path.symlink_to(outside / "file")
            case "link to folder":
                path.symlink_to(outside / "folder")
            case "link to nothing":
                path.symlink_to(outside / "nowhere")
            case _:
                path.write_text("new" if kind == "the very file" else "mine")
    except OSError:
        return False
    return True
