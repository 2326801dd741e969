"""The processes that execute notebooks for one workspace: forked from one that is warm, kept for the next notebook where that was wanted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hishamos.errors import ServerError
from hishamos.kernels.channel import taken, written

FORKS = sys.platform == "linux"
"""Elsewhere a process that has loaded so much can't be forked safely."""
IDLE_S = 60.0
"""How long a kept kernel waits for the next notebook, and the warm process for work, seconds."""
ENDING_S = 8.0
"""How long a process has to write a notebook down that was stopped, seconds."""
PARENT, WORKER = "hishamos.kernels.notebook_parent", "hishamos.kernels.notebook_worker"


class NotebookProcess:
    """One process that executes notebooks; one at a time."""

    def __init__(self, connection: socket.socket, end: Callable[[], None]) -> None:
        self._connection, self._end = connection, end
        self._buffer = bytearray()
        self.fits: tuple[Any, ...] | None = None
        """What its kernel was begun with: only notebooks that want the same can have it."""
        self.idle_since = 0.0
        self._number = 0

    def order(self, order: Mapping[str, Any]) -> None:
        """Have it execute a notebook; raises OSError when it has gone."""
        self._connection.settimeout(None)
        self._number += 1
        self._connection.sendall(written({**order, "number": self._number}))

    def told(self, seconds: float | None = None) -> dict[str, Any] | None:
        """Return how the notebook went; None when the process has ended. Raises TimeoutError after ``seconds``."""
        self._connection.settimeout(seconds)
        while (message := taken(self._buffer)) is None:
            try:
                part = self._connection.recv(65_536)
            except TimeoutError:
                raise
            except OSError:
                return None
            if not part:
                return None
            self._buffer += part
        return message[0]

    def stop(self, why: str) -> None:
        """Have it end the notebook at work, and write down how far that came; from any thread."""
        with contextlib.suppress(OSError):
            self._connection.sendall(written({"stop": why, "number": self._number}))

    def end(self) -> None:
        """Have it end: by itself where it is idle, else at once; from any thread, also twice."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def clear(self, *, kill: bool = False) -> None:
        """End it and close the connection; by whoever has it, once. ``kill``: it does not end by itself."""
        self.end()
        if kill:
            self._end()
        self._connection.close()


class NotebookPool:
    """``root``: the workspace's folder, where the processes begin; ``variables``: their environment."""

    def __init__(self, root: Path, variables: Callable[[], Mapping[str, str]]) -> None:
        self._root, self._variables = root, variables
        self._lock = threading.Lock()
        self._parent: _Parent | None = None
        self._idle: list[NotebookProcess] = []
        self._busy: set[NotebookProcess] = set()
        self._used_at = 0.0
        self._watching = False
        self.closed = False

    @property
    def parent(self) -> int | None:
        """The number of the warm process; None where there is none just now."""
        with self._lock:
            return self._parent.pid if self._parent is not None else None

    def take(self, imports: list[str], fits: tuple[Any, ...] | None) -> NotebookProcess | None:
        """Return a process for a notebook; None once closed.

        ``imports``: the libraries that it imports; ``fits``: what a kept kernel must have been begun with, None for a fresh one.
        """
        found = None
        with self._lock:
            if self.closed:
                return None
            self._used_at = time.monotonic()
            if fits is not None:
                found = next((one for one in reversed(self._idle) if one.fits == fits), None)
            if found is not None:
                self._idle.remove(found)
            else:
                found = self._begun(imports)
            self._busy.add(found)
            self._watch_from_now()
        return found

    def give_back(self, process: NotebookProcess, *, keep: bool, kill: bool = False) -> None:
        """Keep a process for the next notebook, or let it end; ``kill``: it does not do that by itself."""
        with self._lock:
            self._busy.discard(process)
            self._used_at = process.idle_since = time.monotonic()
            if keep and not self.closed:
                self._idle.append(process)
                return
        process.clear(kill=kill)

    def close(self) -> None:
        """End every process."""
        with self._lock:
            self.closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            parent, self._parent = self._parent, None
        for one in busy:  # cleared by the thread that waits for it
            one.end()
        for one in idle:
            one.clear()
        if parent is not None:
            parent.close()

    def _begun(self, imports: list[str]) -> NotebookProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            if not FORKS:
                return NotebookProcess(ours, self._started(WORKER, theirs))
            for _ in range(2):
                if self._parent is None:
                    self._parent = _Parent(self._root, self._variables())
                pid = self._parent.fork(theirs, imports)
                if pid is not None:
                    return NotebookProcess(ours, partial(self._parent.end, pid))
                self._parent.close()  # it died: another one takes its place
                self._parent = None
        ours.close()
        where = "the server's log: hishamos server logs"
        raise ServerError(problem="The process that begins notebooks ended at once", where=where, next="Look there, then try again.")

    def _started(self, module: str, theirs: socket.socket) -> Callable[[], None]:
        process = spawn(module, theirs, self._root, self._variables())
        threading.Thread(target=process.wait, name="notebook-end", daemon=True).start()

        def end() -> None:
            if process.poll() is None:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)

        return end

    def _watch_from_now(self) -> None:
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, name="notebook-watch", daemon=True).start()

    def _watch(self) -> None:
        """Let go of what had nothing to do for long."""
        while True:
            time.sleep(min(1.0, IDLE_S / 4))
            with self._lock:
                now = time.monotonic()
                old = [one for one in self._idle if now - one.idle_since > IDLE_S]
                self._idle = [one for one in self._idle if one not in old]
                parent = None
                if not self._idle and not self._busy and now - self._used_at > IDLE_S:
                    parent, self._parent = self._parent, None
                    self._watching = False
                over = not self._watching or self.closed
            for one in old:
                one.clear()
            if parent is not None:
                parent.close()
            if over:
                return


class _Parent:
    """The warm process."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = spawn(PARENT, theirs, root, variables)
        self.pid = self._process.pid

    def fork(self, connection: socket.socket, imports: list[str]) -> int | None:
        """Have it forked, with one end of a connection; None where it has died."""
        order = json.dumps({"imports": imports}).encode() + b"\n"
        told = b""
        try:
            socket.send_fds(self._orders, [order], [connection.fileno()])
            while not told.endswith(b"\n"):
                part = self._orders.recv(64)
                if not part:
                    return None
                told += part
        except OSError:
            return None
        return int(told)

    def end(self, worker: int) -> None:
        """Have a worker ended that does not end by itself, if it still runs."""
        with contextlib.suppress(OSError):
            self._orders.sendall(json.dumps({"end": worker}).encode() + b"\n")

    def close(self) -> None:
        """End it and everything below it."""
        with contextlib.suppress(OSError):
            self._orders.shutdown(socket.SHUT_RDWR)
        self._orders.close()
        try:
            self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def spawn(module: str, connection: socket.socket, root: Path, variables: Mapping[str, str]) -> Any:
    """Start one of our processes with a connection on its stdin."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        cwd=root,
        env=dict(variables),
        stdin=connection.fileno(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
