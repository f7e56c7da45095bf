"""The preview server: whom it answers, and with which files."""

import http.client
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlareport import publish, serving
from nlareport.cli import cli
from nlareport.errors import PortUnusable
from nlareport.serving import ADDRESS, Preview


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A preview of a small folder beside which a secret lies."""
    place = tmp_path_factory.mktemp("preview")
    folder = place / "pages"
    (folder / "data").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "linked").mkdir()
    (place / "secret.txt").write_text("canary")
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "index.html").write_text("canary")
    (folder / "index.html").write_text("<p>home")
    (folder / "data" / "cells.js").write_text("1")
    (folder / "data" / "no ending").write_text("<script>")
    (folder / "data" / "engine.wasm").write_bytes(b"\0asm")
    (folder / "inside.html").symlink_to(folder / "index.html")
    (folder / "outside.txt").symlink_to(place / "secret.txt")
    (folder / "outside").symlink_to(place / "elsewhere")
    (folder / "linked" / "index.html").symlink_to(place / "secret.txt")
    os.mkfifo(folder / "pipe")
    with Preview(0) as preview:
        thread = threading.Thread(target=preview.show, args=(folder,), daemon=True)
        thread.start()
        yield int(preview.address.rstrip("/").rpartition(":")[2])
        preview._server.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"{ADDRESS}:{port}", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_a_page_is_shown_with_its_type_and_nothing_may_guess_another(port: int) -> None:
    for path, kind in {
        "/": "text/html; charset=utf-8",
        "/index.html?a=b": "text/html; charset=utf-8",
        "/inside.html": "text/html; charset=utf-8",
        "/data/cells.js": "text/javascript; charset=utf-8",
        "/data/engine.wasm": "application/wasm",
        "/data/no%20ending": "application/octet-stream",
    }.items():
        status, headers, _ = ask(port, path)
        assert (status, headers["content-type"]) == (200, kind), path
        assert headers["x-content-type-options"] == "nosniff"
        assert "python" not in headers["server"].lower()


def test_head_sends_no_body(port: int) -> None:
    status, headers, body = ask(port, "/", "HEAD")
    assert (status, headers["content-length"], body) == (200, "7", b"")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]
)
def test_a_page_from_elsewhere_whose_name_leads_here_is_turned_away(host: str, port: int) -> None:
    status, _, body = ask(port, "/", Host=host.format(port=port))
    assert status == 421
    assert b"home" not in body


def test_its_own_names_are_answered(port: int) -> None:
    assert ask(port, "/", Host=f"localhost:{port}")[0] == 200
    assert ask(port, "/", Host=f"{ADDRESS}:{port}")[0] == 200


def test_a_call_without_a_name_or_with_two_is_turned_away(port: int) -> None:
    for head in ("GET / HTTP/1.0\r\n\r\n", f"GET / HTTP/1.1\r\nHost: {ADDRESS}:{port}\r\nHost: evil.example\r\n\r\n"):
        with socket.create_connection((ADDRESS, port), timeout=10) as connection:
            connection.sendall(head.encode())
            assert b" 421 " in connection.makefile("rb").readline()


@pytest.mark.parametrize(
    "path",
    [
        "/empty/",
        "/empty",
        "/data/",
        "/outside.txt",
        "/outside/",
        "/outside/index.html",
        "/linked/",
        "/pipe",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/data/../../secret.txt",
        "//secret.txt",
        "/%00",
        "/nowhere",
        "/index.html/",
        "/" + "a" * 5000,
    ],
)
def test_nothing_is_listed_and_nothing_outside_the_folder_is_sent(path: str, port: int) -> None:
    status, _, body = ask(port, path)
    assert status in (404, 414)
    assert b"canary" not in body
    assert b"cells.js" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_only_reading_is_answered(method: str, port: int) -> None:
    assert ask(port, "/", method)[0] == 405


def test_a_browser_that_goes_away_leaves_the_terminal_alone(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection((ADDRESS, port), timeout=10) as connection:
        connection.sendall(b"GET / HT")
    assert ask(port, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_taken_port_is_told_before_anything_is_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[Path] = []
    monkeypatch.setattr(publish, "publish_run", lambda file, out, **_: rendered.append(file))
    with Preview(0) as taken:
        number = taken.address.rstrip("/").rpartition(":")[2]
        result = CliRunner().invoke(cli, ["serve", str(tmp_path / "run.duckdb"), "--port", number])
    assert result.exit_code == 1
    assert f"Port {number} of 127.0.0.1 is taken; give another with --port, or take a free one with --port 0." in (
        result.stderr
    )
    assert result.stdout == ""
    assert rendered == []


def test_a_port_this_user_may_not_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(serving._Server, "server_bind", refuse)
    with pytest.raises(PortUnusable, match=r"cannot be used \(Permission denied\); take a free one with --port 0"):
        Preview(80)


def test_a_preview_stopped_while_it_is_rendered_says_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Path] = []

    def interrupted(file: Path, out: Path, **_: object) -> Path:
        left.append(out)
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "publish_run", interrupted)
    result = CliRunner().invoke(cli, ["serve", str(tmp_path / "run.duckdb"), "--port", "0"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "nlareport: stopped before it was done; give the same command again.\n"
    assert not left[0].exists()
