"""One process that executes notebooks, one after another: it is told over a socket what to execute, and tells how that went.

Forked from :mod:`hishamos.kernels.notebook_parent`, with a kernel that is a fork of it in turn; or started as
``python -m hishamos.kernels.notebook_worker`` where nothing can be forked, with kernels as Jupyter starts them.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any

from hishamos.kernels import supervisor
from hishamos.kernels.channel import taken, written

LOOK_S = 0.2
"""How often a notebook at work is looked at, seconds."""
MEGABYTE = 2**20
GROWN = 0.25
"""The share of its memory by which a kernel may have grown to be kept."""


class Worker:
    """``connection``: to the workspace's server; once that is closed, this process ends with all that it started. ``forks``: how kernels begin."""

    def __init__(self, connection: socket.socket, *, forks: bool) -> None:
        self._connection, self._forks = connection, forks
        self._orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._kernel: Any = None
        self._verdict: str | None = None
        self._number, self._at_work = 0, False
        self._stopped: dict[int, str] = {}
        """The notebooks that were stopped before they began."""
        self._limits: tuple[float, float, int] = (0.0, 0.0, 0)
        """When the notebook has to be done, in how many seconds that was, and how many megabytes it may take."""
        self._fresh_bytes = 0
        self._lock = threading.Lock()

    def serve(self) -> int:
        """Execute notebook after notebook until the connection is closed."""
        supervisor.adopt()
        self._connection.settimeout(None)
        first = self._read(bytearray())
        if first is None:
            return 0
        order, rest = first
        if self._forks and order["forked"]:
            from hishamos.kernels.forked_kernel import ForkedKernel

            self._kernel = ForkedKernel(order["memory_mb"] * MEGABYTE)  # before there is a second thread
        threading.Thread(target=self._listen, args=(rest,), name="orders", daemon=True).start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        following: dict[str, Any] | None = order
        while following is not None:
            try:
                told = self._execute(following)
            except BaseException:  # noqa: BLE001 - whoever waits is told
                told = {"state": "failed", "reason": f"the notebook's process broke: {traceback.format_exc()[-2000:]}", "keep": False}
            if not told["keep"]:
                self._end_kernel()
            self._connection.sendall(written(told))
            following = self._orders.get()
        self._end_kernel()
        return 0

    def _execute(self, order: dict[str, Any]) -> dict[str, Any]:
        from hishamos.kernels.honest_execution import execute

        with self._lock:
            self._number, self._verdict = order["number"], None
            early = self._stopped.pop(order["number"], None)
            self._limits = (time.monotonic() + order["timeout_s"], order["timeout_s"], order["memory_mb"])
            self._at_work = early is None
        if early is not None:
            return {"state": "failed", "reason": early, "keep": False}
        if self._kernel is not None:
            if not self._kernel.language:
                self._kernel.greet()
                self._fresh_bytes = _held(self._kernel.pid)
            self._kernel.begin(order["variables"], order["folder"])
        else:
            os.environ.clear()
            os.environ.update(order["variables"])
        told = execute(order, self._kernel, lambda: self._verdict)
        with self._lock:
            self._at_work = False
        return told | {"keep": bool(order["reuse"]) and self._reset(order)}

    def _reset(self, order: dict[str, Any]) -> bool:
        """Make the kernel fit for another notebook; False where it is not."""
        if self._kernel is None or self._kernel.leaving or not self._kernel.alive():
            return False
        try:
            left = self._kernel.reset()
        except RuntimeError:
            return False
        grown = _held(self._kernel.pid) - self._fresh_bytes
        return not left["threads"] and not left["children"] and grown < order["memory_mb"] * MEGABYTE * GROWN

    def _end_kernel(self) -> None:
        if self._kernel is not None:
            self._kernel.leave()
            self._kernel = None
        supervisor.end_below()

    # what else goes on

    def _read(self, buffer: bytearray) -> tuple[dict[str, Any], bytearray] | None:
        """Return the next message; None once the connection is closed."""
        while (message := taken(buffer)) is None:
            try:
                part = self._connection.recv(65_536)
            except OSError:
                part = b""
            if not part:
                return None
            buffer += part
        return message[0], buffer

    def _listen(self, buffer: bytearray) -> None:
        while (found := self._read(buffer)) is not None:
            if "stop" in found[0]:
                self._stop(str(found[0]["stop"]), found[0]["number"])
            else:
                self._orders.put(found[0])
        if self._at_work:
            supervisor.end_below()
            os.killpg(0, signal.SIGKILL)
        self._orders.put(None)

    def _stop(self, verdict: str, number: int | None = None) -> None:
        """End the notebook at work, if it is that one: its kernel dies, and the notebook is written as far as it came."""
        with self._lock:
            if number is not None and number != self._number:
                if number > self._number:
                    self._stopped[number] = verdict
                return
            if not self._at_work or self._verdict is not None:
                return
            self._verdict = verdict
        if self._kernel is not None:
            self._kernel.end(verdict)
        else:
            supervisor.end_below()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_S)
            with self._lock:
                at_work, (until, seconds, memory_mb) = self._at_work, self._limits
            if not at_work:
                continue
            if time.monotonic() > until:
                self._stop(f"it took longer than its limit of {seconds:g} s")
            elif _held_below() - self._fresh_bytes > memory_mb * MEGABYTE:
                self._stop(f"it took more than {memory_mb} MB of memory; more has to be allowed: step_memory_mb under [workspace] in hishamos.toml")


def _held(process: int) -> int:
    """Return how many bytes of memory a process holds for itself; 0 where that can't be told."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{process}/statm", encoding="ascii") as facts:
        pages = facts.read().split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _held_below() -> int:
    return sum(_held(one) for one in supervisor.below())


def main() -> int:
    """See the module."""
    connection = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.close(null)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    return Worker(connection, forks=False).serve()


if __name__ == "__main__":
    sys.exit(main())
