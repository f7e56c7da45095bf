"""Preview server: shows a folder of pages to browsers on this machine, and to nothing else.

Takes a port, then a folder; answers GET and HEAD requests to its own host names with the files of that folder. It lists
no directory, follows no link out of the folder, and refuses requests for another host name: a page from elsewhere whose
name was made to resolve to this machine could otherwise read what is served.
"""

import errno
import mimetypes
import os
import socketserver
import stat
import sys
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from nlareport.errors import PortUnusable

ADDRESS = "127.0.0.1"
OWN_NAMES = (ADDRESS, "localhost")
HTTP_PORT = 80
"""The port that a browser leaves out of the Host header."""

CONTENT_TYPES = {
    # With nosniff a browser runs no script of another type, and the system's own table differs between machines.
    "": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".csv": "text/csv; charset=utf-8",
    ".gz": "application/gzip",
}


class Preview:
    """Holds a port from the start, so that no pages are rendered for a preview that cannot be opened."""

    def __init__(self, port: int) -> None:
        """Takes the port; 0 for any free one.

        Raises:
            PortUnusable: another process has it, or this user may not.
        """
        try:
            self._server = _Server((ADDRESS, port), _Files)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortUnusable(
                    f"Port {port} of {ADDRESS} is taken; give another with --port, or take a free one with --port 0."
                ) from error
            raise PortUnusable(
                f"Port {port} of {ADDRESS} cannot be used ({error.strerror}); take a free one with --port 0."
            ) from error

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{ADDRESS}:{self._server.server_port}/"

    def show(self, folder: Path) -> None:
        """Serves the files of the folder until the process is interrupted."""
        self._server.RequestHandlerClass = partial(_Files, directory=os.path.realpath(folder))
        with suppress(KeyboardInterrupt):
            self._server.serve_forever()

    def __enter__(self) -> "Preview":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # Without http.server's look-up of the machine's name, which may wait for the network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as socketserver calls it
        """Ignores browsers that went away; prints anything else in one line."""
        error = sys.exception()
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"nlareport: a request could not be answered ({error})", file=sys.stderr)


class _Files(SimpleHTTPRequestHandler):
    server: _Server
    timeout = 30
    server_version, sys_version = "nlareport", ""

    def parse_request(self) -> bool:
        """Whether there is a request, and it is for this server."""
        if not super().parse_request():
            return False
        port = self.server.server_port
        own = {f"{name}:{port}" for name in OWN_NAMES} | set(OWN_NAMES if port == HTTP_PORT else ())
        called = self.headers.get_all("Host", [])
        if len(called) != 1 or called[0] not in own:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, f"Open http://{ADDRESS}:{port}/ instead")
            return False
        if self.command not in ("GET", "HEAD"):
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
            return False
        return True

    def send_head(self) -> Any:
        """The file to send, or None when there is none."""
        path = Path(self.translate_path(self.path))
        with suppress(OSError, ValueError):
            file = path / "index.html" if path.is_dir() else path
            place = Path(os.path.realpath(file))
            if place.is_relative_to(self.directory) and stat.S_ISREG(place.stat().st_mode):
                return super().send_head()
        self.send_error(HTTPStatus.NOT_FOUND)
        return None

    def guess_type(self, path: Any) -> str:
        """The type from `CONTENT_TYPES`, else the system's."""
        ending = os.path.splitext(path)[1].lower()
        return CONTENT_TYPES.get(ending) or mimetypes.guess_type(path)[0] or CONTENT_TYPES[""]

    def end_headers(self) -> None:
        """Adds the headers that every answer has."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal belongs to the one line with the address."""
