"""``python -m hishamos.kernels.notebook_parent``: has loaded what every notebook needs, and is forked for each one that is executed.

A kernel takes a second to start because of what it imports; a fork of this process has that already. It has one thread, for a fork copies only
that. Orders come over a socket on stdin: a line of JSON and the end of a socket for the new process, of which the answer is the number. Once
the other end is closed, because the server left or died, everything below is ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterable

from hishamos.kernels import supervisor
from hishamos.schemas import json_schema

LONGEST = 65_536
LOADED = (
    "papermill.clientwrap",
    "papermill.execute",
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.comm",
    "jupyter_client.asynchronous",
    "tornado.platform.asyncio",
    "hishamos.kernels.notebook_worker",
    "hishamos.kernels.forked_kernel",
    "hishamos.kernels.honest_execution",
    "hishamos.kernels.kernel_state",
)
"""What executes a notebook."""
OWN = ("hishamos.opening", "hishamos.remote", "hishamos.workspace", "hishamos.notebook.showing", "hishamos.notebook.magics", "hishamos.notebook.cards")
ON_DEMAND = {
    "hishamos": OWN,
    "pandas": ("pandas",),
    "numpy": ("numpy",),
    "pyarrow": ("pyarrow",),
    "altair": ("altair", "vl_convert"),
    "plotly": ("plotly.graph_objects",),
    "ipywidgets": ("ipywidgets",),
    "matplotlib": ("matplotlib.pyplot",),
}
"""What is loaded once a notebook imports the library, for it and those that follow; none of them leaves a thread that a fork would lose."""


class Parent:
    """``orders``: the socket to whoever has notebooks executed."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._ended, self._noted = socket.socketpair()
        self._noted.setblocking(False)
        self._workers: set[int] = set()
        self._tried: set[str] = set()
        self._text = b""
        self._files: list[int] = []

    def serve(self) -> None:
        """Fork what is asked for until nobody can ask any more."""
        supervisor.adopt()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._noted.fileno(), warn_on_full_buffer=False)
        load(LOADED)
        practise()
        with selectors.DefaultSelector() as selector:
            selector.register(self._orders, selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._ended in ready:
                    self._ended.recv(4096)
                    self._reap()
                if self._orders in ready and not self._obey(selector):
                    break
        signal.set_wakeup_fd(-1)
        supervisor.end_below()

    def _obey(self, selector: selectors.BaseSelector) -> bool:
        """Do what is ordered; False when there are no more orders."""
        try:
            text, files, _, _ = socket.recv_fds(self._orders, LONGEST, 8)
        except OSError:
            return False
        self._text += text
        self._files += files
        while b"\n" in self._text:
            line, _, self._text = self._text.partition(b"\n")
            order = json.loads(line)
            if "end" in order:
                self._end(order["end"])
            else:
                self._fork(order["imports"], self._files.pop(0), selector)
        return bool(text)

    def _end(self, worker: int) -> None:
        if worker in self._workers:  # else its number may be another's by now
            with contextlib.suppress(OSError):
                os.killpg(worker, signal.SIGKILL)

    def _fork(self, imports: Iterable[str], connection: int, selector: selectors.BaseSelector) -> None:
        wanted = [name for name in imports if name in ON_DEMAND and name not in self._tried]
        self._tried.update(wanted)
        for name in wanted:
            load(ON_DEMAND[name])
        pid = os.fork()
        if pid == 0:
            selector.close()
            for mine in (self._orders, self._ended, self._noted):
                mine.close()
            be_worker(socket.socket(fileno=connection))
        os.close(connection)
        self._workers.add(pid)
        with contextlib.suppress(OSError):
            self._orders.sendall(f"{pid}\n".encode())

    def _reap(self) -> None:
        """Take note of the ends, and end what a worker that was killed left behind: nothing else becomes this process's child."""
        gone = False
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                gone = gone or pid in self._workers
                self._workers.discard(pid)
        if gone:
            for stray in supervisor.children() - self._workers:
                with contextlib.suppress(OSError):
                    os.kill(stray, signal.SIGKILL)


def load(modules: Iterable[str]) -> None:
    """Import modules, and spare what they hold the collector of every fork, which would copy it. One that is not installed, or broken, is left out."""
    for name in modules:
        with contextlib.suppress(Exception):  # the notebook that imports it is told
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def practise() -> None:
    """Do once what every notebook needs done once: the schema of notebooks is compiled when it is first used."""
    import nbformat

    for minor in (4, 5):
        made = nbformat.v4.new_notebook(nbformat_minor=minor)
        nbformat.reads(nbformat.writes(made), 4)


def be_worker(connection: socket.socket) -> None:
    """Be a process that executes notebooks; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        os.close(null)
        from hishamos.kernels.notebook_worker import Worker

        code = Worker(connection, forks=True).serve()
    finally:
        os._exit(code)


def prepare() -> None:
    """Load papermill, so that it loads nothing that it does not need and nothing begins a thread."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    # The allocator that comes with pyarrow has a thread of its own otherwise.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    json_schema.load()
    # papermill looks for Hadoop's file system in pyarrow, and would load that for each notebook.
    if "pyarrow.fs" not in sys.modules:
        sys.modules["pyarrow.fs"] = None  # type: ignore[assignment]  # how Python marks a module that is not to be found
        load(["papermill"])
        del sys.modules["pyarrow.fs"]


def main() -> None:
    """See the module."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()
    orders = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    Parent(orders).serve()


if __name__ == "__main__":
    main()
