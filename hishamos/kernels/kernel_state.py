"""Inside a kernel that executes one notebook after another: what each one finds, and what is undone after it.

Undone are names, environment, working folder, the search path, everything imported that is not installed (modules of the workspace above all),
and what a notebook defined for the shell: magics, formatters, callbacks. What an installed library remembers stays, and so does what it registered.
"""

from __future__ import annotations

import asyncio
import builtins
import gc
import importlib
import json
import logging
import os
import random
import signal
import site
import socket
import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any

USER = "__main__"
SIGNALS = ("SIGALRM", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGHUP", "SIGPIPE")
_PATHS = ("stdlib", "platstdlib", "purelib", "platlib")
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class _State:
    """What the kernel was like before its first notebook."""

    def __init__(self) -> None:
        self.modules = set(sys.modules)
        self.threads = set(threading.enumerate())
        self.path, self.argv = list(sys.path), list(sys.argv)
        self.finders, self.hooks = list(sys.meta_path), list(sys.path_hooks)
        self.names = dict(vars(builtins))
        self.filters = list(warnings.filters)
        self.mask = os.umask(0o77)
        os.umask(self.mask)
        self.handlers = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
        self.logging = logging.root.level, list(logging.root.handlers)
        self.installed = tuple({os.path.realpath(place) + os.sep for place in (*(sysconfig.get_path(name) for name in _PATHS), *site.getsitepackages(), _OWN)})

    def restore(self) -> None:
        """Make it so again."""
        for name, module in list(sys.modules.items()):
            if name not in self.modules and self._is_workspace_s(module):
                del sys.modules[name]
        sys.path[:], sys.argv[:], sys.meta_path[:], sys.path_hooks[:] = self.path, self.argv, self.finders, self.hooks
        sys.path_importer_cache.clear()
        importlib.invalidate_caches()
        for name in set(vars(builtins)) - set(self.names):
            delattr(builtins, name)
        vars(builtins).update(self.names)
        warnings.filters[:] = self.filters  # type: ignore[index]  # a list, whatever its stub says
        os.umask(self.mask)
        for name, handler in self.handlers.items():
            signal.signal(getattr(signal, name), handler)
        signal.setitimer(signal.ITIMER_REAL, 0)
        logging.root.setLevel(self.logging[0])
        logging.root.handlers[:] = self.logging[1]
        socket.setdefaulttimeout(None)
        random.seed()

    def _is_workspace_s(self, module: Any) -> bool:
        """Whether a module is neither Python's nor installed."""
        place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
        return isinstance(place, str) and not os.path.realpath(place).startswith(self.installed)


_first: _State | None = None
_variables: dict[str, str] = {}


def begin(variables: dict[str, str], folder: str) -> str:
    """Have the next notebook find these environment variables and this working folder."""
    global _first, _variables
    _first, _variables = _first or _State(), variables
    _restore_variables()
    os.chdir(folder)
    return ""


def reset() -> str:
    """Undo what the last notebook did; returns as JSON what can't be undone: ``threads`` and ``children`` that it left running."""
    from IPython import get_ipython

    assert _first is not None
    shell: Any = get_ipython()
    _close_pictures_and_widgets()
    _forget_definitions(shell)
    shell.reset(new_session=True)
    shell.custom_exceptions = ()
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)
    _restore_variables()
    _first.restore()
    threads = [thread.name for thread in threading.enumerate() if thread not in _first.threads and thread.is_alive()]
    tasks = [task.get_name() for task in _tasks() if _defined_here(task.get_coro())]
    gc.collect()
    return json.dumps({"threads": threads + tasks, "children": _has_children()})


def _restore_variables() -> None:
    if dict(os.environ) != _variables:
        os.environ.clear()
        os.environ.update(_variables)


def _close_pictures_and_widgets() -> None:
    pyplot, widgets = sys.modules.get("matplotlib.pyplot"), sys.modules.get("ipywidgets")
    if pyplot is not None:
        pyplot.close("all")
    if widgets is not None:
        widgets.Widget.close_all()
    callbacks = sys.modules.get("hishamos.records.callbacks")
    if callbacks is not None:
        callbacks.registered.clear()  # the functions of @hishamos.step


def _forget_definitions(shell: Any) -> None:
    """Take back what was defined in the notebook, or in a module of the workspace, and given to the shell to call."""
    for magics in shell.magics_manager.magics.values():
        for name in [name for name, function in magics.items() if _defined_here(function)]:
            del magics[name]
    for event, callbacks in shell.events.callbacks.items():
        shell.events.callbacks[event] = _others(callbacks)
    for transformers in (shell.input_transformers_cleanup, shell.input_transformers_post, shell.ast_transformers):
        transformers[:] = _others(transformers)
    for formatter in shell.display_formatter.formatters.values():
        for printers in (formatter.type_printers, formatter.deferred_printers, formatter.singleton_printers):
            for key in [key for key, function in printers.items() if _defined_here(function) or _defined_here(key)]:
                del printers[key]


def _others(functions: Iterable[Callable[..., Any]]) -> list[Callable[..., Any]]:
    return [function for function in functions if not _defined_here(function)]


def _defined_here(thing: Any) -> bool:
    """Whether something was defined in the notebook or in a module of the workspace."""
    code = getattr(thing, "cr_code", None)
    if code is not None:
        return "ipykernel_" in code.co_filename or code.co_filename.startswith("<ipython-input")
    if not isinstance(getattr(thing, "__module__", None), str):
        thing = type(thing)
    name = getattr(thing, "__module__", "")
    module = sys.modules.get(name)
    assert _first is not None
    return name == USER or (module is not None and name not in _first.modules and _first._is_workspace_s(module))


def _tasks() -> set[asyncio.Task[Any]]:
    try:
        return asyncio.all_tasks(asyncio.get_event_loop())
    except RuntimeError:
        return set()


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
