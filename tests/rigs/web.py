"""A web server on loopback that does what the path says, and keeps what it was asked."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Web:
    """Where it is, and what it was asked: method, path, headers, body."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.gate = threading.Event()
        self.redirect = ""

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving() -> Iterator[Web]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    web = server.web = Web(server.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)  # its end is seen at once, not half a second later
    thread.start()
    yield web
    web.gate.set()
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        web: Web = self.server.web  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        web.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        status, headers, data = 200, {"Content-Type": "application/json"}, b'{"ok": true, "n": NaN}'
        if self.path.startswith("/status/"):
            status = int(self.path.rpartition("/")[2])
        elif self.path == "/big":
            data = b"x" * 200_000
        elif self.path == "/bomb":
            data, headers = gzip.compress(b"\0" * 50_000_000), {"Content-Encoding": "gzip"}
        elif self.path == "/echo":
            data = self.headers.get("Authorization", "").encode()
        elif self.path.startswith("/redirect"):
            status, headers = int(self.path[9:] or 302), {"Location": web.redirect}
        elif self.path == "/loop":
            status, headers = 302, {"Location": "/loop"}
        elif self.path == "/held":
            web.gate.wait(20)
        with suppress(OSError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.path == "/drip":
                for byte in data:
                    time.sleep(0.1)
                    self.wfile.write(bytes([byte]))
            else:
                self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer

    def log_message(self, *_: Any) -> None:
        return
