"""A server that stands in for the Hugging Face hub: serves one repository, or misbehaves in one way at a time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote

COMMIT = "a" * 40


@dataclass
class Hub:
    """What the hub holds and how it behaves; `manner` may change between two requests."""

    files: dict[str, bytes]
    manner: str = "sound"
    unknown_revision: str = "no-such-revision"
    address: str = ""
    is_over: Event = field(default_factory=Event)
    """Set when the test ends: until then a silent hub says nothing."""
    asked: list[str] = field(default_factory=list)
    """What was asked for, as ``METHOD path range``."""


@contextmanager
def open_hub(directory: Path) -> Iterator[Hub]:
    """A hub that holds the files of a checkpoint directory under any name; it listens while the block lasts."""
    hub = Hub({path.name: path.read_bytes() for path in directory.iterdir()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}")
        refusals: dict[str, tuple[int, bytes, dict[str, str]]] = {
            "gated": (403, b'{"error": "restricted"}', {"X-Error-Code": "GatedRepo"}),
            "unknown": (401, b'{"error": "not found"}', {"X-Error-Code": "RepoNotFound"}),
            "broken": (500, b"oops", {}),
            "busy": (429, b"slow down", {}),
            "no hub": (200, b"<html>Sign in to the hotel network</html>", {}),
        }
        if self.hub.manner == "silent":
            self.hub.is_over.wait()
            self.close_connection = True
            return None
        if self.hub.manner in refusals:
            return self._send(*refusals[self.hub.manner])
        if any(f"/{part}/{self.hub.unknown_revision}" in self.path for part in ("revision", "resolve", "tree")):
            return self._send(404, b'{"error": "Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
        if "/resolve/" not in self.path:
            return self._send(200, json.dumps(self._listing()).encode(), {"Content-Type": "application/json"})
        return self._hand_over(self.hub.files[unquote(self.path.partition("/resolve/")[2].partition("/")[2])])

    def _listing(self) -> Any:
        names = sorted(self.hub.files)
        if "/tree/" in self.path:
            return [{"type": "file", "path": n, "size": len(self.hub.files[n]), "oid": "b" * 40} for n in names]
        return {"id": "lab/first", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names], "tags": []}

    def _hand_over(self, content: bytes) -> None:
        etag = {"X-Repo-Commit": COMMIT, "ETag": f'"{hash(content) % 10**9}"', "Accept-Ranges": "bytes"}
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        status = 206 if start else 200
        if start:
            etag["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.hub.manner != "cut" or self.command == "HEAD" or len(content) < 2_000:
            return self._send(status, content[start:], etag)
        self.send_response(status)
        for key, value in {**etag, "Content-Length": str(len(content) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content[start : start + 500])
        self.wfile.flush()
        self.close_connection = True
        return None

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
