"""HTTP over a Unix socket with the standard library: light to import, one kept connection per thread."""

from __future__ import annotations

import http.client
import os
import socket
import threading


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a Unix socket."""

    def __init__(self, path: str, timeout: float | None = None) -> None:
        super().__init__("workspace", timeout=timeout)
        self._path = path

    def wait_at_most(self, seconds: float | None) -> None:
        """Set how long each part of an answer is waited for; None waits without limit."""
        self.timeout = seconds
        if self.sock is not None:
            self.sock.settimeout(seconds)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Connections:
    """One connection per thread and address; a forked child opens its own."""

    def __init__(self) -> None:
        self._kept = threading.local()

    def get(self, path: str) -> UnixConnection:
        """Return this thread's connection to the socket."""
        kept = getattr(self._kept, "kept", None)
        if kept is None or kept[:2] != (path, os.getpid()):
            kept = (path, os.getpid(), UnixConnection(path))
            self._kept.kept = kept
        connection: UnixConnection = kept[2]
        return connection

    def drop(self) -> None:
        """Close this thread's connection; the next ``get`` opens another."""
        kept = getattr(self._kept, "kept", None)
        if kept is not None:
            kept[2].close()
            self._kept.kept = None
