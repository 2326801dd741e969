"""A kernel that is a fork of a process which has loaded it already, and the client that talks to it over sockets that only its user can open."""

from __future__ import annotations

import ast
import asyncio
import atexit
import contextlib
import ctypes
import json
import os
import resource
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from queue import Empty
from typing import Any, NoReturn

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import write_connection_file
from nbclient.util import run_sync

from hishamos.kernels import kernel_state, supervisor

READY_S = 60.0
GREETING_S = 0.05
"""How long a greeting waits to be heard on the kernel's broadcast, seconds; then another one is sent."""
LEAVING_S = 5.0
"""How long a kernel has for what its notebook wanted done at the end, seconds."""
LOOK_S = 0.005
END_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""


class ForkedKernel:
    """One kernel: forked here, before this process has a second thread. ``memory``: bytes that a notebook may take.

    It stands in for a kernel manager where nbclient wants one.
    """

    has_kernel = True

    def __init__(self, memory: int) -> None:
        self.verdict: str | None = None
        """Why it was ended from here, in words."""
        self.leaving = False
        """Whether its notebook told it to end."""
        self._lock = threading.Lock()
        self._status: int | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="hos-k-")
        file, info = write_connection_file(f"{self._folder.name}/kernel.json", transport="ipc", ip=f"{self._folder.name}/k", key=secrets.token_hex(16).encode())
        self.pid = os.fork()
        if self.pid == 0:
            be_kernel(file, memory)
        self.client = _Client(self)
        self.client.load_connection_info(info)
        self._sockets = [f"{info['ip']}-{info[port]}" for port in ("shell_port", "control_port", "iopub_port")]
        self.language: dict[str, Any] = {}

    def greet(self) -> None:
        """Wait until the kernel answers and what it broadcasts is heard; raises RuntimeError when it never does."""
        self._await_sockets()
        self.client.start_channels(stdin=False, hb=False)
        self.client.allow_stdin = False
        run_sync(self._greet)()

    def _await_sockets(self) -> None:
        """Wait until there is something to connect to: who comes too early tries again only after a tenth of a second."""
        deadline = time.monotonic() + READY_S
        while not all(os.path.exists(place) for place in self._sockets) and self.alive() and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    async def _greet(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.alive():
            told = self.client.kernel_info()
            with contextlib.suppress(Empty):
                reply = await self._heard("shell", told, READY_S)
                self.language = reply["content"]["language_info"]
                while True:
                    heard = await self._heard("iopub", told, GREETING_S)
                    if heard["content"].get("execution_state") == "idle":
                        return
        raise RuntimeError(f"the kernel did not start: {self.how()}")

    async def _leave(self) -> None:
        self.client.control_channel.send(self.client.session.msg("shutdown_request", content={"restart": False}))
        await asyncio.sleep(0)

    async def _heard(self, channel: str, told: str, seconds: float) -> dict[str, Any]:
        """Return the next message about ``told``; raises Empty when there is none in time, or the kernel has died."""
        socket, deadline = getattr(self.client, f"{channel}_channel"), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.alive():
            with contextlib.suppress(Empty):
                message: dict[str, Any] = await socket.get_msg(timeout=min(left, 1.0))
                if message["parent_header"].get("msg_id") == told:
                    return message
        raise Empty

    def begin(self, variables: Mapping[str, str], folder: str) -> None:
        """Have the next notebook find these environment variables, and itself in its folder."""
        self._asked(f"begin({dict(variables)!r}, {folder!r})")

    def reset(self) -> dict[str, Any]:
        """Undo what the last notebook did; returns what stays, see :func:`hishamos.kernels.kernel_state.reset`."""
        found: dict[str, Any] = json.loads(self._asked("reset()"))
        return found

    def _asked(self, call: str) -> str:
        """Have the kernel call a function of :mod:`kernel_state`; raises RuntimeError where it can't."""
        expression = f"__import__({kernel_state.__name__!r}, fromlist=['_']).{call}"

        async def ask() -> dict[str, Any]:
            told = self.client.execute("", silent=True, store_history=False, user_expressions={"told": expression})
            reply = await self._heard("shell", told, READY_S)
            with contextlib.suppress(Empty):
                while (await self._heard("iopub", told, 1.0))["content"].get("execution_state") != "idle":
                    pass
            return reply

        try:
            answer = run_sync(ask)()["content"]["user_expressions"]["told"]
            return str(ast.literal_eval(answer["data"]["text/plain"]))
        except (Empty, KeyError) as error:
            raise RuntimeError(f"the kernel did not do what it was asked: {error!r}; {self.how()}") from error

    def alive(self) -> bool:
        """Return whether it runs."""
        with self._lock:
            if self._status is None:
                with contextlib.suppress(ChildProcessError):
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                    self._status = status if pid else None
            return self._status is None

    is_alive = alive

    def how(self) -> str:
        """Return in words how it ended."""
        if self.verdict is not None:
            return self.verdict
        if self.alive():
            return "it does not answer"
        code = os.waitstatus_to_exitcode(self._status or 0)
        if code >= 0:
            return f"its kernel died: it ended with code {code}"
        name = signal.Signals(-code).name
        return f"its kernel died: it was ended by {name}" + (", maybe for want of memory" if name == "SIGKILL" else "")

    def end(self, verdict: str | None = None) -> None:
        """End it and everything that it started; from any thread, also twice."""
        if self.alive():
            self.verdict = self.verdict or verdict
        supervisor.end_below()

    def leave(self) -> None:
        """Let it end as a program does, with what its notebook wanted done then; it is ended when that takes long."""
        if self.alive() and self.language:
            run_sync(self._leave)()
            deadline = time.monotonic() + LEAVING_S
            while self.alive() and time.monotonic() < deadline:
                time.sleep(LOOK_S)
        self.end()
        self.client.stop_channels()
        self._folder.cleanup()


class _Client(AsyncKernelClient):  # type: ignore[misc]  # jupyter_client has no types
    """Knows at once whether its kernel lives: it is a child of this process."""

    def __init__(self, kernel: ForkedKernel) -> None:
        super().__init__()
        self._kernel = kernel

    async def is_alive(self) -> bool:
        return self._kernel.alive()


def be_kernel(file: str, memory: int) -> NoReturn:
    """Be a kernel, told by its connection ``file`` where it is spoken to; never returns."""
    code = 1
    try:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        asyncio.set_event_loop_policy(None)
        asyncio._set_running_loop(None)
        sys.argv = ["ipykernel_launcher.py", "-f", file]
        _find_neighbours()
        from ipykernel.kernelapp import IPKernelApp

        app = IPKernelApp.instance()
        app.initialize(["-f", file, "--HistoryManager.hist_file=:memory:", "--Application.log_level=50"])
        _limit(memory)
        app.start()
        atexit.unregister(app.close)  # it waits for a thread that may wait for another one that it has ended
        code = 0
    finally:
        _end(code)


def _limit(memory: int) -> None:
    """Let the notebook take that many bytes beside what the kernel has itself."""
    with contextlib.suppress(ValueError, OSError, StopIteration):  # where the system has a lower limit, that one holds
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/status", encoding="ascii", errors="replace") as facts:
            own = int(next(line for line in facts if line.startswith("VmData:")).split()[1]) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (own + memory, own + memory))


def _find_neighbours() -> None:
    """Let a notebook import what lies beside it, where IPython has it too: it does not where this process was started with ``-P``."""
    if "" not in sys.path:
        names = [os.path.basename(place) for place in sys.path]
        sys.path.insert(next((at for at, name in enumerate(names) if name in {"site-packages", "dist-packages"}), 0), "")


def _end(code: int) -> NoReturn:
    """What Python does at the end of a program, without taking apart what belongs to the process that this one was forked from."""
    import gc

    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that are to be waited for
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    with contextlib.suppress(BaseException):
        from IPython import get_ipython

        shell = get_ipython()
        if shell is not None:
            shell.user_ns.clear()  # files that were left open are written out
            shell.user_global_ns.clear()
        gc.collect()
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(BaseException):
            stream.flush()  # type: ignore[union-attr]  # None is suppressed too
    os._exit(code & 0xFF)
