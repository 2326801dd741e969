"""``python -m hishamos.kernels.code_child``: calls functions that are not the library's, one after another, until its pipe is closed.

Orders come on stdin and answers go to stdout as :mod:`hishamos.kernels.channel` says; what the functions print goes to stderr. It imports
little: a child has to be there quickly.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.machinery
import importlib.util
import inspect
import json
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from hishamos.errors import HishamosError, InvalidInput, to_wire
from hishamos.kernels.channel import Message, TooLong, put, taken, written
from hishamos.records.plain import plain_data

STEPS = "steps"
WORKSPACE = "ws"
TRACE = 4_000


class _Fresh(importlib.machinery.SourceFileLoader):
    """Loads a module from its source: a compiled file of the same second and size would hide an edit."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Steps:
    """Finds the package ``steps`` in the workspace, wherever the process was started and whatever else has that name."""

    def __init__(self, root: str) -> None:
        self._folder = os.path.join(root, STEPS)
        sys.meta_path.insert(0, self)
        sys.path_hooks.insert(0, self._hook)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:  # noqa: ARG002 - the protocol's
        if name != STEPS:
            return None
        begin = os.path.join(self._folder, "__init__.py")
        if os.path.exists(begin):
            return importlib.util.spec_from_file_location(name, begin, loader=_Fresh(name, begin), submodule_search_locations=[self._folder])
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [self._folder]
        return spec

    def _hook(self, path: str) -> importlib.machinery.FileFinder:
        if path != self._folder and not path.startswith(self._folder + os.sep):
            raise ImportError(path)
        return importlib.machinery.FileFinder(path, (_Fresh, importlib.machinery.SOURCE_SUFFIXES))


class _Channel:
    """The child's end. ``ask``: what the run's workspace is asked for while a function is at work."""

    def __init__(self) -> None:
        self._orders, self._answers = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.close(null)
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def read(self) -> Message | None:
        while (message := taken(self._buffer)) is None:
            part = os.read(self._orders, 65_536)
            if not part:
                return None
            self._buffer += part
        return message

    def write(self, data: bytes) -> None:
        put(self._answers, data)

    def ask(self, head: dict[str, Any], body: bytes = b"") -> Message:
        if os.getpid() != self._owner:
            raise InvalidInput(what="ws was asked in another process than the one it was given to", where="a python step", next="Ask it in the step's own.")
        with self._lock:
            try:
                self.write(written({"ask": head}, body))
            except TooLong:
                raise InvalidInput(what="an argument is too long", where=f"ws.{head.get('service')}.{head.get('verb')}", next="Pass less.") from None
            answer = self.read()
        if answer is None:
            os._exit(0)
        return answer


class _Child:
    def __init__(self, channel: _Channel, hello: dict[str, Any]) -> None:
        self._channel = channel
        self._root: str = hello["root"]
        self._maker: str = hello["workspace"]
        sys.path[:] = hello["path"]
        _Steps(self._root)

    def serve(self) -> None:
        """Call function after function. What one of them left behind, a thread or a process, ends with this process: it is told to end."""
        mine, variables, threads = os.getpid(), dict(os.environ), threading.active_count()
        while (order := self._channel.read()) is not None:
            self._channel.write(written({"begun": True}))
            told, body = self._call(*order)
            if os.getpid() != mine:
                os._exit(0)  # the function forked, and this is the copy
            sys.stdout.flush()
            sys.stderr.flush()
            os.chdir(self._root)
            if dict(os.environ) != variables:
                os.environ.clear()
                os.environ.update(variables)
            state = {"left": threading.active_count() > threads or _has_children(), "held": _held()}
            try:
                self._channel.write(written(told | state, body))
            except TooLong:
                error = ValueError("it returned more than 64 MB; write it to a file and return its path")
                self._channel.write(written(_raised(error, self._root) | state))

    def _call(self, order: dict[str, Any], body: bytes) -> Message:
        try:
            called = getattr(importlib.import_module(order["module"]), order["attribute"])
            arguments = json.loads(body)
            if WORKSPACE in inspect.signature(called).parameters:
                arguments[WORKSPACE] = self._workspace()
            return {"value": True}, json.dumps(plain_data(called(**arguments)), allow_nan=False).encode()
        except HishamosError as error:
            return {"error": to_wire(error)}, b""
        except BaseException as error:  # noqa: BLE001 - whatever a function raises, SystemExit too, is its step's failure
            return _raised(error, self._root), b""

    def _workspace(self) -> Any:
        module, _, maker = self._maker.partition(":")
        make: Callable[..., Any] = getattr(importlib.import_module(module), maker)
        return make(self._root, self._channel.ask)


def _raised(error: BaseException, root: str) -> dict[str, Any]:
    trace = "".join(traceback.format_exception(error))[-TRACE:]
    reason = f"exit({error.code!r})" if isinstance(error, SystemExit) else str(error)
    return {"raised": type(error).__name__, "reason": reason, "place": _place(error, root), "trace": trace, "memory": isinstance(error, MemoryError)}


def _place(error: BaseException, root: str) -> str:
    """Return the line at which a function failed: the last one of the workspace, else the last one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__ and not frame.filename.startswith("<")]
    own = [frame for frame in frames if frame.filename.startswith(root + os.sep)]
    if own:
        return f"{os.path.relpath(own[-1].filename, root)}, line {own[-1].lineno}"
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def _held() -> int:
    """Return how many bytes of memory this process holds; where that can't be told, the most that it ever held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as facts:
            return int(facts.read().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def main() -> None:
    """See the module."""
    os.environ.pop("PYTHONPATH", None)  # was for finding this very module; what the functions import is in the first message
    channel = _Channel()
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # they are text streams
    hello = channel.read()
    if hello is not None:
        _Child(channel, hello[0]).serve()
    os._exit(0)  # threads that a function left behind hold nothing up


if __name__ == "__main__":
    main()
