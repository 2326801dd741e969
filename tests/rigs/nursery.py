"""Processes of HishamOS for the tests, forked from one that has imported everything: what they do is the same, their start costs next to nothing.

``python -m hishamos`` takes a quarter of a second of a processor, a workspace's server two thirds, one that talks to providers three
seconds: most of what hundreds of tests of the terminal and the server would take. The nursery is one process for all of a test run. It is
asked for a process with its arguments, folder, environment and open files, forks, and tells the child's exit code. A child has a memory,
standard streams, signals and an end of its own, as after ``python -m``. Left out is only what Python does before and after a program:
that is tested with real processes (the fixture ``real_processes``, the README's lines, the long forms of the chaos tests).

There is a nursery while ``HISHAMOS_TEST_NURSERY`` names its socket; ``tests/conftest.py`` starts it where processes may be forked.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import importlib.util
import json
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NoReturn

ADDRESS = "HISHAMOS_TEST_NURSERY"
DESCRIPTOR = "{descriptor}"
"""Stands in the arguments for the number that the fourth open file has in the child."""
STARTS_S = 30.0
NOTEBOOKS = "hishamos.kernels.notebook_parent"
PAPERMILL = "papermill"
CONSOLE = "streamlit"
TERMINAL = "hishamos"
WORKER_OF_TESTS = "pytest"
OWN = {
    TERMINAL: ".terminals",
    "simulator": ".terminals",
    NOTEBOOKS: ".notebooks",
    PAPERMILL: ".notebooks",
    CONSOLE: ".console",
    WORKER_OF_TESTS: ".tests",
}
"""Programs that are not forked from the nursery of servers, and what the address of theirs ends with. What notebooks and the console load, IPython and
Streamlit, would change what the others do; and a fork takes as long as there is memory to share, of a server with all that asks providers three times a
terminal's."""
SIMULATOR = Path(__file__).with_name("simulator.py")
STORES = Path(__file__).with_name("stores.py")
TYPE = "type"
"""In the place of a nursery's address: what follows is a line of the terminal, for scripts of a shell."""
WORK = "work"
"""The same: what follows are the arguments with which pytest-xdist starts a worker's Python."""
TEXT = "-c"
"""The program that is a text of Python: its first argument."""
CLIENT = (
    "hishamos.cli.entry", "hishamos.remote", "rich.console", "rich.table", "pandas", "pyarrow", "difflib", "tomllib", "hishamos.settings", "hishamos.consent",
    "hishamos.frames.mapping", "hishamos.frames.frame_verbs", "hishamos.frames.filtering", "hishamos.frames.pairing", "hishamos.frames.summarizing",
    "hishamos.charts.pace", "hishamos.cli.documents", "hishamos.cli.tables", "hishamos.cli.watching", "hishamos.cli.inert", "hishamos.cli.csv_files",
)  # fmt: skip
SERVER = (
    "hishamos.server.__main__", "duckdb", "psycopg_pool", "pyarrow", "tiktoken", "httptools", "hishamos.gateway.offline.judgement",
    "hishamos.gateway.offline.filling", "hishamos.text.nonsense", "hishamos.library.functions.filing", "hishamos.library.functions.bugs",
    "hishamos.library.functions.reports_file", "uvicorn.loops.asyncio", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.off",
    *(f"hishamos.engine.steps.{step}" for step in ("agent", "approval", "batch", "command", "http", "map", "notebook", "python", "row", "sql", "wait", "workflow")),
)  # fmt: skip
TRUSTING = ("hishamos.composition", "mcp.client.session", "anyio._backends._asyncio", "jsonschema")
WORKER = ("hishamos.server.worker", "hishamos.dispatch.celery", "celery.apps.worker", "celery.concurrency.thread", "kombu.transport.redis")
PAGES = ("streamlit.web.cli", "streamlit.web.bootstrap", "pandas", "pyarrow.parquet", "plotly.graph_objects", "hishamos.remote", "hishamos.charts.spend")
TESTS = ("pytest", "hypothesis", "papermill", "pypdf", "nbformat", "nbclient", "streamlit.testing.v1")
PRELOADED: dict[str, tuple[str, ...]] = {
    "hishamos": CLIENT,
    "hishamos.server": SERVER,
    "hishamos.server.worker": WORKER,
    NOTEBOOKS: (),
    PAPERMILL: ("papermill.cli",),
    CONSOLE: PAGES,
    WORKER_OF_TESTS: TESTS,
    "mcp": TRUSTING,
}
"""What each program imports sooner or later."""


def available() -> bool:
    """Return whether there is a nursery to ask."""
    return bool(os.environ.get(ADDRESS))


class Child:
    """A process of the nursery, with what is used of a :class:`subprocess.Popen`."""

    def __init__(self, connection: socket.socket) -> None:
        self._told = connection.makefile("r")
        self._connection = connection
        self.pid = int(self._told.readline())
        self.returncode: int | None = None
        self._reading = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; minus a signal's number where one ended it."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0)
            with self._reading:  # several threads may wait; the connection is closed with the last of them
                if self.returncode is None:
                    self.returncode = int(self._told.readline() or -signal.SIGKILL)
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended, for its number may be another's by then."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start(
    program: str, arguments: Sequence[str], files: Sequence[int], *, folder: Path, environment: Mapping[str, str], session: bool = False, asks: bool = False
) -> Child:
    """Have a program of :data:`PRELOADED`, or a text of Python, started in ``folder``.

    ``files``: its standard streams, then what else it inherits; ``session``: whether it begins one of its own; ``asks``: whether a text asks
    providers itself, and needs what a server needs for that.
    """
    facts = {"program": program, "arguments": list(arguments), "folder": str(folder), "environment": dict(environment), "session": session, "asks": asks}
    connection = _connected(os.environ[ADDRESS] + OWN.get(program, ""))
    request = json.dumps(facts).encode() + b"\n"
    socket.send_fds(connection, [request[:1]], list(files))
    connection.sendall(request[1:])
    return Child(connection)


def _connected(address: str) -> socket.socket:
    deadline = time.monotonic() + STARTS_S
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):  # it is just beginning
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return connection


def run(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdin: str | None = None, timeout: float, program: str = TERMINAL
) -> subprocess.CompletedProcess[str]:
    """Type a line of the terminal, or another program's, and return its end, as :func:`subprocess.run` does of ``python -m hishamos``."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        given.write((stdin or "").encode())
        given.seek(0)
        child = start(program, arguments, [given.fileno(), out.fileno(), errors.fileno()], folder=folder, environment=environment)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        texts = []
        for file in (out, errors):
            file.seek(0)
            texts.append(file.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess([program, *arguments], code, *texts)


class Piped(Child):
    """A child at work, with pipes for its stdout and stderr that are read as those of a :class:`subprocess.Popen`."""

    def __init__(self, child: Child, stdout: int, stderr: int) -> None:
        vars(self).update(vars(child))
        self.stdout = open(stdout, encoding="utf-8")  # noqa: SIM115 - closed by communicate, or with this
        self.stderr = open(stderr, encoding="utf-8")  # noqa: SIM115

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end and return what it wrote to stdout and to stderr, since they were read last."""
        read = ["", ""]

        def take(place: int, stream: IO[str]) -> None:
            with stream:
                read[place] = stream.read()

        readers = [threading.Thread(target=take, args=one, daemon=True) for one in enumerate((self.stdout, self.stderr))]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        return read[0], read[1]


Client = Piped | subprocess.Popen[str]


def _piped(program: str, arguments: Sequence[str], **how: Any) -> Piped:
    """Have a program started with pipes for its stdout and stderr; ``how``: see :func:`start`."""
    stdout, stderr = os.pipe(), os.pipe()
    try:
        with open(os.devnull, "rb") as nothing:
            child = start(program, arguments, [nothing.fileno(), stdout[1], stderr[1]], **how)
    finally:
        os.close(stdout[1])
        os.close(stderr[1])
    return Piped(child, stdout[0], stderr[0])


def type_line(arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Piped:
    """Type a line of the terminal and leave it running, in a session of its own."""
    return _piped(TERMINAL, arguments, folder=folder, environment=environment, session=True)


def python(text: str, *arguments: object, folder: Path | None = None, session: bool = False, asks: bool = False) -> Client:
    """Start ``python -c text arguments`` with pipes for its stdout and stderr, forked from the nursery where there is one; see :func:`start`."""
    words = [text, *map(str, arguments)]
    if not available():
        return subprocess.Popen(
            [sys.executable, "-c", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=session
        )
    return _piped(TEXT, words, folder=folder or Path.cwd(), environment=os.environ, session=session, asks=asks)


def spawning(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return what starts a workspace's server in the place of ``real``, :func:`hishamos.remote.discovery._spawn`."""

    def spawn(places: Any, status: int) -> Any:
        from hishamos.remote import discovery

        if not available():
            return real(places, status)
        arguments = ["--workspace", str(places.root), "--status-fd", DESCRIPTOR]
        with places.log.open("ab") as log, open(os.devnull, "rb") as nothing:
            files = [nothing.fileno(), log.fileno(), log.fileno(), status]
            return start("hishamos.server", arguments, files, folder=places.root, environment=discovery._environment(), session=True)

    return spawn


def serving(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return what starts a window's server in the place of ``real``, ``hishamos.cli.windows._started``; JupyterLab's is started as it is."""

    def started(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Any:
        if not available() or command[2] != CONSOLE:
            return real(command, folder, environment)
        with open(os.devnull, "r+b") as nothing:
            return start(CONSOLE, command[3:], [nothing.fileno()] * 3, folder=folder, environment=environment)

    return started


def worker_of_tests() -> str:
    """Return pytest-xdist's words for a worker that is forked: it has what tests import, which each would load again."""
    return f"popen//python={shlex.join([sys.executable, '-P', __file__, WORK])}"


def beginning(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return what starts the process that begins notebooks in the place of ``real``, :func:`hishamos.kernels.notebook_pool.spawn`."""

    def spawn(module: str, connection: socket.socket, root: Path, variables: Mapping[str, str]) -> Any:
        if not available():
            return real(module, connection, root, variables)
        with open(os.devnull, "wb") as nothing:
            files = [connection.fileno(), nothing.fileno(), nothing.fileno()]
            return start(module, (), files, folder=root, environment=variables, session=True)

    return spawn


class Nursery:
    """The process that is forked. It has one thread, for a fork copies only that."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(address)
        self._listener.listen(64)
        self._ended, self._noted = socket.socketpair()
        self._noted.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._parents: dict[int, socket.socket] = {}
        self._loaded: set[str] = set()
        self._simulator: ModuleType | None = None

    def serve(self) -> None:
        """Fork what is asked for, until whoever started us has gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._noted.fileno(), warn_on_full_buffer=False)
        for one in (self._listener, self._ended, 0):
            self._selector.register(one, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in self._selector.select()}
            if 0 in ready:
                return
            if self._ended in ready:
                self._ended.recv(4096)
                self._tell_ends()
            if self._listener in ready:
                self._fork(self._listener.accept()[0])

    def _fork(self, connection: socket.socket) -> None:
        text, files = _received(connection)
        if not text.endswith(b"\n"):
            return
        request = json.loads(text)
        problem: BaseException | None = None
        try:
            self.preload(_needs(request["program"], request["arguments"], asks=request["asks"]))
        except BaseException as error:
            problem = error  # the child's to tell
        pid = os.fork()
        if pid == 0:
            for mine in (self._listener, self._ended, self._noted, self._selector, connection, *self._parents.values()):
                mine.close()
            _become(functools.partial(self._run, request["program"], problem), request, files)
        for file in files:
            os.close(file)
        self._parents[pid] = connection
        with contextlib.suppress(OSError):
            connection.sendall(f"{pid}\n".encode())

    def _tell_ends(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            with self._parents.pop(pid) as connection, contextlib.suppress(OSError):
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())

    def preload(self, needed: Iterable[str]) -> None:
        """Import what programs need; litellm only once there is a workspace with a provider."""
        for name in needed:
            if name not in self._loaded:
                self._loaded.add(name)
                self._load(name)
                gc.freeze()  # no child's collector walks through it, and copies it by that

    def _load(self, name: str) -> None:
        if name == "litellm":
            from hishamos.gateway.adapters.litellm_chat import LitellmAdapter

            LitellmAdapter().warm()
        elif name == "simulator":
            self._simulator = _rig(SIMULATOR)
        else:
            for module in PRELOADED[name]:
                importlib.import_module(module)
        if name in {TERMINAL, "hishamos.server"}:
            from hishamos.contracts import wire

            wire.code()
        if name == TERMINAL:
            from hishamos.cli.verbs import VERBS
            from hishamos.remote import discovery

            for module in {line.module for line in VERBS.values()}:
                importlib.import_module(f"hishamos.cli.{module}")
            from hishamos.cli import windows

            discovery._spawn = spawning(discovery._spawn)  # the servers that these terminals start are forked too
            windows._started = serving(windows._started)
        if name == "hishamos.server":
            from hishamos.gateway import prices
            from hishamos.gateway.adapters import registry
            from hishamos.kernels import notebook_pool
            from hishamos.schemas import json_schema
            from hishamos.services.catalog import RECORDS, library

            json_schema.load()
            prices.bundled()
            registry.entry_points = functools.cache(registry.entry_points)
            registry.entry_points(group=registry.GROUP)
            for kind in RECORDS:
                library(kind)
            self._have_stores_copied()
            notebook_pool.spawn = beginning(notebook_pool.spawn)
        if name == NOTEBOOKS:
            from hishamos.kernels.notebook_parent import LOADED, ON_DEMAND, load, prepare

            prepare()
            load([*LOADED, *ON_DEMAND["hishamos"], *ON_DEMAND["pandas"]])

    def _have_stores_copied(self) -> None:
        """Make the store that those of new workspaces are copies of; in a child, for DuckDB has threads."""
        from hishamos import composition

        stores, file = _rig(STORES), Path(f"{self._address}.duckdb")
        pid = os.fork()
        if pid == 0:
            try:
                stores.make_template(file)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        composition.open_connector = stores.opening(composition.open_connector, lambda: file)

    def _run(self, program: str, problem: BaseException | None, arguments: list[str]) -> int:
        if problem is not None:
            raise problem
        if program == "hishamos":
            from hishamos.cli.entry import run_terminal

            return run_terminal(arguments)
        if program == "hishamos.server":
            from hishamos.server.__main__ import main

            return main(arguments)
        if program == "hishamos.server.worker":
            from hishamos.server.worker import main as work

            return work(arguments)
        if program == WORKER_OF_TESTS:
            program, arguments = TEXT, arguments[arguments.index(TEXT) + 1 :]
        if program == TEXT:
            text, *sys.argv[1:] = arguments
            sys.path.insert(0, "")
            exec(compile(text, "<string>", "exec"), {"__name__": "__main__"})
            return 0
        if program == NOTEBOOKS:
            from hishamos.kernels.notebook_parent import main as begin_notebooks

            begin_notebooks()
            return 0
        if program == PAPERMILL:
            from papermill.cli import papermill as execute

            execute(arguments)
            return 0
        if program == CONSOLE:
            from streamlit.web.cli import main as serve

            serve(arguments)
            return 0
        assert self._simulator is not None
        self._simulator.main(arguments)
        return 0


def _rig(file: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(file.stem, file)
    assert found is not None
    assert found.loader is not None
    rig = sys.modules[file.stem] = importlib.util.module_from_spec(found)
    found.loader.exec_module(rig)
    return rig


def _needs(program: str, arguments: Sequence[str], *, asks: bool) -> list[str]:
    """Return what is loaded for a process; litellm, three seconds of a processor, only for one that is going to ask providers."""
    if program == TEXT:
        return ["hishamos", "hishamos.server", *(["litellm"] if asks else [])]
    if program == WORKER_OF_TESTS:
        return ["hishamos", "hishamos.server", "litellm", program]
    if program == TERMINAL and "--mcp" in arguments:
        return [program, "mcp"]
    if not program.startswith("hishamos.server"):
        return [program]
    configured = Path(arguments[arguments.index("--workspace") + 1]) / "hishamos.toml"
    return [*dict.fromkeys(("hishamos.server", program)), *(["litellm"] if _names_providers(configured) else [])]


def _names_providers(configured: Path) -> bool:
    try:
        return "[providers." in configured.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _be(program: str, arguments: Sequence[str]) -> int:
    """Have a program started in this process's streams, folder and environment, and return its exit code, or end by the signal that ended it."""
    code = start(program, arguments, [0, 1, 2], folder=Path.cwd(), environment=os.environ).wait()
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to set back
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    connection.settimeout(20)
    text, files, _, _ = socket.recv_fds(connection, 1, 8)
    while text and not text.endswith(b"\n"):
        part = connection.recv(65_536)
        if not part:
            break
        text += part
    return text, files


def _become(program: Callable[[list[str]], int], request: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    """Be the program that was asked for; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if request["session"]:
            os.setsid()
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        for number, file in enumerate(files[:3]):
            os.dup2(file, number)
            os.close(file)
        sys.stdin, sys.stdout, sys.stderr = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8"), open(2, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # else who puts others in their place closes them
        rest = str(files[3]) if len(files) > 3 else ""
        arguments = [rest if part == DESCRIPTOR else part for part in request["arguments"]]
        sys.argv = [request["program"], *arguments]
        import random

        random.seed()
        code = program(arguments)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        _end(code or 0)


def _end(code: int) -> NoReturn:
    """What Python does at the end of a program, without taking apart what belongs to the nursery."""
    import atexit
    import threading

    with contextlib.suppress(BaseException):
        threading._shutdown()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    if sys.argv[1] in {TYPE, WORK}:
        sys.exit(_be(TERMINAL if sys.argv[1] == TYPE else WORKER_OF_TESTS, sys.argv[2:]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one = Nursery(sys.argv[1])
    one.preload(sys.argv[2:])
    one.serve()
