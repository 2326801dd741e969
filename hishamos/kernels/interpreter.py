"""One child process that calls functions, under its supervisor: started, spoken to, ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from hishamos.kernels.channel import Message, put, taken, written
from hishamos.kernels.execution import end_group
from hishamos.kernels.programs import SUPERVISOR, environment

MEGABYTE = 2**20
KEPT_OUTPUT = 16_384
"""Bytes of what a function printed that are kept, the last ones."""
ENDING_S = 2.0
"""How long the supervisor has to end what the child started, seconds."""


class Interpreter:
    """One child process; one call at a time. Memory in bytes, for each of its processes."""

    def __init__(self, root: Path, memory: int, maker: str) -> None:
        self.memory = memory
        self.stamps: dict[str, str] = {}
        """The sources that it has loaded, as they then were."""
        self.uses = 0
        self.idle_since = time.monotonic()
        self.verdict: str | None = None
        """Why it was ended from here, if a call of it is to be told."""
        self._lock = threading.Lock()
        self._over = False
        self._code = ""
        self._messages = bytearray()
        self._printed: deque[bytes] = deque()
        self._size = 0
        control, self._held = os.pipe()
        self._outcome, told = os.pipe()
        command = [sys.executable, "-I", "-S", str(SUPERVISOR), str(control), str(told), str(memory)]
        try:
            self._process = subprocess.Popen(
                [*command, sys.executable, "-P", "-m", "hishamos.kernels.code_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=root,
                env=environment() | {"HISHAMOS_WORKSPACE": str(root), "PYTHONPATH": str(Path(__file__).parents[2])},
                pass_fds=(control, told),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._held)
            os.close(self._outcome)
            raise
        finally:
            os.close(control)
            os.close(told)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._orders, self._answers, self._errors = self._process.stdin.fileno(), self._process.stdout.fileno(), self._process.stderr.fileno()
        for descriptor in (self._answers, self._errors):
            os.set_blocking(descriptor, False)
        self._selector = selectors.DefaultSelector()
        for descriptor in (self._answers, self._errors, self._outcome):
            self._selector.register(descriptor, selectors.EVENT_READ)
        with contextlib.suppress(OSError):  # told by the first call
            self.send({"root": str(root), "path": sys.path, "workspace": maker})

    @property
    def pid(self) -> int:
        """The supervisor's number, which is that of the process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs, as far as its supervisor has said; for an idle one."""
        with self._lock:
            return not self._over and not self._ready(self._outcome)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Write a message to the child; raises OSError when it has gone, :class:`TooLong`."""
        put(self._orders, written(head, body))

    def receive(self) -> Message | None:
        """Return the child's next message, None when it has ended; what it prints meanwhile is kept up to a bound. Raises :class:`TooLong`."""
        while True:
            message = taken(self._messages)
            if message is not None:
                self._drain(self._errors)
                return message
            if self._code:
                return None
            for key, _ in self._selector.select():
                self._drain(key.fd)

    def outlive(self) -> None:
        """Wait until it is known how the child ended."""
        while not self._code:
            for key, _ in self._selector.select():
                self._drain(key.fd)
            self._messages.clear()

    def begin_call(self) -> None:
        """Forget what was printed before."""
        self._drain(self._errors)
        self._printed.clear()
        self._size = 0
        self.uses += 1

    def printed(self) -> str:
        """Return the end of what was printed since the call began."""
        return b"".join(self._printed)[-KEPT_OUTPUT:].decode("utf-8", "replace").strip()

    def how(self) -> str:
        """Return in words how the child ended."""
        if self.verdict is not None:
            return self.verdict
        code = self._code
        if not code.lstrip("-").isdigit():
            return code or "it was killed from outside"
        if int(code) >= 0:
            return f"it ended with code {code}"
        with contextlib.suppress(ValueError):
            name = signal.Signals(-int(code)).name
            return f"it was ended by {name}" + (" from outside, maybe for want of memory" if name == "SIGKILL" else "")
        return f"it was ended by signal {code[1:]}"

    def end(self, verdict: str | None = None) -> None:
        """End the child and everything that it started; from any thread, also twice."""
        with self._lock:
            if self._over:
                return
            self._over, self.verdict = True, verdict
            os.close(self._held)  # the supervisor sees it, and ends also what has left the group

    def clear(self) -> None:
        """Take the ended child's number back and close its pipes; by whoever owns it, once."""
        self.end()
        try:
            self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            end_group(self._process.pid)
            self._process.wait()
        end_group(self._process.pid)
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        os.close(self._outcome)

    def _ready(self, descriptor: int) -> bool:
        return any(key.fd == descriptor for key, _ in self._selector.select(0))

    def _drain(self, descriptor: int) -> None:
        try:
            part = os.read(descriptor, 65_536)
        except BlockingIOError:
            return
        if descriptor == self._outcome:
            self._code = (part.decode("utf-8", "replace") if part else "") or "it was killed from outside"
            for other in (self._answers, self._errors):
                self._empty(other)
        elif not part:
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
        elif descriptor == self._errors:
            self._printed.append(part)
            self._size += len(part)
            while self._size - len(self._printed[0]) > KEPT_OUTPUT:
                self._size -= len(self._printed.popleft())
        else:
            self._messages += part

    def _empty(self, descriptor: int) -> None:
        """Read what is left in a pipe."""
        while descriptor in {key.fd for key in self._selector.get_map().values()}:
            before = self._size, len(self._messages)
            self._drain(descriptor)
            if (self._size, len(self._messages)) == before:
                return
